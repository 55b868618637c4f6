"""Arithmetic of temporal segments: lengths, overlaps, tIoU. Units are the caller's; all arrays are float64.

An overlap is `max(0, min(ends) - max(starts))` everywhere, so touching, disjoint and empty segments overlap by 0, and
a quotient with an empty denominator is 0 instead of NaN (the official kits differ there: field notes, 0/0 -> match).
"""

import numpy as np

from taltool.data.records import Floats


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
