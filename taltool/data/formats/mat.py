"""Features as a folder of MATLAB files, one video each, ID.mat, up to version 7; later ones are HDF5."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.feature_arrays import ArrayVideos, Source, files_below, is_folder_of, keyed
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.errors import DataError, UsageError


@FORMATS.register("mat")
class Mat(Format):
    """Variables of MATLAB."""

    summary = (
        "a folder of MATLAB's ID.mat, in each a variable (snippets, channels), or several that --dataset names, see "
        "FEATURES; needs pip install 'taltool[mat]'"
    )
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    is_folder = True
    is_written = False

    def recognises(self, opening: Opening) -> bool:
        """A folder of nothing else."""
        return is_folder_of(opening, ".mat")

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        files, notes = files_below(path, ".mat")
        sources = {}
        for name, file in files.items():
            keys = [key for key, *_ in _ask(file, "whosmat")]
            for key, ending in zip(keys, keyed(keys, options, str(file)), strict=False):
                sources[name + ending] = Source(str(file), partial(_variable, file, key))
        return contextlib.nullcontext(ArrayVideos(sources, options, path, notes).features())


def _variable(file: Path, key: str) -> NDArray[Any]:
    return np.asarray(_ask(file, "loadmat", variable_names=[key])[key])


def _ask(file: Path, function: str, **options: Any) -> Any:
    """What a function of scipy.io says of a file."""
    try:
        from scipy import io
    except ImportError as error:
        raise UsageError(f"{file}: MATLAB's files need scipy: pip install 'taltool[mat]'") from error
    try:
        return getattr(io, function)(str(file), appendmat=False, **options)
    except NotImplementedError as error:
        raise DataError(
            f"{file}: of MATLAB 7.3, which is HDF5: --from hdf5-folder reads it, as a rule with --channels-first, for "
            "MATLAB lays down columns first"
        ) from error
    except Exception as error:  # scipy raises errors of every kind for what is no such file.
        raise DataError(f"{file}: not a file of MATLAB ({type(error).__name__}: {error})") from error
