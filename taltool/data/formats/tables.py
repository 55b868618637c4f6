"""What the formats made of rows share: rows to records, records to rows, and folders written whole."""

import contextlib
import csv
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taltool.data.files import STANDARD, read_text
from taltool.data.formats.contract import Annotations, FormatOptions
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError


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


def read_table(path: str, needed: tuple[str, ...]) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """The columns of a CSV file, and its rows by column, each with its place (file:line).

    Raises DataError where a needed column is missing, two have one name, a row has another number of fields than the
    header, or the text is not UTF-8 or not CSV.
    """
    lines = _lines(path)
    _, header = next(lines, (path, []))
    columns = [name.strip() for name in header]
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DataError(f"{path}:1: no column '{missing[0]}' (there are: {', '.join(columns) or 'none'})")
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise DataError(f"{path}:1: two columns '{twice[0]}'; rename or remove one")
    rows = []
    for where, fields in lines:
        if len(fields) != len(columns):
            raise DataError(f"{where}: {len(fields)} fields, expected {len(columns)} ({', '.join(columns)})")
        rows.append((where, dict(zip(columns, (field.strip() for field in fields), strict=True))))
    return columns, rows


def _lines(path: str) -> Iterator[tuple[str, list[str]]]:
    """The fields of each line that is not blank, and its place. A row is one line: a stray quote swallows no other."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        where = f"{path}:{number}"
        try:
            fields = next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            raise DataError(
                f"{where}: not a line of CSV ({error}); quotes must close on the line where they open, and a field is "
                f"at most {csv.field_size_limit()} characters long"
            ) from error
        if fields:
            yield where, fields


def segment(start: str | float, end: str | float, where: str) -> tuple[float, float]:
    """The two times as seconds; raises DataError for what is no segment."""
    try:
        times = float(start), float(end)
    except ValueError:
        raise DataError(f"{where}: '{start}', '{end}' are not start and end in seconds") from None
    if not all(map(math.isfinite, times)):
        raise DataError(f"{where}: segment [{start}, {end}] is not finite")
    return times


def valid(rows: Iterable[Row], options: FormatOptions, notes: list[str]) -> list[Row]:
    """The rows whose segment does not end before it starts; the others raise DataError, or are dropped aloud."""
    every = list(rows)
    wrong = [row for row in every if row.start > row.end]
    if wrong and not options.drop_invalid:
        row = wrong[0]
        raise DataError(f"{row.where}: segment [{row.start}, {row.end}] ends before it starts (use --drop-invalid)")
    if wrong:
        notes.append(f"{len(wrong)} segments that end before they start")
    return [row for row in every if row.start <= row.end]


def by_video(rows: Iterable[Row], video_ids: Iterable[str] = ()) -> dict[str, list[Row]]:
    """The rows of each video: those of `video_ids` first, then the others in order of first appearance."""
    videos: dict[str, list[Row]] = {video_id: [] for video_id in video_ids}
    for row in rows:
        videos.setdefault(row.video_id, []).append(row)
    return videos


def to_proposals(
    rows: Iterable[Row], options: FormatOptions, video_ids: Iterable[str] = ()
) -> tuple[list[VideoProposals], LabelVocabulary]:
    """The proposals of each video (also of those `video_ids` that have no row), and the names of their labels.

    Raises DataError where some rows of a video carry a label and some none, or where `options.score` is needed.
    """
    names = LabelVocabulary()
    videos = [_proposals(key, found, names, options) for key, found in by_video(rows, video_ids).items()]
    names.complete = True
    return videos, names


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


def to_annotations(rows: Iterable[Row], options: FormatOptions, version: str) -> Annotations:
    """The ground truth that the rows make; durations and missing subsets come from `options`."""
    database: dict[str, dict[str, Any]] = {}
    for video_id, found in by_video(rows).items():
        subsets = {row.subset for row in found}
        if len(subsets) > 1:
            raise DataError(
                f"{found[0].where}: video '{video_id}' is in {len(subsets)} subsets: {sorted(map(str, subsets))}"
            )
        entry: dict[str, Any] = {"subset": options.subset or found[0].subset}
        if video_id in options.durations:
            entry["duration"] = options.durations[video_id]
        entry["annotations"] = [{"segment": [row.start, row.end], "label": row.label} for row in found]
        database[video_id] = {key: value for key, value in entry.items() if value is not None}
    return Annotations({"version": version, "taxonomy": [], "database": database})


def annotation_rows(content: Annotations) -> Iterator[Row]:
    """Every annotation as a row."""
    for video_id, entry in content.database.items():
        for each in entry.get("annotations") or []:
            start, end = each["segment"]
            yield Row(video_id, float(start), float(end), each["label"], subset=entry.get("subset"))


def lost_annotations(content: Annotations, keeps_subset: bool = False) -> list[str]:
    """What rows of (video, segment, label) do not hold of a ground truth."""
    entries = content.database.values()
    empty = sum(not entry.get("annotations") for entry in entries)
    timed = sum("duration" in entry for entry in entries)
    extra = {key for entry in entries for key in entry} - {"duration", "subset", "annotations"}
    subsets = {str(entry["subset"]) for entry in entries if entry.get("subset") is not None}
    lost = [f"{timed} durations"] if timed else []
    if subsets and not keeps_subset:
        lost.append(f"the subsets ({', '.join(sorted(subsets))})")
    if empty:
        lost.append(f"{empty} videos without annotations")
    if extra:
        lost.append(f"the keys {', '.join(sorted(extra))} of the videos")
    return lost + (["the taxonomy"] if content.document.get("taxonomy") else [])


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
