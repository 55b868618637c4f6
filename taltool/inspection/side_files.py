"""Class scores of videos and splits: files that no format of `convert` is, told by their content."""

import io
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from taltool.data.class_scores import ALL_COLUMNS, NO_CLASSES, NPY_MAGIC, THUMOS14_COLUMNS
from taltool.data.columns import SEGMENT_COLUMNS, header_columns, meanings, open_table, spelled
from taltool.data.files import read_bytes
from taltool.data.formats.contract import Opening
from taltool.data.json_documents import parsed_document, telling_key
from taltool.data.numpy_files import numpy_reads
from taltool.errors import DataError

# In {"results": {id: [...]}} proposals begin with an object that has a list in it, the segment; class scores do not.
_SCORES = re.compile(rb'"results"\s*:\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\[\s*(?:[-\d\[]|\{[^{}\[\]]*\})')


def side_file(start: Opening) -> Literal["class scores", "splits"] | None:
    """Whether the file that begins so holds class scores or splits, or neither."""
    if start.head.startswith(NPY_MAGIC):
        return "class scores" if _is_unnamed_table(start.head) else None
    if not start.head.lstrip().startswith((b"{", b"[")):
        return "class scores" if _is_table_of_scores(start) else None
    key = telling_key(start.head)[0]
    if key == "results" and _SCORES.search(start.head):
        return "class scores"
    if key:
        return None
    try:
        # A pipe is read once, by who is told what it holds; of a longer document it is not told then.
        is_file = Path(start.path).is_file()
        document = parsed_document(read_bytes(start.path)[0] if is_file else start.head, start.path)
    except orjson.JSONDecodeError:
        return None
    first = next(iter(document.values() if isinstance(document, dict) else document), None)
    if isinstance(first, dict) and first and all(map(_is_id_list, first.values())):
        return "splits"
    return "class scores" if _is_scores(first) else None


def _is_id_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_scores(value: Any) -> bool:
    """Whether it looks like the class scores of one video, in any layout."""
    if isinstance(value, dict):
        is_best = {"class", "score"} <= value.keys()
        return is_best or (bool(value) and all(isinstance(each, int | float) for each in value.values()))
    if not isinstance(value, list) or not value:
        return False
    if isinstance(value[0], dict):
        return {"label", "score"} <= value[0].keys() and "segment" not in value[0]
    row = value[0] if isinstance(value[0], list) else value
    return all(isinstance(each, int | float) for each in row)


def _is_unnamed_table(head: bytes) -> bool:
    """Whether an array of NumPy has the columns that class scores without names have."""
    stream = io.BytesIO(head)
    try:
        first = np.lib.format.read_magic(stream) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        with numpy_reads("", "no array"):
            shape, _, kind = read(stream)
    except (DataError, ValueError):  # Who reads it says what is wrong with it.
        return False
    return len(shape) == 2 and shape[1] in (ALL_COLUMNS, len(THUMOS14_COLUMNS)) and kind.kind in "fiu"


def _is_table_of_scores(start: Opening) -> bool:
    """Whether two first lines are of a table of videos, with several numbers beside them, or a class and its score."""
    columns = header_columns(start.first_line())
    places = meanings(columns, SEGMENT_COLUMNS)
    if len(places.get("video", ())) != 1 or places.keys() & {"start", "end", "start_frame", "end_frame"}:
        return False
    if {"label", "score"} <= places.keys():
        return True
    try:
        lines = start.head.decode("utf-8", "replace").splitlines()
        table = open_table(start.path, lines=iter(enumerate(lines, start=1)))
        _, fields = next(table.rows, ("", []))
        numbers = [float(field) for name, field in zip(columns, fields, strict=False) if name != places["video"][0]]
    except (DataError, ValueError):
        return False
    return len(numbers) > 1 and not any(spelled(name) in NO_CLASSES for name in columns)
