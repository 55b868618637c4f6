"""Drawing timelines, curves and charts of ground truth, detections and training, from files; needs no torch."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

import numpy as np

from taltool.data.annotations import read_ground_truth
from taltool.data.files import STANDARD, open_output
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import telling_key
from taltool.data.proposals import ProposalReader
from taltool.data.public_datasets import dataset_spec
from taltool.data.records import GroundTruth, VideoProposals
from taltool.data.training_log import read_training_log
from taltool.errors import DataError, UsageError
from taltool.evaluation.inputs import DetectionFile, Truth, chosen_part, files_to_read, read_detections
from taltool.ops import plots_curves, plots_errors
from taltool.ops.diagnosis import RECALLS, false_positives, mean_precision_curve
from taltool.ops.matching import first_hits, match
from taltool.ops.metrics.ar import average_recall
from taltool.ops.metrics.map import mean_average_precision
from taltool.ops.plots import Figure, format_of, render
from taltool.ops.plots_curves import Line
from taltool.ops.protocols import Thresholds, parse_thresholds
from taltool.ops.timeline import Timeline, prediction_row, timeline_figure, timeline_page, truth_row
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter

Kind = Literal["timeline", "ar-an", "pr", "per-class", "errors", "loss"]
# Videos of a figure, and predictions per video and file of a page, where the user names none.
FIGURE_VIDEOS = 4
PAGE_PREDICTIONS = 200


@dataclass(frozen=True)
class Plot:
    """What was drawn: its kind, the names of files in it, and where it was written; None = not written."""

    kind: Kind
    names: tuple[str, ...]
    output: str | None
    html: str | None


@dataclass(frozen=True)
class SortedFiles:
    """Files by what they hold, in the order given; truth is None where none is a ground truth."""

    truth: str | None
    predictions: tuple[str, ...]
    logs: tuple[str, ...]


def plot(
    *files: str,
    output: str = STANDARD,
    kind: Kind | None = None,
    html: str | None = None,
    video: Sequence[str] = (),
    video_file: Sequence[str] = (),
    top: int | None = None,
    name: Sequence[str] = (),
    preset: str | None = None,
    subset: str | None = None,
    split: str | None = None,
    tiou: str | float | Sequence[float] | None = None,
    an: int = 100,
    dpi: int = 150,
    reporter: Reporter = SILENT,
) -> Plot:
    """Draw a figure of the files, which are told apart by content; without one, of predictions from standard input.

    output is the figure: x.png, x.svg, x.pdf, or - for a PNG on standard output. kind None is a timeline where there is
    a ground truth, else the loss of training. html is a page of timelines; with it nothing goes to standard output.
    video are ids of videos for timelines, video_file `PATH` or `ID=PATH` of videos that the page plays, top how many
    predictions of each video and file timelines show (None: as many as it has instances, 200 in a page), name the names
    of the files in the figure. preset, subset, split and tiou are as for `evaluate`; an is the largest average number
    of proposals per video of ar-an; dpi the dots per inch of a PNG.

    What was left out or looks wrong is told to `reporter` as a warning. Raises UsageError for what cannot be drawn as
    asked and DataError for a file that is broken or does not fit.
    """
    found = sort_files(files or (STANDARD,))
    chosen: Kind = kind or ("loss" if found.logs and found.truth is None else "timeline")
    if chosen not in get_args(Kind):
        raise UsageError(f"nothing is drawn as '{chosen}' (there are: {', '.join(get_args(Kind))})")
    if chosen == "loss" and not found.logs:
        raise UsageError("--kind loss draws the metrics.jsonl of training runs; none was named")
    if chosen != "loss" and found.truth is None:
        raise UsageError(f"--kind {chosen} needs a ground truth among the files")
    if chosen not in ("loss", "timeline") and not found.predictions:
        raise UsageError(f"--kind {chosen} needs predictions among the files")
    if html is not None and chosen != "timeline":
        raise UsageError(f"--html draws timelines, not --kind {chosen}")
    if video_file and html is None:
        raise UsageError("--video-file belongs to the page of --html")
    shown = found.logs if chosen == "loss" else found.predictions
    names = tuple(name) or tuple(short_names(shown))
    if len(names) != len(shown):
        raise UsageError(f"--name was given {len(names)} times for {len(shown)} files")

    if chosen == "loss":
        logs = zip(names, map(read_training_log, found.logs), strict=True)
        runs = {
            run: {quantity: Line(log.counter, *points) for quantity, points in log.quantities.items()}
            for run, log in logs
        }
        write_figure(output, lambda: plots_curves.training_figure(runs), dpi)
        return Plot(kind=chosen, names=names, output=output, html=None)

    spec = dataset_spec(preset)
    usual = {"errors": spec.diagnosis_tious, "ar-an": spec.recall_tious}
    tious = parse_thresholds(tiou or usual.get(chosen, spec.tious))
    wanted = subset or spec.evaluation
    annotated = read_ground_truth(str(found.truth), split)
    if chosen != "timeline":
        paths = files_to_read(str(found.truth), found.predictions)
        truth = chosen_part(annotated, subset=wanted, split=split, reporter=reporter)
        read = {short: read_detections(path, truth.scope, reporter) for short, path in zip(names, paths, strict=True)}
        write_figure(output, _chart(chosen, truth, read, tious, an), dpi)
        return Plot(kind=chosen, names=names, output=output, html=None)

    predicted: dict[str, dict[str, VideoProposals]] = {}
    for short, path in zip(names, found.predictions, strict=True):
        with ProposalReader(path, default_score=1.0) as reader:
            predicted[short] = {each.video_id: each for each in reader}
    if html is not None:
        addresses = video_addresses(html, video_file, video)
        best = PAGE_PREDICTIONS if top is None else top
        page = timeline_page(timelines(annotated, predicted, wanted, video or list(addresses), None, best), addresses)
        with open_output(html) as stream:
            stream.write(page.encode())
    if html is None or output != STANDARD:
        rows = timelines(annotated, predicted, wanted, video, FIGURE_VIDEOS, top)
        write_figure(output, lambda: timeline_figure(rows), dpi)
    written = None if html is not None and output == STANDARD else output
    return Plot(kind=chosen, names=names, output=written, html=html)


def sort_files(paths: Sequence[str]) -> SortedFiles:
    """Tell ground truth, predictions and measurements of training apart by content; `-` is predictions.

    Raises UsageError for two ground truths, DataError for a file that is none of these.
    """
    kinds = {path: _content(path) for path in map(str, paths)}
    truths = [path for path, kind in kinds.items() if kind == "truth"]
    if len(truths) > 1:
        raise UsageError(f"{truths[1]}: a second ground truth; name one, and any number of predictions")
    return SortedFiles(
        truths[0] if truths else None,
        tuple(path for path in map(str, paths) if kinds[path] == "predictions"),
        tuple(path for path in map(str, paths) if kinds[path] == "log"),
    )


def _content(path: str) -> str:
    if path == STANDARD:
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


def _chart(
    kind: Kind, truth: Truth, files: dict[str, DetectionFile], tious: Thresholds, an: int
) -> Callable[[], Figure]:
    """What draws a chart of measurements; they are made here, before matplotlib is asked for."""
    instances = truth.scope.truth
    if kind == "ar-an":
        recalls = []
        for name, file in files.items():
            hits = first_hits(instances, file.detections, tious.values)
            curve = average_recall(hits, np.ones((1, len(hits.proposals))), an)[0]
            recalls.append(Line(name, np.arange(1, len(curve) + 1.0), curve))
        return lambda: plots_curves.recall_figure(recalls, tious.text)
    for file in files.values():
        if file.lacks_labels and kind == "errors":
            raise UsageError(f"{file.file}: no labels, so no diagnosis; give them some with taltool label")
        if file.lacks_labels:
            raise UsageError(f"{file.file}: no labels, so no precision; draw --kind ar-an or timeline")
    if kind == "per-class":
        values = {
            name: mean_average_precision(instances, file.detections, tious.values).ap.mean(axis=1)
            for name, file in files.items()
        }
        return lambda: plots_curves.class_figure(truth.scope.class_names, values, f"AP (%), tIoU {tious.text}")
    matches = {name: match(instances, file.detections, tious.values) for name, file in files.items()}
    if kind == "pr":
        precisions = [Line(name, RECALLS, mean_precision_curve(each)) for name, each in matches.items()]
        return lambda: plots_curves.precision_figure(precisions, tious.text)
    errors = {name: false_positives(each, tious.values) for name, each in matches.items()}
    return lambda: plots_errors.error_figure(errors, tious.text)


def timelines(
    truth: GroundTruth,
    files: dict[str, dict[str, VideoProposals]],
    subset: str | None,
    video_ids: Sequence[str],
    most_videos: int | None,
    best: int | None,
) -> list[Timeline]:
    """The timelines of the chosen videos, or of the first `most_videos` that have instances and predictions.

    files holds the predictions by the name of their row, then by video id; best is how many of a file and video are
    shown, None = the number of instances. Raises DataError for a video that the ground truth does not have.
    """
    for video_id in video_ids:
        if video_id not in truth.videos:
            raise DataError(f"{truth.file}: no video '{video_id}'{did_you_mean(video_id, list(truth.videos))}")
    chosen = [truth.videos[video_id] for video_id in video_ids]
    if not video_ids:
        videos = truth.subset(subset).videos.values()
        anywhere = set[str]().union(*files.values()) if files else {video.video_id for video in videos}
        chosen = [video for video in videos if len(video) and video.video_id in anywhere][:most_videos]
    if not chosen:
        raise DataError(f"{truth.file}: no video with both instances and predictions; is the subset right?")
    found = []
    for video in chosen:
        annotated = truth_row(video, truth.names.names)
        nothing = VideoProposals(video.video_id, np.empty((0, 2)), np.empty(0))
        rows = [prediction_row(name, each.get(video.video_id, nothing), annotated) for name, each in files.items()]
        count = len(video) if best is None else best
        found.append(Timeline(video.video_id, video.duration, [annotated, *(row.top(count) for row in rows)]))
    return found


def write_figure(path: str, draw: Callable[[], Figure], dpi: int = 150) -> None:
    """Draw and write a figure in the format of `path`'s suffix; `-` is standard output (PNG)."""
    content = render(draw, format_of(path), dpi)
    with open_output(path) as stream:
        stream.write(content)


