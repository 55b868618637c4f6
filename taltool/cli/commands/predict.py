"""`taltool predict`: trained models over features or videos, proposals out."""

from typing import Annotated

import typer

from taltool.cli.arguments import (
    DeviceOption,
    FpsOption,
    JobsOption,
    LayoutOption,
    OffsetOption,
    OutputOption,
    ProvenanceOption,
    ShowScoresOption,
    SplitOption,
    StrideOption,
    SubsetOption,
    WindowOption,
)
from taltool.reporting import Reporter

MAN = r"""
.SH VIDEOS
Videos are named as for
.BR taltool\-extract (1),
by files, folders, folders of frames, patterns, lists, and
.B \-
for a list on standard input.
Their features are made in memory as those were that the model learnt from, which its checkpoint tells
.RB ( "taltool info" ),
and forgotten once a video is predicted, so that any number of videos needs the memory of a few.
The result is that of
.B taltool extract
and
.B taltool predict
one after the other, to the last digit; a video is written as soon as it and those before it are done.
Weights that come along, or that a publisher offers, are found by themselves; others are named by
.BR \-\-weights ,
and must be the same as then.
What is worth keeping for more than one model is better extracted into a file.
.PP
A model that learnt from frames (a frame store of
.BR "taltool extract \-\-backbone frames" )
gets those of videos through files of a temporary folder in
.BR $TMPDIR :
up to three videos for each of \-\-jobs, 2.3 GB for an hour of colours and flow at 10 frames a second.
They vanish with their videos, and when the command is interrupted or terminated.
.SH FEATURES THAT DO NOT FIT
A feature file says how it was made.
Where that is not how the features were made that the model learnt from
(another backbone or setting of it, other weights, window, stride, rate or flow),
the numbers mean something else, and the command ends with status 3, naming both sides;
.B \-\-force
goes on.
Number types
.RB ( \-\-dtype ", " \-\-precision )
and where the first snippet begins may differ.
Features that were made elsewhere, or a model that learnt from such, cannot be compared: a warning says so.
.SH FRAMES
A model that learns from pixels is given a frame store
.RB ( "taltool extract \-\-backbone frames" )
or videos, and sees the middle of each picture.
A network over colours and one over flow read the same store, each its own stream, and are averaged:
.B \-\-model rgb \-\-model flow frames.h5
.SH SUPPRESSION
.B \-\-nms
suppresses duplicates as the settings of the model say (section
.BR nms ,
which its preset takes from
.BR "taltool nms \-\-preset" ).
For anything else leave it out and pipe into
.BR taltool\-nms (1).
.SH MODELS OF YOUR OWN
A checkpoint says the name of its model, not where that is defined.
Where a Python file of your own registers it, name that file too, before or after the checkpoint:
.B \-\-model ./mine.py \-\-model mine.safetensors
.SH SHARDS
.B \-\-shard I/N
predicts every N\-th video, for Slurm arrays, indexed jobs of Kubernetes or GNU parallel.
The parts are joined by
.BR cat (1),
in any order: streams may follow each other, and each has an end line that tells whether it is whole.
A video that is in two of them is an error.
.B taltool convert
joins them into one stream, and features that were extracted in parts.
"""

EXAMPLES = """
taltool predict --model afsd movie.mp4 --nms --min-score 0.3 -o movie.vtt
taltool predict --model afsd videos/ --nms -o found/ --to srt
find videos -name '*.mkv' | taltool predict --model afsd - | taltool nms -o found.jsonl
taltool predict --model afsd feats.h5 --shard 2/8 -o part-2.jsonl
cat part-*.jsonl | taltool nms | taltool evaluate gt.json
"""


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FEATURES|VIDEOS",
            help="A feature file or frame store (HDF5); or videos: files, folders, patterns, lists (.txt), - for a "
            "list on stdin.",
        ),
    ],
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Checkpoint: a file, or NAME for NAME.safetensors here or in a folder of $TALTOOL_MODELS. Given "
            "several times, the networks (streams, seeds) are averaged. A Python file (.py) registers their model.",
        ),
    ],
    output: OutputOption = "-",
    to: LayoutOption = None,
    nms: Annotated[
        bool, typer.Option("--nms", help="Suppress duplicates as the model's settings say; see taltool nms for more.")
    ] = False,
    show_scores: ShowScoresOption = False,
    subset: SubsetOption = None,
    split: SplitOption = None,
    ground_truth: Annotated[
        str | None,
        typer.Option(metavar="GT", help="Ground truth that says the subsets, and durations of foreign features."),
    ] = None,
    skip_missing: Annotated[bool, typer.Option("--skip-missing", help="Go on where videos have no features.")] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only part I of N of the videos, from 1.")] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Write only what scores higher; default: as the model was trained.")
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            min=0, help="Best proposals of each video to write (with --nms, after it), 0 = all; default: the model's."
        ),
    ] = None,
    oracle: Annotated[
        str | None,
        typer.Option(
            metavar="ANSWER[,ANSWER]",
            help="Answers of the model to take from --ground-truth, for what a perfect part would bring; gsmt: class, "
            "mask.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on with features that were made otherwise than the model's were.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Samples that the network sees at once; default: 8, of frames 1.")
    ] = None,
    cache: Annotated[
        float, typer.Option(metavar="GIB", min=0, help="Features, or frames, up to this size are kept in memory.")
    ] = 0.25,
    device: DeviceOption = "cpu",
    jobs: JobsOption = 0,
    patience: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Give a video up that gives nothing for so long; 0: never."),
    ] = 300.0,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="FILE.py", help="Videos: the file that registers the backbone of the model's features."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Videos: the weights of that backbone, where they are neither built in nor published; rgb=FILE, "
            "flow=FILE.",
        ),
    ] = None,
    images_fps: Annotated[
        float | None, typer.Option("--images-fps", help="Videos: frame rate of folders of frames.")
    ] = None,
    fps: FpsOption = None,
    stride: StrideOption = None,
    window: WindowOption = None,
    offset: OffsetOption = None,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Find actions in videos: all candidates of the model, with scores, video by video. Suppress them with `nms`.

    Of a feature file, or of videos, whose features are then made in memory. All of them, unless --subset (with --split
    or --ground-truth), or --split alone, names some.

    taltool predict --model afsd feats.h5 | taltool nms | taltool evaluate gt.json

    taltool predict --model afsd movie.mp4 --nms --min-score 0.3 -o movie.vtt
    """
    from taltool.prediction.predict import predict as run

    run(
        *inputs,
        model=model,
        output=output,
        to=to,
        nms=nms,
        show_scores=show_scores,
        subset=subset,
        split=split,
        ground_truth=ground_truth,
        skip_missing=skip_missing,
        shard=shard,
        min_score=min_score,
        top_k=top_k,
        oracle=oracle,
        force=force,
        batch_size=batch_size,
        cache=cache,
        device=device,
        jobs=jobs,
        patience=patience,
        backbone=backbone,
        weights=weights or (),
        images_fps=images_fps,
        fps=fps,
        stride=stride,
        window=window,
        offset=offset,
        provenance=provenance,
        reporter=reporter,
    )
