"""Features that were made in memory, or frames that lie in files for a while, read as those of a feature file are."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import VideoFeatures
from taltool.data.stored_frames import StoredFrames, scratch_folder


class MemoryFeatures:
    """The features of the videos that are in use now, read as by `FeatureFile`: `add` a video, `remove` it when done.

    Used as a `with` block, at whose end none is left. ids are the videos that come in time, streams the channel ranges
    [first, last) by name; path stands for the name of a file in messages. Where `of_frames` is set, `folder` is one for
    the files of frames, which are removed with their videos, and the folder when the block ends.
    """

    def __init__(
        self, ids: Sequence[str], streams: Mapping[str, tuple[int, int]], path: str, of_frames: bool = False
    ) -> None:
        self.ids, self.streams, self.path, self._of_frames = list(ids), dict(streams), path, of_frames
        self.folder: Path | None = None
        self._videos: dict[str, VideoFeatures] = {}
        self._close = ExitStack()

    def __enter__(self) -> Self:
        if self._of_frames:
            self.folder = self._close.enter_context(scratch_folder())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._videos.clear()
        self._close.__exit__(kind, error, trace)

    def add(self, video: VideoFeatures) -> None:
        """Hold the features of one more video, whose file, if there is one, is removed with it."""
        self._videos[video.video_id] = video

    def remove(self, video_id: str) -> None:
        """Forget one video."""
        values = self._videos.pop(video_id).values
        if isinstance(values, StoredFrames):
            values.path.unlink()

    def shape(self, video_id: str) -> tuple[int, int]:
        """(T, C) of one video."""
        length, *_, channels = self._videos[video_id].values.shape
        return length, channels

    def frame_size(self, video_id: str) -> tuple[int, int] | None:
        """(H, W) of the frames of one video; None where it has features."""
        _, *size, _ = self._videos[video_id].values.shape
        return (size[0], size[1]) if size else None

    def clock(self, video_id: str) -> FeatureClock:
        """The clock of one video."""
        return self._videos[video_id].clock

    def read(
        self, video_id: str, first: int = 0, last: int | None = None, channels: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Snippets [first, last) of one video, float32 (n, C), or frames, uint8 (n, H, W, C); `channels` picks some."""
        values: NDArray[Any] = self._videos[video_id].values[first:last]
        if channels is not None:
            values = values[..., channels]
        return np.asarray(values, np.float32 if self.frame_size(video_id) is None else np.uint8)

    def where(self, video_id: str) -> str:
        """One video, for messages."""
        return f"video '{video_id}'"
