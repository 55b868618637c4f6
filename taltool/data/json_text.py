"""The text of JSON: telling its kind, parsing much of it in peace, and refusing a key twice in one object.

Parsers keep the last of two equal keys, so a video that is there twice would vanish without a word.
"""

import contextlib
import gc
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from taltool.errors import DataError

# The colon of a member stands behind the quote of its key or behind white space; colons inside of names seldom do.
_COLONS = (b'":', b" :", b"\t:", b"\n:", b"\r:")

# The first of these keys tells which kind of JSON it is; whatever stands before it (version, taxonomy) does not.
_TELLING_KEY = re.compile(
    rb'"(taltool|video_id|proposals|segments|results|database)"\s*:\s*(?:(\{)\s*"(?:[^"\\]|\\.)*"\s*:\s*(.))?'
)


def telling_key(head: bytes) -> tuple[str, str]:
    """The key that tells the kind of a JSON text by its beginning, and the first character of its first member's value.

    Both are empty where it does not begin like an object with such a key.
    """
    found = _TELLING_KEY.search(head) if head.lstrip().startswith(b"{") else None
    return (found[1].decode(), (found[3] or b"").decode("ascii", "replace")) if found else ("", "")


@contextlib.contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep Python's collector of cycles away while a document is parsed and taken apart.

    JSON has no cycles, yet the collector would walk all of it again and again, for more than half of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def count_members(document: Any) -> int:
    """How many members all objects of a parsed document have together."""
    count, level = 0, [document]
    while level:
        objects = [value for value in level if type(value) is dict]
        count += sum(map(len, objects))
        holders = [each.values() for each in objects] + [value for value in level if type(value) is list]
        level = [value for holder in holders for value in holder if type(value) is dict or type(value) is list]
    return count


def parsed_document(content: bytes, path: str) -> Any:
    """What the JSON document `content` of the file `path` holds.

    Raises orjson.JSONDecodeError where it is not JSON, DataError where an object has a key twice.
    """
    with collector_at_rest():
        document = orjson.loads(content)
        refuse_repeated_keys(content, count_members(document), path)
    return document


def refuse_repeated_keys(text: bytes, members: int, where: str) -> None:
    """Raise DataError, naming `where` and the key, if an object in the JSON `text` has a key twice.

    members is the number of members that are left in the objects once parsed; counting too few of them costs time
    only. A valid text with as many colons as members has no key twice; any other is parsed again, key by key.
    """
    if text.count(b":") <= members or sum(map(text.count, _COLONS)) <= members:
        return

    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise DataError(f"{where}: '{twice}' is there twice in one object; only the last would count")

    try:
        json.loads(text, object_pairs_hook=unique)
    except RecursionError as error:
        raise DataError(f"{where}: lists and objects are nested too deeply") from error
