"""Drawing timelines, curves and charts of ground truth, detections and training, from files; needs no torch.

What a figure shows is computed here from files; what it looks like is said in ops (`plots_curves`, `plots_errors` and
`timeline`), which matplotlib draws at the very end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from taltool.data.annotations import read_ground_truth
from taltool.data.containers import refuse_folder, refuse_pictures
from taltool.data.files import STANDARD, open_output
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import telling_key
from taltool.data.records import Floats
from taltool.data.training_log import read_training_log
from taltool.errors import DataError, UsageError
from taltool.evaluation.inputs import DetectionFile, Truth, chosen_part, files_to_read, read_detections
from taltool.evaluation.timelines import chosen_videos, read_best, timelines, usual_count, video_addresses
from taltool.ops import plots_curves, plots_errors
from taltool.ops.diagnosis import RECALLS, false_positives, mean_precision_curve
from taltool.ops.matching import first_hits, match
from taltool.ops.metrics.ar import average_recall
from taltool.ops.metrics.map import mean_average_precision
from taltool.ops.plots import Figure, format_of, render
from taltool.ops.plots_curves import Line
from taltool.ops.protocols import Thresholds, dataset_spec, parse_thresholds
from taltool.ops.timeline import timeline_figure
from taltool.ops.timeline_page import timeline_page
from taltool.reporting import SILENT, Reporter

Kind = Literal["timeline", "ar-an", "pr", "per-class", "errors", "loss", "activations"]
# Videos of a figure, and predictions per video and file of a page, where the user names none.
_FIGURE_VIDEOS = 4
_PAGE_PREDICTIONS = 200


@dataclass(frozen=True)
class Plot:
    """What was drawn: its kind, the names of files in it, and where it was written; None = not written."""

    kind: Kind
    names: tuple[str, ...]
    output: str | None
    html: str | None


def plot(
    *files: str | Path,
    output: str | Path = STANDARD,
    kind: Kind | None = None,
    html: str | Path | None = None,
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
    """Draw a figure of files, which are told apart by content; without one, of predictions from standard input.

        plot("gt.json", "a.json", "b.json", kind="per-class", tiou=0.5, output="classes.svg")

    files are a ground truth and predictions, or the logs of training runs. The options are those of `taltool plot`:

    output: where the figure goes: x.png, x.svg, x.pdf, or - for a PNG on standard output.
    kind: what is drawn. None: the loss of training where there are logs and no ground truth, else timelines.
    html: write timelines as a page; with it nothing goes to standard output.
    video: ids of the videos of timelines. None given: those with predictions, in a figure the first four.
    video_file: videos that the page plays: files, folders, patterns, or ID=PATH.
    top: so many predictions of each video and file in timelines. None: as many as it has instances, or 20 where there
        is no ground truth; in a page, 200.
    name: what the files are called in the figure, in their order.
    preset, subset, split, tiou: as for `evaluate`; tiou serves recall for ar-an, and is 0.5 by default for errors.
    an: the largest average number of proposals per video, for ar-an.
    dpi: dots per inch of a PNG.

    What was left out or looks wrong is told to `reporter` as a warning. Raises UsageError for what cannot be drawn as
    asked, and DataError for a file that is broken or does not fit.
    """
    if kind == "activations":
        raise UsageError(
            "activations are drawn of what a network makes of videos: name it by --model MODEL (in Python, "
            "taltool.prediction.activations draws them)"
        )
    paths = [str(path) for path in files] or [STANDARD]
    output, html = str(output), None if html is None else str(html)
    contents = {path: _content(path) for path in paths}
    truths, predictions, logs = (
        [path for path in paths if contents[path] == content] for content in ("truth", "predictions", "log")
    )
    if len(truths) > 1:
        raise UsageError(f"{truths[1]}: a second ground truth; name one, and any number of predictions")
    drawn: Kind = kind or ("loss" if logs and not truths else "timeline")
    _refuse_what_cannot_be_drawn(drawn, truths, predictions, logs)
    if html is not None and drawn != "timeline":
        raise UsageError(f"--html draws timelines, not --kind {drawn}")
    if video_file and html is None:
        raise UsageError("--video-file belongs to the page of --html")
    if (subset or split) and not truths and drawn == "timeline":
        raise UsageError(f"--{'split' if split else 'subset'} chooses from a ground truth; none was named")
    shown = logs if drawn == "loss" else predictions
    names = tuple(name) or tuple(short_names(shown))
    if len(names) != len(shown):
        raise UsageError(f"--name was given {len(names)} times for {len(shown)} files")
    if len(set(names)) < len(names):
        raise UsageError(f"two files are called '{max(names, key=names.count)}'; --name tells them apart")
    if drawn == "loss":
        write_figure(output, _losses(dict(zip(names, logs, strict=True))), dpi)
        return Plot(kind=drawn, names=names, output=output, html=None)

    spec = dataset_spec(preset)
    wanted = subset or spec.evaluation
    if drawn == "timeline":
        truth = read_ground_truth(truths[0], split) if truths else None

        def drawn_of(video_id: str) -> int:
            return usual_count(truth, video_id) if top is None else top

        def kept_of(video_id: str) -> int:
            # A page holds more than it shows at first.
            return max(_PAGE_PREDICTIONS, drawn_of(video_id)) if html and top is None else drawn_of(video_id)

        rows = {row: read_best(path, video, kept_of) for row, path in zip(names, predictions, strict=True)}
        ids = chosen_videos(truth, rows, wanted, video, ", ".join(paths))
        if html is not None:
            addresses = video_addresses(html, video_file, ids, reporter)
            if not addresses:
                reporter.note(f"{html}: no video plays in it; --video-file names a video, or the folder of all")
            page = timeline_page(timelines(truth, rows, ids, kept_of), addresses, top)
            with open_output(html) as stream:
                stream.write(page.encode())
            if output == STANDARD:
                return Plot(kind=drawn, names=names, output=None, html=html)
        if not video and len(ids) > _FIGURE_VIDEOS:
            reporter.note(f"{_FIGURE_VIDEOS} of {len(ids)} videos drawn; --video ID chooses, --html has all")
            ids = ids[:_FIGURE_VIDEOS]
        panels = timelines(truth, rows, ids, drawn_of)
        write_figure(output, lambda: timeline_figure(panels), dpi)
        return Plot(kind=drawn, names=names, output=output, html=html)

    usual = {"errors": spec.diagnosis_tious, "ar-an": spec.recall_tious}
    tious = parse_thresholds(tiou or usual.get(drawn, spec.tious))
    part = chosen_part(read_ground_truth(truths[0], split), subset=wanted, split=split, reporter=reporter)
    found = [read_detections(path, part.scope, reporter) for path in files_to_read(truths[0], predictions)]
    write_figure(output, _chart(drawn, part, dict(zip(names, found, strict=True)), tious, an), dpi)
    return Plot(kind=drawn, names=names, output=output, html=None)


def _refuse_what_cannot_be_drawn(kind: Kind, truths: list[str], predictions: list[str], logs: list[str]) -> None:
    if kind not in get_args(Kind):
        raise UsageError(f"nothing is drawn as '{kind}' (there are: {', '.join(get_args(Kind))})")
    if kind == "loss":
        if not logs:
            raise UsageError("--kind loss draws the metrics.jsonl of training runs; none was named")
    elif kind == "timeline":
        if not truths and not predictions:
            raise UsageError("--kind timeline draws predictions, a ground truth, or both; none was named")
    elif not truths:
        raise UsageError(f"--kind {kind} needs a ground truth among the files")
    elif not predictions:
        raise UsageError(f"--kind {kind} needs predictions among the files")


def _content(path: str) -> str:
    """What a file holds, by its beginning: "truth", "predictions" or, of training, "log"; `-` is predictions.

    Raises DataError for a file that is none of these.
    """
    if path == STANDARD:
        return "predictions"
    start = beginning(path)
    refuse_pictures(path, start.head)
    refuse_folder(path)
    key, _ = telling_key(start.head)
    if key == "database":
        return "truth"
    if key:
        return "predictions"
    if start.head.lstrip().startswith(b"{"):
        return "log"
    raise DataError(f"{path}: expected a ground truth, predictions, or the metrics.jsonl of a training run")


def _losses(logs: dict[str, str]) -> Callable[[], Figure]:
    """What draws the measurements of training runs, from the paths of their logs by the names of the runs."""
    read = {name: read_training_log(path) for name, path in logs.items()}
    runs = {
        name: {quantity: Line(log.counter, *points) for quantity, points in _with_total(log.quantities).items()}
        for name, log in read.items()
    }
    return lambda: plots_curves.training_figure(runs)


def _with_total(quantities: dict[str, tuple[Floats, Floats]]) -> dict[str, tuple[Floats, Floats]]:
    """Quantities, led by the sum of the terms of the training loss, unless the log has a "loss", and validation's."""
    terms = [points for name, points in quantities.items() if name.startswith("losses.")]
    if not terms or "loss" in quantities:
        return quantities
    total: dict[float, float] = {}
    for x, y in terms:
        for position, value in zip(x.tolist(), y.tolist(), strict=True):
            total[position] = total.get(position, 0.0) + value
    sums = {"loss": (np.array(list(total)), np.array(list(total.values())))}
    return sums | {name: quantities[name] for name in ("validation.loss",) if name in quantities} | quantities


def _chart(
    kind: Kind, truth: Truth, files: dict[str, DetectionFile], tious: Thresholds, an: int
) -> Callable[[], Figure]:
    """What draws a chart of the files, by their names in it; its numbers are computed before matplotlib is asked for.

    tious are the thresholds of recall (ar-an), or of matching (the others); an is the last point of ar-an.
    """
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
