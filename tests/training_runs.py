"""What tests of runs share: a model from another package, a data set that it learns in a second, making a run of them,
killing it, and hearing what it says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from plugin.tiny_data import TinyData, write_tiny_data, write_tiny_frames
from project import PROJECT

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import FeatureFile
from taltool.models import MODELS
from taltool.reporting import SILENT, Reporter, Task
from taltool.training.micro_batches import Work
from taltool.training.setup import AUTO, Recipe, Subsets, make_trainer, read_data
from taltool.training.trainer import RunOptions, Trainer

MakeTrainer = Callable[..., Trainer]

PLUGIN = PROJECT / "tests" / "plugin"


class Listener(Reporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.told: list[dict[str, Any]] = []

    def note(self, message: str) -> None:
        self.heard.append(message)

    def warn(self, message: str) -> None:
        self.heard.append(message)

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "videos", of_round: int = 1) -> Iterator[Task]:
        yield self

    def advance(self, amount: float = 1, **status: object) -> None:
        self.told.append(status)


class Killed(BaseException):
    """What kill -9 is to the trainer: nothing below catches it, and nothing is written on its way out."""


def work_of(trainer: Trainer, epoch: int) -> Iterator[Work]:
    """What each update of an epoch is given."""
    loader = trainer.loader
    batches = loader.batches(epoch)
    for step in range(loader.steps_per_epoch):
        yield [(next(batches), part) for part in loader.partition.micro_batches(loader.places(step))]


def killed_after(trainer: Trainer, updates: int, resume: bool = False) -> None:
    """Let a run of trainer die right after so many updates."""
    whole_update, done = trainer.updater.update, 0

    def update(*arguments: object) -> object:
        nonlocal done
        if done == updates:
            raise Killed
        done += 1
        return whole_update(*arguments)  # type: ignore[arg-type]

    trainer.updater.update = update  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        trainer.run(resume)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyData:
    """Twelve videos of two classes (features.h5 and gt.json), and the model `tiny` of another package installed."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    from tiny_model import TinyModel

    monkeypatch.setitem(MODELS._entries, "tiny", TinyModel)
    return write_tiny_data(tmp_path)


@pytest.fixture
def tiny_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyData:
    """Eight videos of two classes (frames.h5 and gt.json), and the model `tiny-frames` of another package installed."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    from tiny_frame_model import TinyFrameModel

    monkeypatch.setitem(MODELS._entries, "tiny-frames", TinyFrameModel)
    return write_tiny_frames(tmp_path)


@pytest.fixture
def trainer(tiny: TinyData, tmp_path: Path, request: pytest.FixtureRequest) -> MakeTrainer:
    """Make a run of the tiny model over the tiny data; keywords are those of `train`, and of RunOptions."""
    return _maker(tiny, "tiny", tmp_path, request)


@pytest.fixture
def frame_trainer(tiny_frames: TinyData, tmp_path: Path, request: pytest.FixtureRequest) -> MakeTrainer:
    """The same for the tiny model that learns from frames."""
    return _maker(tiny_frames, "tiny-frames", tmp_path, request)


def _maker(tiny: TinyData, usual_model: str, tmp_path: Path, request: pytest.FixtureRequest) -> MakeTrainer:
    def make(
        *overrides: str,
        reporter: Reporter = SILENT,
        model: str = usual_model,
        output: str = str(tmp_path / "tiny.safetensors"),
        split: str | None = None,
        validation_subset: str | None = None,
        **options: Any,
    ) -> Trainer:
        file = FeatureFile(str(tiny.features)).__enter__()
        request.addfinalizer(lambda: file.__exit__(None, None, None))
        subsets = Subsets(training="training", validation=validation_subset, test="validation", skip_missing=False)
        data = read_data(file, read_ground_truth(str(tiny.truth), split), subsets, reporter)
        recipe = Recipe.of(model, AUTO, None, overrides)
        return make_trainer(recipe, data, output, RunOptions(**{"with_provenance": False} | options), reporter)

    return make
