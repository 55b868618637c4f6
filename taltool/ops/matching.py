"""Which detection is a true positive: one-to-one matching of detections and instances, all tIoU thresholds at once.

Both families of official rules are a serial dictatorship: one side chooses in a fixed order, and each chooser takes
the free partner that it overlaps most. Such a matching is the only stable one when all partners agree on who comes
first, so it is found by deferred acceptance: every chooser asks for its favourite, each partner keeps the earliest who
asked, the others ask for their next. That needs few rounds of array work instead of a loop over detections (Gale and
Shapley, College Admissions and the Stability of Marriage, 1962).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from taltool.data.arrays import Numbers
from taltool.data.records import Booleans, Floats, Integers
from taltool.ops.segments import paired_tiou

# Pairs whose tIoU is computed together: bounds the memory at about 15 MB.
_PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Pairs:
    """Overlapping pairs: first (P,) and second (P,) are positions in the two sides, tious (P,) their tIoU > 0.

    Ordered by first, then second.
    """

    first: Integers
    second: Integers
    tious: Floats


def overlapping_pairs(segments: Floats, groups: Numbers, others: Floats, other_groups: Numbers, lowest: float) -> Pairs:
    """Every pair of segments (N, 2) and others (M, 2) of one group whose tIoU is positive and at least `lowest`.

    groups (N,) and other_groups (M,) are any integers (video, or video and class).
    """
    order = np.argsort(other_groups, kind="stable")
    begin = np.searchsorted(other_groups[order], groups, "left")
    counts = np.searchsorted(other_groups[order], groups, "right") - begin
    found = [_pairs_between(segments, others, order, begin, counts, rows, lowest) for rows in _blocks(counts)]
    return Pairs(*(np.concatenate([part[column] for part in found]) for column in range(3)))


def _blocks(counts: Integers) -> list[slice]:
    """Slices of the rows such that the counts in each sum to about _PAIRS_AT_ONCE; at least one slice."""
    total = np.cumsum(counts)
    last = int(total[-1]) if len(total) else 0
    cuts = np.searchsorted(total, np.arange(_PAIRS_AT_ONCE, last, _PAIRS_AT_ONCE)) + 1
    edges = np.unique(np.concatenate([[0], cuts, [len(counts)]])).tolist()
    return [slice(a, b) for a, b in pairwise(edges)] or [slice(0, 0)]


def _pairs_between(
    segments: Floats, others: Floats, order: Integers, begin: Integers, counts: Integers, rows: slice, lowest: float
) -> tuple[Integers, Integers, Floats]:
    counts = counts[rows]
    first = np.repeat(np.arange(rows.start, rows.stop), counts)
    position = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    second = order[np.repeat(begin[rows], counts) + position]
    tious = paired_tiou(segments[first], others[second])
    kept = (tious > 0) & (tious >= lowest)
    return first[kept], second[kept], tious[kept]


def reaches(tious: Floats, threshold: float, strict: bool) -> Booleans:
    """Whether tIoUs (P,) satisfy a threshold: above it where `strict`, else at or above it."""
    return tious > threshold if strict else tious >= threshold


def serial_match(
    pairs: Pairs, num_choosers: int, num_partners: int, thresholds: Sequence[float], strict: bool
) -> Integers:
    """Who gets each partner when the first side of `pairs` chooses in the order of its positions.

    Each chooser takes the free partner of the highest tIoU (equal tIoU: the lower position) that reaches the
    threshold. Returns (L, num_partners): the chooser at each of L thresholds, or num_choosers where nobody came.
    """
    order = np.lexsort((-pairs.tious, pairs.first))
    wishes, tious = pairs.second[order], pairs.tious[order]
    begin = np.flatnonzero(np.diff(pairs.first, prepend=-1))
    choosers = pairs.first[begin]
    takers = np.full(len(thresholds) * num_partners, len(choosers))
    if len(choosers):
        # Wishes are in descending tIoU, so those that reach a threshold are the first ones of each list.
        counts = np.stack([np.add.reduceat(reaches(tious, t, strict).astype(np.int64), begin) for t in thresholds])
        _defer(takers.reshape(len(thresholds), num_partners), wishes, begin, counts)
    return np.append(choosers, num_choosers)[takers].reshape(len(thresholds), num_partners)


def _defer(takers: Integers, wishes: Integers, begin: Integers, counts: Integers) -> None:
    """Deferred acceptance, writing into takers (L, partners); counts (L, C) is the length of each chooser's list."""
    num_choosers, num_partners = counts.shape[1], takers.shape[1]
    taker, remaining = takers.ravel(), counts.ravel()  # views: levels and choosers in one index
    asked = np.zeros_like(remaining)
    asking = np.flatnonzero(remaining)
    while len(asking):
        level, chooser = np.divmod(asking, num_choosers)
        wanted = level * num_partners + wishes[begin[chooser] + asked[asking]]
        before = taker[wanted]
        np.minimum.at(taker, wanted, chooser)
        refused = asking[taker[wanted] != chooser]
        ousted = (before < num_choosers) & (before != taker[wanted])
        evicted = np.unique(level[ousted] * num_choosers + before[ousted])
        asking = np.concatenate([refused, evicted])
        asked[asking] += 1
        asking = asking[asked[asking] < remaining[asking]]
