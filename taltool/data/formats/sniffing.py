"""Telling formats apart by content, and opening a file whatever its format is."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from taltool.data.files import STANDARD, UTF_16_MARKS, peek
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Content, Format, FormatOptions, Opening
from taltool.errors import DataError, UsageError


def beginning(path: str) -> Opening:
    """The beginning of `path`; raises DataError where there is none."""
    if path != STANDARD and Path(path).is_dir():
        return Opening(path, suffixes=frozenset(each.suffix.lower() for each in Path(path).rglob("*")))
    return Opening(path, peek(path))


def sniff(path: str) -> str:
    """The name of the format of `path`, told by content. Raises DataError where none, or more than one, fits."""
    start = beginning(path)
    found = [name for name in FORMATS.names() if format_named(name).recognises(start)]
    if len(found) == 1:
        return found[0]
    if start.head.startswith(UTF_16_MARKS):
        raise DataError(f"{path}: UTF-16, which no format is; convert it: iconv -f utf-16 -t utf-8")
    if not start.head and not start.suffixes:
        raise DataError(f"{path}: empty (did the command before it fail?)")
    seen = f"it may be {' or '.join(found)}" if found else "its beginning looks like no known format"
    known = ", ".join(FORMATS.names())
    raise DataError(f"{path}: cannot tell what this is: {seen} ({known}); convert it with --from FORMAT")


def for_output(path: str, kind: str) -> str:
    """The name of the format that the suffix of the output `path` asks for; raises UsageError where it says nothing."""
    default = {"proposals": "jsonl", "annotations": "activitynet", "features": "hdf5"}[kind]
    if path == STANDARD:
        return default
    suffix = Path(path).suffix.lower()
    fitting = [n for n in FORMATS.names() if kind in format_named(n).kinds and suffix in format_named(n).suffixes]
    if len(fitting) != 1:
        able = [name for name in FORMATS.names() if kind in format_named(name).kinds]
        raise UsageError(
            f"-o {path}: the name does not say in which format {kind} go there; give --to {'|'.join(able)}"
        )
    return fitting[0]


def format_named(name: str) -> Format:
    """The format registered under `name`; raises UsageError, with the known names, for another."""
    found: Format = FORMATS.load(name)()
    return found


@contextlib.contextmanager
def open_content(path: str, format_name: str | None = None, options: FormatOptions | None = None) -> Iterator[Content]:
    """Open the content of `path`, in the named format or the one that its content tells."""
    if path != STANDARD and not Path(path).exists():
        raise DataError(f"{path}: no such file")
    with format_named(format_name or sniff(path)).read(path, options or FormatOptions()) as content:
        yield content
