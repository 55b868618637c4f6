"""Clips of a frame store (`extract --backbone frames`) for models that learn from pixels.

They are sampled as features are, a snippet being a frame. Of each picture a network sees a square: the middle, or in
training one at random and perhaps mirrored, drawn once for each sample so that all of its frames move together.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.hdf5_features import FeatureFile
from taltool.data.memory_features import MemoryFeatures
from taltool.errors import DataError, UsageError
from taltool.experiment.sampling import DEFAULT_CACHE_BYTES, ChannelStatistics, FeatureSource
from taltool.experiment.settings import SamplingSettings
from taltool.models.contract import FrameInput

# The settings that change numbers of features, with what they are where they change nothing, and what is to be done.
_OF_FEATURES: Mapping[str, tuple[object, str]] = {
    "resize": ("window", "clips of frames are all of one length, and shorter videos are padded"),
    "window_seconds": (0.0, "frames are not interpolated: choose the rate where they are extracted (--fps)"),
    "normalize": ("none", "a model scales pixels itself"),
    "feature_noise": (0.0, "it is for features; frames are cropped and mirrored at random"),
    "feature_dropout": (0.0, "it is for features; frames are cropped and mirrored at random"),
    "time_dropout": (0.0, "it is for features; frames are cropped and mirrored at random"),
    "time_stretch": (1.0, "it is for features, which are resampled; frames are not"),
    "mixup": (0.0, "it is for features; frames are cropped and mirrored at random"),
}
# The other way round, by the byte of a displacement: of 0 to 255 the middle is none, which is kept as 128. (AFSD's code
# mirrors pictures of flow and leaves what they say of directions.)
_OPPOSITE = np.arange(255, -1, -1, dtype=np.uint8)
_OPPOSITE[128] = 128


class FrameSource(FeatureSource):
    """The frames of a frame store as a model `wanted` them: uint8 (T, H, W, C), `cropped` to (T, crop, crop, C).

    Raises UsageError for a setting that has a meaning for features only.
    """

    def __init__(
        self,
        file: FeatureFile | MemoryFeatures,
        settings: SamplingSettings,
        wanted: FrameInput,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        for name, (without, reason) in _OF_FEATURES.items():
            if (value := getattr(settings, name)) != without:
                word = f"{without:g}" if isinstance(without, float) else without
                raise UsageError(
                    f"sampling.{name} = {value} with a model that learns from frames: {reason}; "
                    f"--set sampling.{name}={word}"
                )
        super().__init__(file, settings, None, cache_bytes)
        self.wanted = wanted
        # In which of the chosen channels flow along x stands.
        self._flow_x: int | None = None
        if "flow" in file.streams and (not settings.streams or "flow" in settings.streams):
            x = file.streams["flow"][0]
            self._flow_x = x if self.channels is None else self.channels.tolist().index(x)

    def cropped(self, video_id: str, values: NDArray[Any], rng: np.random.Generator | None = None) -> NDArray[Any]:
        """See `FeatureSource.cropped`: the middle of each picture, or by `rng` a square of it, mirrored or not."""
        crop = self.wanted.crop
        room_above, room_left = self._room_around(video_id)
        top, left = room_above // 2, room_left // 2
        if rng is not None:
            top, left = int(rng.integers(0, room_above + 1)), int(rng.integers(0, room_left + 1))
        frames = values[:, top : top + crop, left : left + crop]
        is_mirrored = rng is not None and self.wanted.flip and rng.random() < 0.5
        return self._mirrored(frames) if is_mirrored else frames

    def _mirrored(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (T, H, W, C) as a camera sees them in a mirror, where what moved left moves right."""
        frames = frames[:, :, ::-1]
        if self._flow_x is not None:
            frames = frames.copy()
            frames[..., self._flow_x] = _OPPOSITE[frames[..., self._flow_x]]
        return frames

    def _room_around(self, video_id: str) -> tuple[int, int]:
        """By how much the pictures of a video are higher and wider than the crop; raises DataError if they are not."""
        height, width = self.file.frame_size(video_id) or (0, 0)
        crop = self.wanted.crop
        if min(height, width) < crop:
            raise DataError(
                f"{self.file.where(video_id)} has frames of {height} x {width}, and the model sees squares of {crop}: "
                "extract larger ones (--set backbone.height=..., --set backbone.width=...), or train with a smaller "
                "crop"
            )
        return height - crop, width - crop

    def check(self, video_ids: Iterable[str], who: str, mend: str) -> None:
        """See `FeatureSource.check`; raises DataError, too, for pictures smaller than the crop."""
        for video_id in video_ids:
            if self.file.frame_size(video_id) is None:
                raise UsageError(f"{self.file.where(video_id)} has features, and {who} learns from frames: {mend}")
            self._room_around(video_id)

    def _bytes_of_value(self, video_id: str) -> int:
        height, width = self.file.frame_size(video_id) or (0, 0)
        return height * width


def make_source(
    file: FeatureFile | MemoryFeatures,
    settings: SamplingSettings,
    wanted: FrameInput | None,
    statistics: ChannelStatistics | None = None,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
) -> FeatureSource:
    """The source of what a model sees; wanted: what it says of frames (`Model.frames_wanted`).

    Raises UsageError as `FrameSource` does.
    """
    if wanted is None:
        return FeatureSource(file, settings, statistics, cache_bytes)
    return FrameSource(file, settings, wanted, cache_bytes)
