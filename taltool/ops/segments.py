"""Segments as arrays: lengths, tIoU, the order in which detections are taken, and rows by group, some at a time.

Units are the caller's. An overlap is `max(0, min(ends) - max(starts))` everywhere, so touching, disjoint and empty
segments overlap by 0, and a quotient with an empty denominator is 0 instead of NaN (the official kits differ there:
0/0 is a match).

Every evaluation ranks detections by score. Which of several equal scores comes first decides digits, so a protocol
names its rule (`Protocol.ties`): the total order or the kit's are here; its third, "hits", needs to know what a hit is
and stands with the average precision (`taltool.ops.metrics.map`). Working on whole groups of rows, few at a time, and
on small indices is what keeps the memory of evaluation small.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.arrays import Detections, Numbers
from taltool.data.records import Floats, Integers


def lengths(segments: Floats) -> Floats:
    """The lengths (...,) of segments (..., 2); a segment that ends before it starts has length 0."""
    return np.maximum(segments[..., 1] - segments[..., 0], 0.0)


def centres(segments: Floats) -> Floats:
    """The midpoints (...,) of segments (..., 2)."""
    return (segments[..., 0] + segments[..., 1]) / 2


def overlaps(segments: Floats, others: Floats) -> Floats:
    """The common length (N, M) of every pair of segments (N, 2) and others (M, 2)."""
    return paired_overlaps(segments[:, None], others[None])


def tiou(segments: Floats, others: Floats) -> Floats:
    """Temporal IoU (N, M) in [0, 1] of every pair of segments (N, 2) and others (M, 2).

    A pair without common length gives 0, also where both are empty and identical.
    """
    return paired_tiou(segments[:, None], others[None])


def coverage(segments: Floats, others: Floats) -> Floats:
    """Which part (N, M) of each of segments (N, 2) lies inside each of others (M, 2): overlap / own length.

    The papers call it IoA or "overlap ratio", the anchor being the first argument. Empty segments give 0.
    """
    return ratio(overlaps(segments, others), lengths(segments)[:, None])


def paired_overlaps(segments: Floats, others: Floats) -> Floats:
    """The common length (...,) of segments (..., 2) and others (..., 2), which broadcast against each other."""
    ends = np.minimum(segments[..., 1], others[..., 1])
    return np.maximum(ends - np.maximum(segments[..., 0], others[..., 0]), 0.0)


def paired_tiou(segments: Floats, others: Floats) -> Floats:
    """Temporal IoU (...,) of segments (..., 2) and others (..., 2), which broadcast against each other."""
    shared = paired_overlaps(segments, others)
    return ratio(shared, lengths(segments) + lengths(others) - shared)


def ratio(numerators: Floats, denominators: Floats) -> Floats:
    """numerators / denominators, broadcast; 0 where a denominator is 0."""
    numerators, denominators = np.broadcast_arrays(numerators, denominators)
    return np.divide(numerators, denominators, out=np.zeros(numerators.shape), where=denominators > 0)


def clipped(segments: Floats, start: float, end: float) -> Floats:
    """The parts (N, 2) of segments (N, 2) that lie within [start, end]; one that lies outside becomes empty."""
    return np.clip(segments, start, end)


# Rows worked on together: enough that the cost of calls does not count, few enough to stay near the processor.
_ROWS_AT_ONCE = 1 << 14

Rows = NDArray[np.signedinteger[Any]]


def total_order(groups: Numbers, detections: Detections) -> Integers:
    """The total order (N,) of detections: group (N,), then score down, then video, start and end up.

    Videos compare by id, whether the ground truth has them or not. The order of the file and the sorting algorithm make
    no difference.
    """
    order = np.lexsort((-detections.scores, groups))
    scores, ordered = detections.scores[order], groups[order]
    repeats = (scores[1:] == scores[:-1]) & (ordered[1:] == ordered[:-1])
    if repeats.any():
        # Most scores are unlike all others, so only those that are not take the trouble of all keys.
        runs = np.cumsum(np.concatenate([[True], ~repeats]))
        tied = np.flatnonzero(np.concatenate([repeats, [False]]) | np.concatenate([[False], repeats]))
        rows = order[tied]
        start, end = detections.segments[rows].T
        videos = detections.videos[rows]
        if detections.places is not None:
            videos = detections.places[videos]
        order[tied] = rows[np.lexsort((end, start, videos, runs[tied]))]
    return order


def kit_order(groups: Numbers, scores: Floats) -> Integers:
    """The groups (N,) one after the other, each by score as the ActivityNet kit's unstable `argsort()[::-1]` has it."""
    by_group = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[by_group]) != 0) + 1
    return np.concatenate([part[np.argsort(scores[part])[::-1]] for part in np.split(by_group, starts)])


def by_group(groups: Numbers, num_groups: int) -> tuple[Rows, Integers]:
    """The rows of groups 0, 1, ..., each in their order, and the edges (num_groups + 1,): group g is the slice
    edges[g]:edges[g + 1]. Rows of other groups are left out.
    """
    if num_groups < 1 << 15:
        groups = groups.clip(-1, num_groups).astype(np.int16)  # which numpy sorts by counting
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups, np.arange(num_groups + 1), sorter=order)
    rows = order[edges[0] : edges[-1]]
    return rows.astype(np.int32 if len(order) < 1 << 31 else np.int64), edges - edges[0]


def blocks(edges: Integers) -> Iterator[tuple[int, int]]:
    """Ranges (first, last + 1) of groups that have about _ROWS_AT_ONCE rows together, or are one group."""
    cuts = np.searchsorted(edges, np.arange(_ROWS_AT_ONCE, edges[-1], _ROWS_AT_ONCE))
    yield from pairwise(np.unique(np.concatenate([[0], cuts, [len(edges) - 1]])).tolist())


def shared_blocks(groups: Numbers, others: Numbers, num_groups: int) -> Iterator[tuple[Rows, Rows]]:
    """Rows of `groups` (N,) and of `others` (M,) that belong to the same groups, whole groups at a time.

    Each row of a group 0 .. num_groups - 1 comes once; those of one group stay in their order.
    """
    rows, edges = by_group(groups, num_groups)
    other_rows, other_edges = by_group(others, num_groups)
    for first, last in blocks(edges):
        yield rows[edges[first] : edges[last]], other_rows[other_edges[first] : other_edges[last]]
