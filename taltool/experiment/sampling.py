"""Where windows are cut, and the features that stand there: which stretch of a video a network sees at once.

Feature sequences become what networks want (channels chosen, normalised, resampled, kept in memory where they fit), and
samples are stretches of them. Positions are snippets of the prepared sequence (resampled already where sampling
rescales). Times come and go through the sequence's own FeatureClock only.

Windows of some seconds are windows of a sequence that is resampled as a whole, to positions of window / length seconds:
linear interpolation between neighbouring snippets gives a position the same value in every window that holds it.
"""

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile
from taltool.data.memory_features import MemoryFeatures
from taltool.data.records import FeatureArray, Floats, Integers
from taltool.errors import UsageError
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


def on_grid(
    sample: Sample, segments: Floats, min_ioa: float, min_covered: float = 0.0
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Ground truth segments (M, 2), seconds, on the grid of a sample.

    Returns the segments (M, 2) clipped to the sample, which of them (M,) belong to it (at least `min_ioa` of them lies
    inside, or they cover at least `min_covered` of the sample, where that is not 0), and the share (M,) of each that
    lies inside.
    """
    grid = sample.clock.grid(segments)
    clipped = np.clip(grid, 0.0, sample.count)
    inside = clipped[:, 1] - clipped[:, 0]
    share = inside / np.maximum(grid[:, 1] - grid[:, 0], np.finfo(np.float64).tiny)
    return clipped, _belongs(inside, share, sample.count, min_ioa, min_covered), share


def _belongs(inside: Floats, share: Floats, count: int, min_ioa: float, min_covered: float) -> NDArray[np.bool_]:
    """Which instances belong to a window of `count` snippets that shows `inside` snippets, a `share`, of each."""
    belongs = share >= min_ioa - _ROUNDING
    if min_covered:
        belongs |= inside / count >= min_covered - _ROUNDING
    return (inside > 0) & belongs


def shortest_shown(grid: Floats, length: int, settings: SamplingSettings) -> float:
    """The least that a training window of a video of `length` snippets shows of an instance that belongs to it.

    grid (M, 2) are the instances on the grid of the whole sequence. In snippets; inf without any.
    """
    window = min(length, settings.length) if settings.resize == "window" else length
    first = window_starts(length, window, settings.train_stride)[:, None]
    inside = np.minimum(grid[:, 1], first + window) - np.maximum(grid[:, 0], first)  # (windows, M)
    share = inside / np.maximum(grid[:, 1] - grid[:, 0], np.finfo(np.float64).tiny)
    belongs = _belongs(inside, share, window, settings.min_ioa, settings.min_covered)
    return float(inside[belongs].min(initial=np.inf))


def is_useful(sample: Sample, segments: Floats, settings: SamplingSettings) -> bool:
    """Whether a training window holds an instance, completely where the settings demand that."""
    _, belongs, share = on_grid(sample, segments, settings.min_ioa, settings.min_covered)
    if settings.require_whole and settings.resize == "window":
        return bool((share >= 1 - _ROUNDING).any())
    return bool(belongs.any()) or settings.resize != "window"


def rescaled(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """A sequence (L, C) linearly resampled to (length, C) as torch's interpolate does with align_corners=False."""
    return Positions.of(len(values), len(values) / length, 0, length).interpolated(values)


@dataclass(frozen=True)
class Positions:
    """Where some positions of a resampled sequence lie in the sequence: between rows left and right (N,), weight (N, 1)
    being the share of the right one. Rows [first, last) are all that is needed."""

    left: Integers
    right: Integers
    weight: FeatureArray

    @classmethod
    def of(cls, length: int, ratio: float, first: int, last: int) -> "Positions":
        """Positions [first, last) of cells of `ratio` rows, in a sequence of `length` rows whose ends continue."""
        places = np.clip((np.arange(first, last) + 0.5) * ratio - 0.5, 0.0, length - 1)
        left = np.minimum(places.astype(np.int64), max(length - 2, 0))
        return cls(left, np.minimum(left + 1, length - 1), (places - left)[:, None].astype(np.float32))

    @property
    def first(self) -> int:
        """The first row that is needed."""
        return int(self.left[0])

    @property
    def last(self) -> int:
        """The row after the last one that is needed."""
        return int(self.right[-1]) + 1

    def interpolated(self, values: FeatureArray, first: int = 0) -> FeatureArray:
        """The positions' values (N, C), where `values` begin with row `first` of the sequence."""
        return values[self.left - first] * (1 - self.weight) + values[self.right - first] * self.weight


GIBIBYTE = 1 << 30
DEFAULT_CACHE_BYTES = 2 * GIBIBYTE


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation (C,) of every channel over the snippets of some videos."""

    mean: FeatureArray
    deviation: FeatureArray

    def normalized(self, values: FeatureArray) -> FeatureArray:
        """values (T, C) with mean 0 and deviation 1; a constant channel becomes 0."""
        return (values - self.mean) / self.deviation

    @classmethod
    def measure(cls, file: FeatureFile, video_ids: Iterable[str], channels: Integers | None) -> "ChannelStatistics":
        """The statistics over all snippets of `video_ids`, by one pass."""
        count, total, square = 0, np.zeros(()), np.zeros(())
        for video_id in video_ids:
            values = file.read(video_id, channels=channels).astype(np.float64)
            count += len(values)
            total = total + values.sum(0)
            square = square + np.square(values).sum(0)
        mean = total / count
        deviation = np.sqrt(np.maximum(square / count - np.square(mean), 0.0))
        # A channel that never changes but for rounding must not be blown up.
        deviation[deviation <= 1e-6 * np.abs(mean) + 1e-12] = 1.0
        return cls(mean.astype(np.float32), deviation.astype(np.float32))


def chosen_channels(file: FeatureFile | MemoryFeatures, streams: Iterable[str]) -> Integers | None:
    """The columns of the named streams, or None for all; raises UsageError for a stream that the file lacks."""
    names = list(streams)
    if not names:
        return None
    known = file.streams
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none named"
            raise UsageError(f"{file.path} has no stream '{name}' (there are: {there}); see sampling.streams")
    return np.concatenate([np.arange(*known[name]) for name in names])


class FeatureSource:
    """Prepared sequences of the videos of a feature file.

    statistics are needed where the settings normalise. Sequences stay in memory until `cache_bytes` are full.
    """

    def __init__(
        self,
        file: FeatureFile | MemoryFeatures,
        settings: SamplingSettings,
        statistics: ChannelStatistics | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self.file, self.settings, self.statistics = file, settings, statistics
        self.channels = chosen_channels(file, settings.streams)
        self._size = self._room = cache_bytes
        self._cache: dict[str, NDArray[Any]] = {}
        # Attributes of HDF5 are slow to read, and every sample asks for its clock.
        self._clocks: dict[str, FeatureClock] = {}

    def elsewhere(self) -> "FeatureSource":
        """The same source for another process, with as much memory: its file is to be opened there."""
        other = copy.copy(self)
        if isinstance(self.file, FeatureFile):
            other.file = FeatureFile(self.file.path, self.file.clock_options, self.file.durations)
        other._cache, other._room = {}, self._size
        return other

    @property
    def deviation(self) -> FeatureArray | float:
        """Standard deviation of the prepared channels, (C,) or one number for all."""
        return self.statistics.deviation if self.statistics and self.settings.normalize == "none" else 1.0

    def width(self, video_id: str) -> int:
        """C of a video after the choice of streams."""
        if video_id in self._cache:
            return self._cache[video_id].shape[-1]
        return self.file.shape(video_id)[1] if self.channels is None else len(self.channels)

    def length(self, video_id: str) -> int:
        """T of a video's prepared sequence."""
        if self.settings.resize == "rescale":
            return self.settings.length
        if video_id in self._cache:
            return len(self._cache[video_id])
        ratio = self._snippets_per_position(video_id)
        # Of the last position as little may lie in the video as rounding leaves.
        return max(1, math.ceil(self.file.shape(video_id)[0] / ratio - _ROUNDING))

    def _snippets_per_position(self, video_id: str) -> float:
        """How many snippets of the file a position of the prepared sequence is long."""
        settings = self.settings
        if settings.resize == "rescale":
            return self.file.shape(video_id)[0] / settings.length
        if settings.window_seconds:
            return settings.window_seconds / settings.length / self.file.clock(video_id).seconds_per_snippet
        return 1.0

    def clock(self, video_id: str) -> FeatureClock:
        """The clock of a video's prepared sequence."""
        if video_id not in self._clocks:
            clock = self.file.clock(video_id)
            if self.settings.is_resampled:
                clock = clock.resampled(self._snippets_per_position(video_id))
            self._clocks[video_id] = clock
        return self._clocks[video_id]

    def read(self, video_id: str, first: int, count: int) -> NDArray[Any]:
        """Snippets [first, first + count) of a prepared sequence, (count, C). Not to be written to."""
        if video_id not in self._cache:
            length = self.length(video_id)
            size = length * self.width(video_id) * self._bytes_of_value(video_id)
            if size > self._room:
                return self._prepared(video_id, first, first + count)
            self._room -= size
            self._cache[video_id] = self._prepared(video_id, 0, length)
        return self._cache[video_id][first : first + count]

    def cropped(self, video_id: str, values: NDArray[Any], rng: np.random.Generator | None = None) -> NDArray[Any]:
        """What a network sees of values (T, C) that were read: of features, all; see `FrameSource`.

        rng is for what training draws.
        """
        return values

    def check(self, video_ids: Iterable[str], who: str, mend: str) -> None:
        """Raise UsageError where a video is not what the model `who` learns from; mend: what is to be done."""
        for video_id in video_ids:
            if self.file.frame_size(video_id) is not None:
                raise UsageError(f"{self.file.where(video_id)} has frames, and {who} learns from features: {mend}")

    def fits_memory(self, video_ids: Iterable[str]) -> bool:
        """Whether reading all these videos leaves them in memory."""
        missing = [video_id for video_id in video_ids if video_id not in self._cache]
        return sum(self.length(v) * self.width(v) * self._bytes_of_value(v) for v in missing) <= self._room

    def _bytes_of_value(self, video_id: str) -> int:
        """How much memory a channel of one position takes."""
        return np.dtype(np.float32).itemsize

    def _prepared(self, video_id: str, first: int, last: int) -> NDArray[Any]:
        """Snippets [first, last) of the prepared sequence, of which no more than those of the file are read."""
        positions, (low, high) = None, (first, last)
        if self.settings.is_resampled:
            ratio = self._snippets_per_position(video_id)
            positions = Positions.of(self.file.shape(video_id)[0], ratio, first, last)
            low, high = positions.first, positions.last
        values = self.file.read(video_id, low, high, self.channels)
        if self.statistics is not None and self.settings.normalize == "channel":
            values = self.statistics.normalized(values)
        return values if positions is None else positions.interpolated(values, low)


class StretchedSource(FeatureSource):
    """The sequences of another source resampled to `factor` times their length, on clocks of their own."""

    def __init__(self, source: FeatureSource, factor: float) -> None:
        super().__init__(source.file, source.settings, source.statistics, cache_bytes=0)
        self._source, self._factor = source, factor

    def length(self, video_id: str) -> int:
        """See `FeatureSource.length`."""
        return max(1, round(self._source.length(video_id) * self._factor))

    def clock(self, video_id: str) -> FeatureClock:
        """See `FeatureSource.clock`."""
        return self._source.clock(video_id).resampled(self._source.length(video_id) / self.length(video_id))

    def read(self, video_id: str, first: int, count: int) -> NDArray[Any]:
        """See `FeatureSource.read`."""
        length = self._source.length(video_id)
        positions = Positions.of(length, length / self.length(video_id), first, first + count)
        values = self._source.read(video_id, positions.first, positions.last - positions.first)
        return positions.interpolated(values, positions.first)
