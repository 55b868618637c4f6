"""Confidence intervals by resampling videos with replacement (Efron and Tibshirani, An Introduction to the Bootstrap).

A resample is a weight per video: how often it was drawn. Two files that are measured under the same weights are
paired, so the interval of their difference is free of the luck that both share.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import Floats

Measure = Callable[[Floats], dict[str, Floats]]


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


def resample(measure: Measure, weights: NDArray[np.int32], rows_at_once: int) -> dict[str, Floats]:
    """Each metric (B,) under the weights (B, V), computed a few rows at a time to bound the memory."""
    blocks = [measure(weights[row : row + rows_at_once].astype(float)) for row in range(0, len(weights), rows_at_once)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def interval(values: Floats, level: float = 0.95) -> Interval:
    """The central percentile interval of resampled values (B,)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def compare(first: Floats, second: Floats, difference: float, level: float = 0.95) -> Comparison:
    """How much better the second is, from the paired resamples (B,) of both and the difference on all videos."""
    ahead = np.mean(second > first) + np.mean(second == first) / 2
    return Comparison(difference, interval(second - first, level), float(ahead))
