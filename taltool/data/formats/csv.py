"""Segments as comma-separated values: a header line, then video_id,start,end,label[,score] per segment, in seconds."""

import contextlib
import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import (
    AnnotationRows,
    Row,
    RowShelf,
    read_table,
    score,
    segment,
    to_annotations,
    to_proposals,
    valid,
)
from taltool.data.records import VideoProposals
from taltool.data.video_json import to_objects
from taltool.errors import DataError

_NEEDED = ("video_id", "start", "end")
_KNOWN = (*_NEEDED, "label", "score")
# What a name must not hold: a row is one line, and no text has a NUL byte.
_UNFIT = re.compile(r"[\r\n\0]")


@FORMATS.register("csv")
class Csv(Format):
    """Columns are found by name, in any order; with a score column they are proposals, without it annotations."""

    summary = (
        "one row per segment, video_id,start,end,label; proposals have a score too, and may lack the label; columns "
        "are found by their names in the first line"
    )
    kinds = ("proposals", "annotations")
    suffixes = (".csv",)

    def recognises(self, opening: Opening) -> bool:
        """A first line that names the columns."""
        # Any other line is split all the same, where a reader of CSV would raise.
        columns = [name.strip().strip('"').strip() for name in opening.first_line().split(",")]
        return set(_NEEDED) <= set(columns)

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read all rows, which may be in any order."""
        columns, table = read_table(path, _NEEDED)
        strange = [name for name in columns if name not in _KNOWN]
        notes = [f"the columns {', '.join(strange)}"] if strange else []
        scored = "score" in columns or options.score is not None
        if not scored and "label" not in columns:
            raise DataError(
                f"{path}:1: neither a label (annotations) nor a score (proposals); give one with --score 1.0"
            )
        with RowShelf(valid((_row(where, fields) for where, fields in table), options, notes)) as shelf:
            yield to_proposals(shelf, options, notes) if scored else to_annotations(shelf, options, "from CSV", notes)

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: durations, subsets, provenance, and videos without a segment."""
        if isinstance(content, Proposals):
            scored = _ProposalRows(content)
            _write(path, (*_NEEDED, *(["label"] if scored.labelled else []), "score"), scored)
            return scored.lost()
        rows = AnnotationRows(content)
        _write(path, (*_NEEDED, "label"), ((row.video_id, row.start, row.end, row.label) for row in rows))
        return rows.lost()


def _row(where: str, fields: dict[str, str]) -> Row:
    start, end = segment(fields["start"], fields["end"], where)
    known = score(fields["score"], where) if fields.get("score") else None
    return Row(fields["video_id"], start, end, fields.get("label") or None, known, where=where)


class _ProposalRows:
    """Proposals as rows, and a count of what rows do not hold; iterate once, then ask `lost`."""

    def __init__(self, content: Proposals) -> None:
        self._content, self._videos = content, iter(content.videos)
        self._empty = self._timed = 0
        # The first video that is not empty tells whether there is a column of labels.
        self._first: list[VideoProposals] = []
        for video in self._videos:
            self._first.append(video)
            if len(video):
                break
        self.labelled = len(content.names) > 0 or any(video.labels is not None for video in self._first)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for video in chain(self._first, self._videos):
            self._empty += not len(video)
            self._timed += video.duration is not None
            if video.labels is not None and len(video) and not self.labelled:
                raise DataError(f"video '{video.video_id}' has labels, those before it have none; see taltool label")
            for each in to_objects(video):
                labels = (each.get("label"),) if self.labelled else ()
                yield video.video_id, *each["segment"], *labels, each["score"]

    def lost(self) -> list[str]:
        """What rows do not hold of the proposals, one phrase each."""
        lost = [f"{self._timed} durations"] if self._timed else []
        lost += [f"{self._empty} videos without proposals"] if self._empty else []
        return lost + (["the provenance"] if self._content.provenance else [])


def _write(path: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    with open_output(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(_fitting(row, path) for row in rows)
        text.detach()


def _fitting(row: tuple[Any, ...], path: str) -> tuple[Any, ...]:
    """The same row; raises DataError for a name that would be read as another one, or not at all."""
    for value in row:
        if not isinstance(value, str):
            continue
        if value != value.strip() or not 0 < len(value) <= csv.field_size_limit() or _UNFIT.search(value):
            raise DataError(
                f"{path}: the name {value[:80]!r} does not fit into this format: not empty, at most "
                f"{csv.field_size_limit()} characters, no blanks around it, no line ends"
            )
    return row
