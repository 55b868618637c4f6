"""Weights and calibrations of a fusion, fitted to a ground truth by average mAP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from taltool.data.arrays import Detections, Instances
from taltool.data.records import Integers
from taltool.ops.fusion import Calibration, Fusion, by_precision, by_rank, fuse_batch
from taltool.ops.matching import match
from taltool.ops.method_names import FusionMethod
from taltool.ops.metrics.map import mean_average_precision
from taltool.ops.nms import ProposalBatch

# Factors tried on each weight in turn, coarse first; the fit is the best of what was tried, never worse than equal
# weights. AP moves in steps, so a search by slopes would have none to follow.
_FACTORS = ((0.25, 0.5, 2.0, 4.0), (0.7, 1.4), (0.85, 1.2))


@dataclass(frozen=True, eq=False)
class FitData:
    """What a fit is made on: the detections of all sources (those of a video side by side), and their truth.

    sources (N,) says whose each of the N detections is; tious are the thresholds of the average mAP.
    """

    detections: Detections
    sources: Integers
    truth: Instances
    tious: Sequence[float]

    def of_source(self, number: int) -> Detections:
        """The detections of one source."""
        own = self.sources == number
        found = self.detections
        return Detections(found.videos[own], found.labels[own], found.segments[own], found.scores[own])

    def average_map(self, settings: Fusion) -> float:
        """The average mAP of the fused detections."""
        found = self.detections
        durations = np.full(int(found.videos.max(initial=0)) + 1, np.nan)
        videos, labels = found.videos.astype(np.int64), found.labels.astype(np.int64)
        candidates = ProposalBatch(found.segments, found.scores, videos, labels, durations)
        fused = fuse_batch(candidates, self.sources, settings)
        classes = np.empty(0, np.int64) if fused.classes is None else fused.classes
        detections = Detections(fused.videos, classes, fused.segments, fused.scores)
        return mean_average_precision(self.truth, detections, self.tious).average


def fit(data: FitData, start: Fusion, tell: Callable[[Fusion, float], None]) -> tuple[Fusion, float]:
    """The best fusion found, and its average mAP on the data; `tell` hears of each try.

    Calibration by precision is tried beside the plain scores, except for the method rank, which has its own.
    """
    best, best_value = start, -1.0

    def attempt(settings: Fusion) -> None:
        nonlocal best, best_value
        value = data.average_map(settings)
        tell(settings, value)
        if value > best_value:
            best, best_value = settings, value

    for calibrations in _calibrations(data, start):
        sources = zip(start.sources, calibrations, strict=True)
        attempt(replace(start, sources=tuple(replace(source, calibration=each) for source, each in sources)))
    for factors in _FACTORS:
        for number in range(1, len(start.sources)):
            centre = best.sources
            for factor in factors:
                moved = replace(centre[number], weight=centre[number].weight * factor)
                attempt(replace(start, sources=(*centre[:number], moved, *centre[number + 1 :])))
    # With weights whose largest is 1 scores stay in their range.
    largest = max(source.weight for source in best.sources)
    scaled = tuple(replace(source, weight=source.weight / largest) for source in best.sources)
    return replace(best, sources=scaled), best_value


def _calibrations(data: FitData, start: Fusion) -> list[list[Calibration]]:
    """The sets of calibrations to try, one calibration per source in each."""
    found = [data.of_source(number) for number in range(len(start.sources))]
    if start.method is FusionMethod.rank:
        return [[by_rank(each.scores) for each in found]]
    precise = []
    for each in found:
        matches = match(data.truth, each, data.tious)
        hits = np.zeros(len(each))  # (N,): at which share of the thresholds a detection is a true positive
        hits[matches.order] = matches.hits.mean(axis=0)
        precise.append(by_precision(each.scores, hits))
    return [[Calibration() for _ in found], precise]
