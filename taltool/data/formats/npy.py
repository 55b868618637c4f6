"""Features as a folder of NumPy files, one (T, C) array per video, ID.npy; their clock is nowhere."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.feature_arrays import ArrayVideos, Source, files_below
from taltool.data.files import create_below
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.data.formats.tables import new_folder
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
        sources = {name: Source(str(file), partial(_mapped, file)) for name, file in files_below(path, ".npy").items()}
        return contextlib.nullcontext(ArrayVideos(sources, options, path).features())

    def write(self, content: Features, path: str, options: FormatOptions) -> list[str]:
        """Lost: clocks, and all attributes."""
        if not content.ids:
            raise DataError(f"{path}: no videos, and a folder of none is no folder of features")
        settings: set[str] = set()
        with new_folder(path) as folder:
            for video_id in content.ids:
                with create_below(folder, video_id, ".npy", f"{path}: video") as stream:
                    np.save(stream, content.values(video_id), allow_pickle=False)
                settings.add(str(content.clock(video_id)))
        lost = [f"the clocks ({'; '.join(sorted(settings)[:3])}{'; ...' if len(settings) > 3 else ''}) and durations"]
        return lost + ["the attributes"] * bool(content.attributes) + ["the provenance"] * bool(content.provenance)


def _mapped(file: Path) -> NDArray[Any]:
    """The array of a file, mapped into memory; raises DataError where it is none."""
    try:
        found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy's parser of headers raises errors of many kinds.
        raise DataError(f"{file}: not an array of numbers ({error})") from error
    return found
