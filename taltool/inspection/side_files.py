"""Class scores of videos and splits: JSON that no format of `convert` is, told by its content."""

import re
from pathlib import Path
from typing import Any, Literal

import orjson

from taltool.data.files import read_bytes
from taltool.data.formats.contract import Opening
from taltool.data.json_documents import parsed_document, telling_key

# In {"results": {id: [...]}} proposals begin with an object that has a list in it, the segment; class scores do not.
_SCORES = re.compile(rb'"results"\s*:\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\[\s*(?:[-\d\[]|\{[^{}\[\]]*\})')


def side_file(start: Opening) -> Literal["class scores", "splits"] | None:
    """Whether the file that begins so holds class scores or splits, or neither."""
    key = telling_key(start.head)[0]
    if key == "results" and _SCORES.search(start.head):
        return "class scores"
    if key or not start.head.lstrip().startswith((b"{", b"[")):
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
