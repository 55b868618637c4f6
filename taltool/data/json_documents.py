"""JSON: telling its kind, parsing much of it quickly, and documents too long to be held, read piece by piece.

A key twice in one object is refused everywhere: parsers keep the last of the two, so a video that is there twice would
vanish without a word.

Of a long document a first pass finds where brackets open and close, on arrays; it parses nothing. Then the few short
members are parsed whole, and the members of a long one (the videos of `results` or `database`) a batch at a time.
"""

import contextlib
import gc
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
import orjson

from taltool.data.files import HashingReader
from taltool.data.records import Integers
from taltool.errors import DataError

Made = TypeVar("Made")
# Bytes that are scanned at once, and about how many are parsed at once: what a processor keeps close.
_BLOCK = 1 << 18
_QUOTE, _BACKSLASH = b'"\\'
# Setting this bit makes [ and { equal, ] and } too, and nothing else equal to them.
_BRACE_BIT, _OPENING, _CLOSING = 0x20, ord("{"), ord("}")

# The colon of a member stands behind the quote of its key or behind white space; colons inside of names seldom do.
_COLONS = (b'":', b" :", b"\t:", b"\n:", b"\r:")

# The first of these keys, in the outermost object, tells which kind of JSON it is, where its value begins like this;
# whatever stands before it (version, taxonomy), or deeper, does not.
_TELLING = {"taltool": "{", "video_id": '"', "proposals": "[", "segments": "[", "results": "{", "database": "{"}
_TELLING_KEY = re.compile(rb'"(?:%s)"\s*:' % "|".join(_TELLING).encode())
# Documents of these kinds have few members in the outermost object; one with more maps the ids of videos to something.
_MOST_MEMBERS = 100
# Lists in lists: what data of any format needs, many times over, and little enough for every parser and printer.
_DEEPEST = 100
# A key with its colon, a text, a bracket, or the beginning of a text whose end is not there.
_TOKEN = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:\s*)?|[][{}]|"', re.DOTALL)


