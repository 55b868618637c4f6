"""The report of `taltool diagnose` as table, JSON or CSV. Fractions in JSON and CSV, percent in the table."""

import csv
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from taltool.cli.reports.report import (
    Table,
    choices_record,
    csv_facts,
    file_facts,
    file_record,
    print_report,
    truth_facts,
    truth_record,
)
from taltool.ops.diagnosis import DOUBLE_DETECTION, OUTCOMES
from taltool.ops.diagnosis_instances import range_in_words

if TYPE_CHECKING:
    from taltool.evaluation.diagnose import Diagnosis, FileDiagnosis

_ERRORS = range(DOUBLE_DETECTION, len(OUTCOMES))
_PROTOCOL = "activitynet"


def write_report(diagnosis: "Diagnosis", layout: str) -> None:
    """Print the report on standard output in the layout "table", "json" or "csv"."""
    print_report(diagnosis, layout, document=document, write_csv=_write_csv, facts=_facts, tables=_tables)


def document(diagnosis: "Diagnosis") -> dict[str, Any]:
    """The report as one JSON object; several files give a list "results"."""
    made = {
        "analysis": "DETAD",
        "protocol": _PROTOCOL,
        **truth_record(diagnosis.truth),
        "thresholds": list(diagnosis.tious.values),
        "ties": diagnosis.ties,
        **choices_record(diagnosis.truth),
    }
    results = [_record(file) for file in diagnosis.files]
    return made | (results[0] if len(results) == 1 else {"results": results})


def _record(file: "FileDiagnosis") -> dict[str, Any]:
    found = file.false_positives
    return {
        "predictions": file_record(file),
        "average_mAP": file.average_map,
        "average_mAP_N": file.average_map_n,
        "missed": file.missed,
        "false_positives": {
            "average_mAP_N": found.average_map_n,
            "gain": {_key(OUTCOMES[error]): float(found.gains[error]) for error in _ERRORS},
            "profile": _profile_records(found.detections, found.profile),
            "cumulative": _profile_records(found.detections.cumsum(), found.cumulative),
        },
        "groups": {
            name: [
                {
                    "group": group.name,
                    "above": group.low,
                    "up_to": group.high,
                    "instances": group.instances,
                    "missed": group.missed,
                    "average_mAP_N": group.average_map_n,
                }
                for group in groups
            ]
            for name, groups in file.groups.items()
        },
    }


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _profile_records(detections: Any, shares: Any) -> list[dict[str, float]]:
    names = [_key(name) for name in OUTCOMES]
    return [
        {"k": k, "detections": count, **dict(zip(names, row, strict=True))}
        for k, (count, row) in enumerate(zip(detections.tolist(), shares.tolist(), strict=True), start=1)
    ]


def _write_csv(diagnosis: "Diagnosis") -> None:
    """A row per number: what it is about (characteristic and group, or k-th G), its measure and its value."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    facts = list(csv_facts(diagnosis.truth, diagnosis.files[0], _PROTOCOL))
    writer.writerow([*facts, "tiou", "analysis", "group", "measure", "value"])
    for file in diagnosis.files:
        known = [*csv_facts(diagnosis.truth, file, _PROTOCOL).values(), diagnosis.tious.text]
        for row in _csv_rows(file):
            writer.writerow([*known, *row])


def _csv_rows(file: "FileDiagnosis") -> Iterator[tuple[str, str, str, float]]:
    yield "all", "", "average_mAP", file.average_map
    yield "all", "", "average_mAP_N", file.average_map_n
    yield "all", "", "missed", file.missed
    found = file.false_positives
    yield "top", f"{len(found.profile)}G", "average_mAP_N", found.average_map_n
    for error in _ERRORS:
        yield "gain", "", _key(OUTCOMES[error]), float(found.gains[error])
    for k, shares in enumerate(found.profile.tolist(), start=1):
        for name, share in zip(OUTCOMES, shares, strict=True):
            yield "profile", f"{k}G", _key(name), share
    for characteristic, groups in file.groups.items():
        for group in groups:
            yield characteristic, group.name, "instances", group.instances
            yield characteristic, group.name, "missed", group.missed
            yield characteristic, group.name, "average_mAP_N", group.average_map_n


def _facts(diagnosis: "Diagnosis") -> list[tuple[str, str]]:
    lines = [line for file in diagnosis.files for line in file_facts(file)]
    return [
        ("analysis", "DETAD (Alwassel et al., ECCV 2018), matches by the activitynet protocol"),
        *truth_facts(diagnosis.truth),
        ("tIoU", " ".join(map(repr, diagnosis.tious.values))),
        *lines,
    ]


def _tables(diagnosis: "Diagnosis") -> list[Table]:
    overall = [
        [file.file, _percent(file.average_map), _percent(file.average_map_n), _percent(file.missed)]
        for file in diagnosis.files
    ]
    return [
        Table("In percent, mean over thresholds", ["file", "mAP", "mAP_N", "missed"], overall),
        *(_profile(file) for file in diagnosis.files),
        _gains(diagnosis),
        *(_group_table(diagnosis, name) for name in diagnosis.files[0].groups),
    ]


def _profile(file: "FileDiagnosis") -> Table:
    found = file.false_positives
    rows = [
        [f"{k}G", str(count), *map(_percent, shares)]
        for k, (count, shares) in enumerate(zip(found.detections, found.profile.tolist(), strict=True), start=1)
    ]
    total = [f"all {len(rows)}G", str(found.detections.sum()), *map(_percent, found.cumulative[-1].tolist())]
    title = f"The k-th G best detections in percent (G = instances of a class), {file.file}"
    return Table(title, ["", "detections", *OUTCOMES], [*rows, total])


def _gains(diagnosis: "Diagnosis") -> Table:
    rows = []
    for file in diagnosis.files:
        found = file.false_positives
        gains = [f"{100 * float(found.gains[error]):+.2f}" for error in _ERRORS]
        rows.append([file.file, _percent(found.average_map_n), *gains])
    title = "mAP_N of the top 10G in percent, and by how many points it rises without one kind of error"
    return Table(title, ["file", "mAP_N", *(OUTCOMES[error] for error in _ERRORS)], rows)


def _group_table(diagnosis: "Diagnosis", name: str) -> Table:
    columns, rows = ["group", "range", "instances"], []
    for position in range(1, len(diagnosis.files) + 1):
        number = f" ({position})" if len(diagnosis.files) > 1 else ""
        columns += [f"missed{number}", f"mAP_N{number}"]
    for position, group in enumerate(diagnosis.files[0].groups[name]):
        row = [group.name, range_in_words(diagnosis.files[0].groups[name], position), str(group.instances)]
        for file in diagnosis.files:
            row += [_percent(file.groups[name][position].missed), _percent(file.groups[name][position].average_map_n)]
        rows.append(row)
    return Table(f"Missed instances and mAP_N in percent by {name.replace('-', ' ')}", columns, rows)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"
