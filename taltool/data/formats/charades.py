"""The annotations of Charades: a row for each video, its actions being `c092 11.90 21.20;c147 0.00 12.60`, seconds.

Codes become the names of `--classes` (Charades_v1_classes.txt, lines of `c092 Name`); without it they are the labels.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening
from taltool.data.formats.tables import Row, RowShelf, duration, read_table, segment, to_annotations, valid
from taltool.errors import DataError

_COLUMNS = ("id", "actions", "length")
_CODED = re.compile(r"(c\d{3})\s+(.+)")


@FORMATS.register("charades")
class Charades(Format):
    """A row for each video."""

    summary = (
        "the CSV of Charades, a row for each video, its actions 'c092 11.90 21.20;...'; --classes names the codes, "
        "--subset the subset"
    )
    kinds = ("annotations",)
    is_written = False

    def recognises(self, opening: Opening) -> bool:
        """A first line that names the columns."""
        return {*_COLUMNS} <= {name.strip().strip('"') for name in opening.first_line().split(",")}

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Annotations]:
        """Read all rows; videos without actions stay, and what taltool has no place for is among the notes."""
        columns, table = read_table(path, _COLUMNS)
        others = [name for name in columns if name not in _COLUMNS]
        notes = [f"the columns {', '.join(others)}"] if others else []
        names = _by_code(options.classes or {})
        lengths: dict[str, float] = {}
        with RowShelf(valid(_rows(table, names, lengths), options, notes)) as shelf:
            timed = replace(options, durations=dict(options.durations) | lengths)
            yield to_annotations(shelf, timed, "from the CSV of Charades", notes, lengths)


def _rows(
    table: Iterator[tuple[str, dict[str, str]]], names: Mapping[str, str], lengths: dict[str, float]
) -> Iterator[Row]:
    """The actions of all videos; the videos' lengths (seconds) are entered as they pass."""
    for where, row in table:
        video_id = row["id"]
        if video_id in lengths:
            raise DataError(f"{where}: video '{video_id}' is there twice; remove one")
        lengths[video_id] = duration(row["length"], where)
        for action in filter(None, row["actions"].split(";")):
            words = action.split()
            if len(words) != 3:
                raise DataError(f"{where}: expected actions like 'c092 11.90 21.20', found '{action}'")
            yield Row(video_id, *segment(words[1], words[2], where), _label(words[0], names, where), where=where)


def _by_code(classes: Mapping[str, int]) -> dict[str, str]:
    """The name of each code. In the list of Charades it stands before the name; elsewhere it is the number."""
    names: dict[str, str] = {}
    for name, number in classes.items():
        found = _CODED.fullmatch(name)
        code, bare = (found[1], found[2]) if found else (f"c{number:03d}", name)
        if names.setdefault(code, bare) != bare:
            raise DataError(f"--classes: '{code}' is '{names[code]}' and '{bare}'")
    return names


def _label(code: str, names: Mapping[str, str], where: str) -> str:
    if names and code not in names:
        raise DataError(f"{where}: class '{code}' has no name in --classes ({len(names)} classes)")
    return names.get(code, code)
