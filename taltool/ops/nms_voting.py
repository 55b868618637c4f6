"""Score voting: the boundaries of what suppression kept, averaged over the candidates around them."""

import numpy as np

from taltool.data.records import Floats, Integers
from taltool.ops.nms import Candidates
from taltool.ops.segments import paired_tiou

# Pairs that are looked at in one go: about 40 MB of intermediate results.
_PAIRS = 1 << 20


def vote(candidates: Candidates, kept: Integers, tiou: float, agnostic: bool) -> Floats:
    """The segments (K, 2) of the `kept` candidates after voting.

    Every candidate of the same video (and class, unless agnostic) whose tIoU o with the kept one is at least `tiou`
    votes with weight score * o, score being the one before suppression: start = sum(weight * start) / sum(weight),
    and likewise the end. This is ActionFormer's `seg_voting` (its offset of the scores has no effect there and is
    left out). Where no weight is positive the segment stays.
    """
    groups = candidates.groups(by_class=not agnostic)
    voters = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[voters], groups[kept])
    count = np.searchsorted(groups[voters], groups[kept], side="right") - first
    voted = candidates.segments[kept].copy()
    edges = np.searchsorted(np.cumsum(count), np.arange(0, int(count.sum()) + _PAIRS, _PAIRS))
    for low, high in zip(edges[:-1], [*edges[1:-1], len(kept)], strict=True):
        part = slice(int(low), int(high))
        winner, voter = _pairs(first[part], count[part])
        _average(candidates, kept[part], winner, voters[voter], tiou, voted[part])
    return voted


def _pairs(first: Integers, count: Integers) -> tuple[Integers, Integers]:
    """Number each of the count (K,) voters from `first` (K,) on: (kept number, voter position), both (P,)."""
    winner = np.repeat(np.arange(len(count)), count)
    return winner, np.arange(len(winner)) - np.repeat(np.cumsum(count) - count, count) + first[winner]


def _average(
    candidates: Candidates, kept: Integers, winner: Integers, voter: Integers, tiou: float, voted: Floats
) -> None:
    overlap = paired_tiou(candidates.segments[kept][winner], candidates.segments[voter])
    near = overlap >= tiou
    winner, voter = winner[near], voter[near]
    weight = candidates.scores[voter] * overlap[near]
    total = np.bincount(winner, weight, len(kept))
    heard = total > 0
    for side in (0, 1):
        mean = np.bincount(winner, weight * candidates.segments[voter, side], len(kept))
        voted[heard, side] = mean[heard] / total[heard]
