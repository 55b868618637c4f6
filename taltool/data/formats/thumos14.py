"""The annotations of THUMOS14 and MultiTHUMOS: one text file per class, `video start end` in seconds per line.

The files are named CLASS_val.txt and CLASS_test.txt; the ending says the subset, validation or testing. MultiTHUMOS has
CLASS.txt, and there the subset is that in the name of each video. They may lie in folders below, as in the archives of
the challenge, beside lists of classes, durations or videos, which are no classes and are left out.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path

from taltool.data.file_names import create_below, file_name, utf8_stem
from taltool.data.files import decode_text, read_text, shown
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening
from taltool.data.formats.tables import AnnotationRows, Row, RowShelf, new_folder, segment, to_annotations, valid
from taltool.data.formats.text_folders import first_lines
from taltool.errors import DataError

_SUBSETS = {"_val": "validation", "_test": "testing"}
_SUBSETS_OF_VIDEOS = {"video_validation_": "validation", "video_test_": "testing"}
# The files of a folder that are asked, at most, whether it has such annotations.
_LOOKED_INTO = 500
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SEGMENT = re.compile(rf"\S+\s+{_NUMBER}\s+{_NUMBER}")
# What lists of durations or segments are called.
_LIST = re.compile(r"(.*[_\- ])?(info|list|durations?|lengths?|segments|segs)", re.IGNORECASE)
# What lies beside classes too, whatever else its name says.
_NOTE = re.compile(r"(read[_\- ]?me|licen[cs]e|notes?|changes)\b.*|(read[_\- ]?me|licen[cs]e)_.*", re.IGNORECASE)
# Times and the number of a class, of one video.
_NUMBERS = re.compile(rf"{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}")


@FORMATS.register("thumos14")
class Thumos14(Format):
    """Class and subset stand in the file names; durations are nowhere."""

    summary = (
        "a folder with one text file per class, CLASS_val.txt or CLASS_test.txt (MultiTHUMOS: CLASS.txt), a line being:"
        " video start end; needs --durations"
    )
    kinds = ("annotations",)
    heeds = frozenset({"times"})
    tried_with = "the annotations of THUMOS14 as SSN ships them"
    is_folder = True

    def recognises(self, opening: Opening) -> bool:
        """A folder with text files, one of which begins with a segment."""
        files = first_lines(opening.path, ".txt") if ".txt" in opening.suffixes else ()
        return bool(_classes(islice(files, _LOOKED_INTO)))

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Annotations]:
        """Read the file of every class, classes in alphabetical order."""
        found = list(first_lines(path, ".txt"))
        # What is no class to somebody who guesses may be one to the user: videos whose names are numbers.
        classes = _classes(found) or [file for file, line in found if _SEGMENT.fullmatch(line)]
        files = sorted(classes, key=lambda file: file.name)
        if not files:
            raise DataError(
                f"{path}: no text file in it has lines of: video start end; expected a folder with one file per class, "
                "CLASS_val.txt or CLASS_test.txt"
            )
        for file, other in pairwise(files):
            if file.name == other.name:
                raise DataError(
                    f"{shown(str(file))}: {shown(str(other))} is a file of the same class and subset; name one of "
                    "their folders"
                )
        others = [shown(str(file.relative_to(path))) for file, _ in found if file not in set(files)]
        notes = [f"{len(others)} text files that are no class: {', '.join(others[:5])}"] if others else []
        every = (row for file in files for row in _rows(file))
        with RowShelf(valid(every, options, notes)) as shelf:
            yield to_annotations(shelf, options, "from THUMOS14 text files", notes, sorted(shelf.video_ids))

    def write(self, content: Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: durations, videos without annotations, and subsets other than validation and testing."""
        files: dict[str, list[str]] = {}
        rows = AnnotationRows(content)
        for row in rows:
            name = file_name(_name(row, path), f"{path}: class")
            if decode_text(row.video_id.encode(), path).split() != [row.video_id]:
                raise DataError(f"{path}: video id {row.video_id!r} does not fit into this format: no blanks in it")
            files.setdefault(name, []).append(f"{row.video_id} {row.start!r} {row.end!r}\n")
        if not files:
            raise DataError(f"{path}: no annotations, and this format holds nothing else")
        with new_folder(path) as folder:
            for name, lines in files.items():
                with create_below(folder, name, ".txt", f"{path}: class") as stream:
                    stream.write("".join(lines).encode())
        return rows.lost(kept_subsets=_SUBSETS.values())


def _name(row: Row, path: str) -> str:
    """The name of a row's file, without .txt; raises DataError where it would be read as another class or subset."""
    subset = row.subset if row.subset in _SUBSETS.values() else None
    ending = next((ending for ending, name in _SUBSETS.items() if name == subset), "")
    name = f"{row.label}{ending}"
    if _label_and_subset(name) != (row.label, subset):
        raise DataError(
            f"{path}: label '{row.label}' ends like the name of a subset; rename it, or give --subset validation"
        )
    return name


def _label_and_subset(name: str) -> tuple[str, str | None]:
    for ending, subset in _SUBSETS.items():
        if name.endswith(ending):
            return name.removesuffix(ending), subset
    return name, None


def _classes(files: Iterable[tuple[Path, str]]) -> list[Path]:
    """Those of some files, each with its first line, that are of a class: by their names, or by that line.

    Beside files that are named so, lists of videos with two numbers look like classes of no subset.
    """
    found = [(file, line) for file, line in files if not _NOTE.fullmatch(file.stem) or _SEGMENT.fullmatch(line)]
    named = [file for file, _ in found if file.stem.endswith(tuple(_SUBSETS))]
    others = [file for file, line in found if _SEGMENT.fullmatch(line) and not _NUMBERS.fullmatch(line)]
    return named + [file for file in others if file not in set(named) and not (named and _LIST.fullmatch(file.stem))]


def _rows(file: Path) -> Iterator[Row]:
    label, subset = _label_and_subset(utf8_stem(file, file.parent))
    for number, line in enumerate(read_text(str(file)).split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        where = f"{shown(str(file))}:{number}"
        if len(words) != 3:
            raise DataError(f"{where}: expected 'video start end', found '{line.strip()}'")
        told = next((name for begin, name in _SUBSETS_OF_VIDEOS.items() if words[0].startswith(begin)), None)
        yield Row(words[0], *segment(words[1], words[2], where), label, subset=subset or told, where=where)
