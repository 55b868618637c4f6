"""Mean average precision at any tIoU thresholds, by the rules of a named protocol.

Detections are put in one total order (class; then score down; then video, start and end up), so ties never depend on
the order of a file, and matched once. Everything after that needs only the detections' videos, so a bootstrap over
videos reuses the matching with other weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taltool.data.arrays import Detections, Instances
from taltool.data.records import Booleans, Floats, Integers
from taltool.ops.matching import overlapping_pairs, serial_match
from taltool.ops.protocols import ACTIVITYNET, Protocol
from taltool.ops.tie_order import kit_order, total_order


@dataclass(frozen=True, eq=False)
class Matches:
    """Detections in the total order, each a true positive or not at each of L thresholds.

    order (N,) are positions in the detections that were given: those of known classes, ranked; videos (N,), scores
    (N,) and segments are in that order. edges (K + 1,): class k is the slice edges[k]:edges[k + 1]. hits (L, N) says
    true positive, forgiven (N,) that a false positive does not count. partners (L, M): which detection (ranked
    position) matched each instance, N for none. positives: the instances.
    """

    order: Integers
    videos: Integers
    scores: Floats
    edges: Integers
    hits: Booleans
    forgiven: Booleans
    partners: Integers
    positives: Instances


@dataclass(frozen=True, eq=False)
class MapResult:
    """ap (K, L) of each class at each threshold; map (L,) its mean over classes; average the mean of map."""

    ap: Floats
    map: Floats
    average: float
    matches: Matches


def mean_average_precision(
    truth: Instances,
    detections: Detections,
    tious: Sequence[float],
    protocol: Protocol = ACTIVITYNET,
    excused: Instances | None = None,
) -> MapResult:
    """The mAP of detections at each tIoU threshold.

    Classes are 0 .. truth.num_classes - 1; those without an instance are nan in `ap` and stay out of the mean.
    excused are segments that forgive false positives overlapping them, where the protocol has that rule.
    """
    matches = match(truth, detections, tious, protocol, excused)
    ap = average_precisions(matches, protocol, np.ones((1, _num_videos(matches))))[0]
    means = class_means(ap)
    return MapResult(ap, means, float(means.mean()) if len(means) else 0.0, matches)


def class_means(ap: Floats) -> Floats:
    """The mean (..., L) of ap (..., K, L) over the classes that have instances; 0 where none has."""
    known = ~np.isnan(ap)
    counts = known.sum(axis=-2)
    return np.where(known, ap, 0.0).sum(axis=-2) / np.maximum(counts, 1)


def match(
    truth: Instances,
    detections: Detections,
    tious: Sequence[float],
    protocol: Protocol = ACTIVITYNET,
    excused: Instances | None = None,
) -> Matches:
    """Match detections to instances of the same video and class at each tIoU threshold, one to one.

    Segments of zero length never match; detections of labels that no instance has are left out.
    """
    order = (
        kit_order(detections.labels, detections.scores)
        if protocol.ties == "kit"
        else total_order(detections.labels, detections)
    )
    order = order[detections.labels[order] >= 0]
    segments, videos, labels = detections.segments[order], detections.videos[order], detections.labels[order]
    stride = max(truth.num_videos, int(videos.max(initial=-1)) + 1)
    groups, truth_groups = labels * stride + videos, truth.labels * stride + truth.videos
    lowest = min(tious)
    if protocol.chooser == "detections":
        pairs = overlapping_pairs(segments, groups, truth.segments, truth_groups, lowest)
        partners = serial_match(pairs, len(order), len(truth), tious, protocol.strict)
    else:
        pairs = overlapping_pairs(truth.segments, truth_groups, segments, groups, lowest)
        takers = serial_match(pairs, len(truth), len(order), tious, protocol.strict)
        partners = _inverted(takers, len(truth))
    forgiven = np.zeros(len(order), bool)
    if protocol.excused is not None and excused is not None:
        reached = overlapping_pairs(segments, videos, excused.segments, excused.videos, 0.0).first
        forgiven[reached] = True
    edges = np.searchsorted(labels, np.arange(truth.num_classes + 1))
    hits = _hits(partners, len(order))
    return Matches(order, videos, detections.scores[order], edges, hits, forgiven, partners, truth)


def _inverted(takers: Integers, num_choosers: int) -> Integers:
    """Turn "who took partner n" (L, N) into "what chooser m took" (L, num_choosers), N for nothing."""
    taken = np.full((len(takers), num_choosers + 1), takers.shape[1])
    level, partner = np.nonzero(takers < num_choosers)
    taken[level, takers[level, partner]] = partner
    return taken[:, :num_choosers]


def _hits(partners: Integers, count: int) -> Booleans:
    hits = np.zeros((len(partners), count + 1), bool)
    np.put_along_axis(hits, partners, True, axis=1)
    return hits[:, :count]


def _num_videos(matches: Matches) -> int:
    return max(matches.positives.num_videos, int(matches.videos.max(initial=-1)) + 1)


def average_precisions(matches: Matches, protocol: Protocol, weights: Floats) -> Floats:
    """AP (B, K, L) under B weightings of the videos.

    weights (B, V) >= 0 says how often each video counts: all ones for the plain number. A video that counts twice
    enters with all its detections twice, copies side by side. nan where a class has no instance of positive weight.
    """
    truth = matches.positives
    num_classes, num_levels = truth.num_classes, len(matches.hits)
    result = np.full((len(weights), num_classes, num_levels), np.nan)
    by_class = np.argsort(truth.labels, kind="stable")
    edges = np.searchsorted(truth.labels[by_class], np.arange(num_classes + 1))
    for k in range(num_classes):
        positives = weights[:, truth.videos[by_class[edges[k] : edges[k + 1]]]].sum(axis=1)
        ranked = slice(matches.edges[k], matches.edges[k + 1])
        share = weights[:, matches.videos[ranked]]
        scores, forgiven = matches.scores[ranked], matches.forgiven[ranked]
        for level in range(num_levels):
            hits = matches.hits[level, ranked]
            ap = _average_precision(hits, forgiven, scores, share, positives, protocol)
            result[:, k, level] = np.where(positives > 0, ap, np.nan)
    return result


def _average_precision(
    hits: Booleans, forgiven: Booleans, scores: Floats, weights: Floats, positives: Floats, protocol: Protocol
) -> Floats:
    """AP (B,) of one class at one threshold; hits (n,), weights (B, n) and scores (n,) are in the total order.

    Only the precisions at true positives matter: between two of them precision falls.
    """
    if protocol.ties == "hits":
        order = np.lexsort((~hits, -scores))
        hits, forgiven, weights = hits[order], forgiven[order], weights[:, order]
    counted = np.cumsum(weights * (hits | ~forgiven) if forgiven.any() else weights, axis=1)[:, hits]
    gains = weights[:, hits]
    found = np.cumsum(gains, axis=1)
    precision = np.divide(found, counted, out=np.zeros_like(found), where=counted > 0)
    if protocol.average_precision == "eleven-point":
        return _eleven_point(precision, found, positives)
    if protocol.average_precision == "interpolated":
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return (precision * gains).sum(axis=1) / np.maximum(positives, 1e-300)


def _eleven_point(precision: Floats, found: Floats, positives: Floats) -> Floats:
    """The mean over recalls 0, 0.1 .. 1 of the best precision at that recall or more; counts compare exactly."""
    total = np.zeros(len(precision))
    for tenth in range(11):
        enough = found * 10 >= tenth * positives[:, None]
        total += np.where(enough, precision, 0.0).max(axis=1, initial=0.0)
    return total / 11
