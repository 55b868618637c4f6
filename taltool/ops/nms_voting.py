"""Boundaries averaged over the candidates around them: score voting after suppression, and the fusion of boundaries."""

import numpy as np

from taltool.data.records import Floats, Integers
from taltool.ops.nms import ProposalBatch
from taltool.ops.segments import paired_tiou

# Pairs that are looked at in one go: about 40 MB of intermediate results.
_PAIRS = 1 << 20


def vote(candidates: ProposalBatch, kept: Integers, tiou: float, agnostic: bool) -> Floats:
    """The segments (K, 2) of the `kept` candidates after voting.

    Every candidate of the same video (and class, unless agnostic) whose tIoU o with the kept one is at least `tiou`
    votes with weight score * o, score being the one before suppression: start = sum(weight * start) / sum(weight),
    and likewise the end. This is ActionFormer's `seg_voting` (its offset of the scores has no effect there and is
    left out). Where no weight is positive the segment stays.
    """
    groups = candidates.groups(by_class=not agnostic)
    voted = candidates.segments[kept].copy()
    voters = _Voters(candidates.segments, groups, tiou)
    first, last = voters.windows(kept)
    edges = np.searchsorted(np.cumsum(last - first), np.arange(_PAIRS, int((last - first).sum()), _PAIRS), side="right")
    for part in np.split(np.arange(len(kept)), edges):
        number, voter = voters.pairs(first[part], last[part])
        overlap = paired_tiou(candidates.segments[kept[part]][number], candidates.segments[voter])
        near = overlap >= tiou
        # In the order of the candidates, so that sums have the digits of a plain loop.
        order = np.lexsort((voter[near], number[near]))
        number, voter, overlap = number[near][order], voter[near][order], overlap[near][order]
        weights = candidates.scores[voter] * overlap
        voted[part] = weighted_boundaries(candidates.segments, kept[part], number, voter, weights)
    return voted


class _Voters:
    """Candidates sorted by group and start, in which those that may have a tIoU of at least v with one lie together.

    Of a segment (s, s + l) these start from s - (1 / v - 1) l, where they would reach its end and no further, to
    s + (1 - v) l, where they would end with it.
    """

    def __init__(self, segments: Floats, groups: Integers, tiou: float) -> None:
        self.segments, self.groups, self.tiou = segments, groups, tiou
        self.starts = np.sort(segments[:, 0])
        keys = self._keys(groups, np.searchsorted(self.starts, segments[:, 0]))
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def windows(self, chosen: Integers) -> tuple[Integers, Integers]:
        """First and last places (K,), the last one excluded, of what may vote for the `chosen` (K,)."""
        start, end = self.segments[chosen].T
        # A little wider, as the bounds are rounded.
        slack = 1e-9 * (np.abs(start) + np.abs(end))
        reach = (end - start) / self.tiou - (end - start) if self.tiou > 0 else np.inf
        lowest = np.searchsorted(self.starts, start - reach - slack)
        highest = np.searchsorted(self.starts, start + (1 - self.tiou) * (end - start) + slack, side="right")
        groups = self.groups[chosen]
        first = np.searchsorted(self.keys, self._keys(groups, lowest))
        return first, np.searchsorted(self.keys, self._keys(groups, highest))

    def pairs(self, first: Integers, last: Integers) -> tuple[Integers, Integers]:
        """Every pair (number of the window, candidate in it)."""
        number, place = _places_in(first, last)
        return number, self.order[place]

    def _keys(self, groups: Integers, places: Integers) -> Integers:
        return groups * (len(self.starts) + 1) + places


def grouped_pairs(groups: Integers, chosen: Integers) -> tuple[Integers, Integers]:
    """Every pair (number in `chosen`, candidate) of the same group; groups (N,), chosen (K,) candidates."""
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], groups[chosen])
    number, place = _places_in(first, np.searchsorted(groups[order], groups[chosen], side="right"))
    return number, order[place]


def _places_in(first: Integers, last: Integers) -> tuple[Integers, Integers]:
    """Every pair (number of the window, place in it) of windows (K,) from `first` to `last`, which is excluded."""
    count = last - first
    number = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count)
    return number, within + first[number]


def weighted_boundaries(
    segments: Floats, chosen: Integers, number: Integers, member: Integers, weights: Floats
) -> Floats:
    """The segments (K, 2) of the `chosen` (K,), each the mean of its members' segments by weight.

    number (P,) says to which of the chosen each of the members (P,), positions in segments (N, 2), belongs; weights
    (P,) are from 0 on. Where their sum is 0 the segment stays.
    """
    total = np.bincount(number, weights, len(chosen))
    heard = total > 0
    averaged = segments[chosen].copy()
    for side in (0, 1):
        mean = np.bincount(number, weights * segments[member, side], len(chosen))
        averaged[heard, side] = mean[heard] / total[heard]
    return averaged
