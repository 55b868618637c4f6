"""Files with class scores of whole videos, in every layout that circulates.

CUHK, OpenTAD        {"results": {id: [K scores]}, "class" or "classes": [K names]}
best class only      {id: {"class": name, "score": s}}
classification       {"results": {id: [{"label": name, "score": s}, ...]}}, with or without the outer object
by name              {id: {name: s, ...}}
UntrimmedNet         a table of 101 columns, row = number in the video's name - 1: .npy, or JSON [[...], ...]
UntrimmedNet by id   {id: [101 or 20 scores]}
tables (CSV, TSV)    a column of video ids and one of each class; or a row a class: video_id, label, score

All videos of a file have one layout; every entry is checked. Where labels are numbers, or rows have no names, a list of
the classes names them.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import orjson

from taltool.data.columns import SEGMENT_COLUMNS, open_table, placed, spelled
from taltool.data.files import decode_text, read_bytes
from taltool.data.formats.tables import score as score_of
from taltool.data.json_documents import parsed_document
from taltool.data.numpy_files import numpy_reads
from taltool.data.records import Booleans, Floats, LabelVocabulary
from taltool.errors import DataError

# THUMOS14's 20 detection classes among the 101 of its classification task, which are numbered from 1.
THUMOS14_COLUMNS = {
    7: "BaseballPitch",
    9: "BasketballDunk",
    12: "Billiards",
    21: "CleanAndJerk",
    22: "CliffDiving",
    23: "CricketBowling",
    24: "CricketShot",
    26: "Diving",
    31: "FrisbeeCatch",
    33: "GolfSwing",
    36: "HammerThrow",
    40: "HighJump",
    45: "JavelinThrow",
    51: "LongJump",
    68: "PoleVault",
    79: "Shotput",
    85: "SoccerPenalty",
    92: "TennisSwing",
    93: "ThrowDiscus",
    97: "VolleyballSpiking",
}
ALL_COLUMNS = 101
_PREFIX = "v_"
# Facts on videos that tables have beside the classes, spelled as `columns.spelled` does.
NO_CLASSES = {"duration", "fps", "frames", "numframes", "width", "height", "subset", "split", "index", "unnamed:0"}
NPY_MAGIC = b"\x93NUMPY"
# Probabilities whose sum was rounded may be a little above 1.
MOST = 1.001


class _Layout(StrEnum):
    """How the scores of a video are written; an empty list or object says only that there are none."""

    row = "a list of numbers"
    entries = 'a list of {"label": name, "score": s}'
    best = '{"class": name, "score": s}'
    by_name = "{name: s, ...}"
    nothing = "nothing"


@dataclass(eq=False)
class ClassScores:
    """Scores of whole videos: rows (V, K), names (K), and which row is whose.

    row_of holds video ids; for tables without ids it is None, and a row is found by the number in the video's name.
    stem is what stands before that number, the same in all videos that are looked for.
    """

    file: str
    sha256: str
    names: list[str]
    rows: Floats
    row_of: dict[str, int] | None
    stem: str | None = None

    def find(self, video_id: str) -> Floats | None:
        """The scores (K,) of a video, None if it is not here.

        Where the id itself is not here, ActivityNet's `v_` in front of it is put on or taken off.
        """
        if self.row_of is None:
            number = re.fullmatch(r"(.*_)0*(\d+)", video_id)
            if number is None:
                return None
            self.stem = number[1] if self.stem is None else self.stem
            if self.stem != number[1]:
                raise DataError(
                    f"{self.file}: a table without ids is of videos that are called alike but for a number; "
                    f"'{video_id}' does not begin with '{self.stem}'"
                )
            row = int(number[2]) - 1
            return self.rows[row] if 0 <= row < len(self.rows) else None
        other = video_id.removeprefix(_PREFIX) if video_id.startswith(_PREFIX) else _PREFIX + video_id
        found = self.row_of.get(video_id, self.row_of.get(other))
        return None if found is None else self.rows[found]


def read_class_scores(path: str, softmax: bool = False, classes: Mapping[str, int] | None = None) -> ClassScores:
    """Read class scores of videos in any of the layouts above; with `softmax` the numbers are logits.

    classes: the number of each class, where the file has numbers for labels, or rows without names. The softmax of a
    video is over the classes that it lists; those that it leaves out have score 0. Raises DataError, naming the video,
    for unknown or mixed layouts, labels without a name, wrong lengths, numbers that are not finite, and numbers below 0
    or above 1, which are no probabilities.
    """
    found, listed = read_numbers(path, classes)
    rows, ids = found.rows, _places(found)
    if softmax:
        rows = _softmax(rows, listed)
    _refuse(rows < 0, ids, path, "class scores must be numbers from 0 to 1; are these logits? use --softmax")
    above = np.flatnonzero((rows > MOST).any(1))
    if len(above):
        percentages = bool((np.abs(rows.sum(1) - 100) < 1).all())
        mend = (
            "those of each add up to 100: divide percentages by 100"
            if percentages
            else "are these logits? use --softmax"
        )
        raise DataError(
            f"{path}: {len(above)} of {len(rows)} videos have class scores above 1, {ids[above[0]]} "
            f"{rows[above[0]].max():g}; {mend}"
        )
    return replace(found, rows=rows)


def read_numbers(path: str, classes: Mapping[str, int] | None = None) -> tuple[ClassScores, Booleans]:
    """The class scores as they stand, probabilities or logits, and which of them (V, K) the file lists.

    Raises DataError as `read_class_scores` does, but for numbers that are no probabilities.
    """
    content, sha256 = read_bytes(path)
    names_of = None if classes is None else {number: name for name, number in classes.items()}
    if content.startswith(NPY_MAGIC):
        with numpy_reads(path, "not a table of numbers"):
            table = np.load(io.BytesIO(content), allow_pickle=False)
        if table.dtype.kind not in "fiu":
            raise DataError(f"{path}: expected a table of numbers, found {table.dtype}")
        names, rows = _columns(path, np.asarray(table, np.float64), names_of)
        listed, row_of = np.ones(rows.shape, bool), None
    elif content.lstrip().startswith((b"{", b"[")):
        names, rows, listed, row_of = _parsed(path, content, names_of)
    else:
        names, rows, listed, row_of = _of_table(path, content, names_of)
    found = ClassScores(path, sha256, names, rows, row_of)
    _refuse(~np.isfinite(rows), _places(found), path, "class scores must be finite numbers")
    return found, listed


def _places(scores: ClassScores) -> list[str]:
    """Where each row is, for messages."""
    if scores.row_of is None:
        return [f"row {row + 1}" for row in range(len(scores.rows))]
    return [f"video '{each}'" for each in scores.row_of]


def _refuse(wrong: Booleans, ids: list[str], path: str, demand: str) -> None:
    """Raise DataError, naming the first row of `wrong` (V, K) with a True."""
    found = np.flatnonzero(wrong.any(1))
    if len(found):
        raise DataError(f"{path}: {ids[found[0]]}: {demand}")


def _softmax(rows: Floats, listed: Booleans) -> Floats:
    """The softmax of each row (V, K) over the classes that it lists; 0 for the others."""
    peaks = rows.max(axis=1, keepdims=True, where=listed, initial=-np.inf)
    powers = np.exp(rows - peaks, where=listed, out=np.zeros_like(rows))
    # The sum is at least that of the peak, 1, but where nothing is listed.
    return powers / np.maximum(powers.sum(1, keepdims=True), 1.0)


def _columns(path: str, table: Floats, names_of: Mapping[int, str] | None) -> tuple[list[str], Floats]:
    """The names and columns of a table without names: those of --classes, or else THUMOS14's 20 classes, of a table
    with UntrimmedNet's 101 columns, or with those 20."""
    if names_of is not None:
        if table.ndim != 2 or sorted(names_of) != list(range(table.shape[1])):
            raise DataError(
                f"{path}: a table of shape {table.shape}, and --classes has the numbers {min(names_of)} to "
                f"{max(names_of)}; it must name every column, the first being number 0"
            )
        return [names_of[number] for number in range(table.shape[1])], table
    if table.ndim == 2 and table.shape[1] == ALL_COLUMNS:
        table = table[:, np.array(list(THUMOS14_COLUMNS)) - 1]
    if table.ndim != 2 or table.shape[1] != len(THUMOS14_COLUMNS):
        raise DataError(
            f"{path}: a table of shape {table.shape} without class names; expected {ALL_COLUMNS} columns (THUMOS14's "
            f"classes) or {len(THUMOS14_COLUMNS)}; name those of others with --classes, or in the file: "
            "{'results': ..., 'classes': [...]}"
        )
    return list(THUMOS14_COLUMNS.values()), table


