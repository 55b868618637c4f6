"""Folders of proposals as BMN, BSN, G-TAD and MMAction leave them: a CSV for each video, columns xmin and xmax.

Times are shares of the video (BMN, BSN, MMAction, and G-TAD on ActivityNet), or with --fps frames (G-TAD on THUMOS14,
which cuts a video into windows, VIDEO_0.csv, VIDEO_1.csv, ...: they become one video where --durations knows it). The
score is the column `score`, or else the product of all columns whose names end so, which is what those programs
multiply too; G-TAD and BMN spell one of them `reg_socre`.

A file is `v_ID.csv` where the ground truth says `ID`; the videos get the ids that --durations has.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from taltool.data.file_names import utf8_stem
from taltool.data.files import STANDARD
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row, RowShelf, read_table, score, segment, to_proposals, valid
from taltool.data.formats.text_folders import first_lines
from taltool.errors import DataError, UsageError

_BOUNDS = (("xmin", "xmax"), ("tmin", "tmax"))
# MMAction writes the scores of single snippets beside these times too: they are no proposals.
_SNIPPETS = {"action", "start", "end"}
_SCORE_ENDINGS = ("score", "socre")


@FORMATS.register("bmn")
class Bmn(Format):
    """A CSV for each video."""

    summary = (
        "a folder with a CSV for each video, xmin,xmax (or tmin,tmax) and scores, as BMN, BSN, G-TAD and MMAction leave"
        " it; times are shares of the video, which needs --durations, or with --fps frames"
    )
    kinds = ("proposals",)
    heeds = frozenset({"fps"})
    is_written = False
    is_folder = True

    def recognises(self, opening: Opening) -> bool:
        """A folder whose first CSV names such columns, or one such CSV."""
        if not opening.suffixes:
            return _bounds(opening.first_line().split(",")) is not None
        files = first_lines(opening.path, ".csv") if ".csv" in opening.suffixes else iter(())
        _, header = next(files, (None, ""))
        return _bounds(header.split(",")) is not None

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals]:
        """Read all files of the folder, or the one file."""
        folder = Path(path) if Path(path).is_dir() else Path(path).parent
        files = sorted(folder.rglob("*.csv")) if Path(path).is_dir() else [Path(path)]
        if path == STANDARD:
            raise UsageError("-: the name of a file is the id of its video, and standard input has none: name the file")
        if not files:
            raise DataError(f"{path}: no *.csv in it; expected a folder with one for each video")
        notes: list[str] = []
        ids = {file: _video_id(file, folder, options.durations) for file in files}
        if "fps" not in options.clock:
            _refuse_shared(ids)
        rows = (row for file, video_id in ids.items() for row in _rows(file, video_id, options))
        with RowShelf(valid(_not_shares(rows, path, options), options, notes)) as shelf:
            yield to_proposals(shelf, options, notes, list(dict.fromkeys(ids.values())))


def _bounds(columns: list[str]) -> tuple[str, str] | None:
    names = {name.strip() for name in columns}
    return None if names >= _SNIPPETS else next((pair for pair in _BOUNDS if names >= {*pair}), None)


def _video_id(file: Path, folder: Path, durations: Mapping[str, float]) -> str:
    """The id of the video that a file is of: the one that the durations have, or else its name."""
    name = utf8_stem(file, folder)
    window_of = name.rpartition("_")[0] if name.rpartition("_")[2].isdecimal() else name
    known = (name, name.removeprefix("v_"), window_of, window_of.removeprefix("v_"))
    return next((each for each in known if each in durations), name)


def _refuse_shared(ids: Mapping[Path, str]) -> None:
    """Raise DataError where two files are of one video: times that are shares of windows cannot be joined."""
    first: dict[str, Path] = {}
    for file, video_id in ids.items():
        other = first.setdefault(video_id, file)
        if other != file:
            raise DataError(
                f"{file}: of video '{video_id}', as {other} is; windows of one are read in frames (--fps), else leave "
                "one of the two out"
            )


def _not_shares(rows: Iterator[Row], path: str, options: FormatOptions) -> Iterator[Row]:
    """The rows; raises DataError after the last where all times that were to be frames are shares."""
    latest = 0.0
    for row in rows:
        latest = max(latest, row.end)
        yield row
    if "fps" in options.clock and 0 < latest * options.clock["fps"] <= 1:
        raise DataError(f"{path}: no time is above 1: these are shares of the video, not frames; leave --fps out")


def _rows(file: Path, video_id: str, options: FormatOptions) -> Iterator[Row]:
    columns, table = read_table(str(file), ())
    bounds = _bounds(columns)
    if bounds is None:
        raise DataError(
            f"{file}:1: expected proposals, with columns xmin and xmax (or tmin and tmax); there are: "
            f"{', '.join(columns)}"
        )
    scores = [name for name in columns if name.endswith(_SCORE_ENDINGS)]
    if "score" in scores:
        scores = ["score"]
    fps, duration = options.clock.get("fps"), options.durations.get(video_id)
    if fps is None and duration is None:
        raise DataError(
            f"{file}: times are shares of the video, and the duration of '{video_id}' is not known: give --durations "
            "FILE; or --fps where they are frames"
        )
    for where, fields in table:
        start, end = segment(fields[bounds[0]], fields[bounds[1]], where)
        known = math.prod(score(fields[name], where) for name in scores) if scores else None
        if fps is not None:
            start, end = start / fps, end / fps
        elif duration is not None:
            if max(start, end) > 1:
                raise DataError(
                    f"{where}: [{start:g}, {end:g}] are no shares of the video; are these frames? then give --fps"
                )
            start, end = start * duration, end * duration
        yield Row(video_id, start, end, score=known, where=where)
