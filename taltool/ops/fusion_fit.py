"""Weights and calibrations of a fusion, fitted to a ground truth by average mAP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from taltool.data.arrays import Detections, Instances
from taltool.data.records import Floats, Integers
from taltool.ops.fusion import Calibration, Fusion, Source, by_precision, by_rank, fuse_batch
from taltool.ops.method_names import FusionMethod
from taltool.ops.metrics import match, mean_average_precision
from taltool.ops.nms import ProposalBatch

# Factors tried on each weight in turn, coarse first; the fit is the best of what was tried, never worse than equal
# weights. AP moves in steps, so a search by slopes would have none to follow.
_FACTORS = ((0.25, 0.5, 2.0, 4.0), (0.7, 1.4), (0.85, 1.2))


@dataclass(frozen=True, eq=False)
class FitData:
    """The detections of all sources in the videos to fit on (those of a video side by side), and their truth."""

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
            centre = best
            for factor in factors:
                attempt(_reweighted(centre, number, factor))
    return _normalised(best), best_value


def _calibrations(data: FitData, start: Fusion) -> list[list[Calibration]]:
    """The sets of calibrations to try, one calibration per source in each."""
    found = [data.of_source(number) for number in range(len(start.sources))]
    if start.method is FusionMethod.rank:
        return [[by_rank(each.scores) for each in found]]
    precise = [by_precision(each.scores, _hits(each, data)) for each in found]
    return [[Calibration() for _ in found], precise]


def _hits(detections: Detections, data: FitData) -> Floats:
    """For each detection (N,) the share of the thresholds at which it is a true positive."""
    matches = match(data.truth, detections, data.tious)
    hits = np.zeros(len(detections))
    hits[matches.order] = matches.hits.mean(axis=0)
    return hits


def _reweighted(settings: Fusion, number: int, factor: float) -> Fusion:
    sources = list(settings.sources)
    sources[number] = replace(sources[number], weight=sources[number].weight * factor)
    return replace(settings, sources=tuple(sources))


def _normalised(settings: Fusion) -> Fusion:
    """The same fusion with weights whose largest is 1, which keeps scores in their range."""
    largest = max(source.weight for source in settings.sources)
    scaled = (Source(source.weight / largest, source.calibration) for source in settings.sources)
    return replace(settings, sources=tuple(scaled))
