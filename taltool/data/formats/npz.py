"""Features as a folder of NumPy archives, one video each, ID.npz; which of their arrays is meant, the user says."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.feature_arrays import ArrayVideos, Source, files_below, is_folder_of, keyed
from taltool.data.formats import FORMATS
from taltool.data.formats.array_folders import write_arrays
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.data.numpy_files import numpy_reads


@FORMATS.register("npz")
class Npz(Format):
    """Archives of arrays, as np.savez writes them."""

    summary = "a folder of ID.npz, in each an array (snippets, channels), or several that --dataset names, see FEATURES"
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    is_folder = True

    def recognises(self, opening: Opening) -> bool:
        """A folder of nothing else."""
        return is_folder_of(opening, ".npz")

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        files, notes = files_below(path, ".npz")
        sources = {}
        for name, file in files.items():
            keys = _keys(file)
            for key, ending in zip(keys, keyed(keys, options, str(file)), strict=False):
                sources[name + ending] = Source(str(file), partial(_array, file, key))
        return contextlib.nullcontext(ArrayVideos(sources, options, path, notes).features())

    def write(self, content: Features, path: str, options: FormatOptions) -> list[str]:
        """Lost: clocks, streams, and all attributes."""
        return write_arrays(content, path, ".npz", lambda stream, values: np.savez(stream, features=values))


def _keys(file: Path) -> list[str]:
    with numpy_reads(str(file), "not a NumPy archive"), np.load(file, allow_pickle=False) as archive:
        return list(archive.files)


def _array(file: Path, key: str) -> NDArray[Any]:
    with numpy_reads(str(file), f"its array '{key}' cannot be read"), np.load(file, allow_pickle=False) as archive:
        found: NDArray[Any] = archive[key]
    return found
