"""Training that begins with weights: what is kept, and what does not fit."""

from pathlib import Path

import pytest
import torch
from training_runs import MakeTrainer

from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import model_weights
from taltool.reporting import SILENT
from taltool.training.setup import start


@pytest.fixture
def trained(trainer: MakeTrainer, tmp_path: Path) -> Path:
    """A checkpoint of two epochs."""
    path = tmp_path / "trained.safetensors"
    start(trainer("epochs=2", output=str(path)), False, SILENT)
    return path


def test_no_epochs_keep_the_weights_bit_for_bit(trainer: MakeTrainer, trained: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.safetensors"
    start(trainer("epochs=0", output=str(kept), init=str(trained), seed=5), False, SILENT)
    before, after = model_weights(trained), model_weights(kept)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_torch_saved_is_read_too(trainer: MakeTrainer, trained: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": model_weights(trained)}, tmp_path / "weights.pth")
    run = trainer(init=str(tmp_path / "weights.pth"))
    wanted = model_weights(trained)
    assert all(torch.equal(value, wanted[name]) for name, value in run.model.state_dict().items())


def test_weights_of_another_network_are_refused_with_their_names(
    trainer: MakeTrainer, trained: Path, tmp_path: Path
) -> None:
    torch.save({**model_weights(trained), "head.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"(?s)other\.pth.*head\.weight"):
        trainer(init=str(tmp_path / "other.pth"))


def test_no_epochs_without_weights_are_refused(trainer: MakeTrainer) -> None:
    with pytest.raises(UsageError, match="--init"):
        trainer("epochs=0")


def test_a_run_is_not_continued_with_other_first_weights(trainer: MakeTrainer, trained: Path, tmp_path: Path) -> None:
    torch.save(model_weights(trained), tmp_path / "same.pth")
    first = trainer("epochs=1", init=str(trained)).plan.fingerprint
    assert trainer("epochs=1", init=str(trained)).plan.fingerprint == first
    assert trainer("epochs=1", init=str(tmp_path / "same.pth")).plan.fingerprint != first
    assert trainer("epochs=1").plan.fingerprint != first
