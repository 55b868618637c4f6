"""Files with class scores of whole videos, in every layout that circulates.

CUHK, OpenTAD        {"results": {id: [K scores]}, "class" or "classes": [K names]}
best class only      {id: {"class": name, "score": s}}
classification       {"results": {id: [{"label": name, "score": s}, ...]}}, with or without the outer object
by name              {id: {name: s, ...}}
UntrimmedNet         a table of 101 columns, row = number in the video's name - 1: .npy, or JSON [[...], ...]
UntrimmedNet by id   {id: [101 or 20 scores]}
"""

import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from taltool.data.files import read_bytes
from taltool.data.records import Floats, LabelVocabulary
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
_ALL_COLUMNS = 101
_PREFIX = "v_"
_NPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores of whole videos: rows (V, K), names (K), and which row is whose.

    row_of holds video ids; for tables without ids it is None, and a row is found by the number in the video's name.
    """

    file: str
    sha256: str
    names: list[str]
    rows: Floats
    row_of: dict[str, int] | None

    def find(self, video_id: str) -> Floats | None:
        """The scores (K,) of a video, None if it is not here.

        Where the id itself is not here, ActivityNet's `v_` in front of it is put on or taken off.
        """
        if self.row_of is None:
            number = re.search(r"(\d+)$", video_id)
            row = int(number[1]) - 1 if number else -1
            return self.rows[row] if 0 <= row < len(self.rows) else None
        other = video_id.removeprefix(_PREFIX) if video_id.startswith(_PREFIX) else _PREFIX + video_id
        found = self.row_of.get(video_id, self.row_of.get(other))
        return None if found is None else self.rows[found]


def read_class_scores(path: str, softmax: bool = False) -> ClassScores:
    """Read class scores of videos in any of the layouts above; with `softmax` the numbers are logits.

    Raises DataError, naming the video, for unknown layouts, wrong lengths, and numbers that are negative or not
    finite.
    """
    content, sha256 = read_bytes(path)
    if content.startswith(_NPY_MAGIC):
        names, rows, row_of = *_columns(path, _loaded_table(path, content)), None
    else:
        names, rows, row_of = _parsed(path, content)
    if softmax:
        rows = np.exp(rows - rows.max(1, keepdims=True, initial=0.0))
        rows /= rows.sum(1, keepdims=True)
    wrong = np.flatnonzero(~(np.isfinite(rows) & (rows >= 0)).all(1))
    if len(wrong):
        where = f"row {wrong[0] + 1}" if row_of is None else f"video '{list(row_of)[wrong[0]]}'"
        raise DataError(f"{path}: {where}: class scores must be numbers from 0 on; are these logits? use --softmax")
    return ClassScores(path, sha256, names, rows, row_of)


def _loaded_table(path: str, content: bytes) -> Floats:
    try:
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), np.float64)
    except ValueError as error:
        raise DataError(f"{path}: not a table of numbers: {error}") from error


def _columns(path: str, table: Floats) -> tuple[list[str], Floats]:
    """The 20 classes and their columns of a table with UntrimmedNet's 101 columns, or with those 20."""
    if table.ndim == 2 and table.shape[1] == _ALL_COLUMNS:
        table = table[:, np.array(list(THUMOS14_COLUMNS)) - 1]
    if table.ndim != 2 or table.shape[1] != len(THUMOS14_COLUMNS):
        raise DataError(
            f"{path}: a table of shape {table.shape} without class names; expected {_ALL_COLUMNS} columns (THUMOS14's "
            f"classes) or {len(THUMOS14_COLUMNS)}; other scores need names: {{'results': ..., 'classes': [...]}}"
        )
    return list(THUMOS14_COLUMNS.values()), table


def _parsed(path: str, content: bytes) -> tuple[list[str], Floats, dict[str, int] | None]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: neither JSON nor .npy: {error}") from error
    if isinstance(document, list):
        return *_columns(path, _table(path, document)), None
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected class scores of videos, found {type(document).__name__}")
    names = document.get("class", document.get("classes"))
    videos = document.get("results", document)
    if not isinstance(videos, dict) or not videos:
        raise DataError(f"{path}: no videos in it")
    row_of = {video_id: row for row, video_id in enumerate(videos)}
    first = next(iter(videos.values()))
    if isinstance(first, list) and first and not isinstance(first[0], dict):
        table = _table(path, [_flat(scores) for scores in videos.values()])
        if not isinstance(names, list):
            return *_columns(path, table), row_of
        if table.shape[1] != len(names):
            raise DataError(f"{path}: {table.shape[1]} scores a video for {len(names)} class names")
        return [str(name) for name in names], table, row_of
    labels = LabelVocabulary()
    pairs = [_named(path, video_id, scores, labels) for video_id, scores in videos.items()]
    rows = np.zeros((len(pairs), len(labels)))
    for row, (numbers, scores) in enumerate(pairs):
        np.maximum.at(rows[row], numbers, scores)
    return labels.names, rows, row_of


def _flat(scores: Any) -> Any:
    """TCANet wraps the row of a video into another list."""
    return scores[0] if isinstance(scores, list) and len(scores) == 1 and isinstance(scores[0], list) else scores


def _table(path: str, rows: list[Any]) -> Floats:
    try:
        return np.array(rows, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{path}: expected rows of equally many numbers") from None


def _named(path: str, video_id: str, scores: Any, labels: LabelVocabulary) -> tuple[list[int], list[float]]:
    """Class numbers and scores of one video whose scores come with names."""
    try:
        if isinstance(scores, dict) and isinstance(scores.get("class"), str):
            named = [(scores["class"], float(scores["score"]))]
        elif isinstance(scores, dict):
            named = [(name, float(score)) for name, score in scores.items()]
        else:
            named = [(each["label"], float(each["score"])) for each in scores]
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path}: video '{video_id}': not class scores: {str(scores)[:80]}") from None
    return [labels.number(name) for name, _ in named], [score for _, score in named]
