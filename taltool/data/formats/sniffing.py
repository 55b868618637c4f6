"""Telling formats apart by content, and opening a file whatever its format is."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from taltool.data.containers import VIDEO_SUFFIXES, is_saved_by_torch, refuse_folder, refuse_pickle, refuse_pictures
from taltool.data.files import STANDARD, UTF_16_MARKS, peek, refuse_foreign, refuse_live_input
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Content, Format, FormatOptions, Opening
from taltool.data.formats.findings import refusal
from taltool.errors import DataError, UsageError


class UnknownFormatError(DataError):
    """A file that no format recognises; the message says what it is instead."""


def beginning(path: str) -> Opening:
    """The beginning of `path`; raises DataError where there is none."""
    refuse_live_input(path)
    if path != STANDARD and Path(path).is_dir():
        return Opening(path, suffixes=frozenset(each.suffix.lower() for each in Path(path).rglob("*")))
    return Opening(path, peek(path))


def sniff(path: str) -> str:
    """The name of the format of `path`, told by content.

    Raises UnknownFormatError where none fits, DataError where more than one does; it says what a video or an image is.
    """
    start = beginning(path)
    refuse_pictures(path, start.head)
    formats, broken = usable_formats()
    found = [name for name, layout in formats.items() if layout.recognises(start)]
    found = [name for name in found if len(found) == 1 or not formats[name].gives_way]
    if len(found) == 1:
        return found[0]
    if start.suffixes and not found and start.suffixes & VIDEO_SUFFIXES:
        refuse_folder(path)
    if start.head.startswith(UTF_16_MARKS):
        raise DataError(f"{path}: UTF-16, which no format is; convert it: iconv -f utf-16 -t utf-8")
    if not start.head and not Path(path).is_dir():
        raise DataError(f"{path}: empty (did the command before it fail?)")
    if not found and is_saved_by_torch(start.head):
        raise DataError(
            f"{path}: weights, as torch.save writes them: taltool convert {path} --model MODEL --preset PRESET makes a "
            "checkpoint of them, taltool train --init begins with them"
        )
    if not found:
        raise UnknownFormatError(f"{path}: looks like no known format: {refusal(start, formats)}{broken}")
    options = " or ".join(f"--from {name}" for name in found)
    raise DataError(f"{path}: cannot tell what this is, for several formats may be meant: convert it with {options}")


def usable_formats() -> tuple[dict[str, Format], str]:
    """The formats by name, and in words what keeps others, of other packages, from being among them.

    So a package that is broken stops no file of another format.
    """
    formats: dict[str, Format] = {}
    broken = ""
    for name in FORMATS.names():
        try:
            formats[name] = format_named(name)
        except UsageError as error:
            broken += f"; {error}"
    return formats, broken


def format_named(name: str) -> Format:
    """The format registered under `name`.

    Raises UsageError, with the known names, for another, and for one that cannot be imported or is not complete.
    """
    kind: type[Format] = FORMATS.load(name)
    missing = set(getattr(kind, "__abstractmethods__", ()))
    missing |= {"write"} if kind.is_written and kind.write is Format.write else set()
    if missing:
        raise UsageError(f"format '{name}' does not define {', '.join(sorted(missing))}")
    return kind()


@contextlib.contextmanager
def open_content(path: str, format_name: str | None = None, options: FormatOptions | None = None) -> Iterator[Content]:
    """Open the content of `path`, in the named format or the one that its content tells.

    Raises DataError for a file that is not there, and for a video or an image, which says what reads it.
    """
    with format_named(format_of(path, format_name)).read(path, options or FormatOptions()) as content:
        yield content


def format_of(path: str, format_name: str | None = None) -> str:
    """The name of the format of `path`, the one that is given or the one that its content tells.

    Raises DataError as `open_content`.
    """
    refuse_live_input(path)
    if path != STANDARD and not Path(path).exists():
        raise DataError(f"{path}: no such file")
    if Path(path).is_file():
        refuse_foreign(path)
        refuse_pickle(path, peek(path, 1 << 9))
    return FORMATS.canonical(format_name) if format_name else sniff(path)
