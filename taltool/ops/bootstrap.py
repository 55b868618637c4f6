"""Confidence intervals by resampling videos with replacement (Efron and Tibshirani, An Introduction to the Bootstrap).

A resample is a weight per video: how often it was drawn. Two files that are measured under the same weights are
paired, so the interval of their difference is free of the luck that both share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import Floats
from taltool.ops.metrics.contract import Metric, MetricInput

# Numbers that a block of weightings may build: few enough to stay near the processor, many enough to pay for the calls.
_BLOCK_ELEMENTS = 250_000


@dataclass(frozen=True)
class Interval:
    """A percentile interval: the metric lies between low and high in `level` of the resamples."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """B minus A in one metric: the difference on all videos, its interval, and in which share of resamples B is
    ahead (a draw counts half).
    """

    difference: float
    interval: Interval
    share_ahead: float


def resampled_weights(num_videos: int, resamples: int, seed: int) -> NDArray[np.int32]:
    """How often each video was drawn (resamples, num_videos); every row sums to num_videos."""
    rng, weights = np.random.default_rng(seed), np.empty((resamples, num_videos), np.int32)
    for row in weights:
        row[:] = np.bincount(rng.integers(num_videos, size=num_videos), minlength=num_videos)
    return weights


def resample(metrics: Sequence[Metric], data: MetricInput, drawn: NDArray[np.int32]) -> dict[str, Floats]:
    """Each number (B,) of the metrics, B times from the videos drawn (B, V), a few at a time to bound the memory."""
    at_once = max(1, _BLOCK_ELEMENTS // max(1, *(metric.size(data) for metric in metrics)))
    found: dict[str, list[Floats]] = {}
    for row in range(0, len(drawn), at_once):
        weights = data.weights(drawn[row : row + at_once].astype(float))
        for metric in metrics:
            for name, values in metric.values(data, weights).items():
                found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def interval(values: Floats, level: float = 0.95) -> Interval:
    """The central percentile interval of resampled values (B,)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def compare(
    first: Floats, second: Floats, difference: float, better: Literal["higher", "lower"] = "higher", level: float = 0.95
) -> Comparison:
    """How much better the second is, from the paired resamples (B,) of both and the difference on all videos.

    The difference is second minus first; ahead is who has the higher value, or the lower where that is better.
    """
    wins = second > first if better == "higher" else second < first
    ahead = np.mean(wins) + np.mean(second == first) / 2
    return Comparison(difference, interval(second - first, level), float(ahead))
