"""Fusing the proposals of several sources (models, streams, seeds) of the same videos.

Scores of different sources do not compare, so each source has a calibration, a rising map of its scores, and a weight.
`union` keeps every proposal with its weighted score and suppresses what overlaps; `wbf` (weighted boundary fusion)
merges overlapping proposals into one, with averaged boundaries.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from taltool.data.records import Floats, Integers
from taltool.ops.method_names import FusionMethod
from taltool.ops.nms import ProposalBatch, suppress_batch
from taltool.ops.nms_settings import Method, Suppression
from taltool.ops.nms_voting import grouped_pairs, weighted_boundaries
from taltool.ops.segments import paired_tiou

# Scores of a source that lie closer together give no slope to go on with: it would lead beyond all numbers.
_LEAST_GAP = 1e-12


@dataclass(frozen=True)
class Calibration:
    """A rising, piecewise linear map of scores through the points (before, after); no points: scores stay.

    Beyond its ends the map goes on: below towards (0, 0) if the first score is positive, above by its last slope.
    """

    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()

    def __call__(self, scores: Floats) -> Floats:
        """The calibrated scores (N,)."""
        if not self.before:
            return scores
        mapped = np.interp(scores, self.before, self.after)
        # np.interp is flat beyond the ends, which would tie what a source told apart.
        low, high = self.before[0], self.before[-1]
        if low > 0:
            mapped = np.where(scores < low, self.after[0] * (np.minimum(scores, low) / low), mapped)
        slope = 0.0
        if len(self.before) > 1:
            slope = (self.after[-1] - self.after[-2]) / max(high - self.before[-2], _LEAST_GAP)
        return np.where(scores > high, self.after[-1] + (scores - high) * slope, mapped)


@dataclass(frozen=True)
class Source:
    """What fusion knows of one source."""

    weight: float = 1.0
    calibration: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True)
class Fusion:
    """The settings of one fusion. tiou: proposals that overlap more are one (wbf); suppression follows union, rank."""

    sources: tuple[Source, ...]
    method: FusionMethod = FusionMethod.union
    tiou: float = 0.5
    suppression: Suppression | None = field(default_factory=lambda: Suppression(Method.soft_gaussian, sigma=0.5))


def by_rank(scores: Floats, points: int = 257) -> Calibration:
    """The map of scores (N,) to their quantiles in (0, 1]: a source's best proposal gets 1."""
    quantiles = np.linspace(0, 1, points)
    values, first = np.unique(np.quantile(scores, quantiles), return_index=True)
    last = np.append(first[1:] - 1, points - 1)  # of equal scores the highest quantile
    return Calibration(tuple(values.tolist()), tuple(quantiles[last].tolist()))


def by_precision(scores: Floats, hits: Floats, bins: int = 24) -> Calibration:
    """The map of scores (N,) to how often such a proposal is right; hits (N,) in [0, 1] say how right each was.

    Isotonic regression (pool adjacent violators) over bins of equally many proposals, linear between their means; a
    small slope is kept in pools, so that the order within a source survives.
    """
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    middles = [float(scores[part].mean()) for part in parts]
    rising = _pooled([float(hits[part].mean()) for part in parts], [len(part) for part in parts])
    values, first = np.unique(middles, return_index=True)
    tilt = 1e-4 * np.arange(1, len(first) + 1)
    return Calibration(tuple(values.tolist()), tuple((np.array(rising)[first] + tilt).tolist()))


def _pooled(values: list[float], counts: list[int]) -> list[float]:
    """The non-decreasing sequence that is nearest to `values` by weighted squares."""
    pools: list[tuple[float, int, int]] = []  # mean, weight, number of values
    for value, count in zip(values, counts, strict=True):
        pool = (value, count, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, weight, length = pools.pop()
            total = weight + pool[1]
            pool = ((mean * weight + pool[0] * pool[1]) / total, total, length + pool[2])
        pools.append(pool)
    return [mean for mean, _, length in pools for _ in range(length)]


def fuse_batch(candidates: ProposalBatch, sources: Integers, settings: Fusion) -> ProposalBatch:
    """The fused proposals of all videos, by video and best first.

    candidates hold the proposals of all sources, those of a video side by side; sources (N,) says whose each is.
    """
    scores = np.empty(len(sources))
    for number, source in enumerate(settings.sources):
        own = sources == number
        scores[own] = source.weight * source.calibration(candidates.scores[own])
    weighted = replace(candidates, scores=scores)
    if settings.method is FusionMethod.wbf:
        return _merged(weighted, sources, settings)
    if settings.suppression is None:
        return weighted.take(weighted.best(weighted.videos))
    kept, lowered = suppress_batch(weighted, settings.suppression)
    return replace(weighted.take(kept), scores=lowered)


def _merged(candidates: ProposalBatch, sources: Integers, settings: Fusion) -> ProposalBatch:
    """Weighted boundary fusion.

    Winners are picked by hard NMS at `tiou`; every other proposal belongs to the best winner of its class that it
    overlaps by more than `tiou`. A winner's boundaries become the means of its members', weighted by score; its score
    the sum over the sources of the best score that the source has among the members, over the sum of the weights: a
    source that did not find it counts as 0.
    """
    winners, _ = suppress_batch(candidates, Suppression(Method.hard, tiou=settings.tiou))
    winner, member = grouped_pairs(candidates.groups(by_class=True), winners)
    overlap = paired_tiou(candidates.segments[winners][winner], candidates.segments[member])
    near = (overlap > settings.tiou) | (winners[winner] == member)
    winner, member = winner[near], member[near]
    # A winner is first of all its own (hard NMS leaves no two that overlap that much); else winners come best first.
    owner = np.full(len(candidates.scores), len(winners))
    np.minimum.at(owner, member, winner)
    owner[winners] = np.arange(len(winners))
    mine = owner[member] == winner
    winner, member = winner[mine], member[mine]
    weights = np.maximum(candidates.scores[member], 0.0)
    segments = weighted_boundaries(candidates.segments, winners, winner, member, weights)
    best = np.zeros((len(winners), len(settings.sources)))
    np.maximum.at(best, (winner, sources[member]), candidates.scores[member])
    scores = best.sum(1) / sum(source.weight for source in settings.sources)
    fused = replace(candidates.take(winners), segments=segments, scores=scores)
    return fused.take(fused.best(fused.videos))