def _of_table(
    path: str, content: bytes, names_of: Mapping[int, str] | None
) -> tuple[list[str], Floats, Booleans, dict[str, int]]:
    """The same as `_parsed`, of a table of text."""
    table = open_table(path, lines=iter(enumerate(decode_text(content, path).split("\n"), start=1)))
    places = placed(table, {key: SEGMENT_COLUMNS[key] for key in ("video", "label", "score")})
    if "video" not in places:
        raise DataError(f"{table.where}: not class scores: neither JSON, nor .npy, nor a table with a column video_id")
    listed: dict[str, list[tuple[Any, float]]] = {}
    table = replace(table, rows=_with_video(table.rows, places["video"]))
    if {"label", "score"} <= places.keys():
        for where, fields in table.rows:
            one = (fields[places["label"]], score_of(fields[places["score"]], where))
            listed.setdefault(fields[places["video"]], []).append(one)
        return _sparse(path, listed, names_of)
    # A nameless first column is the numbers of the rows.
    columns = [each for each, name in enumerate(table.columns) if each != places["video"] and (each or name)]
    if facts := [table.columns[each] for each in columns if spelled(table.columns[each]) in NO_CLASSES]:
        raise DataError(f"{table.where}: column '{facts[0]}' is no class; leave it out")
    for where, fields in table.rows:
        video_id = fields[places["video"]]
        if video_id in listed:
            raise DataError(f"{where}: video '{video_id}' comes a second time")
        listed[video_id] = [(table.columns[each], score_of(fields[each], where)) for each in columns]
    return _sparse(path, listed, names_of)


