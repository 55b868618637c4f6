"""Features as a folder of tables, one video each, ID.csv: a row of numbers a snippet, as TSN's for BSN and BMN."""

import contextlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taltool.data.columns import plain_number
from taltool.data.feature_arrays import ArrayVideos, Source, files_below
from taltool.data.files import read_text
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.errors import DataError


@FORMATS.register("csv-features")
class CsvFeatures(Format):
    """Rows of numbers, with or without the names of their columns."""

    summary = (
        "a folder of ID.csv, each a row of numbers a snippet, with or without a header, see FEATURES; read by --from "
        "csv-features alone"
    )
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    is_folder = True
    is_written = False

    def recognises(self, opening: Opening) -> bool:
        """Never: a folder of tables may be anything."""
        return False

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        sources = {name: Source(str(file), partial(_table, file)) for name, file in files_below(path, ".csv").items()}
        return contextlib.nullcontext(ArrayVideos(sources, options, path).features())


def _table(file: Path) -> NDArray[np.float64]:
    """The rows of a table, (T, C); raises DataError, naming the line, for what is no number."""
    lines = [(number, line) for number, line in enumerate(read_text(str(file)).splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{file}: empty")
    first = lines[0][1]
    separator = next((each for each in (",", ";", "\t") if each in first), None)
    header = [cell.strip().strip('"') for cell in first.split(separator)]
    # pandas numbers columns that have no names, and puts the numbers of the rows under an empty name.
    named = header[1:] if header[0] == "" else header
    is_header = header[0] == "" or named == [str(n) for n in range(len(named))] or not all(map(_is_number, named))
    rows = []
    for number, line in lines[is_header:]:
        cells = line.split(separator)
        if len(cells) != len(header):
            raise DataError(f"{file}:{number}: {len(cells)} numbers, in the line above {len(header)}")
        if "_" in line:  # To NumPy 1_0 is ten.
            raise DataError(f"{file}:{number}: not a row of numbers ({line[:40]!r})")
        try:
            rows.append(np.array(cells[header[0] == "" :], np.float64))
        except ValueError as error:
            raise DataError(f"{file}:{number}: not a row of numbers ({error})") from error
    if not rows:
        raise DataError(f"{file}: a header, and no row of numbers")
    return np.stack(rows)


def _is_number(text: str) -> bool:
    try:
        plain_number(text)
    except ValueError:
        return False
    return True
