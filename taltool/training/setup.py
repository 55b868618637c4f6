"""From a recipe and data to a run that is ready: settings fitted to the data, videos split, network built."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch

from taltool.data.checkpoint_header import CheckpointHeader, read_checkpoint_header
from taltool.data.downloads import digest
from taltool.data.feature_checks import common_channels, compare_clocks
from taltool.data.hdf5_features import FeatureFile
from taltool.data.provenance import SELECTED_ON, TRAINED_ON, InputFile, step
from taltool.data.records import GroundTruth
from taltool.data.statistics import DatasetStatistics
from taltool.errors import DataError, UsageError
from taltool.experiment import dataset
from taltool.experiment.checkpoint import SAFETENSORS, load_pretrained
from taltool.experiment.configuration import Layer, build, override_layer, preset_layer, read_config, to_plain
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.frames import make_source
from taltool.experiment.sampling import ChannelStatistics
from taltool.experiment.settings import Experiment
from taltool.models import MODELS
from taltool.models.auto_recipes import describe_choice
from taltool.models.contract import FrameInput, Model
from taltool.reporting import Reporter
from taltool.training.loader import TrainingLoader
from taltool.training.micro_batches import BatchPartition
from taltool.training.trainer import Plan, RunOptions, Trainer
from taltool.training.validation import Validation

AUTO = "auto"


@dataclass(frozen=True)
class Recipe:
    """A model and its settings: those of a preset (AUTO: fitted to the data), and layers over them."""

    name: str
    model_class: type[Model]
    preset: str
    layers: Sequence[Layer]

    @classmethod
    def of(cls, model: str | None, preset: str, config: str | None, overrides: Sequence[str]) -> "Recipe":
        """The recipe that the names mean; raises UsageError where they are unknown or contradict each other.

        model None: as the file `config` says.
        """
        named, layer = read_config(config) if config else (None, None)
        if model is None and named is None:
            raise UsageError(f"name a model: --model {'|'.join(MODELS.names())}")
        name = MODELS.canonical(model or str(named))
        if named is not None and MODELS.canonical(named) != name:
            raise UsageError(f"--model {name}: {config} is for model '{named}'")
        model_class = MODELS.load(name)
        missing = sorted(getattr(model_class, "__abstractmethods__", ())) + ["Config"] * (
            not hasattr(model_class, "Config")
        )
        if missing:
            raise UsageError(f"model '{name}' is not whole: {model_class.__name__} has no {', '.join(missing)}")
        layers = [layer] if layer else []
        return cls(name, model_class, preset, [*layers, *(override_layer(s, model_class.Config) for s in overrides)])

    def experiment(self, statistics: DatasetStatistics | None) -> Experiment:
        """The settings: defaults, then the preset, then file and `--set`; statistics are needed by AUTO alone."""
        if self.preset != AUTO:
            first = preset_layer(self.preset, self.model_class.presets, self.name)
        elif statistics is None:
            raise UsageError("--preset auto fits the settings to the data: name FEATURES and GT, or another --preset")
        else:
            first = Layer(f"{self.name}, fitted to the data", self.model_class.auto_settings(statistics))
        return build(self.name, self.model_class.Config, [first, *self.layers])


@dataclass(frozen=True, kw_only=True)
class Subsets:
    """The subsets to train on, to choose the epoch by (None: videos held out of the training), and to test on.

    skip_missing: go on where some of their videos have no features.
    """

    training: str
    validation: str | None
    test: str
    skip_missing: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingData:
    """The labelled videos of a run, before the network sees them; validation None: to be held out of `videos`."""

    file: FeatureFile
    truth: GroundTruth
    classes: list[str]
    videos: list[LabelledVideo]
    validation: list[LabelledVideo] | None
    statistics: DatasetStatistics
    channels: int


def read_data(file: FeatureFile, truth: GroundTruth, subsets: Subsets, reporter: Reporter) -> TrainingData:
    """The videos of a run with their usable instances; raises UsageError and DataError for what cannot be used."""
    chosen = dataset.videos_with_features(truth.subset(subsets.training), file, subsets.skip_missing, reporter)
    is_said = bool(file.clock_options.given())
    compare_clocks(file, chosen.videos, file.path, reporter, durations=file.durations, is_said=is_said)
    strangers = len(set(file.ids) - set(truth.videos))
    if strangers:
        reporter.note(f"{strangers} videos of {file.path} are not in {truth.file}; not used")
    instances = dataset.usable_instances(chosen, file, reporter)
    classes = dataset.class_names(chosen, instances, reporter)
    videos = dataset.label_videos(chosen, instances, classes, reporter)
    channels = common_channels(file, chosen.videos, file.path)
    validation = None
    if subsets.validation is not None:
        held_out = dataset.videos_with_features(truth.subset(subsets.validation), file, subsets.skip_missing, reporter)
        shared = {video.video_id for video in videos} & set(held_out.videos)
        if shared:
            raise UsageError(
                f"--validation-subset: {len(shared)} of its videos are trained on: {sorted(shared)[0]}, ..."
            )
        held_out_instances = dataset.usable_instances(held_out, file, reporter)
        validation = dataset.label_videos(held_out, held_out_instances, classes, reporter)
    return TrainingData(
        file=file,
        truth=truth,
        classes=classes,
        videos=videos,
        validation=validation,
        statistics=dataset.dataset_statistics(file, videos, len(classes), channels),
        channels=channels,
    )


def make_trainer(recipe: Recipe, data: TrainingData, output: str, options: RunOptions, reporter: Reporter) -> Trainer:
    """A run, ready to start, whose checkpoint will be `output`."""
    experiment = recipe.experiment(data.statistics)
    if recipe.preset == AUTO:
        fitted = replace(recipe, layers=()).experiment(data.statistics)
        for line in describe_choice(data.statistics, to_plain(fitted)):
            reporter.note(f"{AUTO}: {line}")
    if experiment.prediction.average_windows and not recipe.model_class.averages_windows:
        raise UsageError(
            f"prediction.average_windows: {recipe.name} decodes windows one by one; leave it out "
            "(prediction.cut_factor marks down what they cut)"
        )
    if experiment.prediction.average_windows and experiment.sampling.resize != "window":
        raise UsageError('prediction.average_windows needs windows: sampling.resize = "window"')
    sampling, training, processes = experiment.sampling, experiment.training, options.processes
    train, held_out = _split(data, experiment, options.seed, reporter)
    frames = recipe.model_class.frames_wanted(experiment.model)
    source = make_source(data.file, sampling, frames, cache_bytes=options.cache_bytes // (1 + options.workers))
    videos = [video.video_id for video in (*train, *held_out)]
    source.check(videos, f"this {recipe.name}", _mend(recipe, frames))
    if sampling.normalize == "channel" or sampling.feature_noise:
        source.statistics = ChannelStatistics.measure(data.file, (each.video_id for each in train), source.channels)
    channels = source.width(train[0].video_id)

    torch.manual_seed(options.seed)
    model = recipe.model_class(experiment.model, channels, len(data.classes), sampling.length)
    if options.init is not None:
        load_pretrained(model, options.init, reporter)
    elif not training.epochs:
        raise UsageError("training.epochs = 0 keeps the weights that the network begins with: name them by --init")

    if training.batch_size < processes.world_size:
        raise UsageError(
            f"training.batch_size = {training.batch_size} is that of one update over all processes, and there are "
            f"{processes.world_size}: --set training.batch_size={processes.world_size} or more, or start fewer "
            "processes"
        )
    shown = dataset.select_by_coverage(train, data.file, sampling, reporter)
    loader = TrainingLoader(
        source,
        shown,
        batch_size=training.batch_size,
        length_multiple=model.length_multiple,
        seed=options.seed,
        partition=BatchPartition(training.accumulation, processes.world_size, processes.rank),
        workers=options.workers,
    )
    _check_samples(loader, shown, data.classes, experiment, reporter)
    validation = None
    if held_out:
        validation = Validation(
            source, held_out, data.classes, experiment, model.length_multiple, options.device, processes
        )
        if training.select == "loss" and not validation.samples:
            raise UsageError("no held-out window holds an instance; --set select=map or last, or another holdout")
    reporter.note(
        f"{recipe.name}: {sum(p.numel() for p in model.parameters()):,} parameters, {len(data.classes)} classes, "
        f"{len(set(shown))} videos to train on ({len(loader.samples)} samples), {len(held_out)} to choose the epoch by"
    )
    header = _header(data, experiment, channels, options, seen=(train, held_out))
    if not Path(output).parent.is_dir():
        raise DataError(f"{output}: the folder {Path(output).parent} does not exist")
    plan = Plan(
        experiment=experiment,
        header=header,
        statistics=source.statistics if sampling.normalize == "channel" else None,
        output=Path(output),
        fingerprint=_fingerprint(header, data.file, [train, held_out], options),
        options=options,
    )
    return Trainer(plan, model, loader, validation, reporter)


def _mend(recipe: Recipe, frames: FrameInput | None) -> str:
    """What is to be done where a file holds features and the model wants `frames`, or the other way."""
    other = "frames" if frames is None else "features"
    switch = f", or --set model.input={other}" if hasattr(recipe.model_class.Config, "input") else ""
    if frames is None:
        return f"give it features (taltool extract --backbone NAME){switch}"
    return f"make a file of them (taltool extract --backbone frames){switch}"


def _split(
    data: TrainingData, experiment: Experiment, seed: int, reporter: Reporter
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """The videos to train on, and those to choose the epoch by: a named subset, or some held out of the training."""
    if data.validation is not None:
        return data.videos, data.validation
    if experiment.training.select == "last":
        return data.videos, []
    holdout = experiment.training.holdout
    train, held_out = dataset.hold_out(data.videos, holdout, seed)
    if not held_out:
        reporter.warn(
            f"no video can be held out of {len(data.videos)} (training.holdout = {holdout}) without losing a "
            "class; the last epoch becomes the checkpoint"
        )
    return train, held_out


def _check_samples(
    loader: TrainingLoader,
    videos: Sequence[LabelledVideo],
    classes: Sequence[str],
    experiment: Experiment,
    reporter: Reporter,
) -> None:
    sampling = experiment.sampling
    window, wider = f"{sampling.length} snippets", "raise sampling.length"
    if sampling.window_seconds:
        window, wider = f"{sampling.window_seconds:g} s", "raise sampling.window_seconds"
    if not loader.samples:
        raise UsageError(
            f"no window of {window} holds a whole instance; {wider}, or use --set sampling.require_whole=false or "
            "--set sampling.resize=rescale"
        )
    seen = {sample.video_id for sample in loader.samples}
    unseen = [video.video_id for video in videos if video.video_id not in seen and len(video.labels)]
    if unseen:
        reporter.warn(
            f"{len(unseen)} training videos have no window of {window} that holds a whole instance, "
            f"not trained on: {dataset.list_some(unseen)}; {wider}"
        )
    taught = {int(label) for video in videos if video.video_id in seen for label in video.labels}
    untaught = [name for number, name in enumerate(classes) if number not in taught]
    if untaught:
        reporter.warn(f"no training sample shows {dataset.list_some(untaught)}")


def _header(
    data: TrainingData,
    experiment: Experiment,
    channels: int,
    options: RunOptions,
    seen: tuple[Sequence[LabelledVideo], Sequence[LabelledVideo]],
) -> CheckpointHeader:
    """What the checkpoint says about itself; seen are the videos to learn from, and those to choose the epoch by."""
    clocks = [data.file.clock(video.video_id) for video in data.videos]
    provenance = None
    if options.with_provenance:
        inputs = [InputFile.stat(data.file.path), InputFile.hashed(data.truth.file, data.truth.sha256)]
        if options.init is not None:
            inputs.append(InputFile.stat(options.init))
        provenance = [*data.file.provenance, step(inputs, options.seed)]
    return CheckpointHeader(
        model=experiment.model_name,
        configuration=to_plain(experiment),
        classes=data.classes,
        channels=channels,
        length=experiment.sampling.length,
        streams={name: list(span) for name, span in data.file.streams.items()},
        clock={
            name: float(np.median([getattr(each, name) for each in clocks]))
            for name in ("fps", "stride", "window", "seconds_per_snippet")
        },
        training={},
        provenance=provenance,
        extraction=data.file.extraction,
        seen=_seen(*seen, options.init),
    )


def _seen(train: Sequence[LabelledVideo], held_out: Sequence[LabelledVideo], init: str | None) -> dict[str, list[str]]:
    """The ids that have a part in the weights, and those that had one in the first weights, where these tell."""
    before: dict[str, list[str]] = {}
    if init is not None and Path(init).suffix == SAFETENSORS:
        with contextlib.suppress(DataError):  # Tensors alone, of another program.
            before = read_checkpoint_header(init).seen
    now = {TRAINED_ON: train, SELECTED_ON: held_out}
    return {how: sorted({*before.get(how, ()), *(video.video_id for video in videos)}) for how, videos in now.items()}


def _fingerprint(
    header: CheckpointHeader, file: FeatureFile, parts: Sequence[Sequence[LabelledVideo]], options: RunOptions
) -> str:
    """A hash of all that decides the weights: settings, seed, first weights, and the videos with their sizes."""
    sizes = [[(video.video_id, *file.shape(video.video_id)) for video in part] for part in parts]
    # Parts change what is learnt by rounding only: a run that met the end of the memory may continue in smaller ones.
    configuration = {**header.configuration, "training": {**header.configuration["training"], "accumulation": 1}}
    decisive: list[Any] = [configuration, header.classes, header.clock, header.channels, sizes, options.seed]
    if options.init is not None:
        decisive.append(digest(Path(options.init)))
    return hashlib.sha256(orjson.dumps(decisive)).hexdigest()
