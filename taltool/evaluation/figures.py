"""What the figures of `taltool plot` show, computed from files; each function gives what one function of ops draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taltool.data.annotations import read_ground_truth
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import telling_key
from taltool.data.proposals import ProposalReader
from taltool.data.records import Floats, GroundTruth, VideoAnnotations, VideoProposals
from taltool.data.training_log import read_training_log
from taltool.errors import DataError, UsageError
from taltool.evaluation.evaluate import EvaluationRequest, Inputs, read_inputs
from taltool.ops.diagnosis import RECALLS, mean_precision_curve
from taltool.ops.metrics import match, mean_average_precision
from taltool.ops.plots_curves import Line
from taltool.ops.recall import average_recall, first_hits
from taltool.ops.timeline import Timeline, prediction_row, top, truth_row
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter


@dataclass(frozen=True)
class Sorted:
    """Files by what they hold, in the order given; truth is None where none is a ground truth."""

    truth: str | None
    predictions: tuple[str, ...]
    logs: tuple[str, ...]


def sort_files(paths: Sequence[str]) -> Sorted:
    """Tell ground truth, predictions and measurements of training apart by content; `-` is predictions.

    Raises UsageError for two ground truths, DataError for a file that is none of these.
    """
    kinds = {path: _kind(path) for path in paths}
    truths = [path for path in paths if kinds[path] == "truth"]
    if len(truths) > 1:
        raise UsageError(f"{truths[1]}: a second ground truth; name one, and any number of predictions")
    return Sorted(
        truths[0] if truths else None,
        tuple(path for path in paths if kinds[path] == "predictions"),
        tuple(path for path in paths if kinds[path] == "log"),
    )


def _kind(path: str) -> str:
    if path == "-":
        return "predictions"
    start = beginning(path)
    key, _ = telling_key(start.head)
    if key == "database":
        return "truth"
    if key:
        return "predictions"
    if start.head.lstrip().startswith(b"{"):
        return "log"
    raise DataError(f"{path}: expected a ground truth, predictions, or the metrics.jsonl of a training run")


def timelines(
    request: EvaluationRequest,
    names: Sequence[str],
    video_ids: Sequence[str],
    most_videos: int | None,
    best: int | None,
) -> list[Timeline]:
    """The timelines of the chosen videos, or of the first `most_videos` that have instances and predictions.

    names are those of the rows; best is the most predictions of a file and video, None = the number of instances.
    Raises DataError for a video that the ground truth does not have.
    """
    truth = read_ground_truth(request.ground_truth, request.split)
    predictions = [_read(path) for path in request.predictions]
    chosen = [_known(truth, video_id) for video_id in video_ids]
    if not video_ids:
        videos = truth.subset(request.subset).videos.values()
        anywhere = set[str]().union(*predictions) if predictions else {video.video_id for video in videos}
        chosen = [video for video in videos if len(video) and video.video_id in anywhere][:most_videos]
    if not chosen:
        raise DataError(f"{request.ground_truth}: no video with both instances and predictions; is the subset right?")
    return [_timeline(video, truth, dict(zip(names, predictions, strict=True)), best) for video in chosen]


def _read(path: str) -> dict[str, VideoProposals]:
    with ProposalReader(path, default_score=1.0) as reader:
        return {video.video_id: video for video in reader}


def _known(truth: GroundTruth, video_id: str) -> VideoAnnotations:
    if video_id not in truth.videos:
        raise DataError(f"{truth.file}: no video '{video_id}'{did_you_mean(video_id, list(truth.videos))}")
    return truth.videos[video_id]


def _timeline(
    video: VideoAnnotations, truth: GroundTruth, files: dict[str, dict[str, VideoProposals]], best: int | None
) -> Timeline:
    annotated = truth_row(video, truth.names.names)
    nothing = VideoProposals(video.video_id, np.empty((0, 2)), np.empty(0))
    rows = [prediction_row(name, found.get(video.video_id, nothing), annotated) for name, found in files.items()]
    count = len(video) if best is None else best
    return Timeline(video.video_id, video.duration, [annotated, *(top(row, count) for row in rows)])


def recall_lines(request: EvaluationRequest, names: Sequence[str], reporter: Reporter = SILENT) -> list[Line]:
    """AR against the average number of proposals, a line per file."""
    inputs = read_inputs(request, reporter)
    lines = []
    for name, file in zip(names, inputs.files, strict=True):
        hits = first_hits(inputs.scope.truth, file.detections, request.recall_tious.values)
        curve = average_recall(hits, np.ones((1, len(hits.proposals))), request.max_average)[0]
        lines.append(Line(name, np.arange(1, len(curve) + 1.0), curve))
    return lines


def precision_lines(request: EvaluationRequest, names: Sequence[str], reporter: Reporter = SILENT) -> list[Line]:
    """Interpolated precision against recall, mean over classes and thresholds, a line per file."""
    inputs = _labelled(request, reporter)
    tious = request.tious.values
    found = [match(inputs.scope.truth, file.detections, tious) for file in inputs.files]
    return [Line(name, RECALLS, mean_precision_curve(each)) for name, each in zip(names, found, strict=True)]


def class_precisions(
    request: EvaluationRequest, names: Sequence[str], reporter: Reporter = SILENT
) -> tuple[list[str], dict[str, Floats]]:
    """The classes (K,), and for each file its AP (K,) averaged over thresholds."""
    inputs = _labelled(request, reporter)
    truth, tious = inputs.scope.truth, request.tious.values
    values = [mean_average_precision(truth, file.detections, tious).ap.mean(axis=1) for file in inputs.files]
    return inputs.scope.class_names, dict(zip(names, values, strict=True))


def _labelled(request: EvaluationRequest, reporter: Reporter) -> Inputs:
    inputs = read_inputs(request, reporter)
    for file in inputs.files:
        if not file.contents.labelled and len(file.detections):
            raise UsageError(f"{file.file}: no labels, so no precision; draw --kind ar-an or timeline")
    return inputs


def training_runs(paths: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Line]]:
    """For each run and measured quantity its line; the line's name is that of the x axis."""
    logs = [read_training_log(path) for path in paths]
    return {
        name: {quantity: Line(log.counter, *points) for quantity, points in log.quantities.items()}
        for name, log in zip(names, logs, strict=True)
    }
