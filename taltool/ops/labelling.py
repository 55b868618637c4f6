"""Giving class-agnostic proposals their classes: from scores of the whole video, or by the vote of other detections."""

from collections.abc import Callable

import numpy as np

from taltool.data.records import Floats, Integers
from taltool.ops.method_names import Combination
from taltool.ops.segments import ratio, tiou

# Pairs of segments that are compared in one go, to bound memory.
_PAIRS = 1 << 20


def combined(proposal: Floats, of_class: Floats, how: Combination, weight: float = 0.5) -> Floats:
    """The scores of detections from those of proposals and classes (both >= 0, broadcast)."""
    if how is Combination.product:
        return proposal * of_class
    if how is Combination.sqrt:
        return np.sqrt(proposal * of_class)
    return proposal ** (1 - weight) * of_class**weight


def best_classes(scores: Floats, count: int) -> Integers:
    """The numbers (N, count) of the best classes in each row of scores (N, K); of equal ones the first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def of_own_class(shares: Floats, classes: Integers) -> Floats:
    """shares (N, K) where they are of a proposal's own class, classes (N,), and 0 elsewhere; -1 is none of the K."""
    known = np.flatnonzero(classes >= 0)
    own = np.zeros(shares.shape)
    own[known, classes[known]] = shares[known, classes[known]]
    return own


def distinct(segments: Floats, labels: Integers) -> Integers:
    """The positions, ascending, of the first of each set of copies: equal rows of segments (N, 2) with equal labels."""
    order = np.lexsort((labels, segments[:, 1], segments[:, 0]))  # Stable, so that the first copy stays in front.
    facts = np.column_stack([segments, labels])[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (facts[1:] != facts[:-1]).any(1)
    return np.sort(order[is_first])


def best_votes(segments: Floats, voters: Floats, scores: Floats, labels: Integers, num_classes: int) -> Floats:
    """Class scores (N, K) of segments (N, 2): the largest score times tIoU of a detection of the class.

    Unlike a share it keeps how sure the detector was, and so its ranking. Arguments as those of `voted_shares`.
    """

    def best(overlap: Floats) -> Floats:
        found = np.zeros((num_classes, len(overlap)))
        np.maximum.at(found, labels, (overlap * scores).T)
        return found.T

    return _in_parts(segments, voters, best).reshape(-1, num_classes)


def voted_shares(segments: Floats, voters: Floats, scores: Floats, labels: Integers, num_classes: int) -> Floats:
    """Class distributions (N, K) of segments (N, 2) by the vote of labelled detections.

    A detection (voters (M, 2), scores (M,), labels (M,) below K) votes for its class with its score times its tIoU
    with the segment. Rows sum to 1, or are 0 where nothing overlaps.
    """
    members = np.zeros((len(labels), num_classes))
    members[np.arange(len(labels)), labels] = scores
    votes = _in_parts(segments, voters, lambda overlap: overlap @ members).reshape(-1, num_classes)
    return ratio(votes, votes.sum(1, keepdims=True))


def _in_parts(segments: Floats, voters: Floats, summary: Callable[[Floats], Floats]) -> Floats:
    """summary of the tIoU (n, M) of n segments with all voters, for all N segments, some at a time."""
    step = max(1, _PAIRS // max(1, len(voters)))
    parts = [summary(tiou(segments[first : first + step], voters)) for first in range(0, len(segments), step)]
    return np.concatenate(parts) if parts else np.zeros(0)
