"""`taltool plot`: timelines, curves and charts from any of our files."""

from enum import StrEnum
from typing import Annotated

import typer

from taltool.cli.arguments import SplitOption, SubsetOption
from taltool.reporting import Reporter


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
            "page, which can show any number, 200.",
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
    from taltool.evaluation.plot import plot as plot_files

    plot_files(
        *(files or ()),
        output=output,
        kind=kind.value if kind else None,
        html=html,
        video=video or (),
        video_file=video_file or (),
        top=top,
        name=name or (),
        preset=preset,
        subset=subset,
        split=split,
        tiou=tiou,
        an=an,
        dpi=dpi,
        reporter=reporter,
    )
