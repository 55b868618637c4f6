"""`taltool predict`: trained models over features, proposals out."""

from typing import Annotated

import typer

from taltool.cli.arguments import (
    DeviceOption,
    FeaturesArgument,
    FpsOption,
    LayoutOption,
    OffsetOption,
    OutputOption,
    ProvenanceOption,
    SplitOption,
    StrideOption,
    SubsetOption,
    WindowOption,
)
from taltool.reporting import Reporter

MAN = r"""
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
taltool predict --model afsd feats.h5 --shard 2/8 -o part-2.jsonl
cat part-*.jsonl | taltool nms | taltool evaluate gt.json
"""


def predict(
    features: FeaturesArgument,
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
        int | None, typer.Option(min=0, help="Best proposals of each video to write, 0 = all; default: the model's.")
    ] = None,
    oracle: Annotated[
        str | None,
        typer.Option(
            metavar="ANSWER[,ANSWER]",
            help="Answers of the model to take from --ground-truth, for what a perfect part would bring; gsmt: class, "
            "mask.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples that the network sees at once.")] = 8,
    cache: Annotated[
        float, typer.Option(metavar="GIB", min=0, help="Features up to this size are kept in memory.")
    ] = 0.25,
    device: DeviceOption = "cpu",
    fps: FpsOption = None,
    stride: StrideOption = None,
    window: WindowOption = None,
    offset: OffsetOption = None,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Find actions in videos: all candidates of the model, with scores, video by video. Suppress them with `nms`.

    All videos of FEATURES, unless --subset (with --split or --ground-truth), or --split alone, names some.

    taltool predict --model afsd feats.h5 | taltool nms | taltool evaluate gt.json
    """
    from taltool.prediction.predict import predict as run

    run(
        features,
        model=model,
        output=output,
        to=to,
        subset=subset,
        split=split,
        ground_truth=ground_truth,
        skip_missing=skip_missing,
        shard=shard,
        min_score=min_score,
        top_k=top_k,
        oracle=oracle,
        batch_size=batch_size,
        cache=cache,
        device=device,
        fps=fps,
        stride=stride,
        window=window,
        offset=offset,
        provenance=provenance,
        reporter=reporter,
    )
