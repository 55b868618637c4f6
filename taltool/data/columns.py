"""Tables of text, CSV and its like: what parts the columns, and which column is what.

The first line tells both. The delimiter is the comma, the semicolon or the tab, whichever makes most columns of it; no
later line is asked. A column is known by one of the usual names of its meaning, whatever its case, blanks, dots, `_`
and `-`, or because the user says so. Where two columns fit one meaning nothing is chosen: it is an error.
"""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from taltool.data.files import read_lines, shown
from taltool.errors import DataError, UsageError

DELIMITERS = ",;\t"
_IN_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs"}

_VIDEO = ("videoid", "video", "videoname", "videofile", "vid", "youtubeid", "name", "filename", "file")
_START = ("start", "starttime", "startseconds", "startsec", "tstart", "begin", "begintime", "timestart")
_END = ("end", "endtime", "endseconds", "endsec", "tend", "stop", "stoptime", "timeend")
_LABEL = ("label", "class", "action", "category", "activity", "labelname", "classname", "actionname", "activityname")
# The meanings that columns of segments have, and how they are usually called, the spelling of `spelled` for all.
SEGMENT_COLUMNS: dict[str, tuple[str, ...]] = {
    "video": _VIDEO,
    "start": _START,
    "end": _END,
    "start_frame": ("startframe", "framestart", "beginframe", "startframes", "beginframes"),
    "end_frame": ("endframe", "frameend", "stopframe", "endframes", "stopframes"),
    "label": _LABEL,
    "score": ("score", "confidence", "conf", "prob", "probability"),
    "subset": ("subset", "split", "set", "partition"),
}
DURATION_COLUMNS: dict[str, tuple[str, ...]] = {
    "video": _VIDEO,
    "duration": ("duration", "videoduration", "durationseconds", "durationsec", "durationinseconds"),
}
# Of a list of classes, in which "name" is no video.
CLASS_COLUMNS: dict[str, tuple[str, ...]] = {
    "number": ("id", "labelid", "classid", "actionid", "number", "index", "labelindex", "classindex"),
    "label": ("label", "class", "name", "key", "labelname", "classname", "action", "actionname", "activity"),
}
_SEPARATORS = re.compile(r"[\s_.-]+")
# [hh:]mm:ss[.fff]: the first unit may be any number, those behind it stay below 60.
_CLOCK = re.compile(r"(?:(\d+):(?=[0-5]\d:))?(\d+):([0-5]\d(?:\.\d*)?)")
# "start (s)", "End [sec]"; and "start (frame)", which are frames.
_UNIT = re.compile(r"\s*[(\[](s|secs?|seconds?)[)\]]$")
_FRAMES = re.compile(r"\s*[(\[](frames?)[)\]]$")


@dataclass(frozen=True)
class Table:
    """A table as it is read: the place (file:line) of its first line, the names of its columns (numbers from 1 where it
    has no header), and each row's place and fields, as many as there are columns."""

    where: str
    columns: list[str]
    rows: Iterator[tuple[str, list[str]]]


def open_table(path: str, *, header: bool = True, lines: Iterator[tuple[int, str]] | None = None) -> Table:
    """The table in a file, whose numbered lines may have been read already.

    Raises DataError where two columns have one name, a row has another number of fields than the first line, or the
    text is not UTF-8 or not CSV.
    """
    lines = read_lines(path) if lines is None else lines
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        raise DataError(f"{path}: empty, where a table is expected")
    start = f"{shown(path)}:{first[0]}"
    delimiter = _delimiter(first[1], start)
    own = [name.strip() for name in _fields(first[1], delimiter, start)]
    columns = own if header else [str(number) for number in range(1, len(own) + 1)]
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise DataError(f"{start}: two columns '{twice[0]}'; rename or remove one")

    def rows() -> Iterator[tuple[str, list[str]]]:
        if not header:
            yield start, own
        for number, line in lines:
            where = f"{shown(path)}:{number}"
            fields = _fields(line, delimiter, where)
            if not any(map(str.strip, fields)):
                continue
            if len(fields) != len(columns):
                raise DataError(
                    f"{where}: {len(fields)} fields, expected {len(columns)} ({', '.join(columns)}; parted by "
                    f"{_IN_WORDS[delimiter]})"
                )
            yield where, list(map(str.strip, fields))

    return Table(start, columns, rows())


