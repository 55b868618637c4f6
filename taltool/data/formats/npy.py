"""Features as a folder of NumPy files, one (T, C) array per video, ID.npy; their clock is nowhere."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.feature_arrays import ArrayVideos, Source, files_below
from taltool.data.formats import FORMATS
from taltool.data.formats.array_folders import write_arrays
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.data.numpy_files import numpy_reads
from taltool.errors import DataError


@FORMATS.register("npy")
class Npy(Format):
    """What many extractors of the field write."""

    summary = (
        "a folder of ID.npy, each an array (snippets, channels), see FEATURES; needs --fps, --stride and --window, or "
        "--durations where each video is divided evenly"
    )
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    is_folder = True
    suffixes = ("",)

    def recognises(self, opening: Opening) -> bool:
        """A folder with arrays."""
        return ".npy" in opening.suffixes

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        files, notes = files_below(path, ".npy")
        sources = {name: Source(str(file), partial(_mapped, file)) for name, file in files.items()}
        return contextlib.nullcontext(ArrayVideos(sources, options, path, notes).features())

    def write(self, content: Features, path: str, options: FormatOptions) -> list[str]:
        """Lost: clocks, streams, and all attributes."""
        return write_arrays(content, path, ".npy", partial(np.save, allow_pickle=False))


def _mapped(file: Path) -> NDArray[Any]:
    """The array of a file, mapped into memory; raises DataError where it is none."""
    with numpy_reads(str(file), "not an array of numbers"):
        found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray):
        raise DataError(f"{file}: not an array but an archive of arrays; call it {file.stem}.npz")
    return found
