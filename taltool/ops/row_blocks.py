"""Rows by group, in few indices, and a bounded number of rows at a time: what keeps the memory of evaluation small."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.arrays import Numbers
from taltool.data.records import Integers

# Rows worked on together: enough that the cost of calls does not count, few enough to stay near the processor.
_ROWS_AT_ONCE = 1 << 14

Rows = NDArray[np.signedinteger[Any]]


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
