"""Precision against recall, the curve that AP is the area of."""

import numpy as np

from taltool.ops.diagnosis import instances_per_class
from taltool.ops.metrics import Matches
from taltool.ops.segments import Floats

# The recalls at which precision is read.
RECALLS = np.linspace(0.0, 1.0, 101)


def mean_precision_curve(matches: Matches) -> Floats:
    """Interpolated precision (101,) at RECALLS, mean over classes with instances and over thresholds.

    Interpolated: the best precision at that recall or more; 0 at recalls that a class does not reach.
    """
    per_class = instances_per_class(matches)
    curves = [
        _precision_at(hits, per_class[label])
        for label in np.flatnonzero(per_class)
        for hits in matches.hits[:, matches.edges[label] : matches.edges[label + 1]]
    ]
    return np.mean(curves, axis=0) if curves else np.zeros(len(RECALLS))


def _precision_at(hits: np.ndarray, positives: int) -> Floats:
    """Interpolated precision (101,) of one class at one threshold; hits (n,) are in ranked order."""
    where = np.flatnonzero(hits)
    found = np.arange(1, len(where) + 1)
    best = np.maximum.accumulate((found / (where + 1))[::-1])[::-1]
    needed = np.searchsorted(found, RECALLS * positives - 1e-9, side="left")
    return np.append(best, 0.0)[needed]
