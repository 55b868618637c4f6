"""`taltool train`: fit a model to features and annotations."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from taltool.cli.arguments import (
    DeviceOption,
    FpsOption,
    OffsetOption,
    ProvenanceOption,
    SeedOption,
    SplitOption,
    StrideOption,
    WindowOption,
)
from taltool.errors import UsageError
from taltool.reporting import Reporter

if TYPE_CHECKING:
    from taltool.training.cross_validation import CrossValidation

MAN = r"""
.SH FRAMES
Some models (afsd, tsa-tal) learn from pixels too: their FEATURES are a frame store, made by
.BR "taltool extract \-\-backbone frames" .
.B auto
sees that they are; the papers' own settings are the presets thumos14\-frames and activitynet13\-frames (of tsa\-tal
activitynet12\-frames), which begin with published weights of I3D
.RB ( \-\-init ).
Without those
.B auto
takes an I3D of a part of its channels
.RB ( model.backbone_divisor ),
which few videos can teach;
.B \-\-init
needs 1.
A snippet is then a frame, in every length and stride of the settings, and a sample is a clip of
.BR sampling.length .
In training the network sees a square of the pictures at random, the same in all frames of a clip, and half of the clips
in a mirror; later it sees the middle.
Settings that change the numbers of features (noise, dropout, mixup, normalisation, resampling) are refused.
A clip of frames takes a thousand times the memory of features, and the time grows with it. A thousand updates of AFSD
by
.B auto
on six videos of half a minute took an hour and a half on a processor; with fewer pixels or channels it is several times
faster:
.BR model.crop ,
.B model.backbone_divisor
and
.B training.epochs
are what to change, and
.B sampling.length
for less memory.
.B training.accumulation
passes a batch in parts,
.B training.precision
computes in half precision, and
.B \-\-workers
read ahead.
The log of every epoch, and the last line, say how many frames pass the network in a second of training and how much
memory was used at most.
.SH "SETTINGS FITTED TO THE DATA"
.B auto
goes by the facts of the training videos alone, and says in four lines what they are and what it made of them: what a
sample is (whole videos, or windows where these are long, or where the network says something about every pair of
snippets), how many updates so many instances are worth, and how much noise.
.PP
A window cuts actions at its edges, and what it shows of one looks like an action of its own.
.B prediction.cut_factor
multiplies the scores of candidates that end where their window does, but the video does not; a neighbouring window that
shows the whole then wins. In the presets of papers it is 1 (off).
.B prediction.average_windows
averages what overlapping windows say of the same snippets instead, and decodes the video as a whole; gsmt can.
.B prediction.time_stretches
are lengths, as factors, at which it looks at the video besides, for the same average.
.PP
.B sampling.time_stretch
plays training samples of features up to so many times faster or slower.
"""

EXAMPLES = """
# from pixels, on a laptop: small pictures and crops, a small I3D
taltool extract videos/ --backbone frames --fps 10 --stream both --flow dis -o frames.h5
taltool train --model afsd --streams rgb frames.h5 gt.json --set model.crop=64 --set model.backbone_divisor=8
"""


def train(
    features: Annotated[
        str | None, typer.Argument(metavar="FEATURES", help="Feature file, or frame store (HDF5).")
    ] = None,
    ground_truth: Annotated[
        str | None, typer.Argument(metavar="GT", help="Ground truth in the ActivityNet layout.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Its name, or a Python file of your own. There are {models}."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="The checkpoint; default: MODEL.safetensors, here."),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Settings to start from: auto (fitted to the data), or a paper's; those called frames learn from "
            "pixels. There are {model_presets}."
        ),
    ] = "auto",
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="TOML file of settings over the preset; see --show-config.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="One setting over all others, such as training.epochs=30."),
    ] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the effective settings as TOML for --config, and stop.")
    ] = False,
    subset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Subsets to train on; default: training (validation under --preset thumos14, unless --split or "
            "--folds has a training subset).",
        ),
    ] = None,
    validation_subset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Subsets to choose the epoch by; default: videos held out of the training (training.holdout), where "
            "--select is loss or map.",
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            metavar="loss|map|last",
            help="Which epoch becomes the checkpoint: lowest validation loss, highest validation mAP, or the last one "
            "(short for --set training.select=...).",
        ),
    ] = None,
    streams: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Streams of the feature file to use, by name (short for --set sampling.streams=...); default: all. "
            "The checkpoint keeps them, and predict chooses the same.",
        ),
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Cross-validation over every split in FILE, {NAME: {subset: list of video ids}}: train each, measure "
            "it on its test subset, print mean and spread. OUTPUT is then a folder.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Train with N seeds from --seed on, and report as with --folds."),
    ] = None,
    test_subset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Subsets that --folds and --seeds measure on; default: validation (testing under --preset thumos14, "
            "where there is one).",
        ),
    ] = None,
    tensorboard: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write the measurements for TensorBoard too (extra 'tensorboard')."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Begin with the weights of an earlier training of the same network, or of the published code of AFSD "
            "(its authors', from frames; OpenTAD's, on features) and MGNet, or of the public I3D for what AFSD begins "
            "with (rgb_imagenet.pt, flow_imagenet.pt); --set training.epochs=0 makes a checkpoint of them as they are.",
        ),
    ] = None,
    split: SplitOption = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Go on where annotated videos have no features.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was killed; a finished one is left as it is.")
    ] = False,
    save_every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="The longest time of training that a kill may cost.")
    ] = 60.0,
    cache: Annotated[
        float,
        typer.Option(
            metavar="GIB", min=0, help="Features, or frames, up to this size are kept in memory (workers included)."
        ),
    ] = 2.0,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Processes that read and prepare batches, for slow disks and fast GPUs; 0: a thread reads ahead. "
            "What is learnt is the same.",
        ),
    ] = 0,
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network (torch.compile): slow to start, each step faster."),
    ] = False,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="Only operations that give the same bits each time, also on a GPU; slower there."
        ),
    ] = False,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    fps: FpsOption = None,
    stride: StrideOption = None,
    window: WindowOption = None,
    offset: OffsetOption = None,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Fit a model to features and annotations; write a checkpoint and a line of measurements per epoch.

    The epoch that becomes the checkpoint is chosen on videos held out of the training, never on test videos. Beside
    the checkpoint NAME.safetensors lie NAME.metrics.jsonl, until the run ends NAME.resume.pt, and then NAME.card.md, a
    model card.

    Under torchrun the processes share each batch out, which stays as large as training.batch_size says: the same
    command learns the same on one CPU and on eight GPUs.

    taltool train --model afsd feats.h5 gt.json

    torchrun --nproc-per-node 8 -m taltool train --model afsd --device cuda feats.h5 gt.json
    """
    if "WORLD_SIZE" in os.environ:  # Else DistributedDataParallel warns that a batch left no weight unused.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from taltool.experiment.configuration import to_toml
    from taltool.training.cross_validation import CrossValidation
    from taltool.training.train import FILES_WANTED, fitted_settings
    from taltool.training.train import train as train_model

    if show_config:
        settings = fitted_settings(
            features,
            ground_truth,
            model=model,
            preset=preset,
            config=config,
            set_=set_ or (),
            subset=subset,
            select=select,
            streams=streams,
            split=split,
            skip_missing=skip_missing,
            fps=fps,
            stride=stride,
            window=window,
            offset=offset,
            reporter=reporter,
        )
        if _is_first_process():
            print(to_toml(settings), end="")
        return
    if features is None or ground_truth is None:
        raise UsageError(FILES_WANTED)
    result = train_model(
        features,
        ground_truth,
        model=model,
        output=output,
        preset=preset,
        config=config,
        set_=set_ or (),
        subset=subset,
        validation_subset=validation_subset,
        select=select,
        streams=streams,
        folds=folds,
        seeds=seeds,
        test_subset=test_subset,
        tensorboard=tensorboard,
        init=init,
        split=split,
        skip_missing=skip_missing,
        resume=resume,
        save_every=save_every,
        cache=cache,
        workers=workers,
        compile_=compile_,
        deterministic=deterministic,
        seed=seed,
        device=device,
        fps=fps,
        stride=stride,
        window=window,
        offset=offset,
        provenance=provenance,
        reporter=reporter,
    )
    if isinstance(result, CrossValidation) and _is_first_process():
        _print_summary(result)


def _print_summary(summary: "CrossValidation") -> None:
    """Print the runs, then mean and spread, in percent, with what they were measured by."""
    from taltool.cli.reports.report import Table, print_table

    rows = [
        [
            run.fold or "-",
            *map(str, (run.seed, run.chosen_epoch, run.videos, run.instances)),
            f"{100 * run.average_mAP:.2f}",
        ]
        for run in summary.runs
    ]
    what = f"mean of {len(summary.fold_means)} folds" if len(summary.fold_means) > 1 else "mean"
    rows.append([what, "", "", "", "", f"{100 * summary.mean:.2f} +- {100 * summary.spread:.2f}"])
    thresholds = ",".join(f"{tiou:g}" for tiou in summary.tious)
    digest = summary.ground_truth["sha256"][:12]
    title = (
        f"average mAP at tIoU {thresholds}, percent; protocol {summary.protocol}, subset {summary.subset} of "
        f"{summary.ground_truth['file']} ({digest}); after +-: standard deviation"
    )
    print_table(Table(title, ["fold", "seed", "epoch", "videos", "instances", "average mAP"], rows))


def _is_first_process() -> bool:
    """Whether this process, of those that torchrun started, is the one that prints."""
    return os.environ.get("RANK", "0") == "0"
