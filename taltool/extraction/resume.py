"""How a killed extraction continues: the folder in which finished videos wait.

Each finished video is one file in that folder, written beside its name and renamed, so it is there wholly or not at
all. Frames lie in a second file, which is there before the first one tells of it. The folder stands beside the feature
file and vanishes when that is written.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from taltool.data.clock import FeatureClock
from taltool.data.files import replacing
from taltool.data.hdf5_features import VideoFeatures, unlike
from taltool.data.numpy_files import numpy_reads
from taltool.data.stored_frames import StoredFrames, path_of
from taltool.errors import DataError
from taltool.extraction.backbone_settings import BACKBONE_FILE
from taltool.extraction.pipeline import SOURCE

_SUFFIX, _FRAMES = ".video", ".frames"
_DAMAGED = (OSError, ValueError, KeyError, AttributeError, TypeError, DataError)


def identity_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a video's features were made, see `VideoSource.identity`; attributes are those of the video.

    Empty, as that of no video is, where they do not say.
    """
    try:
        identity: dict[str, Any] = orjson.loads(attributes[SOURCE])
    except (KeyError, orjson.JSONDecodeError, TypeError):
        return {}
    return identity


def what_changed(settings: str, before: str) -> str:
    """In words, in what the settings of an extraction (`ExtractionSettings.record`) are others than before."""
    try:
        now, then = orjson.loads(settings), orjson.loads(before)
        files = {key for key in now.keys() & then.keys() if key.rpartition(".")[2] == BACKBONE_FILE}
        edited = sorted(key for key in files if now[key] != then[key])
    except (orjson.JSONDecodeError, AttributeError):  # Another program's.
        edited = []
    if not edited:
        return f"now {unlike(settings, before)}"
    names = [key.rpartition(".")[0] for key in edited]
    now |= {key: then[key] for key in edited}
    rest = unlike(orjson.dumps(now).decode(), before)
    of = f"backbone {' and '.join(names)}" if any(names) else "the backbone"
    return f"the file of {of} has changed" + (f"; now {rest}" if rest else "")


class PartialResults:
    """The finished videos of one extraction into `output`; settings is the record of how they are made.

    Raises DataError where the folder cannot be made, or holds videos that were made with other settings.
    """

    def __init__(self, output: str, settings: str) -> None:
        self.folder = self.folder_of(output)
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(f"{output}: cannot write there: {error.strerror}") from error
        marker = self.folder / "settings.json"
        if marker.exists():
            if (begun := marker.read_text("utf-8", "replace")) == settings:
                return
            if any(self.ids()):
                raise DataError(
                    f"{self.folder}: an unfinished extraction with other settings lies there "
                    f"({what_changed(settings, begun)}); finish that one, or remove the folder"
                )
        try:
            with replacing(marker) as temporary:
                temporary.write_text(settings, "utf-8")
        except OSError as error:
            raise DataError(f"{self.folder}: cannot write there: {error.strerror or error}") from error

    @staticmethod
    def folder_of(output: str) -> Path:
        """The folder beside the feature file `output`."""
        return Path(f"{output}.partial")

    def save(self, video: VideoFeatures) -> None:
        """Add a finished video, and take over the file of its frames.

        Raises DataError, saying what to do, where it cannot be written.
        """
        metadata = {"video_id": video.video_id, "clock": asdict(video.clock), "attributes": dict(video.attributes)}
        path, values = self._path(video.video_id), dict[str, Any]()
        try:
            if isinstance(video.values, StoredFrames):
                video.values.path.replace(path.with_suffix(_FRAMES))
                metadata["frames"] = {"shape": video.values.shape, "checksum": video.values.checksum}
            else:
                values["values"] = video.values
            with replacing(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, facts=np.frombuffer(orjson.dumps(metadata), np.uint8), **values)
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot write there: {error.strerror or error}; videos that are finished wait there: "
                "make room and run the command again"
            ) from error

    def load(self, video_id: str) -> VideoFeatures:
        """A finished video; raises DataError, saying what to do, where it was damaged since, and removes it."""
        path = self._path(video_id)
        try:
            with numpy_reads(str(path), "damaged"), np.load(path, allow_pickle=False) as members:
                metadata = orjson.loads(members["facts"].tobytes())
                values: Any = members["values"] if "frames" not in metadata else None
            if values is not None and (values.ndim != 2 or values.dtype.kind != "f"):
                raise DataError(f"{path}: no features in it")
            if values is None:
                stored = metadata["frames"]
                values = StoredFrames(path.with_suffix(_FRAMES), tuple(stored["shape"]), stored["checksum"])
                values.check()
            return VideoFeatures(video_id, values, FeatureClock(**metadata["clock"]), dict(metadata["attributes"]))
        except _DAMAGED as error:
            path.unlink(missing_ok=True)
            path.with_suffix(_FRAMES).unlink(missing_ok=True)
            raise DataError(
                f"{self.folder}: the features of video '{video_id}' were damaged or removed there: run the command "
                "again, which makes them anew"
            ) from error

    def identity(self, video_id: str) -> dict[str, Any] | None:
        """Of what a finished video was made, without reading its features; None if it is not there."""
        metadata = _metadata(self._path(video_id))
        return None if metadata is None else identity_of(metadata.get("attributes", {}))

    def ids(self) -> Iterator[str]:
        """The ids of all finished videos."""
        for path in self.folder.glob(f"*{_SUFFIX}"):
            if (metadata := _metadata(path)) and isinstance(metadata.get("video_id"), str):
                yield metadata["video_id"]

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)

    def _path(self, video_id: str) -> Path:
        """Where a video lies."""
        return path_of(self.folder, video_id, _SUFFIX)


def _metadata(path: Path) -> dict[str, Any] | None:
    try:
        with numpy_reads(str(path), "damaged"), np.load(path, allow_pickle=False) as members:
            metadata = orjson.loads(members["facts"].tobytes())
    except _DAMAGED:
        return None
    return metadata if isinstance(metadata, dict) else None
