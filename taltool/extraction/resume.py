"""How a killed extraction continues: which videos are left, and the folder in which finished ones wait.

Each finished video is one file in that folder, written beside its name and renamed, so it is there wholly or not at
all. The folder stands beside the feature file and vanishes when that is written.
"""

import hashlib
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from taltool.data.clock import FeatureClock
from taltool.data.files import replacing
from taltool.data.hdf5_features import FeatureFile, VideoFeatures, unlike
from taltool.errors import DataError
from taltool.video.sources import VideoSource

_SUFFIX = ".video"


def sources_in(output: str) -> dict[str, dict[str, Any]]:
    """The identity of the source of every video that `output` holds; empty where it is not there."""
    if not Path(output).exists():
        return {}
    with FeatureFile(output) as file:
        return {video_id: orjson.loads(file.video_attributes(video_id)["source"]) for video_id in file.ids}


def videos_left_to_extract(
    sources: Iterable[VideoSource], earlier: Mapping[str, Mapping[str, Any]], partial_results: "PartialResults"
) -> list[VideoSource]:
    """The sources that are still to be extracted: new ones, and those that have changed since.

    earlier says of what the videos of the feature file were made, see `sources_in`.
    """
    return [source for source in sources if not _is_extracted(source, earlier, partial_results)]


def _is_extracted(
    source: VideoSource, earlier: Mapping[str, Mapping[str, Any]], partial_results: "PartialResults"
) -> bool:
    try:
        identity = source.identity()
    except Exception:  # Of any kind: it is told when this video is read.
        return False
    if earlier.get(source.video_id) == identity:
        return True
    waiting = partial_results.source(source.video_id)
    return waiting is not None and orjson.loads(waiting) == identity


class PartialResults:
    """The finished videos of one extraction into `output`; settings is a text that says how they were made.

    Raises DataError where the folder cannot be made, or holds videos that were made with other settings.
    """

    def __init__(self, output: str, settings: str) -> None:
        self.folder = self.folder_of(output)
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(f"{output}: cannot write there: {error.strerror}") from error
        self._keep_to(settings)

    @staticmethod
    def folder_of(output: str) -> Path:
        """The folder beside the feature file `output`."""
        return Path(f"{output}.partial")

    def _keep_to(self, settings: str) -> None:
        marker = self.folder / "settings.json"
        if marker.exists() and (begun := marker.read_text("utf-8")) != settings:
            raise DataError(
                f"{self.folder}: an unfinished extraction with other settings lies there (now "
                f"{unlike(settings, begun)}); finish that one, or remove the folder"
            )
        if not marker.exists():
            try:
                with replacing(marker) as temporary:
                    temporary.write_text(settings, "utf-8")
            except OSError as error:
                raise DataError(f"{self.folder}: cannot write there: {error.strerror or error}") from error

    def save(self, video: VideoFeatures) -> None:
        """Add a finished video; raises DataError, saying what to do, where it cannot be written."""
        metadata = {"video_id": video.video_id, "clock": asdict(video.clock), "attributes": dict(video.attributes)}
        path = self._path(video.video_id)
        try:
            with replacing(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, values=video.values, facts=np.frombuffer(orjson.dumps(metadata), np.uint8))
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot write there: {error.strerror or error}; videos that are finished wait there: "
                "make room and run the command again"
            ) from error

    def load(self, video_id: str) -> VideoFeatures | None:
        """A finished video; None if it is not there, or was damaged since: then it is removed."""
        path = self._path(video_id)
        video = _read(path)
        if video is None:
            path.unlink(missing_ok=True)
        return video

    def source(self, video_id: str) -> str | None:
        """The attribute `source` of a finished video, without reading its features; None if it is not there."""
        metadata = _metadata(self._path(video_id))
        return None if metadata is None else str(metadata["attributes"]["source"])

    def ids(self) -> Iterator[str]:
        """The ids of all finished videos."""
        for path in self.folder.glob(f"*{_SUFFIX}"):
            if metadata := _metadata(path):
                yield metadata["video_id"]

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)

    def _path(self, video_id: str) -> Path:
        """Where a video lies: its id may hold what file names may not."""
        name = hashlib.sha256(video_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return self.folder / (name + _SUFFIX)


_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def _metadata(path: Path) -> dict[str, Any] | None:
    try:
        with np.load(path, allow_pickle=False) as members:
            metadata: dict[str, Any] = orjson.loads(members["facts"].tobytes())
    except _DAMAGED:
        return None
    return metadata


def _read(path: Path) -> VideoFeatures | None:
    metadata = _metadata(path)
    if metadata is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as members:
            values = members["values"]
    except _DAMAGED:
        return None
    return VideoFeatures(metadata["video_id"], values, FeatureClock(**metadata["clock"]), metadata["attributes"])
