"""What reports share: tables of aligned columns, and what every report on detections says first: the ground truth, the
files, what counted and what was left out.
"""

import math
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from taltool.evaluation.inputs import EvaluatedFile, Truth

_NARROWEST = 20
_WHOLE_WORDS: Any = {"break_long_words": False, "break_on_hyphens": False}


@dataclass(frozen=True)
class Table:
    """A title and rows of words under columns; the first column is flush left, the others flush right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print name and value pairs, values aligned: a line each, or as many as a terminal needs."""
    margin = max(len(name) for name, _ in facts) + 2
    for name, value in facts:
        room = _width() - margin
        is_whole = len(value) <= room
        lines = [value] if is_whole else textwrap.wrap(value, max(int(room), _NARROWEST), **_WHOLE_WORDS)
        for word, line in zip([name] + [""] * len(lines), lines, strict=False):
            print(f"{word:<{margin}}{line}".rstrip())


def print_table(table: Table) -> None:
    """Print one table after an empty line; its title is bold on a terminal."""
    width = _width()
    is_bold = width < math.inf and not os.environ.get("NO_COLOR")
    title = textwrap.fill(table.title, int(width), **_WHOLE_WORDS) if width < len(table.title) else table.title
    print("", f"\x1b[1m{title}\x1b[0m" if is_bold else title, plain(table, width), sep="\n")


def plain(table: Table, width: float = math.inf) -> str:
    """Columns and rows as aligned text, without trailing blanks.

    Where it is wider than `width`, columns go on in a block below; where the first one alone leaves no room, its words
    stand above their rows.
    """
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    first = widths[0]
    if first + 2 + max(widths[1:], default=0) > width:
        first = 0
    texts, begin = list[str](), 1
    while begin < len(widths):
        end, room = begin, width - first
        while end < len(widths) and (end == begin or room >= widths[end] + 2):
            room -= widths[end] + 2
            end += 1
        for line in lines:
            words = [word.rjust(w) for word, w in zip(line[begin:end], widths[begin:end], strict=True)]
            if first:
                texts.append("  ".join([line[0].ljust(first), *words]).rstrip())
            else:
                texts += [line[0], f"  {'  '.join(words)}"]
        begin = end
    return "\n".join(texts)


def _width() -> float:
    """Of a terminal, in characters; what goes into a pipe may be as wide as it likes."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf


_Report = TypeVar("_Report")


def print_report(
    report: _Report,
    layout: str,
    *,
    document: Callable[[_Report], dict[str, Any]],
    write_csv: Callable[[_Report], None],
    facts: Callable[[_Report], list[tuple[str, str]]],
    tables: Callable[[_Report], Iterable[Table]],
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


def truth_record(truth: Truth) -> dict[str, Any]:
    """The subset and the ground truth, for JSON."""
    return {
        "subset": truth.subset,
        "ground_truth": {
            "file": truth.whole.file,
            "sha256": truth.whole.sha256,
            "videos": len(truth.scope.video_ids),
            "instances": len(truth.scope.truth),
            "classes": len(truth.scope.class_names),
        },
    }


def choices_record(truth: Truth) -> dict[str, Any]:
    """What the user chose to leave out, for JSON; empty where nothing was chosen."""
    made: dict[str, Any] = {}
    if truth.exclusion is not None:
        made["excluded"] = vars(truth.exclusion)
    if truth.split is not None:
        made["split"] = truth.split
    if truth.classes is not None:
        made["classes"] = list(truth.scope.class_names)
    if truth.scope.only_known:
        made["only_annotated"] = True
    return made


def file_record(file: EvaluatedFile) -> dict[str, Any]:
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
        "seen": {"trained_on": file.seen.trained_on, "selected_on": file.seen.selected_on},
    }


def csv_facts(truth: Truth, file: EvaluatedFile, protocol: str) -> dict[str, object]:
    """The same as columns of CSV."""
    return {
        "file": file.file,
        "sha256": file.sha256,
        "protocol": protocol,
        "subset": truth.subset or "",
        "ground_truth": truth.whole.file,
        "ground_truth_sha256": truth.whole.sha256,
        "videos": len(truth.scope.video_ids),
        "detections": file.contents.counted.detections,
        "left_out": sum(amount.detections for amount in file.contents.left_out.values()),
        "in_unknown_videos": file.contents.unknown_videos.detections,
        "trained_on": "" if file.seen.trained_on is None else file.seen.trained_on,
        "selected_on": "" if file.seen.selected_on is None else file.seen.selected_on,
    }


def truth_facts(truth: Truth) -> list[tuple[str, str]]:
    """The subset, the ground truth and the choices as lines of text."""
    scope = truth.scope
    counts = f"{len(scope.video_ids)} videos, {len(scope.truth)} instances, {len(scope.class_names)} classes"
    facts = [
        ("subset", (truth.subset or "all videos") + (f" (--split {truth.split})" if truth.split else "")),
        ("ground truth", f"{truth.whole.file} sha256 {truth.whole.sha256}"),
        ("", counts + (", taken as one class" if scope.agnostic else "")),
    ]
    if truth.exclusion is not None:
        each = truth.exclusion
        facts.append(("excluded", f"{each.videos} videos, {each.file} sha256 {each.sha256}"))
    if truth.classes is not None:
        facts.append(("classes", ", ".join(scope.class_names)))
    return facts


def file_facts(file: EvaluatedFile) -> list[tuple[str, str]]:
    """One file of detections as lines of text."""
    counted = file.contents.counted
    # Who reads both streams on one terminal has read them as warnings.
    remarks = [] if sys.stdout.isatty() and sys.stderr.isatty() else file.remarks()
    return [
        ("predictions", f"{file.file} sha256 {file.sha256}"),
        ("", f"{counted.detections} detections in {counted.videos} videos"),
        *(("", line) for line in remarks),
    ]
