"""From what a user asks for to a run that is ready: settings fitted to the data, videos split, network built."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch

from taltool.data.checkpoint_header import CheckpointHeader
from taltool.data.downloads import digest
from taltool.data.hdf5_features import FeatureFile
from taltool.data.provenance import InputFile, step
from taltool.data.public_datasets import ANY_DATASET, DATASETS
from taltool.data.records import GroundTruth
from taltool.data.statistics import DatasetStatistics
from taltool.errors import DataError, UsageError
from taltool.experiment import dataset
from taltool.experiment.checkpoint import load_pretrained
from taltool.experiment.configuration import Layer, build, override_layer, preset_layer, read_config, to_plain
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.feature_source import DEFAULT_CACHE_BYTES, ChannelStatistics, FeatureSource
from taltool.experiment.settings import Experiment
from taltool.models import MODELS
from taltool.models.contract import Model
from taltool.reporting import Reporter
from taltool.training.distributed import BatchPartition, ProcessGroup
from taltool.training.loader import TrainingLoader
from taltool.training.trainer import DEFAULT_SAVE_SECONDS, Plan, Trainer
from taltool.training.validation import Validation

AUTO = "auto"


@dataclass(frozen=True)
class TrainRequest:
    """What a user asks of `train`. model None means: as `config` says. subset None means: as the preset says."""

    model: str | None = None
    preset: str = AUTO
    config: str | None = None
    overrides: Sequence[str] = ()
    subset: str | None = None
    validation_subset: str | None = None
    skip_missing: bool = False
    seed: int = 0
    device: str = "cpu"
    output: str | None = None
    with_provenance: bool = True
    cache_bytes: int = DEFAULT_CACHE_BYTES  # Over this process and its workers.
    # Processes that make the batches of each process of the training; 0: a thread does.
    workers: int = 0
    save_seconds: float = DEFAULT_SAVE_SECONDS
    processes: ProcessGroup = field(default_factory=ProcessGroup)
    is_compiled: bool = False
    is_deterministic: bool = False
    # Where several folds or seeds are run: the subset to measure on; None means: as the preset says.
    test_subset: str | None = None
    tensorboard: str | None = None
    # A file of weights to begin with.
    init: str | None = None


@dataclass(frozen=True)
class ResolvedModel:
    """The model that a request names, its class, and the layers of settings over the preset."""

    name: str
    model_class: type[Model]
    later_layers: list[Layer] = field(default_factory=list)

    @classmethod
    def of(cls, request: TrainRequest) -> "ResolvedModel":
        """Resolve the names of a request; raises UsageError where they are unknown or contradict each other."""
        named, layers = read_config(request.config) if request.config else (None, [])
        layers = [layers] if isinstance(layers, Layer) else []
        if request.model is None and named is None:
            raise UsageError(f"name a model: --model {'|'.join(MODELS.names())}")
        name = MODELS.canonical(request.model or str(named))
        if named is not None and MODELS.canonical(named) != name:
            raise UsageError(f"--model {name}: {request.config} is for model '{named}'")
        model_class = MODELS.load(name)
        return cls(name, model_class, [*layers, *(override_layer(s, model_class.Config) for s in request.overrides)])

    def experiment(self, preset: str, statistics: DatasetStatistics | None) -> Experiment:
        """The settings: defaults, then the preset (fitted to the data where it is auto), then file and `--set`."""
        if preset != AUTO:
            first = preset_layer(preset, self.model_class.presets, self.name)
        elif statistics is None:
            raise UsageError("--preset auto fits the settings to the data: name FEATURES and GT, or another --preset")
        else:
            first = Layer(f"{self.name}, fitted to the data", self.model_class.auto_settings(statistics))
        return build(self.name, self.model_class.Config, [first, *self.later_layers])


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The labelled videos of a run, before the network sees them."""

    file: FeatureFile
    truth: GroundTruth
    classes: list[str]
    videos: list[LabelledVideo]
    statistics: DatasetStatistics
    channels: int


def read_data(request: TrainRequest, file: FeatureFile, truth: GroundTruth, reporter: Reporter) -> TrainingData:
    """The training videos of a request with their usable instances; raises DataError for what cannot be used."""
    chosen = truth.subset(request.subset or DATASETS.get(request.preset, ANY_DATASET).training)
    chosen = dataset.videos_with_features(chosen, file, request.skip_missing, reporter)
    strangers = len(set(file.ids) - set(truth.videos))
    if strangers:
        reporter.note(f"{strangers} videos of {file.path} are not in {truth.file}; not used")
    instances = dataset.usable_instances(chosen, file, reporter)
    classes = dataset.class_names(chosen, instances, reporter)
    videos = dataset.label_videos(chosen, instances, classes, reporter)
    channels = dataset.check_channels(file, [video.video_id for video in videos])
    statistics = dataset.dataset_statistics(file, videos, len(classes), channels)
    return TrainingData(file, truth, classes, videos, statistics, channels)


