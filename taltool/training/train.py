"""`train`: features and ground truth in, a trained checkpoint out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taltool.data.annotations import read_ground_truth
from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.data.records import GroundTruth
from taltool.errors import UsageError
from taltool.experiment.device import checked_device
from taltool.experiment.device import deterministic as deterministic_mode
from taltool.experiment.sampling import DEFAULT_CACHE_BYTES, GIBIBYTE
from taltool.experiment.settings import Experiment
from taltool.ops.protocols import ANY_DATASET, dataset_of_preset
from taltool.reporting import SILENT, Reporter
from taltool.training.cross_validation import CrossValidation, Runs, cross_validate, read_folds
from taltool.training.distributed import init_distributed
from taltool.training.setup import AUTO, Recipe, Subsets, make_trainer, read_data
from taltool.training.trainer import DEFAULT_SAVE_SECONDS, RunOptions

FILES_WANTED = "name the feature file and the ground truth: taltool train --model NAME FEATURES GT"


@dataclass(frozen=True)
class Training:
    """A finished run. log holds a JSON line for each epoch; score is that by which `select` chose the epoch."""

    model: str
    checkpoint: str
    log: str
    classes: Sequence[str]
    epochs: int
    chosen_epoch: int
    select: str
    score: float | None

    def __repr__(self) -> str:
        chosen = f"epoch {self.chosen_epoch} of {self.epochs}, the {self.select}"
        if self.select != "last":
            score = "unknown" if self.score is None else f"{abs(self.score):.4f}"
            chosen = f"epoch {self.chosen_epoch} of {self.epochs} by validation {self.select} {score}"
        return f"Training({self.model}, {len(self.classes)} classes: {self.checkpoint}, {chosen})"


def train(
    features: str | Path,
    ground_truth: str | Path,
    *,
    model: str | None = None,
    output: str | Path | None = None,
    preset: str = AUTO,
    config: str | Path | None = None,
    set_: Sequence[str] = (),
    subset: str | None = None,
    validation_subset: str | None = None,
    select: str | None = None,
    streams: str | Sequence[str] | None = None,
    folds: str | Path | None = None,
    seeds: int | None = None,
    test_subset: str | None = None,
    tensorboard: str | Path | None = None,
    init: str | Path | None = None,
    split: str | None = None,
    skip_missing: bool = False,
    resume: bool = False,
    save_every: float = DEFAULT_SAVE_SECONDS,
    cache: float = DEFAULT_CACHE_BYTES / GIBIBYTE,
    workers: int = 0,
    compile_: bool = False,
    deterministic: bool = False,
    seed: int = 0,
    device: str = "cpu",
    fps: float | None = None,
    stride: float | None = None,
    window: float | None = None,
    offset: float | None = None,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Training | CrossValidation:
    """Fit a model to features (a path, HDF5) and annotations (a path, ActivityNet JSON); write its checkpoint.

    model, preset, config and set_ ("training.epochs=30", ...) say what is trained, each winning over the one before;
    select and streams are short for the settings training.select and sampling.streams. subset and validation_subset
    name subsets of the ground truth, or of `split` (FILE:NAME): to train on (None: the preset's; "training" of a split
    that has it), and to choose the epoch by (None: some videos held out of the training, if the settings ask for that).
    output None: MODEL.safetensors in the current folder.

    folds (a file of splits) and seeds (a number, from `seed` on) train several runs into the folder `output`, measure
    each on `test_subset` (None: the preset's), and return a CrossValidation; else a Training is returned.

    fps, stride, window and offset (frames) are the clock of foreign features. cache is in GiB, save_every in seconds.
    Under torchrun every process calls this alike, and together they train one network.

    Raises UsageError and DataError for what does not fit together, PartialFailure where another process is lost.
    """
    if folds is not None and split is not None:
        raise UsageError("--folds takes the subsets from every split of its file: leave --split out")
    if test_subset is not None and folds is None and seeds is None:
        raise UsageError("--test-subset is measured on by --folds and --seeds only; otherwise predict and evaluate do")
    recipe = _recipe(model, preset, config, set_, select, streams)
    with init_distributed(device) as (processes, own_device), deterministic_mode(deterministic):
        reporter = reporter if processes.is_first else SILENT
        options = RunOptions(
            seed=seed,
            device=checked_device(own_device),
            processes=processes,
            save_seconds=save_every,
            cache_bytes=int(cache * GIBIBYTE),
            workers=workers,
            is_compiled=compile_,
            is_deterministic=deterministic,
            init=None if init is None else str(init),
            with_provenance=provenance,
        )
        truth = read_ground_truth(str(ground_truth), split)
        splits: dict[str | None, GroundTruth] = {None: truth}
        if folds is not None:
            splits = read_folds(str(folds), str(ground_truth))
        training, test = _usual_subsets(preset, list(splits.values()), folds or split, subset, reporter)
        if not any(each.subsets for each in splits.values()):
            reporter.warn(
                f"{ground_truth} has no subsets: all of its {len(truth.videos)} videos are trained on, and none is "
                f"left to test on; part them first: taltool convert {ground_truth} --random-split 0.8 -o split.json"
            )
        subsets = Subsets(
            training=training, validation=validation_subset, test=test_subset or test, skip_missing=skip_missing
        )
        with FeatureFile(str(features), ClockOptions(fps, stride, window, offset), truth.durations) as file:
            if folds is not None or seeds is not None:
                runs = Runs(
                    folds=splits,
                    seeds=range(seed, seed + (seeds or 1)),
                    folder=Path(output or f"{recipe.name}-runs"),
                    tensorboard=None if tensorboard is None else Path(tensorboard),
                )
                return cross_validate(recipe, file, subsets, runs, options, resume, reporter)
            data = read_data(file, truth, subsets, reporter)
            trainer = make_trainer(recipe, data, str(output or f"{recipe.name}.safetensors"), options, reporter)
            trainer.run(resume, None if tensorboard is None else str(tensorboard))
            plan = trainer.plan
            said = processes.broadcast(read_checkpoint_header(str(plan.output)).training if processes.is_first else {})
            return Training(
                model=recipe.name,
                checkpoint=str(plan.output),
                log=str(plan.log_path),
                classes=data.classes,
                epochs=said["epochs"],
                chosen_epoch=said["chosen_epoch"],
                select=said["select"],
                score=said["score"],
            )


def fitted_settings(
    features: str | Path | None = None,
    ground_truth: str | Path | None = None,
    *,
    model: str | None = None,
    preset: str = AUTO,
    config: str | Path | None = None,
    set_: Sequence[str] = (),
    subset: str | None = None,
    select: str | None = None,
    streams: str | Sequence[str] | None = None,
    split: str | None = None,
    skip_missing: bool = False,
    fps: float | None = None,
    stride: float | None = None,
    window: float | None = None,
    offset: float | None = None,
    reporter: Reporter = SILENT,
) -> Experiment:
    """The settings that `train` would use; the files are needed by the preset "auto" alone. Raises as `train` does."""
    recipe = _recipe(model, preset, config, set_, select, streams)
    if features is None:
        return recipe.experiment(None)
    if ground_truth is None:
        raise UsageError(FILES_WANTED)
    truth = read_ground_truth(str(ground_truth), split)
    training, _ = _usual_subsets(preset, [truth], split, subset, reporter)
    subsets = Subsets(training=training, validation=None, test="", skip_missing=skip_missing)
    with FeatureFile(str(features), ClockOptions(fps, stride, window, offset), truth.durations) as file:
        return recipe.experiment(read_data(file, truth, subsets, reporter).statistics)


def _usual_subsets(
    preset: str, truths: Sequence[GroundTruth], split: str | Path | None, subset: str | None, reporter: Reporter
) -> tuple[str, str]:
    """The subsets to train on (`subset`, where that is named) and to test on: those of the preset's data set.

    A split whose subsets are called otherwise has its own: training, and validation where it has no other to test on.
    """
    usual = dataset_of_preset(preset)
    there = set.intersection(*(set(truth.subsets) for truth in truths))
    if split is None or ANY_DATASET.training not in there:
        if (
            subset is None
            and usual.training != ANY_DATASET.training
            and {*there} >= {ANY_DATASET.training, usual.training}
        ):
            reporter.warn(
                f"training on '{usual.training}', as --preset {preset} does on its own data set, and there are videos "
                f"in '{ANY_DATASET.training}' too: --subset {ANY_DATASET.training} would take those"
            )
        return subset or usual.training, usual.evaluation
    training = subset or ANY_DATASET.training
    if subset is None and usual.training != training and usual.training in there:
        reporter.warn(
            f"training on '{training}' of {split}; --preset {preset} trains on '{usual.training}' of its own data set, "
            f"and there is one here too: --subset {usual.training} would take that"
        )
    return training, usual.evaluation if usual.evaluation in there else ANY_DATASET.evaluation


def _recipe(
    model: str | None,
    preset: str,
    config: str | Path | None,
    overrides: Sequence[str],
    select: str | None,
    streams: str | Sequence[str] | None,
) -> Recipe:
    """The recipe of a training, with the options that are short for a setting as `--set` would say them."""
    short = [f"training.select={select}"] if select else []
    if streams:
        names = [name.strip() for name in streams.split(",")] if isinstance(streams, str) else list(streams)
        short.append(f"sampling.streams={json.dumps(names, ensure_ascii=False)}")
    return Recipe.of(model, preset, None if config is None else str(config), [*overrides, *short])
