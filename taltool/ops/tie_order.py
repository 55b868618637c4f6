"""The rule for ties in evaluation: which of several detections with equal scores comes first.

A protocol says by `ties` which of these orders it has; its third, "hits", needs to know what a hit is and stands with
the average precision (`taltool.ops.metrics`).
"""

import numpy as np

from taltool.data.arrays import Detections
from taltool.data.records import Floats, Integers


def total_order(groups: Integers, detections: Detections) -> Integers:
    """The total order (N,) of detections: group (N,), then score down, then video, start and end up.

    Videos compare by id, those that the ground truth does not have after the others. The order of the file and the
    sorting algorithm make no difference.
    """
    start, end = detections.segments.T
    return np.lexsort((end, start, detections.videos, -detections.scores, groups))


def kit_order(groups: Integers, scores: Floats) -> Integers:
    """The groups (N,) one after the other, each by score as the ActivityNet kit's unstable `argsort()[::-1]` has it."""
    by_group = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[by_group]) != 0) + 1
    return np.concatenate([part[np.argsort(scores[part])[::-1]] for part in np.split(by_group, starts)])