def split_data(
    request: TrainRequest, data: TrainingData, experiment: Experiment, reporter: Reporter
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """The videos to train on, and those to choose the epoch by: a named subset, or some held out of the training."""
    training = experiment.training
    if request.validation_subset is not None:
        chosen = data.truth.subset(request.validation_subset)
        chosen = dataset.videos_with_features(chosen, data.file, request.skip_missing, reporter)
        shared = {video.video_id for video in data.videos} & set(chosen.videos)
        if shared:
            raise UsageError(
                f"--validation-subset: {len(shared)} of its videos are trained on: {sorted(shared)[0]}, ..."
            )
        instances = dataset.usable_instances(chosen, data.file, reporter)
        return data.videos, dataset.label_videos(chosen, instances, data.classes, reporter)
    if training.select == "last":
        return data.videos, []
    train, held_out = dataset.hold_out(data.videos, training.holdout, request.seed)
    if not held_out:
        reporter.warn(
            f"no video can be held out of {len(data.videos)} (training.holdout = {training.holdout}) without losing a "
            "class; the last epoch becomes the checkpoint"
        )
    return train, held_out


def make_trainer(
    request: TrainRequest, resolved: ResolvedModel, data: TrainingData, experiment: Experiment, reporter: Reporter
) -> Trainer:
    """A run, ready to start from its beginning."""
    train, held_out = split_data(request, data, experiment, reporter)
    source, channel_statistics = _source(request, data, experiment, train)
    channels, length = source.width(train[0].video_id), experiment.sampling.length
    model = _model(request, resolved, data, experiment, channels)
    shown = dataset.select_by_coverage(train, data.file, experiment.sampling, reporter)
    loader = _loader(request, experiment, source, shown, model.length_multiple)
    _check_samples(loader, shown, data.classes, experiment, reporter)
    validation = _validation(request, data, experiment, source, held_out, model.length_multiple)
    header = _header(request, data, experiment, channels, length)
    kept = channel_statistics if experiment.sampling.normalize == "channel" else None
    ids = [[video.video_id for video in part] for part in (train, held_out)]
    reporter.note(
        f"{resolved.name}: {sum(p.numel() for p in model.parameters()):,} parameters, {len(data.classes)} classes, "
        f"{len(set(shown))} videos to train on ({len(loader.samples)} samples), {len(held_out)} to choose the epoch by"
    )
    plan = _plan(request, header, kept, experiment, _fingerprint(header, data.file, ids, request))
    return Trainer(plan, model, loader, validation, reporter)


def _source(
    request: TrainRequest, data: TrainingData, experiment: Experiment, train: Sequence[LabelledVideo]
) -> tuple[FeatureSource, ChannelStatistics | None]:
    """The features as networks get them, and the statistics of the training videos' channels, where they are needed."""
    sampling, room = experiment.sampling, request.cache_bytes // (1 + request.workers)
    source = FeatureSource(data.file, sampling, cache_bytes=room)
    if sampling.normalize != "channel" and not sampling.feature_noise:
        return source, None
    measured = (video.video_id for video in train)
    channel_statistics = ChannelStatistics.measure(data.file, measured, source.channels)
    return FeatureSource(data.file, sampling, channel_statistics, room), channel_statistics


def _model(
    request: TrainRequest, resolved: ResolvedModel, data: TrainingData, experiment: Experiment, channels: int
) -> Model:
    """The network with the weights that it begins with."""
    torch.manual_seed(request.seed)
    model = resolved.model_class(experiment.model, channels, len(data.classes), experiment.sampling.length)
    if request.init is not None:
        load_pretrained(model, request.init)
    elif not experiment.training.epochs:
        raise UsageError("training.epochs = 0 keeps the weights that the network begins with: name them by --init")
    return model


def _loader(
    request: TrainRequest, experiment: Experiment, source: FeatureSource, shown: Sequence[LabelledVideo], multiple: int
) -> TrainingLoader:
    """The batches of the videos to train on, of which every process has a part."""
    training, processes = experiment.training, request.processes
    if training.batch_size < processes.world_size:
        raise UsageError(
            f"training.batch_size = {training.batch_size} is that of one update over all processes, and there are "
            f"{processes.world_size}: --set training.batch_size={processes.world_size} or more, or start fewer "
            "processes"
        )
    partition = BatchPartition(training.accumulation, processes.world_size, processes.rank)
    return TrainingLoader(source, shown, training.batch_size, multiple, request.seed, partition, request.workers)


def _validation(
    request: TrainRequest,
    data: TrainingData,
    experiment: Experiment,
    source: FeatureSource,
    held_out: Sequence[LabelledVideo],
    multiple: int,
) -> Validation | None:
    """What chooses the epoch; None where no video is held out."""
    if not held_out:
        return None
    validation = Validation(source, held_out, data.classes, experiment, multiple, request.device, request.processes)
    if experiment.training.select == "loss" and not validation.samples:
        raise UsageError("no held-out window holds an instance; --set select=map or last, or another holdout")
    return validation


def _check_samples(
    loader: TrainingLoader,
    videos: Sequence[LabelledVideo],
    classes: Sequence[str],
    experiment: Experiment,
    reporter: Reporter,
) -> None:
    sampling = experiment.sampling
    if not loader.samples:
        raise UsageError(
            f"no window of {sampling.length} snippets holds a whole instance; raise sampling.length, or use "
            "--set sampling.require_whole=false or --set sampling.resize=rescale"
        )
    seen = {sample.video_id for sample in loader.samples}
    unseen = [video.video_id for video in videos if video.video_id not in seen and len(video.labels)]
    if unseen:
        reporter.warn(
            f"{len(unseen)} training videos have no window of {sampling.length} snippets that holds a whole instance, "
            f"not trained on: {dataset.list_some(unseen)}; raise sampling.length"
        )
    taught = {int(label) for video in videos if video.video_id in seen for label in video.labels}
    untaught = [name for number, name in enumerate(classes) if number not in taught]
    if untaught:
        reporter.warn(f"no training sample shows {dataset.list_some(untaught)}")


def _header(
    request: TrainRequest, data: TrainingData, experiment: Experiment, channels: int, length: int
) -> CheckpointHeader:
    clocks = [data.file.clock(video.video_id) for video in data.videos]
    clock = {
        name: float(np.median([getattr(each, name) for each in clocks]))
        for name in ("fps", "stride", "window", "seconds_per_snippet")
    }
    provenance = None
    if request.with_provenance:
        inputs = [InputFile.stat(data.file.path), InputFile.hashed(data.truth.file, data.truth.sha256)]
        if request.init is not None:
            inputs.append(InputFile.stat(request.init))
        provenance = [*data.file.provenance, step(inputs, request.seed)]
    streams = {name: list(span) for name, span in data.file.streams.items()}
    return CheckpointHeader(
        experiment.model_name, to_plain(experiment), data.classes, channels, length, streams, clock, {}, provenance
    )


def _fingerprint(header: CheckpointHeader, file: FeatureFile, ids: list[list[str]], request: TrainRequest) -> str:
    """A hash of all that decides the weights: settings, seed, first weights, and the videos with their sizes."""
    sizes = [[(video_id, *file.shape(video_id)) for video_id in part] for part in ids]
    # Parts change what is learnt by rounding only: a run that met the end of the memory may continue in smaller ones.
    configuration = {**header.configuration, "training": {**header.configuration["training"], "accumulation": 1}}
    facts: list[Any] = [configuration, header.classes, header.clock, header.channels, sizes, request.seed]
    if request.init is not None:
        facts.append(digest(Path(request.init)))
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()


def _plan(
    request: TrainRequest,
    header: CheckpointHeader,
    channel_statistics: ChannelStatistics | None,
    experiment: Experiment,
    fingerprint: str,
) -> Plan:
    output = Path(request.output or f"{header.model}.safetensors")
    if not output.parent.is_dir():
        raise DataError(f"{output}: the folder {output.parent} does not exist")
    stem = output.with_suffix("") if output.suffix == ".safetensors" else output
    return Plan(
        experiment,
        header,
        channel_statistics,
        output,
        stem.with_name(f"{stem.name}.resume.pt"),
        stem.with_name(f"{stem.name}.metrics.jsonl"),
        fingerprint,
        request.seed,
        request.device,
        request.save_seconds,
        request.processes,
        request.is_compiled,
        request.is_deterministic,
    )