def short_names(paths: Sequence[str]) -> list[str]:
    """A short name for each file: without suffix, and with as many folders as tell the files apart."""
    stems = [
        "stdin" if path == STANDARD else Path(path).name.removesuffix(".gz").rpartition(".")[0] or Path(path).name
        for path in paths
    ]
    parts = [(*Path(path).parts[:-1], stem) for path, stem in zip(paths, stems, strict=True)]
    depth = 1
    while depth < max(map(len, parts), default=0) and len({each[-depth:] for each in parts}) < len(set(paths)):
        depth += 1
    return ["/".join(each[-depth:]) for each in parts]


def video_addresses(page: str, video_files: Sequence[str], video_ids: Sequence[str]) -> dict[str, str]:
    """Where the page finds the video of each id, relative to its own folder.

    A video file is given as ID=PATH, or as PATH where only one video is shown or where the file is named after the
    id. Raises DataError where it does not exist.
    """
    addresses = {}
    for text in video_files:
        video_id, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            path = text
            video_id = video_ids[0] if len(video_ids) == 1 else Path(text).stem
        if not Path(path).exists():
            raise DataError(f"{path}: no such file (from --video-file)")
        folder = Path.cwd() if page == STANDARD else Path(page).resolve().parent
        addresses[video_id] = quote(os.path.relpath(Path(path).resolve(), folder))
    return addresses
