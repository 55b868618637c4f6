"""Features as a folder of NumPy files, one (T, C) array per video, ID.npy; their clock is nowhere."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.clock import FeatureClock, clock_from
from taltool.data.files import create_below, utf8_stem
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.data.formats.tables import new_folder
from taltool.errors import DataError


@FORMATS.register("npy")
class Npy(Format):
    """What many extractors of the field write."""

    summary = (
        "a folder of ID.npy, each an array (snippets, channels); needs --fps, --stride and --window, or --durations "
        "where each video is divided evenly"
    )
    kinds = ("features",)
    is_folder = True
    suffixes = ("",)

    def recognises(self, opening: Opening) -> bool:
        """A folder with arrays."""
        return ".npy" in opening.suffixes

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        folder = _Folder(Path(path), options)
        return contextlib.nullcontext(
            Features(sorted(folder.files), folder.shape, folder.clock, folder.values, folder.extras)
        )

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


class _Folder:
    """The arrays below a folder; a video id is the path below it without .npy."""

    def __init__(self, path: Path, options: FormatOptions) -> None:
        self.path, self.options = path, options
        self.files = {utf8_stem(file, path): file for file in path.rglob("*.npy")}
        if not self.files:
            raise DataError(f"{path}: no *.npy in it")

    def array(self, video_id: str) -> NDArray[np.floating[Any]]:
        """The array, mapped into memory."""
        file = self.files[video_id]
        try:
            values = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{file}: not an array of numbers ({error})") from error
        if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
            raise DataError(f"{file}: expected numbers of shape (T, C), found {values.dtype} {values.shape}")
        found: NDArray[np.floating[Any]] = values
        return found

    def shape(self, video_id: str) -> tuple[int, int]:
        length, channels = self.array(video_id).shape
        return length, channels

    def clock(self, video_id: str) -> FeatureClock:
        length, _ = self.shape(video_id)
        return clock_from(self.options.clock, length, self.options.durations.get(video_id), str(self.files[video_id]))

    def values(self, video_id: str) -> NDArray[np.floating[Any]]:
        values = np.array(self.array(video_id))
        if values.dtype not in (np.float16, np.float32):
            values = values.astype(np.float32)
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise DataError(
                f"{self.files[video_id]}: snippet {row}, channel {column} is {values[row, column]}; extract it again"
            )
        return values

    def extras(self, video_id: str) -> dict[str, Any]:
        return {"source": self.files[video_id].name}
