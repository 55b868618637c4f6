"""Features as a folder of tables, one video each, ID.csv: a row of numbers a snippet, as TSN's for BSN and BMN."""

import contextlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taltool.data.columns import listed, plain_number, spelled
from taltool.data.feature_arrays import ArrayVideos, Source, files_below
from taltool.data.files import read_text
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.errors import DataError, UsageError

# What columns are called, in the spelling of `spelled`, that say which snippet a row is of: no channels.
_PLACES = frozenset({
    "frame", "frames", "frameid", "frameno", "framenum", "framenumber", "frameindex", "frameidx", "time", "times",
    "timestamp", "timestamps", "timesec", "timeseconds", "seconds", "sec", "start", "end", "starttime", "endtime",
    "startsec", "endsec", "startseconds", "endseconds", "startframe", "endframe", "tstart", "tend", "snippet",
    "snippetid", "snippetindex", "snippetidx", "clip", "clipid", "clipindex", "index", "idx", "row", "rowid",
})  # fmt: skip
# In so many rows or more, numbers that go up in steps which differ by this share at most do not so by chance.
_FEWEST_EVEN, _EVEN = 6, 0.05
_SHOWN = 8


@FORMATS.register("csv-features")
class CsvFeatures(Format):
    """Rows of numbers, with or without the names of their columns."""

    summary = (
        "a folder of ID.csv, each a row of numbers a snippet, with or without a header, see FEATURES; read by --from "
        "csv-features alone"
    )
    kinds = ("features",)
    heeds = frozenset({"dataset", "columns"})
    is_folder = True
    is_written = False

    def recognises(self, opening: Opening) -> bool:
        """Never: a folder of tables may be anything."""
        return False

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        if unknown := [meaning for meaning in options.columns if meaning not in ("frame", "time")]:
            raise UsageError(
                f"--columns {unknown[0]}=...: of features it is frame=NAME or time=NAME, a column that is no channel"
            )
        files, notes = files_below(path, ".csv")
        sources = {name: Source(str(file), partial(_table, file, options, notes)) for name, file in files.items()}
        return contextlib.nullcontext(ArrayVideos(sources, options, path, notes).features())


def _table(file: Path, options: FormatOptions, notes: list[str]) -> NDArray[np.float64]:
    """The rows of a table, (T, C), without the columns that are no channels, which `notes` gets to know.

    Raises DataError, naming the line, for what is no number, and for a first column that seems to count.
    """
    lines = [(number, line) for number, line in enumerate(read_text(str(file)).splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{file}: empty")
    first = lines[0][1]
    separator = next((each for each in (",", ";", "\t") if each in first), None)
    header = [cell.strip().strip('"') for cell in first.split(separator)]
    # pandas numbers columns that have no names, and puts the numbers of the rows under an empty name.
    named = header[1:] if header[0] == "" else header
    is_pandas = header[0] == "" or named == [str(n) for n in range(len(named))]
    is_header = options.header and (is_pandas or not all(map(_is_number, named)))
    names = header if is_header else [str(n) for n in range(1, len(header) + 1)]
    channels = _channels(names, options, file, notes)
    rows = []
    for number, line in lines[is_header:]:
        cells = line.split(separator)
        if len(cells) != len(header):
            raise DataError(f"{file}:{number}: {len(cells)} numbers, in the line above {len(header)}")
        if "_" in line:  # To NumPy 1_0 is ten.
            raise DataError(f"{file}:{number}: not a row of numbers ({line[:40]!r})")
        try:
            rows.append(np.array([cells[place] for place in channels], np.float64))
        except ValueError as error:
            raise DataError(f"{file}:{number}: not a row of numbers ({error})") from error
    if not rows:
        raise DataError(f"{file}: a header, and no row of numbers")
    values = np.stack(rows)
    if _counts(values[:, 0]):
        shown = ", ".join(f"{each:g}" for each in values[:3, 0])
        name = names[channels[0]]
        raise DataError(
            f"{file}: column '{name}' goes up evenly ({shown}, ...): is it the frame or time of a snippet? --columns "
            f"frame={name} leaves it out; a channel that does so has to be in .npy"
        )
    return values


def _channels(names: list[str], options: FormatOptions, file: Path, notes: list[str]) -> list[int]:
    """The positions of the columns that are channels; raises DataError where there are none, or one said is absent."""
    shown = listed(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    for meaning, name in options.columns.items():
        if name not in names:
            raise DataError(f"{file}: no column '{name}' (--columns {meaning}={name}; {shown})")
    others = [name for name in names if spelled(name) in _PLACES or name in options.columns.values()]
    note = f"the columns {', '.join(others)}, which are no channels"
    if others and note not in notes:
        notes.append(note)
    found = [place for place, name in enumerate(names) if name not in others and (place or name)]
    if not found:
        raise DataError(f"{file}: no column of a channel ({shown})")
    return found


def _counts(column: NDArray[np.float64]) -> bool:
    """Whether these numbers go up evenly, as those of frames do, and hardly any channel."""
    with np.errstate(invalid="ignore"):
        steps = np.diff(column)
    return len(column) >= _FEWEST_EVEN and bool(steps.min() > 0 and np.ptp(steps) <= _EVEN * steps.mean())


def _is_number(text: str) -> bool:
    try:
        plain_number(text)
    except ValueError:
        return False
    return True
