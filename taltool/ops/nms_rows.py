"""Cutting a batch of candidates into rows that cannot suppress each other, and rows into blocks of equal size.

Within one video and class, sorted by start, a candidate that starts at or after the end of all before it overlaps
none of them: a new chain of overlapping neighbours begins. Suppression never leaves a chain, so chains are the rows;
disjoint candidates are chains of one and cost no suppression at all.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import Floats, Integers

# Candidates in one block: its arrays about fill a second-level cache, also when rows have been squeezed out of it.
# Measured: 8,000 is a third slower (more calls), 60,000 no faster.
BLOCK_SIZE = 32_000
# A block's rows are at least this part of its longest, so that little of the rectangle is padding.
_LEAST_FILL = 0.7


def ordered(groups: Integers, values: Floats, *ties: NDArray[np.generic]) -> Integers:
    """The order (N,) by group, then value, then each of the tie-breaking arrays, then input order.

    The same as a lexsort of all keys, but ties are looked at only where they are, and groups (N,), numbers from 0,
    go through the radix sort that NumPy has for 16 bits.
    """
    order = np.argsort(values)
    narrow = groups.astype(np.uint16) if groups.max(initial=0) < 1 << 16 else groups
    order = order[np.argsort(narrow[order], kind="stable")]
    same = (np.diff(values[order]) == 0) & (np.diff(groups[order]) == 0)
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        members = np.sort(order[tied])
        keys = [key[members] for key in (*reversed(ties), values, groups)]
        order[tied] = members[np.lexsort(keys)]
    return order


def chains(segments: Floats, groups: Integers) -> Integers:
    """The first positions (R,) of the chains of overlapping neighbours in sorted segments (N, 2), groups (N,)."""
    if not len(groups):
        return np.empty(0, np.int64)
    start, end = segments.T
    by_end = np.argsort(end)
    place = np.empty(len(end), np.int64)
    place[by_end] = np.arange(len(end))
    # The furthest end so far within the group: a later group's places are shifted above all of an earlier one's.
    shift = groups * len(end)
    furthest = end[by_end[np.maximum.accumulate(place + shift) - shift]]
    begins = (groups[1:] > groups[:-1]) | (start[1:] >= furthest[:-1])
    return np.concatenate([[0], 1 + np.flatnonzero(begins)])


def blocks(sizes: Integers) -> Iterator[Integers]:
    """Numbers of rows that go together into a block, short rows first; sizes (R,) are the rows' lengths.

    Short rows first, because they are cheap and their scores may spare work on the long ones.
    """
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    first = 0
    while first < len(order):
        longest = max(int(ordered[first] / _LEAST_FILL), 4)
        last = int(np.searchsorted(ordered, longest, side="right"))
        rows = max(1, BLOCK_SIZE // int(ordered[last - 1]))
        last = min(last, first + rows)
        yield order[first:last]
        first = last
