"""What the formats that write a folder of arrays, one file a video, share."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from numpy.typing import NDArray

from taltool.data.feature_arrays import is_hidden
from taltool.data.file_names import create_below
from taltool.data.formats.contract import Features
from taltool.data.formats.tables import new_folder
from taltool.errors import DataError


def write_arrays(
    content: Features, path: str, suffix: str, save: Callable[[BinaryIO, NDArray[Any]], None]
) -> list[str]:
    """Write each video by `save` to a file of its own in a new folder, and return what is lost.

    Raises DataError where there is no video, and for an id that is no name of a file, or that of a hidden one.
    """
    if not content.ids:
        raise DataError(f"{path}: no videos, and a folder of none is no folder of features")
    settings: set[str] = set()
    with new_folder(path) as folder:
        for video_id in content.ids:
            if is_hidden(PurePosixPath(video_id)):
                raise DataError(f"{path}: video '{video_id}' would be a hidden file, which is not read; rename it")
            with create_below(folder, video_id, suffix, f"{path}: video") as stream:
                save(stream, content.values(video_id))
            settings.add(str(content.clock(video_id)))
    lost = [f"the clocks ({'; '.join(sorted(settings)[:3])}{'; ...' if len(settings) > 3 else ''}) and durations"]
    lost += ["the streams"] * bool(content.streams) + ["the attributes"] * bool(content.attributes)
    return lost + ["the provenance"] * bool(content.provenance)
