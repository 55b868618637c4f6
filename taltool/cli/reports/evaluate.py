"""The report of `taltool evaluate` as table, JSON or CSV. Fractions in JSON and CSV, percent in the table."""

import csv
import sys
from typing import TYPE_CHECKING, Any

from taltool.cli.reports.header import (
    choices_record,
    csv_facts,
    file_facts,
    predictions_record,
    print_report,
    truth_facts,
    truth_record,
)
from taltool.cli.reports.tables import Table

if TYPE_CHECKING:
    from taltool.data.records import Floats
    from taltool.data.thresholds import Thresholds
    from taltool.evaluation.evaluate import Evaluation, FileResult, PairComparison
    from taltool.ops.bootstrap import Interval

# Already in percent, as its kit prints it.
_PERCENT = {"AUC"}
_HEADLINES = ("average_mAP", "AUC")


def write_report(evaluation: "Evaluation", layout: str) -> None:
    """Print the report on standard output in the layout "table", "json" or "csv"."""
    print_report(evaluation, layout, document=document, write_csv=_write_csv, facts=_facts, tables=_tables)


def document(evaluation: "Evaluation") -> dict[str, Any]:
    """The report as one JSON object; several files give a list "results" instead of one "predictions" and "metrics"."""
    selection, request = evaluation.selection, evaluation.request
    made: dict[str, Any] = {
        "protocol": selection.protocol.name,
        **truth_record(evaluation),
        "thresholds": {},
    }
    for name, thresholds in _thresholds(evaluation).items():
        made["thresholds"][name] = selection.values(thresholds)
    made |= choices_record(evaluation)
    if request.agnostic:
        made["agnostic"] = True
    if request.bootstrap:
        made["bootstrap"] = {"resamples": request.bootstrap, "level": 0.95, "unit": "video", "seed": request.seed}
    results = [_record(evaluation, result) for result in evaluation.results]
    made |= results[0] if len(results) == 1 else {"results": results}
    if evaluation.comparisons:
        made["comparisons"] = [_comparison_record(each) for each in evaluation.comparisons]
    return made


def _thresholds(evaluation: "Evaluation") -> dict[str, "Thresholds"]:
    selection = evaluation.selection
    found = {"mAP": selection.tious} if selection.precision or selection.multiples else {}
    return found | ({"recall": selection.recall_tious} if selection.recall else {})


def _record(evaluation: "Evaluation", result: "FileResult") -> dict[str, Any]:
    made: dict[str, Any] = {"predictions": predictions_record(result), "metrics": result.metrics}
    if result.intervals:
        made["intervals"] = {name: [each.low, each.high] for name, each in result.intervals.items()}
    if result.ap is not None:
        made["per_class"] = _class_records(evaluation, result.ap)
    return made


def _class_records(evaluation: "Evaluation", ap: "Floats") -> dict[str, dict[str, float | int]]:
    names = evaluation.selection.tious.names
    return {
        label: {"instances": count}
        | {f"AP@{name}": float(value) for name, value in zip(names, row, strict=True)}
        | {"average_AP": float(row.mean())}
        for label, count, row in _classes(evaluation, ap)
    }


def _classes(evaluation: "Evaluation", ap: "Floats") -> list[tuple[str, int, "Floats"]]:
    """Class name, number of instances, and AP at each threshold, by name."""
    import numpy as np

    scope = evaluation.scope
    counts = np.bincount(scope.truth.labels, minlength=scope.truth.num_classes).tolist()
    names = ["(all classes)"] if scope.agnostic else scope.class_names
    return sorted(zip(names, counts, ap, strict=True), key=lambda row: row[0])


def _comparison_record(comparison: "PairComparison") -> dict[str, Any]:
    metrics = {
        name: {
            "difference": each.difference,
            "interval": [each.interval.low, each.interval.high],
            "share_ahead": each.share_ahead,
        }
        for name, each in comparison.metrics.items()
    }
    return {"first": comparison.first, "second": comparison.second, "metrics": metrics}


