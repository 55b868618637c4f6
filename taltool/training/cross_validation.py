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
from taltool.data.file_names import file_name
from taltool.data.files import read_bytes, refuse_foreign, replacing
from taltool.data.hdf5_features import FeatureFile
from taltool.data.json_documents import parsed_document
from taltool.data.records import GroundTruth
from taltool.errors import DataError, UsageError
from taltool.experiment import dataset
from taltool.experiment.checkpoint import load_checkpoint
from taltool.reporting import Reporter
from taltool.training.setup import Recipe, Subsets, TrainingData, make_trainer, read_data
from taltool.training.trainer import RunOptions
from taltool.training.validation import Validation

SUMMARY = "summary.json"


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What is trained: every fold (by name; None: the only one) with every seed, below `folder`, curves likewise."""

    folds: Mapping[str | None, GroundTruth]
    seeds: Sequence[int]
    folder: Path
    tensorboard: Path | None = None


@dataclass(frozen=True)
class Result:
    """What one run reached on the test subset of its fold: mAP averaged over the thresholds, as a fraction."""

    fold: str | None
    seed: int
    chosen_epoch: int
    videos: int
    instances: int
    average_mAP: float  # noqa: N815 (the name that evaluate prints)


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
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

    def __repr__(self) -> str:
        reached = f"average mAP {self.mean:.4f} +- {self.spread:.4f}"
        return f"CrossValidation({len(self.runs)} runs: {reached} on subset {self.subset}, protocol {self.protocol})"


def read_folds(path: str, ground_truth: str) -> dict[str | None, GroundTruth]:
    """The ground truth with the subsets of each split in the file `path`, {NAME: {subset: [ids]}}, by name."""
    refuse_foreign(path)
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


def cross_validate(
    recipe: Recipe,
    file: FeatureFile,
    subsets: Subsets,
    runs: Runs,
    options: RunOptions,
    resume: bool,
    reporter: Reporter,
) -> CrossValidation:
    """Train and measure every run; the summary is written beside them.

    Raises UsageError where test videos would be trained on.
    """
    processes = options.processes
    results: list[Result] = []
    tious: tuple[float, ...] = ()
    for fold, truth in runs.folds.items():
        for seed in runs.seeds:
            place = runs.folder / "-".join(filter(None, [fold, f"seed{seed}"]))
            if processes.is_first:
                place.mkdir(parents=True, exist_ok=True)
            processes.broadcast(None)
            reporter.note(f"run {place}")
            data = read_data(file, truth, subsets, reporter)
            test = _test_truth(data, subsets, reporter)
            checkpoint = str(place / f"{recipe.name}.safetensors")
            trainer = make_trainer(recipe, data, checkpoint, replace(options, seed=seed), reporter)
            trainer.run(resume, str(runs.tensorboard / place.name) if runs.tensorboard else None)
            processes.broadcast(None)  # The first one has written the checkpoint.
            results.append(_measure(checkpoint, test, data, fold, trainer.options, reporter))
            tious = trainer.settings.select_tious
    summary = _summary(results, subsets.test, tious, next(iter(runs.folds.values())))
    if processes.is_first:
        with replacing(runs.folder / SUMMARY) as temporary:
            Path(temporary).write_bytes(orjson.dumps(asdict(summary), option=orjson.OPT_INDENT_2))
    return summary


def _test_truth(data: TrainingData, subsets: Subsets, reporter: Reporter) -> GroundTruth:
    """The test videos; raises UsageError where the training, or the choice of the epoch, sees some of them."""
    test = data.truth.subset(subsets.test)
    seen = {video.video_id for video in data.videos}
    if subsets.validation is not None:
        seen |= set(data.truth.subset(subsets.validation).videos)
    shared = sorted(seen & set(test.videos))
    if shared:
        raise UsageError(
            f"--test-subset {subsets.test}: {len(shared)} of its videos are trained on or choose the epoch: "
            f"{dataset.list_some(shared)}"
        )
    return dataset.videos_with_features(test, data.file, subsets.skip_missing, reporter)


def _measure(
    path: str, test: GroundTruth, data: TrainingData, fold: str | None, options: RunOptions, reporter: Reporter
) -> Result:
    """What the checkpoint at `path` reaches on the test videos."""
    checkpoint = load_checkpoint(path, options.device)
    instances = dataset.usable_instances(test, data.file, reporter)
    # What the network cannot know counts all the same.
    labels = {int(label) for _, found in instances.values() for label in found}
    classes = [*data.classes, *sorted({test.names.names[label] for label in labels} - set(data.classes))]
    videos = dataset.label_videos(test, instances, classes, reporter)
    source = checkpoint.source(data.file, options.cache_bytes)
    multiple = checkpoint.model.length_multiple
    measure = Validation(source, videos, classes, checkpoint.experiment, multiple, options.device, options.processes)
    return Result(
        fold=fold,
        seed=options.seed,
        chosen_epoch=int(checkpoint.header.training["chosen_epoch"]),
        videos=len(videos),
        instances=sum(len(video.labels) for video in videos),
        average_mAP=measure.mean_average_precision(checkpoint.model),
    )


def _summary(runs: Sequence[Result], subset: str, tious: Sequence[float], truth: GroundTruth) -> CrossValidation:
    names = list(dict.fromkeys(run.fold for run in runs))
    means = {str(name): statistics.fmean(run.average_mAP for run in runs if run.fold == name) for name in names}
    values = list(means.values()) if len(names) > 1 else [run.average_mAP for run in runs]
    return CrossValidation(
        protocol="activitynet",
        subset=subset,
        tious=tious,
        ground_truth={"file": truth.file, "sha256": truth.sha256},
        runs=runs,
        fold_means={} if names == [None] else means,
        mean=statistics.fmean(values),
        spread=statistics.stdev(values) if len(values) > 1 else 0.0,
    )
