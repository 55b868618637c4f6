"""Why a detector fails: what its false positives are, by the analysis of DETAD.

Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018. Everything rests on one matching of
detections to instances (`matching.match`). The measure is average-mAP_N: AP with a precision that is computed as if
every class had as many instances as the mean class, so that classes, and groups of instances, of different sizes
compare. It is not mAP and must not be compared with it. Precision against recall, the curve that AP is the area of,
stands here too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import Booleans, Floats, Integers
from taltool.ops.matching import Matches, overlapping_pairs

TRUE_POSITIVE, DOUBLE_DETECTION, WRONG_LABEL, LOCALIZATION, CONFUSION, BACKGROUND = range(6)
OUTCOMES = ("true positive", "double detection", "wrong label", "localization", "confusion", "background")
# Below this tIoU with every instance a false positive is background (DETAD, section 4).
_LOWEST_TIOU = 0.1
# Where several instances overlap a detection equally: judge it by one of its own class, or by the first in the file.
Ties = Literal["own-class", "file"]
# The recalls at which precision is read.
RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class FalsePositives:
    """What the best detections are.

    Of each class k with G_k instances the best `multiples` * G_k detections are looked at. counts (L, multiples, 6):
    at each of L thresholds, for the first, second, ... G_k detections, how many have each of OUTCOMES.
    average_map_n is that of these detections alone; gains (6,): by how much it rises when all detections with
    that outcome are removed (nan for true positives).
    """

    counts: Integers
    average_map_n: float
    gains: Floats

    @property
    def detections(self) -> Integers:
        """How many detections (multiples,) are the k-th G."""
        return self.counts[0].sum(axis=1)

    @property
    def profile(self) -> Floats:
        """The share (multiples, 6) of each outcome among the k-th G detections, mean over thresholds."""
        return _shares(self.counts.mean(axis=0))

    @property
    def cumulative(self) -> Floats:
        """The share (multiples, 6) of each outcome among all of the top kG detections, mean over thresholds."""
        return _shares(np.cumsum(self.counts.mean(axis=0), axis=0))


def _shares(counts: Floats) -> Floats:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def false_positives(
    matches: Matches, thresholds: Sequence[float], ties: Ties = "own-class", multiples: int = 10
) -> FalsePositives:
    """The false-positive profile of ranked detections, and what each error costs.

    thresholds are the L tIoUs of `matches`, looked at are the first `multiples` * G detections of each class.
    """
    per_class = instances_per_class(matches)
    labels, rank = _class_ranks(matches)
    looked_at = rank < multiples * per_class[labels]
    outcomes = outcomes_of(matches, thresholds, ties)
    counts = np.zeros((len(thresholds), multiples, len(OUTCOMES)), np.int64)
    level, which = np.nonzero(np.broadcast_to(looked_at, outcomes.shape))
    portion = rank[which] // np.maximum(per_class[labels[which]], 1)
    np.add.at(counts, (level, portion, outcomes[level, which]), 1)
    base = average_map_n(matches, matches.hits & looked_at, np.broadcast_to(looked_at, outcomes.shape))
    gains = np.full(len(OUTCOMES), np.nan)
    for outcome in range(DOUBLE_DETECTION, len(OUTCOMES)):
        gains[outcome] = average_map_n(matches, matches.hits & looked_at, looked_at & (outcomes != outcome)) - base
    return FalsePositives(counts, base, gains)


def outcomes_of(matches: Matches, thresholds: Sequence[float], ties: Ties = "own-class") -> Integers:
    """The outcome (L, N), a position in OUTCOMES, of each ranked detection at each threshold.

    A detection that is no true positive is judged by the instance of any class that it overlaps most in its video.
    Several may overlap equally: THUMOS14 has two classes on the same segments of each dive. DETAD then takes the first
    in the file, so its shares depend on the file's order; here that is ties="file".
    """
    labels, _ = _class_ranks(matches)
    truth, segments = matches.positives, matches.detections.segments[matches.order]
    pairs = overlapping_pairs(segments, matches.videos, truth.segments, truth.videos, _LOWEST_TIOU)
    # Of each detection the pair of the highest tIoU: best (N,), and whether its instance has the class: same (N,).
    own = truth.labels[pairs.second] == labels[pairs.first]
    order = np.lexsort((pairs.second if ties == "file" else ~own, -pairs.tious, pairs.first))
    detections, first = np.unique(pairs.first[order], return_index=True)
    best, same = np.zeros(len(segments)), np.zeros(len(segments), bool)
    best[detections], same[detections] = pairs.tious[order][first], own[order][first]
    reached = best >= np.array(thresholds)[:, None]
    missed = np.where(same, LOCALIZATION, CONFUSION)
    outcomes = np.where(reached, np.where(same, DOUBLE_DETECTION, WRONG_LABEL), missed)
    outcomes = np.where(best < _LOWEST_TIOU, BACKGROUND, outcomes)
    return np.where(matches.hits, TRUE_POSITIVE, outcomes)


def instances_per_class(matches: Matches) -> Integers:
    """How many instances (K,) each class has."""
    return np.bincount(matches.positives.labels, minlength=matches.positives.num_classes)


def _class_ranks(matches: Matches) -> tuple[Integers, Integers]:
    """The class (N,) of each ranked detection and its position (N,) within the class, from 0."""
    sizes = np.diff(matches.edges)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return labels, np.arange(len(labels)) - matches.edges[labels]


def average_map_n(
    matches: Matches, hits: Booleans, counted: Booleans, per_class: NDArray[np.integer] | None = None
) -> float:
    """average-mAP_N: the mean of AP_N over classes with instances and over L thresholds; 0 where no class has any.

    hits (L, N): true positives; counted (L, N): the detections that are there at all. per_class (K,) is how many
    instances there are to find, by default all. The normaliser stays the mean class of the whole ground truth.
    """
    instances = instances_per_class(matches)
    wanted = instances if per_class is None else per_class
    normaliser = instances.sum() / max(np.count_nonzero(instances), 1)
    hits = hits & counted
    false = counted & ~hits
    ap = np.full((len(wanted), len(hits)), np.nan)  # (K, L)
    for label in np.flatnonzero(wanted):
        ranked = slice(matches.edges[label], matches.edges[label + 1])
        precision, recall_step = normalised_precision(hits[:, ranked], false[:, ranked], wanted[label], normaliser)
        best = np.maximum.accumulate(np.where(hits[:, ranked], precision, 0.0)[:, ::-1], axis=1)[:, ::-1]
        ap[label] = (best * hits[:, ranked]).sum(axis=1) * recall_step
    return float(np.nanmean(ap)) if not np.isnan(ap).all() else 0.0


def normalised_precision(hits: Booleans, false: Booleans, positives: int, normaliser: float) -> tuple[Floats, float]:
    """Precision_N (L, n) after each detection of a class, and what one true positive adds to recall.

    DETAD, section 3: precision = recall * N / (recall * N + false positives), N being the normaliser.
    """
    scaled = np.cumsum(hits, axis=1) / positives * normaliser
    total = scaled + np.cumsum(false, axis=1)
    return np.divide(scaled, total, out=np.zeros_like(scaled), where=total > 0), 1 / positives


def mean_precision_curve(matches: Matches) -> Floats:
    """Interpolated precision (101,) at RECALLS, mean over classes with instances and over thresholds.

    Interpolated: the best precision at that recall or more; 0 at recalls that a class does not reach.
    """
    curves = []
    for label, positives in enumerate(instances_per_class(matches).tolist()):
        if not positives:
            continue
        for hits in matches.hits[:, matches.edges[label] : matches.edges[label + 1]]:
            ranks = np.flatnonzero(hits)  # of the true positives, from 0
            found = np.arange(1, len(ranks) + 1)
            best = np.maximum.accumulate((found / (ranks + 1))[::-1])[::-1]
            # How many must be found for each recall; the margin forgives the rounding of the product.
            needed = np.searchsorted(found, RECALLS * positives - 1e-9, side="left")
            curves.append(np.append(best, 0.0)[needed])
    return np.mean(curves, axis=0) if curves else np.zeros(len(RECALLS))
