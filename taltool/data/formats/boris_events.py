"""Tables of events that BORIS exports, tabular or aggregated, as CSV or TSV; read alone.

A row of the tabular export is an event, START, STOP or POINT, a row of the aggregated one a segment. Columns are found
by their names. The video is that of the first player; a time offset is undone.

Up to version 7 a tabular export was of one observation, which the lines above the table tell of.
"""

import contextlib
import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from taltool.data.columns import mend_of, plain_number
from taltool.data.files import read_lines, shown
from taltool.data.formats import FORMATS
from taltool.data.formats.annotation_tools import Video, content_of, counted, media_id
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row, segment
from taltool.errors import DataError

_NEEDED = ("Observation id", "Behavior", "Behavior type")
_TABULAR, _AGGREGATED = ("Time",), ("Start (s)", "Stop (s)")
# What the columns were called up to version 7, the first two of them, and the lines above that are columns now.
_OLD = {"Media file path": "Media file name", "Total length": "Media duration (s)", "Status": "Behavior type"}
_OLD_BEGIN = ["Time", "Media file path"]
_OLD_HEADER = re.compile(rb'[\r\n]"?Time"?[\t,;]"?Media file path"?[\t,;]')
_ABOVE = ("Observation id", "Time offset (s)")
_CLOCK = re.compile(r"(-?)(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.ASCII)
# What BORIS writes for a subject that nobody is.
_NOBODY = ("", "No focal subject")
# Files of a source: "player #1:/a/b.mp4|player #2:/a/c.mp4", files of one player parted by semicolons.
_PLAYERS = re.compile(r"player #\d+:\s*")


@FORMATS.register("boris-events")
class BorisEvents(Format):
    """A row for each event or segment."""

    summary = "events as BORIS exports them, tabular or aggregated, as CSV or TSV"
    kinds = ("annotations",)
    is_written = False
    tried_with = "BORIS 8.27.4"

    def recognises(self, opening: Opening) -> bool:
        """A first line with the columns of either."""
        line = opening.first_line()
        # Any other line is split all the same, where a reader of CSV would raise.
        names = [name.strip().strip('"').strip() for name in line.split(_delimiter(line))]
        columns = {_OLD.get(name, name) for name in names}
        if names[:2] == _OLD_BEGIN:
            return columns.issuperset(_NEEDED[1:])
        if names[0] == _ABOVE[0] and "Behavior" not in columns:
            return _OLD_HEADER.search(opening.head) is not None
        return columns.issuperset(_NEEDED) and (columns.issuperset(_TABULAR) or columns.issuperset(_AGGREGATED))

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read the segments of all observations."""
        table = _Table(path, options)
        videos = table.videos()
        with content_of(videos, options, table.notes(), path, scored=False) as content:
            yield content


def _delimiter(header: str) -> str:
    """What parts the fields of a table with this header, whose names have tabs in no case."""
    return "\t" if "\t" in header else max(",;", key=header.count)


def _fields(line: str, delimiter: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, strict=True), [])]


@dataclass(frozen=True)
class _Begun:
    time: float
    where: str


class _Table:
    """The rows of an export, made into videos."""

    def __init__(self, path: str, options: FormatOptions) -> None:
        self._path, self._drop = path, options.drop_invalid
        self._unpaired = self._modifiers = self._comments = 0
        self._subjects: dict[str, None] = {}

    def notes(self) -> list[str]:
        """What is left out, in words."""
        named = [each for each in self._subjects if each not in _NOBODY]
        return counted(
            [
                (self._unpaired, "states that start and never stop"),
                (len(named), f"subjects ({', '.join(named[:5])})"),
                (self._modifiers, "modifiers"),
                (self._comments, "comments"),
            ]
        )

    def videos(self) -> list[Video]:
        """The videos of all rows; raises DataError where two observations are of one, or one is of two."""
        videos: dict[str, Video] = {}
        owners: dict[str, str] = {}
        observed: dict[str, str] = {}
        begun: dict[tuple[str, ...], _Begun] = {}
        for where, row in self._rows():
            video_id = _video_of(row, where)
            owner = owners.setdefault(video_id, row["Observation id"])
            if owner != row["Observation id"]:
                raise DataError(
                    f"{where}: the observations '{owner}' and '{row['Observation id']}' are of one video, "
                    f"'{video_id}'; export one of them alone"
                )
            other = observed.setdefault(owner, video_id)
            if owner and other != video_id:
                raise DataError(
                    f"{where}: observation '{owner}' is of '{other}' and of '{video_id}', and times may count on "
                    "through them; make an observation of each in BORIS"
                )
            video = videos.setdefault(video_id, Video(video_id, _duration(row)))
            if (found := self._segment(row, begun, where)) is not None:
                offset = _number(row.get("Time offset (s)") or "0", where)
                start, end = segment(found[0] - offset, found[1] - offset, where)
                video.rows.append(Row(video_id, start, end, row["Behavior"], where=where))
        if begun and not self._drop:
            first = next(iter(begun.values()))
            raise DataError(f"{first.where}: starts and never stops; mend it in BORIS, or leave it out: --drop-invalid")
        self._unpaired = len(begun)
        return list(videos.values())

    def _rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        columns: list[str] = []
        above = dict.fromkeys(_ABOVE, "")
        delimiter = ""
        for number, line in read_lines(self._path):
            where = f"{shown(self._path)}:{number}"
            delimiter = delimiter or _delimiter(line)
            try:
                fields = _fields(line, delimiter)
            except csv.Error as error:
                raise DataError(f"{where}: not a line of a table ({error})") from error
            if not columns and fields[:2] == _OLD_BEGIN:
                columns = self._checked([_OLD.get(name, name) for name in fields], where, above)
            elif not columns and (number > 1 or (fields[:1] == [_ABOVE[0]] and "Behavior" not in fields)):
                above |= {name: told for name, told in [[*fields, "", ""][:2]] if name in above}
            elif not columns:
                columns, above = self._checked(fields, where), {}
            elif any(fields):
                if len(fields) != len(columns):
                    raise DataError(f"{where}: {len(fields)} fields, expected {len(columns)}")
                yield where, above | dict(zip(columns, fields, strict=True))
        if not columns:
            raise DataError(f"{shown(self._path)}: no columns of BORIS's exports, {', '.join(_OLD_BEGIN)}, ...")

    def _checked(self, columns: list[str], where: str, above: Iterable[str] = ()) -> list[str]:
        for needed in (_TABULAR, _AGGREGATED):
            missing = [name for name in (*_NEEDED, *needed) if name not in (*above, *columns)]
            if not missing:
                return columns
        raise DataError(f"{where}: no column '{missing[0]}' of BORIS's exports (there are: {', '.join(columns)})")

    def _segment(
        self, row: dict[str, str], begun: dict[tuple[str, ...], _Begun], where: str
    ) -> tuple[float, float] | None:
        """Start and end of the segment that ends with a row; None where one starts, or has to wait for its end."""
        modifiers = tuple(value for name, value in row.items() if name.startswith("Modifier") and value)
        kind = row["Behavior type"]
        self._subjects[row.get("Subject", "")] = None
        if "Start (s)" in row:
            self._count(row, modifiers)
            return _number(row["Start (s)"], where), _number(row["Stop (s)"], where)
        time = _number(row["Time"], where)
        if kind == "POINT":
            self._count(row, modifiers)
            return time, time
        key = row["Observation id"], row.get("Subject", ""), row["Behavior"], *modifiers
        if kind == "START" and key not in begun:
            self._count(row, modifiers)
            begun[key] = _Begun(time, where)
            return None
        if kind != "STOP" or key not in begun:
            raise DataError(f"{where}: '{kind}' of '{row['Behavior']}' does not follow on what is above it")
        return begun.pop(key).time, time

    def _count(self, row: dict[str, str], modifiers: tuple[str, ...]) -> None:
        self._modifiers += any(each != "None" for each in modifiers)
        self._comments += any(value for name, value in row.items() if name.startswith("Comment"))


def _video_of(row: dict[str, str], where: str) -> str:
    """The id of the video of a row: that of the first player's file, or of a live observation its own."""
    source = row.get("Source") or row.get("Media file name") or ""
    first = _PLAYERS.sub("", source.split("|")[0])
    if ";" in first:
        raise DataError(f"{where}: media files play one after the other, and times count on through them: {first[:80]}")
    if first in ("", "NA", "Not found", "LIVE"):
        first = row["Observation id"]
        if not first:
            raise DataError(f"{where}: names neither a media file nor an observation; no id for its video")
        return first
    return media_id(first, where)


def _duration(row: dict[str, str]) -> float | None:
    """Seconds that the video lasts, where the table says so."""
    text = (row.get("Media duration (s)") or "").split("|")[0]
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) and float(text) > 0 else None


def _number(text: str, where: str) -> float:
    if match := _CLOCK.fullmatch(text):
        seconds = int(match[2]) * 3600 + int(match[3]) * 60 + float(match[4])
        return -seconds if match[1] else seconds
    try:
        return plain_number(text)
    except ValueError:
        raise DataError(f"{where}: '{text}' is not a time in seconds, or as 01:02:03.004{mend_of(text)}") from None
