"""DETAD's definitions as plain loops, slow and obvious: what the arrays of taltool must equal."""

import numpy as np

from taltool.data.arrays import Instances


def plain_outcomes(
    truth: Instances, videos: np.ndarray, labels: np.ndarray, segments: np.ndarray, hits: np.ndarray, tious: list[float]
) -> np.ndarray:
    """The number of the outcome of each detection at each threshold."""
    made = np.zeros(hits.shape, int)
    for n in range(len(labels)):
        best, same = 0.0, False
        for video, label, (start, end) in zip(truth.videos, truth.labels, truth.segments, strict=True):
            if video == videos[n]:
                common = max(0.0, min(end, segments[n, 1]) - max(start, segments[n, 0]))
                union = (end - start) + (segments[n, 1] - segments[n, 0]) - common
                overlap = common / union if union > 0 else 0.0
                if overlap > best or (overlap == best and label == labels[n]):
                    best, same = overlap, label == labels[n]
        for level, threshold in enumerate(tious):
            if hits[level, n]:
                made[level, n] = 0
            elif best >= threshold:
                made[level, n] = 1 if same else 2
            elif best >= 0.1:
                made[level, n] = 3 if same else 4
            else:
                made[level, n] = 5
    return made


def plain_average_map_n(truth: Instances, labels: np.ndarray, hits: np.ndarray) -> float:
    """Mean over classes with instances and thresholds; detections in ranked order."""
    classes = sorted(set(truth.labels.tolist()))
    normaliser = len(truth) / len(classes)
    values = []
    for k in classes:
        positives = int((truth.labels == k).sum())
        for level in range(len(hits)):
            points, found, false = [], 0, 0
            for hit in hits[level, labels == k]:
                found, false = found + int(hit), false + int(not hit)
                recall = found / positives
                if recall > 0:
                    points.append((recall, recall * normaliser / (recall * normaliser + false)))
            reached = sorted({recall for recall, _ in points})
            steps = np.diff([0.0, *reached])
            best = [max(p for r, p in points if r >= recall) for recall in reached]
            values.append(float(np.dot(steps, best)))
    return float(np.mean(values))
