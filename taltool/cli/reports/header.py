"""What every report on detections says first: the ground truth, the files, what counted and what was left out."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from taltool.cli.reports.tables import Table, print_facts, print_table
from taltool.data.arrays import Contents, Scope
from taltool.evaluation.evaluate import EvaluationRequest, Exclusion, remarks


class Reported(Protocol):
    """What a report on one ground truth knows."""

    @property
    def request(self) -> EvaluationRequest: ...
    @property
    def subset(self) -> str | None: ...
    @property
    def truth_file(self) -> str: ...
    @property
    def truth_sha256(self) -> str: ...
    @property
    def scope(self) -> Scope: ...
    @property
    def exclusion(self) -> Exclusion | None: ...


class ReportedFile(Protocol):
    """What a report knows of one file of detections."""

    @property
    def file(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def contents(self) -> Contents: ...


Report = TypeVar("Report", bound=Reported)


def print_report(
    report: Report,
    layout: str,
    *,
    document: Callable[[Report], dict[str, Any]],
    write_csv: Callable[[Report], None],
    facts: Callable[[Report], list[tuple[str, str]]],
    tables: Callable[[Report], Iterable[Table]],
) -> None:
    """Print a report on standard output in the layout "json", "csv" or "table" (facts, then tables)."""
    if layout == "json":
        import orjson

        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        sys.stdout.buffer.write(orjson.dumps(document(report), option=options))
    elif layout == "csv":
        write_csv(report)
    else:
        print_facts(facts(report))
        for table in tables(report):
            print_table(table)


def truth_record(report: Reported) -> dict[str, Any]:
    """The subset and the ground truth, for JSON."""
    return {
        "subset": report.subset,
        "ground_truth": {
            "file": report.truth_file,
            "sha256": report.truth_sha256,
            "videos": len(report.scope.video_ids),
            "instances": len(report.scope.truth),
            "classes": len(report.scope.class_names),
        },
    }


def choices_record(report: Reported) -> dict[str, Any]:
    """What the user chose to leave out, for JSON; empty where nothing was chosen."""
    made: dict[str, Any] = {}
    if report.exclusion is not None:
        made["excluded"] = vars(report.exclusion)
    if report.request.split is not None:
        made["split"] = report.request.split
    if report.request.classes is not None:
        made["classes"] = list(report.scope.class_names)
    return made


def predictions_record(file: ReportedFile) -> dict[str, Any]:
    """One file of detections, for JSON."""
    contents = file.contents
    return {
        "file": file.file,
        "sha256": file.sha256,
        "videos": contents.counted.videos,
        "detections": contents.counted.detections,
        "left_out": {reason.replace(" ", "_"): vars(amount) for reason, amount in contents.left_out.items()},
        "unknown_videos": vars(contents.unknown_videos),
        "unknown_labels": contents.unknown_labels,
        "unlabelled": contents.unlabelled,
        "zero_length": contents.zero_length,
    }


def csv_facts(report: Reported, file: ReportedFile, protocol: str) -> dict[str, object]:
    """The same as columns of CSV."""
    contents = file.contents
    return {
        "file": file.file,
        "sha256": file.sha256,
        "protocol": protocol,
        "subset": report.subset or "",
        "ground_truth": report.truth_file,
        "ground_truth_sha256": report.truth_sha256,
        "videos": len(report.scope.video_ids),
        "detections": contents.counted.detections,
        "left_out": sum(amount.detections for amount in contents.left_out.values()),
        "in_unknown_videos": contents.unknown_videos.detections,
    }


def truth_facts(report: Reported) -> list[tuple[str, str]]:
    """The subset, the ground truth and the choices as lines of text."""
    scope, request = report.scope, report.request
    counts = f"{len(scope.video_ids)} videos, {len(scope.truth)} instances, {len(scope.class_names)} classes"
    facts = [
        ("subset", (report.subset or "all videos") + (f" (--split {request.split})" if request.split else "")),
        ("ground truth", f"{report.truth_file} sha256 {report.truth_sha256}"),
        ("", counts + (", taken as one class" if request.agnostic else "")),
    ]
    if report.exclusion is not None:
        each = report.exclusion
        facts.append(("excluded", f"{each.videos} videos, {each.file} sha256 {each.sha256}"))
    if request.classes is not None:
        facts.append(("classes", ", ".join(scope.class_names)))
    return facts


def file_facts(file: ReportedFile) -> list[tuple[str, str]]:
    """One file of detections as lines of text."""
    counted = file.contents.counted
    return [
        ("predictions", f"{file.file} sha256 {file.sha256}"),
        ("", f"{counted.detections} detections in {counted.videos} videos"),
        *(("", line) for line in remarks(file.contents)),
    ]
