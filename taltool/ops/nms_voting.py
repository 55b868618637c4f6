"""Score voting: the boundaries of what suppression kept, averaged over the candidates around them."""

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
    sizes = np.bincount(groups, minlength=int(groups.max(initial=-1)) + 1)[groups[kept]]
    edges = np.searchsorted(np.cumsum(sizes), np.arange(_PAIRS, int(sizes.sum()), _PAIRS), side="right")
    for part in np.split(np.arange(len(kept)), edges):
        winner, voter = grouped_pairs(groups, kept[part])
        voted[part] = _average(candidates, kept[part], winner, voter, tiou)
    return voted


def grouped_pairs(groups: Integers, chosen: Integers) -> tuple[Integers, Integers]:
    """Every pair (number in `chosen`, candidate) of the same group; groups (N,), chosen (K,) candidates."""
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], groups[chosen])
    count = np.searchsorted(groups[order], groups[chosen], side="right") - first
    number = np.repeat(np.arange(len(chosen)), count)
    within = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count)
    return number, order[within + first[number]]


def _average(candidates: ProposalBatch, kept: Integers, winner: Integers, voter: Integers, tiou: float) -> Floats:
    overlap = paired_tiou(candidates.segments[kept][winner], candidates.segments[voter])
    near = overlap >= tiou
    winner, voter = winner[near], voter[near]
    weight = candidates.scores[voter] * overlap[near]
    total = np.bincount(winner, weight, len(kept))
    heard = total > 0
    voted = candidates.segments[kept].copy()
    for side in (0, 1):
        mean = np.bincount(winner, weight * candidates.segments[voter, side], len(kept))
        voted[heard, side] = mean[heard] / total[heard]
    return voted
