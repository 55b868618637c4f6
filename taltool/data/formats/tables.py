"""What the formats made of rows share: rows to records, records to rows, and folders written whole."""

import contextlib
import math
import tempfile
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson

from taltool.data.columns import listed, mend_of, open_table, plain_number, seconds
from taltool.data.files import STANDARD
from taltool.data.formats.contract import Annotations, FormatOptions, Proposals
from taltool.data.records import LARGEST, LARGEST_SCORE, LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError

# Rows that are written to a shelf together, and the bytes of a shelf that stay in memory.
_RUN, _IN_MEMORY = 4096, 1 << 24


@dataclass(frozen=True)
class Row:
    """One segment of one video; where is its place for messages (file:line)."""

    video_id: str
    start: float
    end: float
    label: str | None = None
    score: float | None = None
    subset: str | None = None
    where: str = ""


def read_table(path: str, needed: tuple[str, ...]) -> tuple[list[str], Iterator[tuple[str, dict[str, str]]]]:
    """The columns of a table, and its rows by column, each with its place (file:line), as they are read.

    The names of the columns are taken as they stand; `columns.placed` knows them by their usual names. Raises DataError
    where a needed column is missing, and as `columns.open_table` does.
    """
    table = open_table(path)
    if missing := [name for name in needed if name not in table.columns]:
        raise DataError(f"{table.where}: no column '{missing[0]}' ({listed(table.columns)})")
    return table.columns, ((where, dict(zip(table.columns, fields, strict=True))) for where, fields in table.rows)


def segment(start: str | float, end: str | float, where: str) -> tuple[float, float]:
    """The two times as seconds, texts as `seconds` reads them; raises DataError for what is no segment."""
    try:
        times = seconds(str(start)), seconds(str(end))
    except ValueError:
        mend = mend_of(str(start), str(end))
        raise DataError(f"{where}: '{start}', '{end}' are not start and end in seconds{mend}") from None
    _refuse_large(times, where)
    return times


def _refuse_large(times: tuple[float, float], where: str) -> None:
    """Raise DataError for times that are not finite, or so large that no others can be told from them."""
    if not all(abs(time) < LARGEST for time in times):
        kind = f"beyond {LARGEST:g}" if all(map(math.isfinite, times)) else "not finite"
        raise DataError(f"{where}: segment [{times[0]}, {times[1]}] is {kind}")


def duration(value: str | float, where: str) -> float:
    """How long a video lasts, in seconds; raises DataError for what is no positive, finite number."""
    try:
        length = seconds(str(value))
    except ValueError:
        length = math.nan
    if not 0 < length < LARGEST:
        raise DataError(f"{where}: duration '{value}' is not a positive, finite number of seconds")
    return length


def score(text: str, where: str) -> float:
    """The score that a text is; raises DataError for what is no finite number."""
    try:
        number = plain_number(text)
    except ValueError:
        raise DataError(f"{where}: score '{text}' is not a number{mend_of(text)}") from None
    if not abs(number) < LARGEST_SCORE:
        kind = "below 1e100 in size" if math.isfinite(number) else "finite"
        raise DataError(f"{where}: score '{text}' is not a {kind} number")
    return number


def valid(rows: Iterable[Row], options: FormatOptions, notes: list[str], mend: str = "") -> Iterator[Row]:
    """The rows whose segment does not end before it starts; the others raise DataError, which says what else may mend
    them, or are dropped aloud."""
    dropped = 0
    for row in rows:
        _refuse_large((row.start, row.end), row.where)  # They may be products of numbers in a file.
        if row.start <= row.end:
            yield row
        elif options.drop_invalid:
            dropped += 1
        else:
            raise DataError(
                f"{row.where}: segment [{row.start}, {row.end}] ends before it starts (use --drop-invalid{mend})"
            )
    if dropped:
        notes.append(f"{dropped} segments that end before they start")


