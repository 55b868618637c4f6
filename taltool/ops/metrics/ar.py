"""Recall of proposals, whatever their label: AR@AN with its AUC, and recall at a fixed number of proposals.

AR@AN and AUC are the ActivityNet proposal kit's (eval_proposal.py). AN is an average: each video gives the same
fraction of its own proposals, so a video with many gives more than AN. Its AUC runs from AN = 1, so that perfect
proposals reach 99, not 100. Recall at fixed k takes the k best proposals of every video. Both count instances whatever
their class, twice where two classes share a segment.
"""

import numpy as np

from taltool.data.records import Floats, Integers
from taltool.ops.matching import FirstHits
from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric, MetricInput, Printing

# Curve points that are printed; the largest average number is printed as well.
_PRINTED_NUMBERS = (1, 5, 10, 50, 100, 200, 500)


def average_recall(hits: FirstHits, weights: Floats, max_average: int = 100) -> Floats:
    """AR (B, max_average) at an average number of 1 .. max_average proposals a video, under B weightings of videos.

    weights (B, V) says how often each video counts. The recall is averaged over the thresholds of `hits`.
    """
    _, instance = np.nonzero(hits.ranks < hits.nowhere)
    ranks, videos = hits.ranks[hits.ranks < hits.nowhere], hits.truth.videos[instance]
    return np.stack([_recall_curve(hits, ranks, videos, each, max_average) for each in weights])


def _recall_curve(hits: FirstHits, ranks: Integers, videos: Integers, weights: Floats, max_average: int) -> Floats:
    """AR (max_average,) from the ranks (H,) at which instances of the videos (H,) are first hit.

    The order of operations is the kit's, since floors of products decide.
    """
    annotated = np.zeros(len(weights), bool)
    annotated[hits.truth.videos] = True
    num_videos, given = weights[annotated].sum(), (weights * hits.proposals).sum()
    if not given or not num_videos:
        return np.zeros(max_average)
    ratio = max_average * num_videos / given
    taken = np.minimum((hits.proposals * ratio).astype(np.int64), hits.proposals)
    total = (weights * taken)[annotated].sum()
    if not total:
        return np.zeros(max_average)
    share = max_average * num_videos / total
    fractions = np.arange(1, max_average + 1) / max_average * share
    within = ranks < taken[videos]
    videos = videos[within]
    steps = _steps_to_reach(ranks[within] + 1, taken[videos], fractions)
    gains = np.bincount(steps, weights[videos], minlength=max_average + 1)[:max_average]
    return np.cumsum(gains) / (len(hits.ranks) * weights[hits.truth.videos].sum())


def _steps_to_reach(wanted: Integers, taken: Integers, fractions: Floats) -> Integers:
    """At how many of the A ascending fractions int(taken * fraction) is below `wanted` (H,); taken (H,) > 0."""
    # The fractions are even steps, so division finds the place, but for rounding one below or above.
    near = (wanted / (taken * fractions[0])).clip(max=len(fractions)).astype(np.int64)
    sure = np.maximum(near - 1, 0)
    padded = np.append(fractions, np.inf)
    return sure + (taken * padded[sure] < wanted) + (taken * padded[sure + 1] < wanted)


def area_under_curve(recalls: Floats) -> Floats:
    """AUC (B,) in percent of the curves (B, AN) over AN = 1 .. max, by the trapezoid rule, divided by the last AN."""
    return 100 * (recalls[:, 1:] + recalls[:, :-1]).sum(axis=1) / 2 / recalls.shape[1]


def fixed_recall(hits: FirstHits, weights: Floats, number: int) -> Floats:
    """Recall (B,) when every video gives its `number` best proposals, averaged over the thresholds."""
    found = (hits.ranks < min(number, hits.nowhere)).mean(axis=0)
    share = weights[:, hits.truth.videos]
    return (share * found).sum(axis=1) / np.maximum(share.sum(axis=1), 1)


@METRICS.register("ar")
class AverageRecall(Metric):
    """AR@AN at a few average numbers, the area under its curve, and recall of the K best of every video."""

    name = "average recall"
    headlines = ("AUC",)
    thresholds = "recall"
    needs_labels = False

    def values(self, data: MetricInput, weights: Floats) -> dict[str, Floats]:
        """AR@N (B,) and recall@topN (B,) at each printed number N, and AUC (B,) in percent."""
        numbers = sorted({n for n in _PRINTED_NUMBERS if n < data.max_average} | {data.max_average})
        curves = average_recall(data.first_hits, weights, data.max_average)
        found = {f"AR@{number}": curves[:, number - 1] for number in numbers} | {"AUC": area_under_curve(curves)}
        return found | {f"recall@top{number}": fixed_recall(data.first_hits, weights, number) for number in numbers}

    def printing(self, name: str) -> Printing:
        """Two tables; AUC is in percent already, as its kit prints it."""
        column = name.rpartition("@")[2]
        if name.startswith("recall@"):
            return Printing("Recall in percent of the best proposals of every video", column)
        table = "Average recall in percent at an average number of proposals a video, and the area below"
        return Printing(table, column, "percent" if name == "AUC" else "fraction")

    def size(self, data: MetricInput) -> int:
        """A number for each instance."""
        return len(data.truth)
