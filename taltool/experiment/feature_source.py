"""Feature sequences as networks want them: channels chosen, normalised, resampled, kept in memory where they fit."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile
from taltool.data.records import FeatureArray, Integers
from taltool.errors import UsageError
from taltool.experiment.settings import SamplingSettings
from taltool.experiment.windows import rescaled

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


def chosen_channels(file: FeatureFile, streams: Iterable[str]) -> Integers | None:
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
        file: FeatureFile,
        settings: SamplingSettings,
        statistics: ChannelStatistics | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self.file, self.settings, self.statistics = file, settings, statistics
        self.channels = chosen_channels(file, settings.streams)
        self._size = self._room = cache_bytes
        self._cache: dict[str, FeatureArray] = {}
        # Attributes of HDF5 are slow to read, and every sample asks for its clock.
        self._clocks: dict[str, FeatureClock] = {}

    def elsewhere(self) -> "FeatureSource":
        """The same source for another process, with as much memory: its file is to be opened there."""
        other = copy.copy(self)
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
            return self._cache[video_id].shape[1]
        return self.file.shape(video_id)[1] if self.channels is None else len(self.channels)

    def length(self, video_id: str) -> int:
        """T of a video's prepared sequence."""
        if self.settings.resize == "rescale":
            return self.settings.length
        return len(self._cache[video_id]) if video_id in self._cache else self.file.shape(video_id)[0]

    def clock(self, video_id: str) -> FeatureClock:
        """The clock of a video's prepared sequence."""
        if video_id not in self._clocks:
            clock = self.file.clock(video_id)
            if self.settings.resize == "rescale":
                clock = clock.rescaled(self.file.shape(video_id)[0], self.settings.length)
            self._clocks[video_id] = clock
        return self._clocks[video_id]

    def read(self, video_id: str, first: int, count: int) -> FeatureArray:
        """Snippets [first, first + count) of a prepared sequence, (count, C). Not to be written to."""
        if video_id not in self._cache:
            size = self.length(video_id) * self.width(video_id) * 4
            if self.settings.resize != "rescale" and size > self._room:
                return self._prepared(video_id, first, first + count)
            whole = self._prepared(video_id, 0, None)
            if size > self._room:
                return whole[first : first + count]
            self._room -= size
            self._cache[video_id] = whole
        return self._cache[video_id][first : first + count]

    def fits_memory(self, video_ids: Iterable[str]) -> bool:
        """Whether reading all these videos leaves them in memory."""
        wanted = sum(self.length(v) * self.width(v) * 4 for v in video_ids if v not in self._cache)
        return wanted <= self._room

    def _prepared(self, video_id: str, first: int, last: int | None) -> FeatureArray:
        values: Any = self.file.read(video_id, first, last, self.channels)
        if self.statistics is not None and self.settings.normalize == "channel":
            values = self.statistics.normalized(values)
        return rescaled(values, self.settings.length) if self.settings.resize == "rescale" else values