def _with_video(rows: Iterator[tuple[str, list[str]]], place: int) -> Iterator[tuple[str, list[str]]]:
    """The rows; raises DataError for one without a video id at its place."""
    for where, fields in rows:
        if not fields[place]:
            raise DataError(f"{where}: no video id")
        yield where, fields


def _sparse(
    path: str, listed: Mapping[str, list[tuple[Any, float]]], names_of: Mapping[int, str] | None
) -> tuple[list[str], Floats, Booleans, dict[str, int]]:
    """The same as `_parsed`, of the classes and scores that each video lists."""
    labels = [(video_id, label) for video_id, pairs in listed.items() for label, _ in pairs]
    numbers = [(video_id, label) for video_id, label in labels if isinstance(label, int) or label.isdecimal()]
    if numbers and names_of is None:
        video_id, label = numbers[0]
        raise DataError(
            f"{path}: video '{video_id}': label {label} is a number, not the name of a class; give the names with "
            "--classes FILE"
        )
    if 0 < len(numbers) < len(labels):
        raise DataError(
            f"{path}: some labels are numbers, such as {numbers[0][1]}, and some are names; write one of both"
        )
    vocabulary = LabelVocabulary()
    rows, are_listed = [], []
    for video_id, pairs in listed.items():
        own = [_name_of(label, names_of, f"{path}: video '{video_id}'") if numbers else label for label, _ in pairs]
        rows.append(vocabulary.numbered(own))
        are_listed.append(np.array([score for _, score in pairs], np.float64))
    table = np.zeros((len(rows), len(vocabulary)))
    mask = np.zeros(table.shape, bool)
    for row, (classes, scores) in enumerate(zip(rows, are_listed, strict=True)):
        # Of a class that is listed twice the best score counts.
        table[row, classes] = -np.inf
        np.maximum.at(table[row], classes, scores)
        mask[row, classes] = True
    return vocabulary.names, table, mask, {video_id: row for row, video_id in enumerate(listed)}


def _name_of(label: int | str, names_of: Mapping[int, str] | None, where: str) -> str:
    name = (names_of or {}).get(int(label))
    if name is None:
        raise DataError(f"{where}: label {label} has no name in --classes ({len(names_of or {})} classes)")
    return name


