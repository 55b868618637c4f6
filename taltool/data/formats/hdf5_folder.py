"""Features as a folder of HDF5 files, one video each, ID.h5; many videos in one file are the format hdf5."""

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.feature_arrays import ArrayVideos, Source, files_below, is_folder_of, keyed
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.data.hdf5_features import FeatureFile
from taltool.errors import DataError

_SUFFIXES = (".h5", ".hdf5", ".hdf")


@FORMATS.register("hdf5-folder")
class Hdf5Folder(Format):
    """A file for each video, as some extractors and MATLAB write them."""

    summary = "a folder of ID.h5, in each a dataset (snippets, channels), or several that --dataset names, see FEATURES"
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    is_folder = True
    is_written = False

    def recognises(self, opening: Opening) -> bool:
        """A folder of nothing else."""
        return is_folder_of(opening, *_SUFFIXES)

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from the datasets and from `options`."""
        files, notes = files_below(path, *_SUFFIXES)
        sources = {}
        for name, file in files.items():
            with FeatureFile(str(file)) as opened:
                if not opened.is_foreign:
                    raise DataError(f"{file}: taltool wrote it, with the ids in it: give the files, not their folder")
                keys = opened.ids
                for key, ending in zip(keys, keyed(keys, options, str(file)), strict=False):
                    stored = opened.as_stored(key)
                    dataset = _Dataset(file, key, stored.shape, stored.dtype)
                    sources[name + ending] = Source(str(file), partial(_same, dataset), opened.attributes_of(key).copy)
        return contextlib.nullcontext(ArrayVideos(sources, options, path, notes).features())


def _same(dataset: "_Dataset") -> "_Dataset":
    return dataset


@dataclass(frozen=True)
class _Dataset:
    """A dataset of a file that is opened only while its values are read."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Its values."""
        with FeatureFile(str(self.file)) as opened:
            stored = opened.as_stored(self.name)
            try:
                return np.asarray(stored[()], dtype)
            except OSError as error:
                raise DataError(f"{self.file}: dataset '{self.name}' cannot be read ({error})") from error
