"""`taltool plot`: timelines, curves and charts from any of our files."""

from enum import StrEnum
from typing import Annotated

import typer

from taltool.cli.arguments import DeviceOption, SplitOption, SubsetOption
from taltool.errors import UsageError
from taltool.reporting import Reporter


class PlotKind(StrEnum):
    """What is drawn."""

    timeline = "timeline"
    ar_an = "ar-an"
    pr = "pr"
    per_class = "per-class"
    errors = "errors"
    loss = "loss"
    activations = "activations"


MAN = r"""
.SH "WHAT IS DRAWN"
.TP
.B timeline
A panel for each video: the ground truth if there is one, and a row for each file with its best predictions, coloured by
label (those of the ground truth first, then the best ranked; the rest is grey), with label and score inside where they
fit. A figure has four videos, those with instances first, unless
.B \-\-video
names others; how many it leaves out is said. A video that the ground truth lacks is drawn without one.
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
Every number in the metrics.jsonl of one or more training runs, led by the sum of the terms of the loss.
.TP
.B activations
What the network of each
.B \-\-model
makes of a video over time, as means over channels: of AFSD the frame-level features that are sensitive to starts and
those to ends, of AMNet the feature, the action-aware mask and their sum. The files are a feature file or a frame store
that the model takes, or videos, and a ground truth, if there is one, whose instances are shaded. By how much each
quantity differs inside and outside of instances is told, over the videos of
.BR \-\-subset ,
where it is given, or else over those of
.BR \-\-video ,
or all. This kind alone needs torch.
.SH "THE PAGE"
The page of
.B \-\-html
is one file that needs no network. It has all videos with predictions, with a list to search by id and label; a list of
segments, which its heads sort; and for each file a least score. A click on a segment, in the chart or in the list,
plays the video from its start, another click pauses. The wheel zooms, dragging moves along. Keys: space plays and
pauses; left and right seek by 1 second, with shift by 5, comma and full stop by 1/25; n and p go to the next and
previous segment of the list; l repeats the chosen one; down and up, or j and k, change the video; plus, minus and 0
zoom; / searches; ? shows all keys.
.PP
.B \-\-video-file
is given the videos: a file, a folder, a pattern (as
.BR taltool-extract (1)
takes them), or ID=PATH. The id of a file in a folder is its path there without suffix, as
.B extract
made it, or the longest end of its path that is an id of the page; the only file goes with the only video. The page
refers to the files where they are, relative to itself, so it has to move together with them; a file that is not found
or that the browser does not play (browsers know MP4 with H.264, and WebM) is told in the page, and another one can be
opened there by hand. Files of other videos are passed over.
"""
EXAMPLES = """
# Predictions alone, also those of a pipe; then as a page that plays the videos of a folder.
taltool predict --model m features.h5 | taltool nms | taltool plot -o found.png
taltool plot found.jsonl --html page.html --video-file videos/
taltool plot gt.json a.json b.json --video v_1 -o v_1.png
taltool plot gt.json a.json --html page.html --video-file v_1=videos/first.mp4
taltool plot gt.json a.json b.json --kind per-class --tiou 0.5 -o classes.svg
taltool nms p.jsonl | taltool plot gt.json - --kind pr -o pr.png
taltool plot afsd.metrics.jsonl -o training.pdf
taltool plot --model amnet feats.h5 gt.json --video v_1 -o masked.png
taltool plot -m with-bcl -m without-bcl movie.mp4 -o boundaries.png
"""


def plot(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="A ground truth, predictions, or metrics.jsonl files of training, told apart by content; - is "
            "predictions from standard input. With --model: features or videos, and a ground truth.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The figure: x.png, x.svg or x.pdf; - is PNG.")
    ] = "-",
    kind: Annotated[
        PlotKind | None,
        typer.Option(
            help="What to draw. Default: loss for metrics.jsonl alone, activations with --model, else timeline.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="activations: a checkpoint, by path or name as for predict; several are lines in each panel.",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write timelines as an interactive page, complete in one file."),
    ] = None,
    video: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Draw this video; may be given again. Default: all (timelines: with predictions), 4 in a figure.",
        ),
    ] = None,
    video_file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[ID=]PATH",
            help="Videos that the page plays: a file, a folder or a pattern as for extract; may be given again.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Timelines: so many predictions of each video and file. Default: as many as it has instances, 20 "
            "without ground truth; a page shows these at first, and has 200.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Name of a file or checkpoint in the figure, in their order."),
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
    """Draw timelines, AR-AN and precision-recall curves, AP per class, error charts, training curves, activations.

    Timelines show the best predictions of each file, below the ground truth of the video if one is given. The page of
    --html plays the videos, lists, searches and filters their segments, and works in any browser without a network.
    """
    if model and kind in (None, PlotKind.activations):
        if html is not None or video_file:
            raise UsageError("--html and --video-file draw timelines, not --kind activations")
        from taltool.prediction.activations import plot_activations

        plot_activations(
            *(files or ()),
            model=model,
            output=output,
            video=video or (),
            name=name or (),
            subset=subset,
            split=split,
            device=device,
            dpi=dpi,
            reporter=reporter,
        )
        return
    if model:
        raise UsageError("--model is for --kind activations")
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
