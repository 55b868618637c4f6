"""The report of `taltool evaluate` as table, JSON or CSV. Fractions in JSON and CSV, percent in the table.

It knows no metric: what there is to print, and how, the metrics say (`taltool.ops.metrics.contract`).
"""

import csv
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

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

if TYPE_CHECKING:
    from taltool.evaluation.evaluate import Evaluation, FileResult, PairComparison
    from taltool.ops.bootstrap import Interval
    from taltool.ops.metrics.contract import Printing


def write_report(evaluation: "Evaluation", layout: str) -> None:
    """Print the report on standard output in the layout "table", "json" or "csv"."""
    print_report(evaluation, layout, document=document, write_csv=_write_csv, facts=_facts, tables=_tables)


def document(evaluation: "Evaluation") -> dict[str, Any]:
    """The report as one JSON object; several files give a list "results" instead of one "predictions" and "metrics"."""
    made: dict[str, Any] = {
        "protocol": evaluation.protocol.name,
        **truth_record(evaluation.truth),
        "thresholds": _thresholds(evaluation),
        **choices_record(evaluation.truth),
    }
    if evaluation.truth.scope.agnostic:
        made["agnostic"] = True
    if evaluation.bootstrap:
        made["bootstrap"] = {
            "resamples": evaluation.bootstrap,
            "level": 0.95,
            "unit": "video",
            "seed": evaluation.seed,
        }
    results = [_record(evaluation, result) for result in evaluation.results]
    made |= results[0] if len(results) == 1 else {"results": results}
    if evaluation.comparisons:
        made["comparisons"] = [_comparison_record(each) for each in evaluation.comparisons]
    return made


def _thresholds(evaluation: "Evaluation") -> dict[str, list[float]]:
    """The thresholds that were computed with, by the name of what reads them."""
    used = {metric.thresholds: evaluation.thresholds_of(metric) for metric in evaluation.metric_of.values()}
    return {name: evaluation.protocol.values(used[name]) for name in ("mAP", "recall") if name in used}


def _record(evaluation: "Evaluation", result: "FileResult") -> dict[str, Any]:
    made: dict[str, Any] = {"predictions": file_record(result), "metrics": result.metrics}
    if result.intervals:
        made["intervals"] = {name: [each.low, each.high] for name, each in result.intervals.items()}
    if result.class_values:
        named = {evaluation.metric_of[name].class_name(name): values for name, values in result.class_values.items()}
        made["per_class"] = {
            label: {"instances": count} | {name: float(values[k]) for name, values in named.items()}
            for k, label, count in _classes(evaluation)
        }
    return made


def _classes(evaluation: "Evaluation") -> list[tuple[int, str, int]]:
    """Number, name and number of instances of each class, by name."""
    scope = evaluation.truth.scope
    counts = np.bincount(scope.truth.labels, minlength=scope.truth.num_classes).tolist()
    names = ["(all classes)"] if scope.agnostic else scope.class_names
    return sorted(zip(range(len(names)), names, counts, strict=True), key=lambda row: row[1])


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
    """A row per file, then, where classes were asked for, a row per class: its numbers stand under those of all."""
    names = list(evaluation.metric_of)
    bounds = [f"{name}_{side}" for name in evaluation.results[0].intervals for side in ("low", "high")]
    protocol = evaluation.protocol.name
    facts = csv_facts(evaluation.truth, evaluation.results[0], protocol)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*facts, "class", "instances", *names, *bounds])
    for result in evaluation.results:
        known = list(csv_facts(evaluation.truth, result, protocol).values())
        limits = [limit for each in result.intervals.values() for limit in (each.low, each.high)]
        numbers = [result.metrics[name] for name in names]
        writer.writerow([*known, "", len(evaluation.truth.scope.truth), *numbers, *limits])
        if result.class_values:
            for k, label, count in _classes(evaluation):
                values = {name: float(each[k]) for name, each in result.class_values.items()}
                row = [values.get(name, "") for name in names]
                writer.writerow([*known, label, count, *row, *([""] * len(bounds))])


def _facts(evaluation: "Evaluation") -> list[tuple[str, str]]:
    protocol = evaluation.protocol
    facts = [("protocol", f"{protocol.name} ({protocol.source})"), *truth_facts(evaluation.truth)]
    for name, values in _thresholds(evaluation).items():
        facts.append((f"tIoU of {name}", " ".join(map(repr, values))))
    if evaluation.bootstrap:
        facts.append(("intervals", f"95 %, {evaluation.bootstrap} resamples of the videos, seed {evaluation.seed}"))
    for result in evaluation.results:
        facts += file_facts(result)
    return facts


def _tables(evaluation: "Evaluation") -> list[Table]:
    printings = {name: metric.printing(name) for name, metric in evaluation.metric_of.items()}
    tables = []
    for title in dict.fromkeys(each.table for each in printings.values()):
        own = {name: each for name, each in printings.items() if each.table == title}
        rows = [
            [
                result.file,
                *(_cell(each, result.metrics[name], result.intervals.get(name)) for name, each in own.items()),
            ]
            for result in evaluation.results
        ]
        tables.append(Table(title, ["file", *(each.column for each in own.values())], rows))
    for result in evaluation.results:
        tables += _class_tables(evaluation, result, printings)
    return tables + [_comparison_table(evaluation, each, printings) for each in evaluation.comparisons]


def _cell(printing: "Printing", value: float, interval: "Interval | None") -> str:
    text = printing.text(value)
    return text if interval is None else f"{text} [{printing.text(interval.low)}, {printing.text(interval.high)}]"


def _class_tables(evaluation: "Evaluation", result: "FileResult", printings: dict[str, "Printing"]) -> list[Table]:
    """For each metric that has numbers of classes a table of them."""
    tables = []
    for metric in dict.fromkeys(evaluation.metric_of[name] for name in result.class_values):
        names = [name for name in result.class_values if evaluation.metric_of[name] is metric]
        rows = [
            [label, str(count), *(printings[name].text(float(result.class_values[name][k])) for name in names)]
            for k, label, count in _classes(evaluation)
        ]
        columns = ["class", "instances", *(printings[name].column for name in names)]
        tables.append(Table(f"{metric.class_title()}, {result.file}", columns, rows))
    return tables


def _comparison_table(
    evaluation: "Evaluation", comparison: "PairComparison", printings: dict[str, "Printing"]
) -> Table:
    rows = []
    for name in evaluation.headlines:
        each = comparison.metrics[name]
        rows.append([name, _cell(printings[name], each.difference, each.interval), f"{100 * each.share_ahead:.1f} %"])
    in_points = all(printings[name].unit != "number" for name in evaluation.headlines)
    unit = " in percentage points," if in_points else ""
    title = f"{comparison.second} minus {comparison.first},{unit} on the same resamples"
    return Table(title, ["metric", "difference", "resamples in which it is ahead"], rows)