def _parsed(
    path: str, content: bytes, names_of: Mapping[int, str] | None
) -> tuple[list[str], Floats, Booleans, dict[str, int] | None]:
    """Names (K), rows (V, K), which classes each video lists (V, K), and the row of each id, if there are ids."""
    try:
        document = parsed_document(content, path)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if isinstance(document, list):
        table = _table({f"row {number + 1}": row for number, row in enumerate(document)}, path)
        names, rows = _columns(path, table, names_of)
        return names, rows, np.ones(rows.shape, bool), None
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected class scores of videos, found {type(document).__name__}")
    videos = document.get("results", document)
    if not isinstance(videos, dict) or not videos:
        raise DataError(f"{path}: no videos in it")
    row_of = {video_id: row for row, video_id in enumerate(videos)}
    of_video = {f"video '{video_id}'": scores for video_id, scores in videos.items()}
    layout = _layout(of_video, path)
    if layout == _Layout.row:
        own_names = document.get("class", document.get("classes"))
        if isinstance(own_names, list) and names_of is not None:
            raise DataError(f"{path}: names its classes itself; leave --classes out")
        names, rows = _named_columns(path, _table(of_video, path), own_names, names_of)
        return names, rows, np.ones(rows.shape, bool), row_of
    named = {video_id: _named(scores, layout, f"{path}: video '{video_id}'") for video_id, scores in videos.items()}
    return _sparse(path, named, names_of)


def _layout(of_video: Mapping[str, Any], path: str) -> _Layout:
    """The layout of all videos; raises DataError for one that has none, or another than those before it."""
    layout = _Layout.nothing
    for where, scores in of_video.items():
        if not isinstance(scores, dict | list):
            raise DataError(f"{path}: {where}: not class scores: {str(scores)[:80]}")
        if not scores:
            own = _Layout.nothing
        elif isinstance(scores, dict):
            own = _Layout.best if {"class", "score"} <= scores.keys() else _Layout.by_name
        else:
            own = _Layout.entries if isinstance(scores[0], dict) else _Layout.row
        if _Layout.nothing not in (own, layout) and own != layout:
            raise DataError(f"{path}: {where} has {own}, those before it {layout}; a file has one layout")
        layout = layout if own == _Layout.nothing else own
    return layout


def _table(rows: Mapping[str, Any], path: str) -> Floats:
    """Rows of equally many numbers (V, K)."""
    numbers: list[list[float]] = []
    for where, scores in rows.items():
        # TCANet wraps the row of a video into another list.
        row = scores[0] if isinstance(scores, list) and len(scores) == 1 and isinstance(scores[0], list) else scores
        if not isinstance(row, list) or not all(map(_is_number, row)):
            raise DataError(f"{path}: {where}: expected a list of numbers, found {str(row)[:80]}")
        if numbers and len(row) != len(numbers[0]):
            raise DataError(f"{path}: {where} has {len(row)} scores, those before it {len(numbers[0])}")
        numbers.append(row)
    return np.array(numbers, np.float64)


def _named_columns(
    path: str, table: Floats, names: Any, names_of: Mapping[int, str] | None
) -> tuple[list[str], Floats]:
    """Names and columns of a table whose file gives the names of its classes, or else of UntrimmedNet's."""
    if not isinstance(names, list):
        return _columns(path, table, names_of)
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise DataError(f"{path}: class {odd[0]!r} is not a name; put names in the place of numbers")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: class '{twice}' is named twice")
    if table.shape[1] != len(names):
        raise DataError(f"{path}: {table.shape[1]} scores a video for {len(names)} class names")
    return names, table


def _named(scores: Any, layout: _Layout, where: str) -> list[tuple[str | int, float]]:
    """The classes of one video, by name or number, with their scores."""
    if not scores:
        return []
    if layout == _Layout.by_name:
        pairs = list(scores.items())
    else:
        entries = [scores] if layout == _Layout.best else scores
        key = "class" if layout == _Layout.best else "label"
        for entry in entries:
            if not isinstance(entry, dict) or not {key, "score"} <= entry.keys():
                raise DataError(f"{where}: not class scores: expected {layout}, found {str(entry)[:80]}")
        pairs = [(entry[key], entry["score"]) for entry in entries]
    for name, score in pairs:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise DataError(f"{where}: label {name!r} is not the name of a class")
        if not _is_number(score):
            raise DataError(f"{where}: score {score!r} of '{name}' is not a number")
    return pairs


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
