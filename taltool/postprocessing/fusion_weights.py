"""The weights and calibrations of a fusion: as given, by the ranks of a file's scores, or fitted to a ground truth.

Scores of different models do not compare: 0.3 may be much for one and little for another. A source of a fusion
therefore has a weight, and a calibration, a rising map that brings its scores onto a scale that all share: their
quantiles, or how often proposals of that score are right. `record` is how both are kept, in the provenance of the fused
file and in what `fuse --save-fit` writes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from taltool.data.annotations import read_ground_truth
from taltool.data.arrays import Detections, flatten, scope
from taltool.data.files import STANDARD, read_bytes
from taltool.data.json_documents import parsed_document
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import seen_videos
from taltool.errors import DataError, UsageError
from taltool.ops.fusion import Calibration, Fusion, Source, by_rank
from taltool.ops.fusion_fit import FitData, fit
from taltool.ops.method_names import FusionMethod
from taltool.reporting import Reporter

# Scores beyond these would make infinite numbers of others.
_LEAST, _MOST = 1e-300, 1e300


def record(settings: Fusion) -> dict[str, Any]:
    """What makes a fusion, ready for JSON: the method and each source's weight and calibration."""
    sources = [
        {"weight": source.weight, "before": source.calibration.before, "after": source.calibration.after}
        for source in settings.sources
    ]
    return {"method": settings.method.value, "sources": sources}


def given(weights: str | Sequence[float], paths: Sequence[str], method: FusionMethod) -> tuple[Source, ...]:
    """The sources with `weights`, one for each of the paths: numbers, their text "1,0.5", or a file of `record`.

    Raises UsageError where the number of weights is not that of the files, a weight is not a positive number, or the
    file is of another method; DataError where the file is none of `record`.
    """
    text = weights if isinstance(weights, str) else ",".join(map(str, weights))
    try:
        sources = [Source(float(word)) for word in text.split(",")]
    except ValueError:
        sources = _saved(text, method)
    if len(sources) != len(paths):
        raise UsageError(f"--weights {text}: {len(sources)} weights for {len(paths)} files")
    if not all(0 < source.weight < np.inf for source in sources):
        raise UsageError(f"--weights {text}: expected positive numbers")
    return tuple(sources)


def _saved(path: str, method: FusionMethod) -> list[Source]:
    """The sources in a file that holds the JSON of `record`."""
    try:
        saved = parsed_document(read_bytes(path)[0], path)
        fitted_for = saved["method"]
        sources = [
            Source(float(each["weight"]), _calibration(each["before"], each["after"])) for each in saved["sources"]
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected numbers such as 1,0.5, or a file written by --save-fit: {error}") from error
    # Calibrations are made for a method: quantiles for rank, precision (or none) for the others.
    if fitted_for != method.value:
        raise UsageError(f"--weights {path}: it was fitted for --method {fitted_for}, not {method.value}")
    return sources


def _calibration(before: list[float], after: list[float]) -> Calibration:
    """The map through these points; raises ValueError where no fit has such ones."""
    points = np.array([before, after], np.float64).reshape(2, -1)
    sizes, (rises, rises_after) = np.abs(points[0][points[0] != 0]), np.diff(points)
    if not (((sizes > _LEAST) & (sizes < _MOST)).all() and (rises > 0).all()):
        raise ValueError("the scores before a calibration are finite numbers, each above the one before it")
    # Shares of what is right, or quantiles; a little above 1 where a slope was kept.
    if not ((points[1] >= 0) & (points[1] < 2)).all() or (rises_after < 0).any():
        raise ValueError("the scores after a calibration are numbers from 0 to 1, none below the one before it")
    return Calibration(*(tuple(row) for row in points.tolist()))


def ranked(sources: Sequence[Source], paths: Sequence[str]) -> tuple[Source, ...]:
    """The sources calibrated by the quantiles of the scores in their files, each of which is read.

    Only the order within a file counts then. All scores of one file are in memory, 8 bytes each.
    """
    calibrated = []
    for source, path in zip(sources, paths, strict=True):
        with _reopened(path) as reader:
            scores = np.concatenate([np.empty(0), *(video.scores for video in reader)])
        calibration = by_rank(scores) if len(scores) else Calibration()
        calibrated.append(replace(source, calibration=calibration))
    return tuple(calibrated)


def _reopened(path: str) -> ProposalReader:
    if path == STANDARD:
        raise UsageError("a fit and the method rank read each file twice: name a file instead of standard input")
    return ProposalReader(path)


def fitted(
    settings: Fusion,
    paths: Sequence[str],
    ground_truth: str,
    *,
    subset: str | None,
    split: str | None,
    tious: Sequence[float],
    reporter: Reporter,
) -> tuple[Fusion, float]:
    """The settings with the sources that do best on the videos of a ground truth, and their average mAP over `tious`.

    Every file is read, of which only what is in the `subset` (of `split`, "FILE:NAME") is kept in memory. Raises
    DataError where a file has no labels, or none has detections in these videos.
    """
    within = scope(read_ground_truth(ground_truth, split), subset)
    found: list[Detections] = []  # of each file, N in all
    for path in paths:
        with _reopened(path) as reader:
            detections, contents = flatten(reader, within)
        for line in seen_videos(reader.provenance, within.video_ids, path).warnings(
            "fitted", "the weights favour what was learnt"
        ):
            reporter.warn(f"{path}: {line}")
        if not contents.labelled:
            raise DataError(f"{path}: --fit measures mAP, and these proposals have no labels; use taltool label first")
        found.append(detections)
    sources = np.repeat(np.arange(len(found)), [len(each) for each in found])  # (N,) whose each detection is
    if not len(sources):
        raise DataError(f"{ground_truth}: no file has detections in the videos to fit on; see --subset")
    videos, labels = np.concatenate([each.videos for each in found]), np.concatenate([each.labels for each in found])
    order = np.argsort(videos, kind="stable")
    # Labels that the ground truth does not know cannot count for or against any fusion.
    order = order[labels[order] >= 0]
    joined = Detections(
        videos=videos[order],
        labels=labels[order],
        segments=np.concatenate([each.segments for each in found])[order],
        scores=np.concatenate([each.scores for each in found])[order],
    )
    # What comes back is the best of some dozen fusions, each measured as `taltool evaluate` measures it.
    with reporter.track("fit", unit="tries") as task:
        data = FitData(joined, sources[order], within.truth, tious)
        best, value = fit(data, settings, lambda _, reached: task.advance(average_mAP=reached))
    weights = ", ".join(f"{path} {source.weight:.3g}" for path, source in zip(paths, best.sources, strict=True))
    how = "calibrated by precision" if best.sources[0].calibration.before else "plain scores"
    how = "quantiles" if best.method is FusionMethod.rank else how
    reporter.note(f"fitted on {len(within.video_ids)} videos: average mAP {value:.5f} with {how}, weights {weights}")
    return best, value
