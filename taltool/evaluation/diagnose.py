"""Diagnosing files of detections against one ground truth, which is read once; needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taltool.data.arrays import Contents, Scope
from taltool.data.records import Floats, GroundTruth
from taltool.errors import UsageError
from taltool.evaluation.evaluate import DetectionFile, EvaluationRequest, Exclusion, read_inputs
from taltool.ops.diagnosis import FalsePositives, Ties, false_positives
from taltool.ops.diagnosis_instances import (
    ANNOTATOR_BINS,
    Bins,
    Group,
    bins_at,
    characteristics,
    fit_bins,
    group_analysis,
    missed_instances,
    overall_map_n,
)
from taltool.ops.metrics import mean_average_precision
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter


@dataclass(frozen=True, eq=False)
class FileDiagnosis:
    """What is wrong with one file of detections.

    average_map is that of `evaluate`; average_map_n and missed (the share of instances that no detection finds) are
    over all instances; groups holds them for each group of each characteristic.
    """

    file: str
    sha256: str
    contents: Contents
    average_map: float
    average_map_n: float
    missed: float
    false_positives: FalsePositives
    groups: dict[str, list[Group]]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Everything that a report says. subset is None where the ground truth has no subsets."""

    request: EvaluationRequest
    ties: Ties
    subset: str | None
    truth_file: str
    truth_sha256: str
    scope: Scope
    exclusion: Exclusion | None
    files: list[FileDiagnosis]


def diagnose_files(
    request: EvaluationRequest,
    cuts: Mapping[str, tuple[float, ...]],
    ties: Ties = "own-class",
    reporter: Reporter = SILENT,
) -> Diagnosis:
    """Diagnose every file of predictions by DETAD's analyses.

    request says what on, its protocol is activitynet; cuts gives for a characteristic the values between its groups,
    the others are parted into fifths. Raises UsageError and DataError.
    """
    inputs = read_inputs(request, reporter)
    values = instance_values(inputs.truth, inputs.scope)
    unknown = [name for name in cuts if name not in values]
    if unknown:
        known = [name for name in values if name not in ANNOTATOR_BINS]
        hint = did_you_mean(unknown[0], known)
        raise UsageError(f"--groups {unknown[0]}: no such characteristic{hint} (there are: {', '.join(known)})")
    bins = {name: _bins(name, each, cuts.get(name)) for name, each in values.items()}
    files = [_diagnose(file, inputs.scope, request, values, bins, ties) for file in inputs.files]
    subset = request.subset if inputs.truth.subsets else None
    return Diagnosis(
        request, ties, subset, inputs.truth.file, inputs.truth.sha256, inputs.scope, inputs.exclusion, files
    )


def instance_values(truth: GroundTruth, within: Scope) -> dict[str, Floats]:
    """The characteristics (M,) of the instances of a scope: measured ones, and judged ones where the file has them."""
    videos = [truth.videos[video_id] for video_id in within.video_ids]
    durations = np.array([video.duration for video in videos])
    found = characteristics(within.truth.segments, within.truth.videos, durations)
    chosen = set(within.class_names)
    counts = np.array([name in chosen for name in truth.names])
    for name in ANNOTATOR_BINS:
        if any(name in video.annotator_attributes for video in videos):
            parts = [
                video.annotator_attributes.get(name, np.full(len(video), np.nan))[counts[video.labels]]
                for video in videos
            ]
            values = np.concatenate(parts)
            if not np.isnan(values).all():
                found[name] = values
    return found


def _bins(name: str, values: Floats, cuts: tuple[float, ...] | None) -> Bins:
    if name in ANNOTATOR_BINS:
        return ANNOTATOR_BINS[name]
    return fit_bins(values) if cuts is None else bins_at(cuts)


def _diagnose(
    file: DetectionFile,
    within: Scope,
    request: EvaluationRequest,
    values: dict[str, Floats],
    bins: dict[str, Bins],
    ties: Ties,
) -> FileDiagnosis:
    if not file.contents.labelled and len(file.detections):
        raise UsageError(f"{file.file}: no labels, so no diagnosis; give them some with taltool label")
    thresholds = list(request.tious.values)
    result = mean_average_precision(within.truth, file.detections, thresholds)
    matches = result.matches
    return FileDiagnosis(
        file.file,
        file.sha256,
        file.contents,
        result.average,
        overall_map_n(matches),
        float(missed_instances(matches).mean()),
        false_positives(matches, file.detections.segments[matches.order], thresholds, ties),
        {name: group_analysis(matches, each, bins[name]) for name, each in values.items()},
    )
