"""The order of detections, and rows by group a bounded number at a time.

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

# Rows worked on together: enough that the cost of calls does not count, few enough to stay near the processor.
_ROWS_AT_ONCE = 1 << 14

Rows = NDArray[np.signedinteger[Any]]


def total_order(groups: Numbers, detections: Detections) -> Integers:
    """The total order (N,) of detections: group (N,), then score down, then video, start and end up.

    Videos compare by id, those that the ground truth does not have after the others. The order of the file and the
    sorting algorithm make no difference.
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
        order[tied] = rows[np.lexsort((end, start, detections.videos[rows], runs[tied]))]
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