def outline(head: bytes, depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """The members of the JSON object that `head` is the beginning of, and of the objects in it, in their order.

    Each is the keys from the outside in, at most `depth`, and the first character of its value, empty where it is cut
    off. What stands in lists is passed over. Nothing comes of what is no object.
    """
    if not head.lstrip().startswith(b"{"):
        return
    brackets = bytearray()
    keys: list[str] = []
    for token in _TOKEN.finditer(head):
        sign = token[0]
        if sign in (b"{", b"["):
            brackets += sign
        elif sign in (b"}", b"]"):
            del brackets[-1:]
            if not brackets:
                return
        elif sign == b'"':
            return
        elif token[2] is not None and len(brackets) <= depth and b"[" not in brackets:
            keys[len(brackets) - 1 :] = [token[1].decode("utf-8", "replace")]
            yield tuple(keys), head[token.end() : token.end() + 1].decode("ascii", "replace")


def telling_key(head: bytes) -> tuple[str, str]:
    """The key that tells the kind of a JSON text by its beginning, and the first character of its first member's value.

    Both are empty where it does not begin like an object with such a key.
    """
    found, members = "", 0
    for keys, first in outline(head, 2) if _TELLING_KEY.search(head) else ():
        if found:
            return found, first if len(keys) == 2 else ""
        members += len(keys) == 1
        if len(keys) == 1 and _TELLING.get(keys[0]) == first:
            found = keys[0]
        elif members > _MOST_MEMBERS:
            break
    return found, ""


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


def count_members(document: Any, where: str) -> int:
    """How many members all objects of a parsed document have together.

    Raises DataError, naming `where`, for lists and objects that are nested more deeply than any data is.
    """
    count, level, depth = 0, [document], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise _too_deep(where)
        objects = [value for value in level if type(value) is dict]
        count += sum(map(len, objects))
        holders = [each.values() for each in objects] + [value for value in level if type(value) is list]
        level = [value for holder in holders for value in holder if type(value) is dict or type(value) is list]
    return count


def _too_deep(where: str) -> DataError:
    return DataError(f"{where}: lists and objects are nested more than {_DEEPEST} deep")


def parsed_document(content: bytes, path: str) -> Any:
    """What the JSON document `content` of the file `path` holds.

    Raises orjson.JSONDecodeError where it is not JSON, DataError where an object has a key twice, or nests too deeply.
    """
    with collector_at_rest():
        document = orjson.loads(content)
        refuse_repeated_keys(content, count_members(document, path), path)
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
        raise _too_deep(where) from error


@dataclass(frozen=True, eq=False)
class _Span:
    """Where a member's list or object stands: its bytes [start, stop), and the ends of the lists and objects in it."""

    start: int
    stop: int
    ends: Integers


class JsonDocument:
    """The JSON object that `reader` holds; `head` is what was read of it already, from line number `first` on.

    A plain file is read twice; pipes and gzip files are copied to a temporary file on the way. Used as a `with` block.
    Raises DataError, naming file and line, for what is not one whole JSON object.
    """

    def __init__(self, reader: HashingReader, path: str, head: bytes = b"", first: int = 1) -> None:
        self.path, self._reader, self._head, self._first = path, reader, head, first

    def __enter__(self) -> "JsonDocument":
        plain = self._reader.rereadable
        self._copy = None if plain is not None else tempfile.TemporaryFile()
        self._file: BinaryIO = plain if plain is not None else cast(BinaryIO, self._copy)
        # Where the document begins in the file; places in it count from there.
        self._begin = 0 if plain is None else self._reader.position - len(self._head)
        self._spans, self._length = self._scan()
        self._short = self._skeleton()
        return self

    def __exit__(self, *_: object) -> None:
        if self._copy is not None:
            self._copy.close()

    def __contains__(self, key: str) -> bool:
        return key in self._short

    def _scan(self) -> tuple[list[_Span], int]:
        """The spans of all lists and objects directly inside the outermost one, and the length of the text."""
        depth = inside = offset = 0
        opened: list[int] = []
        closed: list[int] = []
        ends: list[Integers] = []
        held = b""
        block = self._head or self._reader.read(_BLOCK)
        while block:
            if self._copy is not None:
                self._copy.write(block)
            text = held + block
            # A block must not end between a backslash and what it escapes.
            held = b"\\" if (len(text) - len(text.rstrip(b"\\"))) & 1 else b""
            codes = np.frombuffer(text, np.uint8, len(text) - len(held))
            escapes = text.find(b"\\", 0, len(codes)) >= 0
            quotes = _bare_quotes(codes) if escapes else np.flatnonzero(codes == _QUOTE)
            folded = codes | _BRACE_BIT
            places = np.flatnonzero((folded == _OPENING) | (folded == _CLOSING))
            places = places[(np.searchsorted(quotes, places) + inside) % 2 == 0]
            opens = folded[places] == _OPENING
            depths = depth + np.cumsum(np.where(opens, 1, -1))
            places += offset
            opened += places[opens & (depths == 2)].tolist()
            closed += (places[~opens & (depths == 1)] + 1).tolist()
            ends.append(places[~opens & (depths == 2)] + 1)
            if len(depths):
                depth = int(depths[-1])
                if depths.max() > _DEEPEST:
                    raise _too_deep(self.path)
            inside = (inside + len(quotes)) % 2
            offset += len(codes)
            block = self._reader.read(_BLOCK)
        every = np.concatenate([np.empty(0, np.int64), *ends])
        # What never closes ends with the text; the parser will say so.
        closed += [offset] * (len(opened) - len(closed))
        edges = np.searchsorted(every, np.array(closed, np.int64))
        of_each = np.split(every, edges)[: len(opened)]
        spans = [_Span(*facts) for facts in zip(opened, closed[: len(opened)], of_each, strict=True)]
        return spans, offset + len(held)

    def _skeleton(self) -> dict[str, Any]:
        """The document in which every list is [its number], and every object {"": its number}."""
        edges = [0, *(edge for span in self._spans for edge in (span.start + 1, span.stop - 1)), self._length]
        gaps = [self._bytes(*gap) for gap in zip(edges[::2], edges[1::2], strict=True)]
        # A gap ends with the bracket that opens a list or object, and the next begins with the one that closes it.
        insides = [b'"":%d' % n if gap.endswith(b"{") else b"%d" % n for n, gap in enumerate(gaps[:-1])]
        text = b"".join(chain.from_iterable(zip_longest(gaps, insides, fillvalue=b"")))
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            place = self._place_of(error.pos, insides)
            shown = self._bytes(place, place + 20).decode("utf-8", "replace")
            near = f", near {shown!r}" if shown else ": it ends too early, was it cut short?"
            # What does not begin like JSON is most likely whole, and something else.
            is_other = not self._bytes(0, _BLOCK).lstrip().startswith((b"{", b"["))
            mend = "; a file of another format is converted first: taltool convert FILE -o FILE.json"
            raise DataError(f"{self.path}:{self._line(place)}: not JSON{near}{mend if is_other else ''}") from error
        if not isinstance(found, dict):
            raise DataError(f"{self.path}: expected a JSON object, found {type(found).__name__}")
        refuse_repeated_keys(text, count_members(found, self.path), self.path)
        return found

    def _place_of(self, position: int, insides: list[bytes]) -> int:
        """The place in the document of a position in its skeleton, which has `insides` in its lists and objects."""
        for span, inside in zip(self._spans, insides, strict=True):
            if position > span.start + 1:
                position += span.stop - span.start - 2 - len(inside)
        return position

    def _bytes(self, start: int, stop: int) -> bytes:
        self._file.seek(self._begin + start)
        return self._file.read(stop - start)

    def _line(self, position: int) -> int:
        return self._bytes(0, position).count(b"\n") + self._first

    def _span(self, key: str) -> _Span | None:
        """The span of a member; None where it is neither list nor object."""
        value = self._short[key]
        number = value[0] if isinstance(value, list) else value[""] if isinstance(value, dict) else None
        return None if number is None else self._spans[number]

    def value(self, key: str) -> Any:
        """A member, parsed whole; None where there is none."""
        if key not in self._short:
            return None
        span = self._span(key)
        if span is None:
            return self._short[key]
        text = self._bytes(span.start, span.stop)
        value = self._parsed(text, span.start)
        refuse_repeated_keys(text, count_members(value, self.path), self.path)
        return value

    def is_object(self, key: str) -> bool:
        """Whether there is such a member, and it is an object."""
        return isinstance(self._short.get(key), dict)

    def around(self, key: str) -> dict[str, Any]:
        """All members but the one at `key`, parsed whole, in the order of the document; that one is None."""
        return {name: None if name == key else self.value(name) for name in self._short}

    def count(self, key: str) -> int:
        """How many lists and objects stand directly in a member that is a list or an object."""
        span = self._span(key)
        return 0 if span is None else len(span.ends)

    def batches(
        self, key: str, make: Callable[[dict[str, Any]], Made], keys_in: Callable[[Any], int] | None = None
    ) -> Iterator[Made]:
        """What `make` makes of some members at a time of the object at `key`, in order.

        keys_in tells how many keys such members and the objects in them have, or less where it does not know. The rest
        of the document is parsed first: what nobody asks for must be sound too.
        """
        for other in self._short:
            if other != key:
                self.value(other)
        span = cast(_Span, self._span(key))
        inside = span.start + 1
        # The last end of each batch; behind the very last one there may be blanks, or members without brackets.
        last = span.ends[np.flatnonzero(np.diff((span.ends - inside) // _BLOCK))].tolist()
        seen: set[str] = set()
        for start, stop in pairwise([inside, *last, span.stop - 1]):
            with collector_at_rest():
                text = self._bytes(start, stop)
                if seen:  # A comma parts its members from those before.
                    text = text.lstrip(b" \t\r\n")
                    if not text.startswith(b","):
                        raise DataError(f"{self.path}:{self._line(start)}: not JSON: a comma is missing")
                    text = text[1:]
                text = b"{%s}" % text
                batch = self._parsed(text, start)
                members = count_members(batch, self.path) if keys_in is None else keys_in(batch)
                refuse_repeated_keys(text, members, self.path)
                twice = seen & batch.keys()
                if twice:
                    raise DataError(
                        f"{self.path}: '{min(twice)}' is there twice in one object; only the last would count"
                    )
                seen |= batch.keys()
                made = make(batch)
                del batch
            yield made

    def _parsed(self, text: bytes, start: int) -> Any:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            line = self._line(start) + text[: error.pos].count(b"\n")
            raise DataError(f"{self.path}:{line}: not JSON: {error.msg}") from error


def _bare_quotes(codes: np.ndarray[Any, np.dtype[np.uint8]]) -> Integers:
    """The places of the quotation marks in front of which no backslash, or an even number of them, stands."""
    slashes = np.flatnonzero(codes == _BACKSLASH)
    quotes = np.flatnonzero(codes == _QUOTE)
    # For each backslash, how many stand in a row up to it.
    begins = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
    runs = np.arange(len(slashes)) - np.repeat(begins, np.diff(begins, append=len(slashes))) + 1
    before = np.searchsorted(slashes, quotes - 1)
    found = before < len(slashes)
    escaped = found & (slashes[np.minimum(before, len(slashes) - 1)] == quotes - 1)
    escaped &= runs[np.minimum(before, len(slashes) - 1)] % 2 == 1
    bare: Integers = quotes[~escaped]
    return bare
