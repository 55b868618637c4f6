"""`taltool train`: fit a model to features and annotations."""

import os
from dataclasses import replace
from typing import Annotated

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
        float, typer.Option(metavar="GIB", min=0, help="Features up to this size are kept in memory.")
    ] = 2.0,
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
    from taltool.data.features import ClockFacts, FeatureFile
    from taltool.engine.configuration import to_toml
    from taltool.engine.device import checked_device
    from taltool.engine.device import deterministic as deterministic_mode
    from taltool.engine.experiment import Choice, Request, make_trainer, read_data, start
    from taltool.engine.processes import joined

    request = Request(
        model,
        preset,
        config,
        (*(set_ or ()), *([f"training.select={select}"] if select else [])),
        subset,
        validation_subset,
        skip_missing,
        seed,
        device,
        output,
        provenance,
        int(cache * _GIBIBYTE),
        save_every,
        is_compiled=compile_,
        is_deterministic=deterministic,
    )
    with joined(device) as (processes, own_device), deterministic_mode(deterministic):
        request = replace(request, device=checked_device(own_device), processes=processes)
        reporter = reporter if processes.is_first else SILENT
        choice = Choice.of(request)
        if features is None or ground_truth is None:
            if show_config and features is None:
                print(to_toml(choice.experiment(preset, None)), end="")
                return
            raise UsageError("name the feature file and the ground truth: taltool train --model NAME FEATURES GT")
        truth = read_ground_truth(ground_truth, split)
        durations = {video_id: video.duration for video_id, video in truth.videos.items()}
        with FeatureFile(features, ClockFacts(fps, stride, window, offset), durations) as file:
            data = read_data(request, file, truth, reporter)
            experiment = choice.experiment(preset, data.facts)
            if not show_config:
                start(make_trainer(request, choice, data, experiment, reporter), resume, reporter)
            elif processes.is_first:
                print(to_toml(experiment), end="")


def _hush_launched_torch() -> None:
    """Keep DistributedDataParallel from warning, in every process, that a batch left no weight unused."""
    if "WORLD_SIZE" in os.environ:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
