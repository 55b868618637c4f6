"""Diagnosing files of detections against one ground truth, which is read once; needs no torch.

Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018 (DETAD): what the false positives are
(`ops.diagnosis`), which instances are missed, and to what the detector is sensitive (`ops.diagnosis_instances`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taltool.data.annotations import read_ground_truth
from taltool.data.arrays import Scope
from taltool.data.records import Floats, GroundTruth
from taltool.errors import DataError, UsageError
from taltool.evaluation.inputs import EvaluatedFile, Truth, chosen_part, files_to_read, names_in, read_detections
from taltool.ops.diagnosis import FalsePositives, Ties, false_positives
from taltool.ops.diagnosis_instances import (
    ANNOTATOR_BINS,
    Group,
    bins_at,
    characteristics,
    fit_bins,
    group_analysis,
    missed_instances,
    overall_map_n,
)
from taltool.ops.metrics.map import mean_average_precision
from taltool.ops.protocols import Thresholds, dataset_spec, parse_thresholds
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter


@dataclass(frozen=True, eq=False, kw_only=True)
class FileDiagnosis(EvaluatedFile):
    """What is wrong with one file of detections; all numbers are fractions, mean over the thresholds.

    average_map: that of `evaluate`. average_map_n: DETAD's, as if all classes were equally frequent.
    missed: the share of instances that no detection finds.
    groups: the last two for each group of each characteristic of instances.
    """

    average_map: float
    average_map_n: float
    missed: float
    false_positives: FalsePositives
    groups: dict[str, list[Group]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Diagnosis:
    """What is wrong with every file, in the order given, and what it was judged by.

    truth: the videos and instances that the numbers are about. tious: the thresholds of a match.
    """

    truth: Truth
    tious: Thresholds
    ties: Ties
    files: list[FileDiagnosis]

    def __repr__(self) -> str:
        rows = "".join(
            f"\n  {each.file}: average_mAP={each.average_map:.4f}, average_mAP_N={each.average_map_n:.4f}, "
            f"missed={each.missed:.4f}"
            for each in self.files
        )
        return f"Diagnosis(tIoU {self.tious.text}, {self.truth}{rows})"


def diagnose(
    ground_truth: str | Path,
    *predictions: str | Path,
    output: str | Path | None = None,
    preset: str | None = None,
    subset: str | None = None,
    split: str | None = None,
    tiou: str | float | Sequence[float] | None = None,
    groups: Mapping[str, Sequence[float]] | None = None,
    classes: str | Sequence[str] | None = None,
    exclude: str | Path | None = None,
    only_annotated: bool = False,
    ties: Ties = "own-class",
    reporter: Reporter = SILENT,
) -> Diagnosis:
    """Say by DETAD's analyses why the detections of one or more files fail; without a file those of standard input.

        found = diagnose("gt.json", "detections.json", preset="thumos14")
        found.files[0].false_positives.gains

    ground_truth and predictions are paths; detections are matched as under the protocol activitynet. The options are
    those of `taltool diagnose`:

    output: a figure to draw of it, x.png, x.svg or x.pdf.
    preset: a data set, for its subset, thresholds and groups.
    subset, split, classes, exclude, only_annotated: what counts, as for `evaluate`.
    tiou: thresholds, as a text or as numbers. None: as the preset says, or 0.5.
    groups: for a characteristic of instances (coverage, length in seconds, num-instances) the ascending values that
        part its groups. None: as the preset says, or fifths of the instances.
    ties: by which of several instances that it overlaps equally a false positive is judged: one of its own class, or
        the first in the file, as DETAD's code does.

    What was left out or looks wrong is told to `reporter` as a warning. Raises UsageError for what cannot be done as
    asked, and DataError for a file that is broken or does not fit.
    """
    spec, output = dataset_spec(preset), None if output is None else str(output)
    if output is not None:
        from taltool.ops.plots import format_of

        format_of(output)  # an unknown suffix is said before the work
    tious = parse_thresholds(tiou or spec.diagnosis_tious)
    cuts = {**spec.groups, **(groups or {})}
    paths = files_to_read(ground_truth, predictions)
    truth = chosen_part(
        read_ground_truth(str(ground_truth), split),
        subset=subset or spec.evaluation,
        split=split,
        classes=names_in(classes),
        exclude=None if exclude is None else str(exclude),
        only_annotated=only_annotated,
        reporter=reporter,
    )
    read = [read_detections(path, truth.scope, reporter) for path in paths]
    values = instance_values(truth.whole, truth.scope)
    for name in cuts:
        if name not in values:
            known = [each for each in values if each not in ANNOTATOR_BINS]
            hint = did_you_mean(name, known)
            raise UsageError(f"--groups {name}: no such characteristic{hint} (there are: {', '.join(known)})")
    bins = {name: bins_at(cuts[name]) if name in cuts else fit_bins(each) for name, each in values.items()} | {
        name: each for name, each in ANNOTATOR_BINS.items() if name in values
    }

    files = []
    for file in read:
        if file.lacks_labels:
            raise UsageError(f"{file.file}: no labels, so no diagnosis; give them some with taltool label")
        result = mean_average_precision(truth.scope.truth, file.detections, tious.values)
        matches = result.matches
        files.append(
            FileDiagnosis(
                file=file.file,
                sha256=file.sha256,
                contents=file.contents,
                seen=file.seen,
                average_map=result.average,
                average_map_n=overall_map_n(matches),
                missed=float(missed_instances(matches).mean()),
                false_positives=false_positives(matches, tious.values, ties),
                groups={name: group_analysis(matches, each, bins[name]) for name, each in values.items()},
            )
        )
    if output is not None:
        from taltool.evaluation.plot import short_names, write_figure
        from taltool.ops.plots_errors import diagnosis_figure

        charts = {
            name: (file.false_positives, file.groups, file.average_map_n)
            for name, file in zip(short_names(paths), files, strict=True)
        }
        write_figure(output, lambda: diagnosis_figure(charts, tious.text))
    return Diagnosis(truth=truth, tious=tious, ties=ties, files=files)


def instance_values(truth: GroundTruth, within: Scope) -> dict[str, Floats]:
    """The characteristics (M,) of the instances of a scope: measured ones, and judged ones where the file has them."""
    videos = [truth.videos[video_id] for video_id in within.video_ids]
    if unknown := [video.video_id for video in videos if video.duration is None]:
        raise DataError(
            f"{truth.file}: {len(unknown)} of {len(videos)} videos have no duration, '{unknown[0]}' the first, and "
            "coverage is a part of it; give them: taltool convert GT --durations FILE -o NEW.json"
        )
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
