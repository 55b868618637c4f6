"""R@kx: in each video and class, the recall of the k*n best detections, n being the number of instances there.

The mean over classes, as ActionFormer and OpenTAD print it.
"""

import numpy as np

from taltool.data.records import Floats
from taltool.ops.matching import FirstHits
from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric, MetricInput, Printing


def multiple_recall(hits: FirstHits, weights: Floats, multiple: int) -> Floats:
    """R@kx (B, L) for k = `multiple`: the mean over classes of the recall of the k*n best of each video and class.

    hits must be by class. A detection may serve several instances here, unlike in AP.
    """
    truth = hits.truth
    groups = truth.labels * truth.num_videos + truth.videos
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    found = hits.ranks < np.minimum(multiple * sizes[group], hits.nowhere)
    share = weights[:, truth.videos]
    member = truth.labels[:, None] == np.arange(truth.num_classes)  # (M, K)
    positives = share @ member
    counted = np.stack([(share * row) @ member for row in found], axis=1)  # (B, L, K)
    recall = counted / np.maximum(positives, 1)[:, None]
    return recall.sum(axis=2) / np.maximum((positives > 0).sum(axis=1), 1)[:, None]


@METRICS.register("kx")
class MultipleRecall(Metric):
    """R@kx at each threshold for each k of `--kx`, and its mean over thresholds."""

    name = "R@kx"
    headlines = ()  # A detail of mAP.
    needs_labels = False  # without labels nothing is found, and the number is 0

    def values(self, data: MetricInput, weights: Floats) -> dict[str, Floats]:
        """R@kx@T (B,) at each threshold T, and average_R@kx (B,), for each k."""
        found = {}
        for multiple in data.multiples:
            recalls = multiple_recall(data.class_hits, weights, multiple)
            for level, name in enumerate(data.tious.names):
                found[f"R@{multiple}x@{name}"] = recalls[:, level]
            found[f"average_R@{multiple}x"] = recalls.mean(axis=1)
        return found

    def printing(self, name: str) -> Printing:
        """A table for each k."""
        multiple = name.split("@")[1]
        column = "average" if name.startswith("average") else name.rpartition("@")[2]
        return Printing(f"R@{multiple} in percent at tIoU", column)

    def size(self, data: MetricInput) -> int:
        """A number for each instance."""
        return len(data.truth)
