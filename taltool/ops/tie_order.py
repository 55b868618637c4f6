"""The rule for ties in evaluation: which of several detections with equal scores comes first.

A protocol says by `ties` which of these orders it has; its third, "hits", needs to know what a hit is and stands with
the average precision (`taltool.ops.metrics`).
"""

import numpy as np

from taltool.data.arrays import Detections, Numbers
from taltool.data.records import Floats, Integers


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
