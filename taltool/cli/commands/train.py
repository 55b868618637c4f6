"""`taltool train`: fit a model to features and annotations."""

import json
import os
from dataclasses import replace
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
from taltool.reporting import SILENT, Reporter

if TYPE_CHECKING:
    from taltool.training.cross_validation import Result, Summary

_GIBIBYTE = 1 << 30


def train(
    features: Annotated[str | None, typer.Argument(metavar="FEATURES", help="Feature file (HDF5).")] = None,
    ground_truth: Annotated[
        str | None, typer.Argument(metavar="GT", help="Ground truth in the ActivityNet layout.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Name of the model: afsd, ...")] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="The checkpoint; default: MODEL.safetensors, here."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Settings to start from: auto (fitted to the data), thumos14, activitynet13.")
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
            metavar="NAME[,NAME]", help="Subsets to train on; default: training (validation under --preset thumos14)."
        ),
    ] = None,
    validation_subset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Subsets to choose the epoch by; default: some videos held out of the training (training.holdout).",
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
            help="Subsets that --folds and --seeds measure on; default: validation (testing under --preset thumos14).",
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
            "(OpenTAD's, on features) and MGNet; --set training.epochs=0 makes a checkpoint of them as they are.",
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
        typer.Option(metavar="GIB", min=0, help="Features up to this size are kept in memory (workers included)."),
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
    the checkpoint NAME.safetensors lie NAME.metrics.jsonl and, until the run ends, NAME.resume.pt.

    Under torchrun the processes share each batch out, which stays as large as training.batch_size says: the same
    command learns the same on one CPU and on eight GPUs.

    taltool train --model afsd feats.h5 gt.json

    torchrun --nproc-per-node 8 -m taltool train --model afsd --device cuda feats.h5 gt.json
    """
    _hush_launched_torch()
    from taltool.data.annotations import read_ground_truth
    from taltool.data.hdf5_features import ClockOptions, FeatureFile
    from taltool.experiment.configuration import to_toml
    from taltool.experiment.device import checked_device
    from taltool.experiment.device import deterministic as deterministic_mode
    from taltool.training.cross_validation import cross_validate, read_folds, single_fold
    from taltool.training.distributed import init_distributed
    from taltool.training.resume import start_or_resume
    from taltool.training.setup import ResolvedModel, TrainRequest, make_trainer, read_data

    request = TrainRequest(
        model,
        preset,
        config,
        (*(set_ or ()), *_short_settings(select, streams)),
        subset,
        validation_subset,
        skip_missing,
        seed,
        device,
        output,
        provenance,
        int(cache * _GIBIBYTE),
        workers,
        save_every,
        is_compiled=compile_,
        is_deterministic=deterministic,
        test_subset=test_subset,
        tensorboard=tensorboard,
        init=init,
    )
    if folds is not None and split is not None:
        raise UsageError("--folds takes the subsets from every split of its file: leave --split out")
    if test_subset is not None and folds is None and seeds is None:
        raise UsageError("--test-subset is measured on by --folds and --seeds only; otherwise predict and evaluate do")
    with init_distributed(device) as (processes, own_device), deterministic_mode(deterministic):
        request = replace(request, device=checked_device(own_device), processes=processes)
        reporter = reporter if processes.is_first else SILENT
        resolved = ResolvedModel.of(request)
        if features is None or ground_truth is None:
            if show_config and features is None:
                print(to_toml(resolved.experiment(preset, None)), end="")
                return
            raise UsageError("name the feature file and the ground truth: taltool train --model NAME FEATURES GT")
        truth = read_ground_truth(ground_truth, split)
        with FeatureFile(features, ClockOptions(fps, stride, window, offset), truth.durations) as file:
            if (folds is not None or seeds is not None) and not show_config:
                truths = read_folds(folds, ground_truth) if folds is not None else single_fold(truth)
                summary = cross_validate(request, resolved, file, truths, seeds or 1, resume, reporter)
                if processes.is_first:
                    _print_summary(summary)
                return
            data = read_data(request, file, truth, reporter)
            experiment = resolved.experiment(preset, data.statistics)
            if not show_config:
                start_or_resume(
                    make_trainer(request, resolved, data, experiment, reporter), resume, reporter, tensorboard
                )
            elif processes.is_first:
                print(to_toml(experiment), end="")


def _short_settings(select: str | None, streams: str | None) -> list[str]:
    """The options that are short for a setting, as `--set` would say them."""
    found = [f"training.select={select}"] if select else []
    if streams:
        names = [name.strip() for name in streams.split(",")]
        found.append(f"sampling.streams={json.dumps(names, ensure_ascii=False)}")
    return found


def _print_summary(summary: "Summary") -> None:
    """Print the runs, then mean and spread, in percent, with what they were measured by."""
    from taltool.cli.reports.tables import Table, print_table

    rows = [
        [run.fold or "-", str(run.seed), str(run.chosen_epoch), str(run.videos), str(run.instances), _percent(run)]
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


def _percent(run: "Result") -> str:
    return f"{100 * run.average_mAP:.2f}"


def _hush_launched_torch() -> None:
    """Keep DistributedDataParallel from warning, in every process, that a batch left no weight unused."""
    if "WORLD_SIZE" in os.environ:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
