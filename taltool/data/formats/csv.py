"""Segments as a table of text: a header line, then video_id,start,end,label[,score] per segment, in seconds."""

import contextlib
import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from taltool.data.columns import SEGMENT_COLUMNS, header_columns, listed, meanings, open_table, placed, spelled
from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import (
    AnnotationRows,
    Row,
    RowShelf,
    score,
    segment,
    to_annotations,
    to_proposals,
    valid,
)
from taltool.data.records import VideoProposals
from taltool.data.video_json import to_objects
from taltool.errors import DataError, UsageError

_COLUMNS = ("video_id", "start", "end")
# Meanings that columns have only where the user says so.
_BY_OPTION: dict[str, tuple[str, ...]] = {"length": ()}
_SAY = "say which with --columns {meaning}={name}"
# What a name must not hold: a row is one line, and no text has a NUL byte.
_UNFIT = re.compile(r"[\r\n\0]")


@FORMATS.register("csv")
class Csv(Format):
    """Columns are found by name, in any order; with a score column they are proposals, without it annotations."""

    summary = (
        "one row per segment, columns parted by commas, semicolons or tabs and found by their names in the first line: "
        "video_id, start, end, label, subset and the like (start_frame, end_frame with --fps); proposals have a score "
        "too, and may lack the label"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"fps", "columns", "times"})
    suffixes = (".csv", ".tsv")
    # The tables of data sets have such columns too, and others that only their own formats know.
    gives_way = True

    def recognises(self, opening: Opening) -> bool:
        """A first line that names the columns."""
        return not missing_columns(meanings(header_columns(opening.first_line()), SEGMENT_COLUMNS))

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read all rows, which may be in any order."""
        table = open_table(path, header=options.header)
        places = placed(table, SEGMENT_COLUMNS | _BY_OPTION, _with_frames(options.columns), mend=_SAY)
        has_lengths = "length" in places
        if has_lengths:  # In place of the ends.
            if "end" in options.columns:
                raise UsageError("--columns: both the end and the length of segments; leave one of them out")
            places["end"] = places.pop("length")
        if missing := missing_columns(places):
            mend = _SAY.format(meaning=missing[0], name="NAME" if options.header else "NUMBER")
            raise DataError(f"{table.where}: no column of the {missing[0]} ({listed(table.columns)}); {mend}")
        frames = "start" not in places or "end" not in places
        fps = options.clock.get("fps") if frames and not options.raw_times else 1.0
        if fps is None:
            first, last = (table.columns[places[each]] for each in ("start_frame", "end_frame"))
            raise DataError(f"{table.where}: '{first}' and '{last}' are frames; give the frame rate with --fps")
        read = {"video", "label", "score", *(("start_frame", "end_frame") if frames else ("start", "end"))}
        scored = "score" in places or options.score is not None
        if not scored:
            read.add("subset")
        notes = _unread(table.columns, [places[meaning] for meaning in places if meaning in read])
        if "fps" in options.clock and not frames and not options.raw_times:
            first, last = (table.columns[places[each]] for each in ("start", "end"))
            notes.append(f"--fps, since '{first}' and '{last}' are seconds (if they are frames: --times frames)")
        if not scored and "label" not in places:
            raise DataError(
                f"{table.where}: neither a label (annotations) nor a score (proposals) ({listed(table.columns)}); give "
                "a score with --score 1.0, or " + _SAY.format(meaning="label", name="NAME")
            )
        places = {meaning.removesuffix("_frame"): place for meaning, place in places.items() if meaning in read}
        labels = [place for place, name in enumerate(table.columns) if spelled(name) == "label"]
        signs = [place for place in labels if "label" in places and place != places["label"]]
        rows = _rows(table.rows, places, fps, options, notes, signs)
        if has_lengths:
            rows = (replace(row, end=row.start + row.end) for row in rows)
        mend = f"; if '{table.columns[places['end']]}' is a length: --columns length={table.columns[places['end']]}"
        with RowShelf(valid(rows, options, notes, "" if has_lengths else mend)) as shelf:
            yield to_proposals(shelf, options, notes) if scored else to_annotations(shelf, options, "from CSV", notes)

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: durations, provenance, videos without a segment, and subsets where the first segment has none."""
        if isinstance(content, Proposals):
            scored = _ProposalRows(content)
            _write(path, (*_COLUMNS, *(["label"] if scored.labelled else []), "score"), scored)
            return scored.lost()
        entries = AnnotationRows(content)
        rows = iter(entries)
        first = list(islice(rows, 1))
        # The first annotation tells whether there is a column of subsets.
        has_subsets = any(row.subset is not None for row in first)
        columns = (*_COLUMNS, "label", *(["subset"] if has_subsets else []))
        fields = (
            (row.video_id, row.start, row.end, row.label, row.subset)[: len(columns)] for row in chain(first, rows)
        )
        _write(path, columns, fields)
        return entries.lost(kept_subsets=entries.subsets if has_subsets else ())


