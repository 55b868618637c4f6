"""Mean average precision at any tIoU thresholds, by the rules of a named protocol.

Detections are put in one total order (class; then score down; then video, start and end up), so ties never depend on
the order of a file, and matched once (`taltool.ops.matching.match`). Everything after that needs only the detections'
videos, so a bootstrap over videos reuses the matching with other weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taltool.data.arrays import Detections, Instances
from taltool.data.records import Booleans, Floats, Integers
from taltool.ops.matching import Matches, match
from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric, MetricInput
from taltool.ops.protocols import ACTIVITYNET, Protocol
from taltool.ops.segments import by_group


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
    ap = average_precisions(matches, protocol, np.ones((1, max(truth.num_videos, detections.num_videos))))[0]
    means = class_means(ap)
    return MapResult(ap, means, float(means.mean()) if len(means) else 0.0, matches)


def class_means(ap: Floats) -> Floats:
    """The mean (..., L) of ap (..., K, L) over the classes that have instances; 0 where none has."""
    known = ~np.isnan(ap)
    counts = known.sum(axis=-2)
    return np.where(known, ap, 0.0).sum(axis=-2) / np.maximum(counts, 1)


def average_precisions(matches: Matches, protocol: Protocol, weights: Floats) -> Floats:
    """AP (B, K, L) under B weightings of the videos.

    weights (B, V) >= 0 says how often each video counts, in whole numbers: all ones for the plain number. A video that
    counts twice enters with all its detections twice, copies side by side. nan where a class has no instance of
    positive weight.
    """
    truth = matches.positives
    # The last row is that of a video that never counts.
    by_video = np.concatenate([weights.T, np.zeros((1, len(weights)))])
    result = np.full((len(weights), truth.num_classes, len(matches.partners)), np.nan)
    by_class, edges = by_group(truth.labels, truth.num_classes)
    for k in range(truth.num_classes):
        instances = by_class[edges[k] : edges[k + 1]]
        ranked = slice(matches.edges[k], matches.edges[k + 1])
        own = matches.order[ranked]
        # What no detection found takes one behind all others, which has no weight.
        hits = np.sort(np.minimum(matches.partners[:, instances] - ranked.start, len(own)), axis=1)
        share = by_video[np.append(matches.detections.videos[own], weights.shape[1])]
        scores = np.append(matches.detections.scores[own], -np.inf)
        forgiven = np.append(matches.forgiven[ranked], False)
        positives = by_video[truth.videos[instances]].sum(axis=0)
        ap = _average_precision(hits, scores, forgiven, share, positives, protocol)
        result[:, k] = np.where(positives > 0, ap, np.nan).T
    return result


def _average_precision(
    hits: Integers, scores: Floats, forgiven: Booleans, weights: Floats, positives: Floats, protocol: Protocol
) -> Floats:
    """AP (L, B) of one class of n detections in the total order, of which hits (L, m), ascending, are true positives.

    scores (n + 1,), forgiven (n + 1,), weights (n + 1, B): the last, which nothing weighs, stands for no hit. positives
    (B,). Only the precisions at true positives matter: between two of them precision falls. Weights are whole numbers,
    so sums of them are exact in any order.
    """
    gains = weights[hits]  # (L, m, B)
    found = np.cumsum(gains, axis=1)
    if forgiven.any() or protocol.ties == "hits":
        counted = _counted(hits, scores, forgiven, weights, protocol)
    else:
        counted = np.cumsum(weights, axis=0)[hits]
    precision = found / np.maximum(counted, 1)  # where nothing counts, nothing was found
    if protocol.average_precision == "eleven-point":
        return _eleven_point(precision, found, positives)
    if protocol.average_precision == "interpolated":
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # Each row without its zeros: how numpy groups the terms of a sum, hence its last digit, depends on their number.
    rows = zip(precision * gains, np.count_nonzero(hits < len(scores) - 1, axis=1), strict=True)
    return np.stack([row[:count].sum(axis=0) for row, count in rows]) / np.maximum(positives, 1e-300)


def _counted(hits: Integers, scores: Floats, forgiven: Booleans, weights: Floats, protocol: Protocol) -> Floats:
    """The weight (L, m, B) of the detections down to each hit, itself included, without forgiven false positives."""
    gains, false = weights[hits], np.where(forgiven[:, None], 0.0, weights)
    total, found = np.cumsum(false, axis=0), np.cumsum(gains, axis=1)
    # True positives count, even if they would be forgiven were they false.
    spared = gains - false[hits]
    all_spared = np.cumsum(spared, axis=1)
    if protocol.ties != "hits":
        return total[hits] + all_spared
    # Of detections with one score the true positives come first: what counts is all before that score, and they.
    start = np.searchsorted(-scores, -scores[hits])  # (L, m)
    is_new = np.diff(start, axis=1, prepend=-1) != 0
    first = np.maximum.accumulate(np.where(is_new, np.arange(hits.shape[1]), 0), axis=1)[..., None]
    before = (total - false)[start] + np.take_along_axis(all_spared - spared, first, axis=1)
    return before + found - np.take_along_axis(found - gains, first, axis=1)


def _eleven_point(precision: Floats, found: Floats, positives: Floats) -> Floats:
    """The mean over recalls 0, 0.1 .. 1 of the best precision at that recall or more; counts compare exactly."""
    total = np.zeros((len(precision), precision.shape[2]))
    for tenth in range(11):
        enough = found * 10 >= tenth * positives
        total += np.where(enough, precision, 0.0).max(axis=1, initial=0.0)
    return total / 11


@METRICS.register("map")
class MeanAveragePrecision(Metric):
    """mAP at each threshold, and its mean over thresholds."""

    name = "mAP"
    headlines = ("average_mAP",)

    def values(self, data: MetricInput, weights: Floats) -> dict[str, Floats]:
        """mAP@T (B,) at each threshold T, and average_mAP (B,)."""
        means = class_means(average_precisions(data.matches, data.protocol, weights))
        named = {f"mAP@{name}": means[:, level] for level, name in enumerate(data.tious.names)}
        return named | {"average_mAP": means.mean(axis=1)}

    def class_values(self, data: MetricInput) -> dict[str, Floats]:
        """AP (K,) at each threshold, and its mean over thresholds."""
        ap = average_precisions(data.matches, data.protocol, data.weights())[0]
        named = {f"mAP@{name}": ap[:, level] for level, name in enumerate(data.tious.names)}
        return named | {"average_mAP": ap.mean(axis=1)}

    def class_name(self, name: str) -> str:
        """What is a mean over classes as mAP is AP in one class."""
        return name.replace("mAP", "AP")

    def class_title(self) -> str:
        """The title of the table of classes."""
        return "AP in percent at tIoU"

    def size(self, data: MetricInput) -> int:
        """The largest class: its detections, and its instances at all thresholds."""
        instances = int(np.bincount(data.truth.labels).max(initial=0)) * len(data.tious)
        return int(np.diff(data.matches.edges).max(initial=0)) + instances
