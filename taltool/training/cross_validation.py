"""The same training over several folds of the data and several seeds: cross-validation, with mean and spread.

Each run has a folder of its own, so that what was stopped continues with `resume`, and is measured on the test subset
of its fold, which took no part in choosing the epoch.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from taltool.data.annotations import read_ground_truth
from taltool.data.files import file_name, read_bytes, replacing
from taltool.data.hdf5_features import FeatureFile
from taltool.data.json_text import parsed_document
from taltool.data.public_datasets import ANY_DATASET, DATASETS
from taltool.data.records import GroundTruth
from taltool.errors import DataError, UsageError
from taltool.experiment import dataset
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.feature_source import FeatureSource
from taltool.reporting import Reporter
from taltool.training.resume import start_or_resume
from taltool.training.setup import ResolvedModel, TrainingData, TrainRequest, make_trainer, read_data
from taltool.training.validation import Validation

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Result:
    """What one run reached on the test subset of its fold: mAP averaged over the thresholds, as a fraction."""

    fold: str | None
    seed: int
    chosen_epoch: int
    videos: int
    instances: int
    average_mAP: float  # noqa: N815 (the name that evaluate prints)


@dataclass(frozen=True)
class Summary:
    """The results of all runs, the rules they were measured by, mean and standard deviation (of a sample; 0 for one).

    fold_means holds the mean over the seeds of each fold, from which mean and spread are taken where there are folds.
    """

    protocol: str
    subset: str
    tious: Sequence[float]
    ground_truth: dict[str, str]
    runs: Sequence[Result]
    fold_means: dict[str, float]
    mean: float
    spread: float


def read_folds(path: str, ground_truth: str) -> dict[str | None, GroundTruth]:
    """The ground truth with the subsets of each split in the file `path`, {NAME: {subset: [ids]}}, by name."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file (from --folds {path})")
    try:
        splits = parsed_document(read_bytes(path)[0], path)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(splits, dict) or not splits or not all(isinstance(each, dict) for each in splits.values()):
        raise DataError(f"{path}: expected splits, {{NAME: {{subset: list of video ids}}}}")
    # Each fold gets a folder, so no name may lead elsewhere.
    return {name: read_ground_truth(ground_truth, f"{path}:{file_name(name, f'{path}: split')}") for name in splits}


def single_fold(truth: GroundTruth) -> dict[str | None, GroundTruth]:
    """The folds of a run over several seeds alone: one without a name."""
    return {None: truth}


def cross_validate(
    request: TrainRequest,
    resolved: ResolvedModel,
    file: FeatureFile,
    folds: Mapping[str | None, GroundTruth],
    seeds: int,
    resume: bool,
    reporter: Reporter,
) -> Summary:
    """Train and measure every fold with `seeds` seeds from the request's own on; `request.output` is a folder.

    The summary is written beside the runs. Raises UsageError where test videos would be trained on.
    """
    folder = Path(request.output or f"{resolved.name}-runs")
    results: list[Result] = []
    tious: tuple[float, ...] = ()
    for name, truth in folds.items():
        for seed in range(request.seed, request.seed + seeds):
            place = folder / "-".join(filter(None, [name, f"seed{seed}"]))
            if request.processes.is_first:
                place.mkdir(parents=True, exist_ok=True)
            request.processes.broadcast(None)
            own = replace(request, seed=seed, output=str(place / f"{resolved.name}.safetensors"))
            reporter.note(f"run {place}")
            result, tious = _run(own, resolved, file, name, truth, resume, reporter)
            results.append(result)
    any_truth = next(iter(folds.values()))
    summary = _summary(results, _test_subset(request), tious, any_truth)
    if request.processes.is_first:
        with replacing(folder / SUMMARY) as temporary:
            Path(temporary).write_bytes(orjson.dumps(asdict(summary), option=orjson.OPT_INDENT_2))
    return summary


def _run(
    request: TrainRequest,
    resolved: ResolvedModel,
    file: FeatureFile,
    fold: str | None,
    truth: GroundTruth,
    resume: bool,
    reporter: Reporter,
) -> tuple[Result, tuple[float, ...]]:
    data = read_data(request, file, truth, reporter)
    test = _test_truth(request, data, reporter)
    experiment = resolved.experiment(request.preset, data.statistics)
    board = (
        None if request.tensorboard is None else str(Path(request.tensorboard, Path(str(request.output)).parent.name))
    )
    start_or_resume(make_trainer(request, resolved, data, experiment, reporter), resume, reporter, board)
    request.processes.broadcast(None)  # The first one has written the checkpoint.
    checkpoint = load_checkpoint(str(request.output), request.device)
    instances = dataset.usable_instances(test, file, reporter)
    # What the network cannot know counts all the same.
    labels = {int(label) for _, found in instances.values() for label in found}
    classes = [*data.classes, *sorted({test.names.names[label] for label in labels} - set(data.classes))]
    videos = dataset.label_videos(test, instances, classes, reporter)
    source = FeatureSource(file, checkpoint.experiment.sampling, checkpoint.statistics, request.cache_bytes)
    multiple = checkpoint.model.length_multiple
    measure = Validation(source, videos, classes, experiment, multiple, request.device, request.processes)
    count = sum(len(video.labels) for video in videos)
    reached = measure.mean_average_precision(checkpoint.model)
    epoch = int(checkpoint.header.training["chosen_epoch"])
    return Result(fold, request.seed, epoch, len(videos), count, reached), experiment.training.select_tious


def _test_subset(request: TrainRequest) -> str:
    return request.test_subset or DATASETS.get(request.preset, ANY_DATASET).evaluation


def _test_truth(request: TrainRequest, data: TrainingData, reporter: Reporter) -> GroundTruth:
    """The test videos; raises UsageError where the training, or the choice of the epoch, sees some of them."""
    test = data.truth.subset(_test_subset(request))
    seen = {video.video_id for video in data.videos}
    if request.validation_subset is not None:
        seen |= set(data.truth.subset(request.validation_subset).videos)
    shared = sorted(seen & set(test.videos))
    if shared:
        raise UsageError(
            f"--test-subset {_test_subset(request)}: {len(shared)} of its videos are trained on or choose the epoch: "
            f"{dataset.list_some(shared)}"
        )
    return dataset.videos_with_features(test, data.file, request.skip_missing, reporter)


def _summary(runs: Sequence[Result], subset: str, tious: Sequence[float], truth: GroundTruth) -> Summary:
    names = list(dict.fromkeys(run.fold for run in runs))
    means = {str(name): statistics.fmean(run.average_mAP for run in runs if run.fold == name) for name in names}
    values = list(means.values()) if len(names) > 1 else [run.average_mAP for run in runs]
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    ground_truth = {"file": truth.file, "sha256": truth.sha256}
    known = {} if names == [None] else means
    return Summary("activitynet", subset, tious, ground_truth, runs, known, statistics.fmean(values), spread)