def _with_frames(said: Mapping[str, str]) -> dict[str, str]:
    """The columns that the user names, those of times whose names say frames as frames."""
    frames = {meaning: SEGMENT_COLUMNS[f"{meaning}_frame"] for meaning in ("start", "end")}
    return {f"{key}_frame" if spelled(name) in frames.get(key, ()) else key: name for key, name in said.items()}


def missing_columns(found: Collection[str]) -> list[str]:
    """Which of the meanings that a table of segments needs are not among those that were found."""
    times = ("start", "end") if not {"start_frame", "end_frame"} <= {*found} else ()
    return [meaning for meaning in ("video", *times) if meaning not in found]


def _unread(columns: list[str], read: Collection[int]) -> list[str]:
    """A note of the columns that are not read; a nameless first one is the numbers of the rows, as pandas writes."""
    others = [name for place, name in enumerate(columns) if place not in read and (place or name)]
    shown = dict.fromkeys(name or "without a name" for name in others)
    return [f"the columns {', '.join(shown)}"] if others else []


def _rows(
    rows: Iterator[tuple[str, list[str]]],
    places: Mapping[str, int],
    fps: float,
    options: FormatOptions,
    notes: list[str],
    signs: Collection[int],
) -> Iterator[Row]:
    """The segments; a row without times is none, and raises DataError, or is dropped aloud.

    signs: places of columns that may say in which rows the class does not occur, as `label` of HACS Clips does by -1;
    those are dropped aloud.
    """
    empty = negative = 0
    for where, fields in rows:
        if any(fields[place] == "-1" for place in signs):
            negative += 1
        elif fields[places["start"]] or fields[places["end"]]:
            yield _row(where, fields, places, fps)
        elif options.drop_invalid:
            empty += 1
        else:
            raise DataError(f"{where}: neither start nor end; --drop-invalid leaves rows without a segment out")
    if empty:
        notes.append(f"{empty} rows without times")
    if negative:
        notes.append(f"{negative} rows whose label is -1, which say what does not happen")


def _row(where: str, fields: list[str], places: Mapping[str, int], fps: float) -> Row:
    found = {meaning: fields[place] for meaning, place in places.items()}
    start, end = segment(found["start"], found["end"], where)
    known = score(found["score"], where) if found.get("score") else None
    if not found["video"]:
        raise DataError(f"{where}: no video id")
    return Row(
        found["video"],
        start / fps,
        end / fps,
        found.get("label") or None,
        known,
        subset=found.get("subset") or None,
        where=where,
    )


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
        delimiter = "\t" if Path(path).suffix == ".tsv" else ","
        try:
            writer = csv.writer(text, lineterminator="\n", delimiter=delimiter)
            writer.writerow(columns)
            writer.writerows(_fitting(row, path) for row in rows)
        finally:  # Else standard output is closed with it, where a row is refused.
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
