"""`taltool plot`: timelines, curves and charts from any of our files."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taltool.cli.arguments import SplitOption, SubsetOption
from taltool.errors import UsageError
from taltool.reporting import Reporter

if TYPE_CHECKING:
    from taltool.evaluation.evaluate import EvaluationRequest
    from taltool.evaluation.figures import Sorted


class PlotKind(StrEnum):
    """What is drawn."""

    timeline = "timeline"
    ar_an = "ar-an"
    pr = "pr"
    per_class = "per-class"
    errors = "errors"
    loss = "loss"


MAN = r"""
.SH "WHAT IS DRAWN"
.TP
.B timeline
A panel for each video: the ground truth, and a row for each file with its best predictions, coloured by label (those
of the ground truth first, then the best ranked; the rest is grey) with the score inside where it fits.
.TP
.B ar-an
Average recall against the average number of proposals a video.
.TP
.B pr
Interpolated precision against recall, mean over classes and thresholds.
.TP
.B per-class
The AP of each class, mean over thresholds, in order of the first file.
.TP
.B errors
The false positives of DETAD; see
.BR taltool-diagnose (1),
whose
.B \-o
draws missed instances and sensitivity too.
.TP
.B loss
Every number in the metrics.jsonl of one or more training runs.
"""
EXAMPLES = """
taltool plot gt.json a.json b.json --video v_1 -o v_1.png
taltool plot gt.json a.json b.json --kind per-class --tiou 0.5 -o classes.svg
taltool plot afsd.metrics.jsonl -o training.pdf
# A page to look through, with the video beside its timeline.
taltool plot gt.json a.json --html page.html --video-file v_1=videos/v_1.mp4
taltool nms p.jsonl | taltool plot gt.json - --kind pr -o pr.png
"""
# Videos of a figure, and predictions per video and file of a page, where the user names none.
_FIGURE_VIDEOS = 4
_PAGE_PREDICTIONS = 200


def plot(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="A ground truth, predictions, or metrics.jsonl files of training, told apart by content; - is "
            "predictions from standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The figure: x.png, x.svg or x.pdf; - is PNG.")
    ] = "-",
    kind: Annotated[
        PlotKind | None,
        typer.Option(
            help="What to draw. Default: timeline where there is a ground truth, loss for metrics.jsonl.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write timelines as an interactive page, complete in one file."),
    ] = None,
    video: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Timeline of this video; may be given again. Default: the first ones."),
    ] = None,
    video_file: Annotated[
        list[str] | None,
        typer.Option(metavar="[ID=]PATH", help="Play this video beside its timeline in the page; may be given again."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Timelines: so many predictions of each video and file. Default: as many as it has instances; in a "
            f"page, which can show any number, {_PAGE_PREDICTIONS}.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Name of a file of predictions or training in the figure, in their order."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Subset and thresholds as papers on this data set use them: thumos14, activitynet13, activitynet12."
        ),
    ] = None,
    subset: SubsetOption = None,
    split: SplitOption = None,
    tiou: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Thresholds: 0.5,0.75 or start:stop:step. Default 0.3:0.7:0.1; ar-an 0.5:0.95:0.05; errors 0.5.",
            show_default=False,
        ),
    ] = None,
    an: Annotated[int, typer.Option(min=2, help="ar-an: largest average number of proposals per video.")] = 100,
    dpi: Annotated[int, typer.Option(min=20, help="Dots per inch of a PNG.")] = 150,
    *,
    reporter: Reporter,
) -> None:
    """Draw timelines, AR-AN and precision-recall curves, AP per class, error charts, and training curves.

    Timelines set the ground truth of a video against the best n predictions of each file, n being its number of
    instances. The page of --html shows score, segment and label under the pointer, zooms, and plays the video.
    """
    from taltool.cli.figures import short_names, write_figure
    from taltool.evaluation.figures import sort_files

    found = sort_files(files or ["-"])
    chosen = kind or (PlotKind.loss if found.logs and found.truth is None else PlotKind.timeline)
    _check(found, chosen, html, video_file)
    shown = found.logs if chosen is PlotKind.loss else found.predictions
    names = _names(short_names(shown), name)
    request = None if chosen is PlotKind.loss else _request(found, chosen, preset, subset, split, tiou, an)
    if html is not None and request is not None:
        _write_page(html, request, names, video or [], video_file or [], top)
        if output == "-":
            return
    draw = _drawing(chosen, found, request, names, reporter, video or [], top)
    write_figure(output, draw, dpi)


def _check(found: "Sorted", kind: PlotKind, html: str | None, video_file: list[str] | None) -> None:
    if kind is PlotKind.loss:
        if not found.logs:
            raise UsageError("--kind loss draws the metrics.jsonl of training runs; none was named")
    elif found.truth is None:
        raise UsageError(f"--kind {kind.value} needs a ground truth among the files")
    elif kind is not PlotKind.timeline and not found.predictions:
        raise UsageError(f"--kind {kind.value} needs predictions among the files")
    if html is not None and kind is not PlotKind.timeline:
        raise UsageError(f"--html draws timelines, not --kind {kind.value}")
    if video_file and html is None:
        raise UsageError("--video-file belongs to the page of --html")


def _names(short: list[str], given: list[str] | None) -> list[str]:
    if not given:
        return short
    if len(given) != len(short):
        raise UsageError(f"--name was given {len(given)} times for {len(short)} files")
    return given


def _request(
    found: "Sorted",
    kind: PlotKind,
    preset: str | None,
    subset: str | None,
    split: str | None,
    tiou: str | None,
    an: int,
) -> "EvaluationRequest":
    from taltool.data.public_datasets import dataset_spec
    from taltool.data.thresholds import parse_thresholds
    from taltool.evaluation.evaluate import EvaluationRequest

    spec = dataset_spec(preset)
    usual = spec.diagnosis_tious if kind is PlotKind.errors else spec.tious
    return EvaluationRequest(
        str(found.truth),
        found.predictions,
        subset=subset or spec.evaluation,
        split=split,
        tious=parse_thresholds(tiou or usual),
        recall_tious=parse_thresholds(tiou or spec.recall_tious),
        max_average=an,
    )


def _write_page(
    path: str,
    request: "EvaluationRequest",
    names: list[str],
    videos: list[str],
    video_files: list[str],
    top: int | None,
) -> None:
    from taltool.cli.figures import video_addresses
    from taltool.data.files import open_output
    from taltool.evaluation.figures import timelines
    from taltool.ops.timeline import timeline_page

    addresses = video_addresses(path, video_files, videos)
    wanted = videos or list(addresses)
    found = timelines(request, names, wanted, None, _PAGE_PREDICTIONS if top is None else top)
    with open_output(path) as stream:
        stream.write(timeline_page(found, addresses).encode())


def _drawing(
    kind: PlotKind,
    found: "Sorted",
    request: "EvaluationRequest | None",
    names: list[str],
    reporter: Reporter,
    videos: list[str],
    top: int | None,
) -> Callable[[], Any]:
    """What draws the figure; the numbers are computed here, before matplotlib is asked for."""
    from taltool.evaluation import figures
    from taltool.ops import plots_curves, plots_errors, plots_timeline

    if request is None:
        runs = figures.training_runs(found.logs, names)
        return lambda: plots_curves.training_figure(runs)
    tious = request.tious.text
    if kind is PlotKind.timeline:
        rows = figures.timelines(request, names, videos, _FIGURE_VIDEOS, top)
        return lambda: plots_timeline.timeline_figure(rows)
    if kind is PlotKind.ar_an:
        recalls = figures.recall_lines(request, names, reporter)
        return lambda: plots_curves.recall_figure(recalls, request.recall_tious.text)
    if kind is PlotKind.pr:
        lines = figures.precision_lines(request, names, reporter)
        return lambda: plots_curves.precision_figure(lines, tious)
    if kind is PlotKind.per_class:
        classes, values = figures.class_precisions(request, names, reporter)
        return lambda: plots_curves.class_figure(classes, values, f"AP (%), tIoU {tious}")
    from taltool.evaluation.diagnose import diagnose_files

    charts = zip(names, diagnose_files(request, {}, reporter=reporter).files, strict=True)
    errors = {name: file.false_positives for name, file in charts}
    return lambda: plots_errors.error_figure(errors, tious)