def _write_csv(evaluation: "Evaluation") -> None:
    """A row per file, then, where classes were asked for, a row per class that holds AP under the names of mAP."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    metrics = list(evaluation.results[0].metrics)
    bounds = [f"{name}_{side}" for name in evaluation.results[0].intervals for side in ("low", "high")]
    writer.writerow(
        [
            *csv_facts(evaluation, evaluation.results[0], evaluation.selection.protocol.name),
            "class",
            "instances",
            *metrics,
            *bounds,
        ]
    )
    for result in evaluation.results:
        facts = list(csv_facts(evaluation, result, evaluation.selection.protocol.name).values())
        limits = [limit for each in result.intervals.values() for limit in (each.low, each.high)]
        writer.writerow([*facts, "", len(evaluation.scope.truth), *result.metrics.values(), *limits])
        if result.ap is not None:
            blank = [""] * (len(metrics) + len(bounds) - result.ap.shape[1] - 1)
            for label, count, row in _classes(evaluation, result.ap):
                writer.writerow([*facts, label, count, *row.tolist(), float(row.mean()), *blank])


def _facts(evaluation: "Evaluation") -> list[tuple[str, str]]:
    selection, request = evaluation.selection, evaluation.request
    facts = [("protocol", f"{selection.protocol.name} ({selection.protocol.source})"), *truth_facts(evaluation)]
    for name, thresholds in _thresholds(evaluation).items():
        facts.append((f"tIoU of {name}", " ".join(map(repr, selection.values(thresholds)))))
    if request.bootstrap:
        facts.append(("intervals", f"95 %, {request.bootstrap} resamples of the videos, seed {request.seed}"))
    for result in evaluation.results:
        facts += file_facts(result)
    return facts


def _tables(evaluation: "Evaluation") -> list[Table]:
    metrics = evaluation.results[0].metrics
    families = (
        ("mAP in percent at tIoU", [name for name in metrics if name.startswith(("mAP@", "average_mAP"))]),
        *(
            (f"R@{k}x in percent at tIoU", [n for n in metrics if n.startswith((f"R@{k}x@", f"average_R@{k}x"))])
            for k in evaluation.selection.multiples
        ),
        ("Average recall in percent at an average number of proposals a video, and the area below", _recalls(metrics)),
        ("Recall in percent of the best proposals of every video", [n for n in metrics if n.startswith("recall@")]),
    )
    tables = [_metric_table(evaluation, title, names) for title, names in families if names]
    tables += [_class_table(evaluation, result) for result in evaluation.results if result.ap is not None]
    return tables + [_comparison_table(each) for each in evaluation.comparisons]


def _recalls(metrics: dict[str, float]) -> list[str]:
    return [name for name in metrics if name.startswith("AR@") or name == "AUC"]


def _metric_table(evaluation: "Evaluation", title: str, names: list[str]) -> Table:
    headings = ["average" if name.startswith("average") else name.rpartition("@")[2] for name in names]
    rows = [
        [result.file, *(_cell(name, result.metrics[name], result.intervals.get(name)) for name in names)]
        for result in evaluation.results
    ]
    return Table(title, ["file", *headings], rows)


def _cell(name: str, value: float, interval: "Interval | None") -> str:
    text = _number(name, value)
    return text if interval is None else f"{text} [{_number(name, interval.low)}, {_number(name, interval.high)}]"


def _number(name: str, value: float) -> str:
    return f"{value if name in _PERCENT else 100 * value:.2f}"


def _class_table(evaluation: "Evaluation", result: "FileResult") -> Table:
    assert result.ap is not None
    rows = [
        [label, str(count), *(f"{100 * value:.2f}" for value in (*row, row.mean()))]
        for label, count, row in _classes(evaluation, result.ap)
    ]
    names = evaluation.selection.tious.names
    return Table(f"AP in percent at tIoU, {result.file}", ["class", "instances", *names, "average"], rows)


def _comparison_table(comparison: "PairComparison") -> Table:
    chosen = [name for name in comparison.metrics if name in _HEADLINES] or list(comparison.metrics)[:1]
    rows = []
    for name in chosen:
        each = comparison.metrics[name]
        rows.append([name, _cell(name, each.difference, each.interval), f"{100 * each.share_ahead:.1f} %"])
    title = f"{comparison.second} minus {comparison.first}, in percentage points, on the same resamples"
    return Table(title, ["metric", "difference", "resamples in which it is ahead"], rows)
