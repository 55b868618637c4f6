"""The THUMOS14 annotations: a folder with one text file per class, `video start end` in seconds per line.

The files are named CLASS_val.txt and CLASS_test.txt; the ending says the subset, validation or testing.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from taltool.data.files import create_below, decode_text, file_name, read_text, shown, utf8_stem
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening
from taltool.data.formats.tables import AnnotationRows, Row, RowShelf, new_folder, segment, to_annotations, valid
from taltool.errors import DataError

_SUBSETS = {"_val": "validation", "_test": "testing"}


@FORMATS.register("thumos14")
class Thumos14(Format):
    """Class and subset stand in the file names; durations are nowhere."""

    summary = (
        "a folder with one text file per class, CLASS_val.txt or CLASS_test.txt, a line being: video start end; "
        "needs --durations"
    )
    kinds = ("annotations",)
    is_folder = True

    def recognises(self, opening: Opening) -> bool:
        """A folder with text files."""
        return ".txt" in opening.suffixes

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Annotations]:
        """Read every *.txt of the folder, classes in alphabetical order."""
        files = sorted(Path(path).glob("*.txt"))
        if not files:
            raise DataError(f"{path}: no *.txt in it; expected a folder with one text file per class")
        notes: list[str] = []
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


def _rows(file: Path) -> Iterator[Row]:
    label, subset = _label_and_subset(utf8_stem(file, file.parent))
    for number, line in enumerate(read_text(str(file)).split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        where = f"{shown(str(file))}:{number}"
        if len(words) != 3:
            raise DataError(f"{where}: expected 'video start end', found '{line.strip()}'")
        yield Row(words[0], *segment(words[1], words[2], where), label, subset=subset, where=where)