class RowShelf:
    """Rows of many videos in a temporary file, from which those of one video, wherever they stood, come together.

    labels: all that occur. Used as a `with` block, which reads all rows.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows, self.labels = rows, LabelVocabulary()
        self._places: dict[str, array[int]] = {}

    def __enter__(self) -> Self:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)
        for video_id, found in groupby(self._rows, key=attrgetter("video_id")):
            while run := list(islice(found, _RUN)):
                self._places.setdefault(video_id, array("q")).append(self._file.tell())
                self._file.write(orjson.dumps(run, option=orjson.OPT_APPEND_NEWLINE))
                self.labels.numbered([row.label for row in run if row.label is not None])
        self.labels.complete = True
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def video_ids(self) -> list[str]:
        """All videos, in order of first appearance."""
        return list(self._places)

    def of(self, video_id: str) -> list[Row]:
        """The rows of a video, in order; none of one that is not there."""
        rows = []
        for place in self._places.get(video_id, ()):
            self._file.seek(place)
            rows += [Row(**fields) for fields in orjson.loads(self._file.readline())]
        return rows


def to_proposals(
    shelf: RowShelf, options: FormatOptions, notes: list[str], video_ids: Collection[str] | None = None
) -> Proposals:
    """The proposals of each video on a shelf, in the order of `video_ids`, or of first appearance.

    Raises DataError where some rows of a video carry a label and some none, or where `options.score` is needed.
    """
    wanted = shelf.video_ids if video_ids is None else video_ids
    videos = (_proposals(video_id, shelf.of(video_id), shelf.labels, options) for video_id in wanted)
    return Proposals(videos, shelf.labels, len(wanted), [], notes)


def _proposals(video_id: str, rows: list[Row], names: LabelVocabulary, options: FormatOptions) -> VideoProposals:
    for row in rows:
        if (row.label is None) != (rows[0].label is None):
            raise DataError(f"{row.where}: some proposals have a label and some have none")
        if row.score is None and options.score is None:
            raise DataError(f"{row.where}: no score; give those without one a score with --score 1.0")
    segments = np.array([(row.start, row.end) for row in rows], np.float64).reshape(-1, 2)
    scores = np.array([options.score if row.score is None else row.score for row in rows], np.float64)
    labels = None if not rows or rows[0].label is None else names.numbered([str(row.label) for row in rows])
    return VideoProposals(video_id, segments, scores, labels, names, options.durations.get(video_id))


def to_annotations(
    shelf: RowShelf, options: FormatOptions, version: str, notes: list[str], video_ids: Iterable[str] | None = None
) -> Annotations:
    """The ground truth that the rows make, in the order of `video_ids`, or of first appearance.

    Durations and missing subsets come from `options`.
    """
    wanted = shelf.video_ids if video_ids is None else video_ids
    entries = ((video_id, _entry(video_id, shelf.of(video_id), options)) for video_id in wanted)
    return Annotations(entries, {"version": version, "taxonomy": [], "database": None}, notes)


def _entry(video_id: str, rows: list[Row], options: FormatOptions) -> dict[str, Any]:
    for row in rows:
        if row.label is None:
            raise DataError(
                f"{row.where}: no label, which every annotation has; name it, or, where nothing has one, read "
                "proposals of that score: --score 1.0"
            )
    subsets = {row.subset for row in rows}
    if None in subsets and len(subsets) == 2:
        told = next(row.subset for row in rows if row.subset is not None)
        raise DataError(
            f"{rows[0].where}: video '{video_id}' is in the subset '{told}' in some of its rows, in none in others; "
            "give all the same"
        )
    if len(subsets) > 1:
        shown = sorted(map(str, subsets))
        raise DataError(f"{rows[0].where}: video '{video_id}' is in {len(subsets)} subsets: {shown}")
    entry: dict[str, Any] = {"subset": options.subset or next(iter(subsets), None)}
    if video_id in options.durations:
        entry["duration"] = options.durations[video_id]
    entry["annotations"] = [{"segment": [row.start, row.end], "label": row.label} for row in rows]
    return {key: value for key, value in entry.items() if value is not None}


class OtherKeys:
    """The keys of videos and of annotations that are none of those that every format knows."""

    def __init__(self) -> None:
        self._of: dict[str, set[str]] = {"videos": set(), "annotations": set()}

    def add(self, entry: Mapping[str, Any]) -> None:
        """Enter those of a video."""
        self._of["videos"] |= entry.keys() - {"duration", "subset", "annotations"}
        self._of["annotations"].update(*(each.keys() - {"segment", "label"} for each in entry.get("annotations") or []))

    def phrases(self) -> list[str]:
        """All, one phrase for videos and one for annotations."""
        return [f"the keys {', '.join(sorted(keys))} of the {what}" for what, keys in self._of.items() if keys]


class AnnotationRows:
    """Annotations as rows, and a count of what rows do not hold; iterate once, then ask `lost`."""

    def __init__(self, content: Annotations) -> None:
        self._content = content
        self._timed = self._empty = 0
        self._keys = OtherKeys()
        self.subsets: dict[str, None] = {}

    def __iter__(self) -> Iterator[Row]:
        for video_id, entry in self._content.entries:
            subset, annotations = entry.get("subset"), entry.get("annotations") or []
            self._timed += "duration" in entry
            self._empty += not annotations
            self._keys.add(entry)
            if subset is not None:
                self.subsets[str(subset)] = None
            for each in annotations:
                start, end = each["segment"]
                yield Row(video_id, float(start), float(end), each["label"], subset=subset)

    def lost(self, kept_subsets: Collection[str] = (), *, keeps_empty: bool = False) -> list[str]:
        """What rows of (video, segment, label) do not hold of the ground truth, one phrase each."""
        lost = [f"{self._timed} durations"] if self._timed else []
        if self.subsets.keys() - kept_subsets:
            lost.append(f"the subsets ({', '.join(sorted(self.subsets))})")
        if self._empty and not keeps_empty:
            lost.append(f"{self._empty} videos without annotations")
        return lost + self._keys.phrases() + (["the taxonomy"] if self._content.head.get("taxonomy") else [])


@contextlib.contextmanager
def new_folder(path: str) -> Iterator[Path]:
    """Yield a new folder beside `path` that takes its place when the block ends well.

    Raises UsageError for standard output, DataError where something that is no empty folder is there already.
    """
    target = Path(path)
    if path == STANDARD:
        raise UsageError("this format is a folder, which cannot go through a pipe: give -o FOLDER")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{path}: is there already; name a new folder, or remove it first")
    try:
        scratch = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.resolve().parent)
    except OSError as error:
        raise DataError(f"{path}: cannot write there: {error.strerror or error}") from error
    with scratch as name:
        made = Path(name) / "made"
        made.mkdir()
        yield made
        if target.exists():
            target.rmdir()
        made.rename(target)
