"""Curves of TensorBoard: which numbers they hold, and what is said where it is absent."""

import sys
from pathlib import Path

import pytest
from training_runs import MakeTrainer, killed_after

from taltool.errors import UsageError
from taltool.training.log_writer import TensorBoardWriter, scalars

RECORD = {"epoch": 3, "iteration": 9, "best_epoch": 2, "losses": {"class": 0.5}, "learning_rate": 0.1}


def test_every_number_but_the_counters_is_a_curve_of_its_own() -> None:
    record = RECORD | {"validation": {"losses": {"class": 0.7}, "loss": None, "mAP": 0.25}}
    assert scalars(record) == {
        "losses/class": 0.5,
        "learning_rate": 0.1,
        "validation/losses/class": 0.7,
        "validation/mAP": 0.25,
    }


def test_the_curves_can_be_read_back_by_epoch(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = TensorBoardWriter(tmp_path)
    board.write(RECORD)
    board.close()
    found = accumulators.EventAccumulator(str(tmp_path)).Reload().Scalars("losses/class")
    assert [(event.step, event.value) for event in found] == [(3, 0.5)]


def test_without_tensorboard_the_line_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'taltool\[tensorboard\]'"):
        TensorBoardWriter(tmp_path)


def test_without_tensorboard_a_run_that_did_not_end_loses_nothing(
    trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    killed_after(trainer(save_seconds=0.0), 7)
    left = {path: path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("tiny")}
    assert tmp_path / "tiny.resume.pt" in left
    with pytest.raises(UsageError, match="needs TensorBoard"):
        trainer().run(tensorboard=str(tmp_path / "curves"))
    assert {path: path.read_bytes() for path in left} == left