def header_columns(line: str) -> list[str]:
    """The names of the columns in the first line of a table; none where it is no line of a table. It raises nothing."""
    try:
        return [name.strip() for name in _fields(line, _delimiter(line, ""), "")]
    except DataError:
        return []


def spelled(name: str) -> str:
    """The name of a column as names are compared: `Video-ID` and `video_id` are one."""
    return _SEPARATORS.sub("", _FRAMES.sub(r"\1", _UNIT.sub("", name.strip().casefold())))


def meanings(columns: Collection[str], usual: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The columns that are usual for each meaning, where there are any."""
    found = {meaning: [name for name in columns if spelled(name) in names] for meaning, names in usual.items()}
    return {meaning: names for meaning, names in found.items() if names}


def placed(
    table: Table, usual: Mapping[str, Collection[str]], said: Mapping[str, str] | None = None, *, mend: str = ""
) -> dict[str, int]:
    """The position of the column of each meaning, where the table has one.

    said: the columns that the user names, by meaning. mend: what the user may do where a column is not told. Raises
    UsageError for a meaning that there is none of, DataError for a column that is not there, and where two columns fit
    one meaning.
    """
    said = said or {}
    if unknown := [meaning for meaning in said if meaning not in usual]:
        raise UsageError(f"--columns {unknown[0]}=...: no such meaning; it is one of {', '.join(usual)}")
    for meaning, name in said.items():
        if name not in table.columns:
            raise DataError(f"{table.where}: no column '{name}' (--columns {meaning}={name}; {listed(table.columns)})")
    if twice := [name for name in said.values() if list(said.values()).count(name) > 1]:
        raise UsageError(f"--columns: '{twice[0]}' is given two meanings; a column has one")
    found = meanings([name for name in table.columns if name not in said.values()], usual)
    for meaning, names in found.items():
        if meaning not in said and len(names) > 1:
            raise DataError(
                f"{table.where}: the columns '{names[0]}' and '{names[1]}' may both be the {meaning}; "
                + (mend.format(meaning=meaning, name=names[0]) or "rename one")
            )
    chosen = {meaning: names[0] for meaning, names in found.items()} | dict(said)
    return {meaning: table.columns.index(name) for meaning, name in chosen.items()}


def listed(columns: Collection[str]) -> str:
    """`there are: a, b`, of the columns that have a name."""
    return f"there are: {', '.join(name for name in columns if name) or 'none'}"


def mend_of(*texts: str) -> str:
    """What to do where numbers are none as a spreadsheet writes them; empty where that is not why."""
    marks = {*"".join(texts)}
    if "%" in marks:
        return "; write shares, 0.95, for percentages"
    return "; write a point for the comma" if "," in marks else ""


def plain_number(text: str) -> float:
    """The number that a text is; raises ValueError for what is none. To Python alone 1_0 is ten."""
    if "_" in text:
        raise ValueError
    return float(text)


def seconds(text: str) -> float:
    """The time that a text is, in seconds or as [hh:]mm:ss[.fff]; raises ValueError for what is none."""
    if ":" not in text:
        return plain_number(text)
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        raise ValueError
    return int(found[1] or 0) * 3600 + int(found[2]) * 60 + float(found[3])


def _delimiter(line: str, where: str) -> str:
    """What parts the columns of a first line; raises DataError where two delimiters make equally many of it."""
    counts = dict.fromkeys(DELIMITERS, 0)
    for each in DELIMITERS:
        with suppress(DataError):  # Behind a closing quote there is only one that fits.
            counts[each] = len(_fields(line, each, where))
    most = max(counts.values())
    best = [each for each, count in counts.items() if count == most]
    if most > 1 and len(best) > 1:
        raise DataError(
            f"{where}: {' or '.join(map(_IN_WORDS.__getitem__, best))} may part the columns; quote the names"
        )
    return best[0]


def _fields(line: str, delimiter: str, where: str) -> list[str]:
    """The fields of a line. A row is one line: a stray quote swallows no other."""
    try:
        return next(csv.reader([line], strict=True, skipinitialspace=True, delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(
            f"{where}: not a line of CSV ({error}); quotes must close on the line where they open, and a field is "
            f"at most {csv.field_size_limit()} characters long"
        ) from error
