"""Segments as comma-separated values: a header line, then video_id,start,end,label[,score] per segment, in seconds."""

import contextlib
import csv
import io
from collections.abc import Iterable
from typing import Any

from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import (
    Row,
    annotation_rows,
    lost_annotations,
    read_table,
    segment,
    to_annotations,
    to_proposals,
    valid,
)
from taltool.data.video_json import to_objects
from taltool.errors import DataError

_NEEDED = ("video_id", "start", "end")
_KNOWN = (*_NEEDED, "label", "score")


@FORMATS.register("csv")
class Csv(Format):
    """Columns are found by name, in any order; with a score column they are proposals, without it annotations."""

    summary = "one row per segment: video_id,start,end,label[,score]"
    kinds = ("proposals", "annotations")
    suffixes = (".csv",)

    def recognises(self, opening: Opening) -> bool:
        """A first line that names the columns."""
        return set(_NEEDED) <= set(_columns(opening.first_line()))

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals | Annotations]:
        """Read all rows."""
        return contextlib.nullcontext(_read(path, options))

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: durations, subsets, provenance, and videos without a segment."""
        if isinstance(content, Proposals):
            return _write_proposals(content, path)
        rows = ((r.video_id, r.start, r.end, r.label) for r in annotation_rows(content))
        _write(path, (*_NEEDED, "label"), rows)
        return lost_annotations(content)


def _columns(line: str) -> list[str]:
    """What the line of a header names; any other line is split all the same, where a CSV reader would raise."""
    return [name.strip().strip('"').strip() for name in line.split(",")]


def _read(path: str, options: FormatOptions) -> Proposals | Annotations:
    columns, table = read_table(path, _NEEDED)
    strange = [name for name in columns if name not in _KNOWN]
    notes = [f"the columns {', '.join(strange)}"] if strange else []
    rows = valid([_row(where, fields) for where, fields in table], options, notes)
    if "score" in columns or options.score is not None:
        videos, names = to_proposals(rows, options)
        return Proposals(videos, names, len(videos), [], notes)
    if "label" not in columns:
        raise DataError(f"{path}:1: neither a label (annotations) nor a score (proposals); give one with --score 1.0")
    content = to_annotations(rows, options, "from CSV")
    content.notes = notes
    return content


def _row(where: str, fields: dict[str, str]) -> Row:
    start, end = segment(fields["start"], fields["end"], where)
    label, score = fields.get("label") or None, _score(fields.get("score"), where)
    return Row(fields["video_id"], start, end, label, score, None, where)


def _score(text: str | None, where: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}: score '{text}' is not a number") from None


def _write_proposals(content: Proposals, path: str) -> list[str]:
    rows: list[tuple[Any, ...]] = []
    empty = timed = 0
    labelled = False
    for video in content.videos:
        empty += not len(video)
        timed += video.duration is not None
        labelled |= video.labels is not None
        rows += [(video.video_id, *each["segment"], each.get("label", ""), each["score"]) for each in to_objects(video)]
    columns = (*_NEEDED, "label", "score") if labelled else (*_NEEDED, "score")
    _write(path, columns, rows if labelled else [(*row[:3], row[4]) for row in rows])
    lost = [f"{timed} durations"] if timed else []
    lost += [f"{empty} videos without proposals"] if empty else []
    return lost + (["the provenance"] if content.provenance else [])


def _write(path: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    with open_output(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(_on_one_line(row, path) for row in rows)
        text.detach()


def _on_one_line(row: tuple[Any, ...], path: str) -> tuple[Any, ...]:
    """The same row; raises DataError for a name with a line end, for which `read_table` would refuse the file."""
    for value in row:
        if isinstance(value, str) and ("\n" in value or "\r" in value):
            raise DataError(f"{path}: the name {value!r} has a line end, which does not fit into this format")
    return row
