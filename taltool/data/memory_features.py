"""Features that were made in memory, read as those of a feature file are."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FRAMES_NDIM, VideoFeatures


class MemoryFeatures:
    """The features of the videos that are in use now, read as by `FeatureFile`: `add` a video, `remove` it when done.

    Used as a `with` block, at whose end none is left. ids are the videos that come in time, streams the channel ranges
    [first, last) by name; path stands for the name of a file in messages.
    """

    def __init__(self, ids: Sequence[str], streams: Mapping[str, tuple[int, int]], path: str) -> None:
        self.ids, self.streams, self.path = list(ids), dict(streams), path
        self._videos: dict[str, VideoFeatures] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._videos.clear()

    def add(self, video: VideoFeatures) -> None:
        """Hold the features of one more video."""
        self._videos[video.video_id] = video

    def remove(self, video_id: str) -> None:
        """Forget one video."""
        del self._videos[video_id]

    def shape(self, video_id: str) -> tuple[int, int]:
        """(T, C) of one video."""
        length, *_, channels = self._videos[video_id].values.shape
        return length, channels

    def frame_size(self, video_id: str) -> tuple[int, int] | None:
        """Height and width of the frames of one video; None for features."""
        _, *size, _ = self._videos[video_id].values.shape
        return (size[0], size[1]) if size else None

    def clock(self, video_id: str) -> FeatureClock:
        """The clock of one video."""
        return self._videos[video_id].clock

    def read(
        self, video_id: str, first: int = 0, last: int | None = None, channels: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Snippets [first, last) of one video as float32 (T, C), frames as uint8 (T, H, W, C); `channels` picks
        columns."""
        values = self._videos[video_id].values[first:last]
        if channels is not None:
            values = values[..., channels]
        return np.asarray(values, np.uint8 if values.ndim == FRAMES_NDIM else np.float32)

    def where(self, video_id: str) -> str:
        """One video, for messages."""
        return f"video '{video_id}'"
