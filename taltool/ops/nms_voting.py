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
    sizes = np.bincount(groups, minlength=int(groups.max(initial=-1)) + 1)[groups[kept]]
    edges = np.searchsorted(np.cumsum(sizes), np.arange(_PAIRS, int(sizes.sum()), _PAIRS), side="right")
    for part in np.split(np.arange(len(kept)), edges):
        number, voter = grouped_pairs(groups, kept[part])
        overlap = paired_tiou(candidates.segments[kept[part]][number], candidates.segments[voter])
        near = overlap >= tiou
        weights = candidates.scores[voter[near]] * overlap[near]
        voted[part] = weighted_boundaries(candidates.segments, kept[part], number[near], voter[near], weights)
    return voted


def grouped_pairs(groups: Integers, chosen: Integers) -> tuple[Integers, Integers]:
    """Every pair (number in `chosen`, candidate) of the same group; groups (N,), chosen (K,) candidates."""
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], groups[chosen])
    count = np.searchsorted(groups[order], groups[chosen], side="right") - first
    number = np.repeat(np.arange(len(chosen)), count)
    within = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count)
    return number, order[within + first[number]]


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
