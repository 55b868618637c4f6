"""Where windows are cut: which stretch of a video a network sees at once, and the ground truth on its grid.

Positions are snippets of the prepared sequence (resampled already where sampling rescales). Times come and go through
the sequence's own FeatureClock only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taltool.data.clock import FeatureClock
from taltool.data.records import Floats, Integers
from taltool.experiment.settings import SamplingSettings

# Share of an instance that may be missing, by rounding, when it counts as whole.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Sample:
    """Snippets [first, first + count) of one video; `clock` is that of the sample, whose grid begins at `first`."""

    video_id: str
    first: int
    count: int
    clock: FeatureClock


def window_starts(length: int, window: int, stride: int) -> Integers:
    """Starts of the sliding windows over `length` snippets.

    0, stride, 2 stride, ... while the window fits, and one flush with the end where those leave a rest. A video
    shorter than the window has one window, at 0.
    """
    last = max(length - window, 0)
    starts = np.arange(0, last + 1, stride, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, last)


def cut_samples(
    video_id: str, length: int, clock: FeatureClock, settings: SamplingSettings, stride: int
) -> list[Sample]:
    """The samples that cover a video of `length` snippets: sliding windows, or the whole of it."""
    if settings.resize != "window":
        return [Sample(video_id, 0, length, clock)]
    count = min(length, settings.length)
    starts = window_starts(length, settings.length, stride).tolist()
    return [Sample(video_id, first, count, clock.cropped(first)) for first in starts]


def move_sample(sample: Sample, first: int, count: int, clock: FeatureClock) -> Sample:
    """The same video seen from `first`, `count` snippets long; `clock` is that of the whole sequence."""
    return Sample(sample.video_id, first, count, clock.cropped(first))


def visible_span(length: int, clock: FeatureClock) -> tuple[float, float]:
    """The seconds that the grid [0, length] of a whole sequence can express, inside the video."""
    return max(0.0, clock.seconds(0.0)), min(clock.duration, clock.seconds(float(length)))


def on_grid(sample: Sample, segments: Floats, min_ioa: float) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Ground truth segments (M, 2), seconds, on the grid of a sample.

    Returns the segments (M, 2) clipped to the sample, which of them (M,) belong to it (at least `min_ioa` of them lies
    inside), and the share (M,) of each that lies inside.
    """
    grid = sample.clock.grid(segments)
    clipped = np.clip(grid, 0.0, sample.count)
    inside = clipped[:, 1] - clipped[:, 0]
    share = inside / np.maximum(grid[:, 1] - grid[:, 0], np.finfo(np.float64).tiny)
    return clipped, (inside > 0) & (share >= min_ioa - _ROUNDING), share


def is_useful(sample: Sample, segments: Floats, settings: SamplingSettings) -> bool:
    """Whether a training window holds an instance, completely where the settings demand that."""
    _, belongs, share = on_grid(sample, segments, settings.min_ioa)
    if settings.require_whole and settings.resize == "window":
        return bool((share >= 1 - _ROUNDING).any())
    return bool(belongs.any()) or settings.resize != "window"


def rescaled(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """A sequence (L, C) linearly resampled to (length, C) as torch's interpolate does with align_corners=False."""
    old = len(values)
    positions = np.clip((np.arange(length) + 0.5) * (old / length) - 0.5, 0.0, old - 1)
    left = np.minimum(positions.astype(np.int64), max(old - 2, 0))
    right = np.minimum(left + 1, old - 1)
    weight = (positions - left)[:, None].astype(np.float32)
    return values[left] * (1 - weight) + values[right] * weight
