"""The training loop: it learns, chooses, stops on NaN, and continues bit for bit wherever it was killed."""

import contextlib
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from plugin.tiny_data import TinyData
from project import PROJECT
from safetensors import SafetensorError
from training_runs import Listener, MakeTrainer, killed_after

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.data.locking import exclusive_lock
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import model_weights, save_state
from taltool.models import MODELS
from taltool.models.contract import Model, Outputs
from taltool.reporting import SILENT
from taltool.training.train import train

ALL_RANDOM = (
    "two_phases=true", "ema_decay=0.9", "jitter=3.0", "feature_dropout=0.1", "feature_noise=0.1", "schedule=cosine",
    "warmup_epochs=1.5", "normalize=channel", "batch_size=5", "accumulation=2",
)  # fmt: skip


def records_of(path: Path) -> list[dict[str, object]]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "samples_per_second"} for record in records]


def test_training_lowers_the_loss(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer("epochs=6").run()
    losses = [sum(record["losses"].values()) for record in records_of(tmp_path / "tiny.metrics.jsonl")]  # type: ignore[attr-defined]
    assert len(losses) == 6
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("updates", [0, 1, 4, 5, 6, 13])
def test_a_killed_run_resumes_to_the_same_bytes(trainer: MakeTrainer, tmp_path: Path, updates: int) -> None:
    trainer(*ALL_RANDOM, output=str(tmp_path / "whole.safetensors")).run()
    torch.manual_seed(99)
    wishes = {"output": str(tmp_path / "cut.safetensors"), "save_seconds": 0.0}
    killed_after(trainer(*ALL_RANDOM, **wishes), updates)
    torch.manual_seed(98)
    trainer(*ALL_RANDOM, **wishes).run(resume=True)
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert records_of(tmp_path / "cut.metrics.jsonl") == records_of(tmp_path / "whole.metrics.jsonl")


def test_a_run_killed_twice_inside_an_epoch_resumes_to_the_same_bytes(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer(*ALL_RANDOM, output=str(tmp_path / "whole.safetensors")).run()
    wishes = {"output": str(tmp_path / "cut.safetensors"), "save_seconds": 0.0}
    for _ in range(2):
        run = trainer(*ALL_RANDOM, **wishes)
        killed_after(run, 4, resume=run.plan.state_path.exists())
    trainer(*ALL_RANDOM, **wishes).run(resume=True)
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(trainer: MakeTrainer, tmp_path: Path) -> None:
    contents = []
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        path = tmp_path / f"{name}.safetensors"
        trainer(*ALL_RANDOM, output=str(path), seed=seed).run()
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_features_from_disk_give_the_same_bytes_as_features_in_memory(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer(*ALL_RANDOM, output=str(tmp_path / "memory.safetensors")).run()
    trainer(*ALL_RANDOM, output=str(tmp_path / "disk.safetensors"), cache_bytes=0).run()
    assert (tmp_path / "memory.safetensors").read_bytes() == (tmp_path / "disk.safetensors").read_bytes()


def test_resuming_a_finished_run_changes_nothing(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer().run()
    before = (tmp_path / "tiny.safetensors").read_bytes(), (tmp_path / "tiny.metrics.jsonl").read_bytes()
    trainer().run(resume=True)
    after = (tmp_path / "tiny.safetensors").read_bytes(), (tmp_path / "tiny.metrics.jsonl").read_bytes()
    assert before == after
    assert not (tmp_path / "tiny.resume.pt").exists()


def test_a_state_of_other_settings_is_refused(trainer: MakeTrainer) -> None:
    killed_after(trainer(save_seconds=0.0), 3)
    with pytest.raises(UsageError, match="other settings"):
        trainer("learning_rate=0.5").run(resume=True)


def test_a_killed_run_leaves_no_half_written_files(trainer: MakeTrainer, tmp_path: Path) -> None:
    killed = "import os, sys; from taltool.data.files import replacing\nwith replacing(sys.argv[1]): os._exit(9)"
    for name in ("tiny.safetensors", "tiny.resume.pt"):
        command = [sys.executable, "-c", killed, str(tmp_path / name)]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=False)
    assert len(list(tmp_path.glob(".tiny*"))) == 2
    trainer("epochs=1").run()
    assert not list(tmp_path.glob(".tiny*"))


def test_a_loss_that_is_not_finite_names_batch_term_and_videos_and_keeps_the_last_epoch(
    trainer: MakeTrainer, tmp_path: Path
) -> None:
    steps = trainer().loader.steps_per_epoch
    broken = trainer(f"broken_batch={steps + 2}", "select=last")
    with pytest.raises(DataError) as caught:
        broken.run()
    message = str(caught.value)
    assert "epoch 2, batch 2" in message
    assert "'location' is nan" in message
    assert "videos: v" in message
    assert "keeps epoch 1" in message
    assert read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training["chosen_epoch"] == 1


def test_the_epoch_of_lowest_validation_loss_becomes_the_checkpoint(trainer: MakeTrainer, tmp_path: Path) -> None:
    # A step factor of 0 freezes nothing; a rising rate ruins the last epochs, so the best one is not the last.
    run = trainer("epochs=6", "schedule=step", "step_epochs=2", "step_factor=30.0")
    run.run()
    found = [record["validation"]["loss"] for record in records_of(tmp_path / "tiny.metrics.jsonl")]  # type: ignore[index]
    training = read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training
    assert training["chosen_epoch"] == found.index(min(found)) + 1 < 6
    assert training["score"] == -min(found)


def test_selection_by_map_measures_the_held_out_videos(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer("epochs=6", "select=map", "validate_every=3").run()
    records = records_of(tmp_path / "tiny.metrics.jsonl")
    assert [("validation" in record) for record in records] == [False, False, True, False, False, True]
    best = max(record["validation"]["mAP"] for record in records if "validation" in record)  # type: ignore[index]
    assert read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training["score"] == best > 0.2


@pytest.mark.parametrize("select", ["loss", "map"])
def test_of_epochs_that_are_equally_good_the_first_is_kept(trainer: MakeTrainer, tmp_path: Path, select: str) -> None:
    """Steps of 1e-30 change no weight."""
    trainer("epochs=3", f"select={select}", "learning_rate=1e-30").run()
    found = [record["validation"] for record in records_of(tmp_path / "tiny.metrics.jsonl")]
    assert found[0] == found[1] == found[2]
    assert read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training["chosen_epoch"] == 1


def test_an_epoch_whose_validation_loss_is_not_a_number_is_never_the_best(
    trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer("epochs=3")
    losses = iter([math.nan, 0.5, math.nan])
    monkeypatch.setattr(run.validation, "losses", lambda _: {"class": next(losses)})
    run.run()
    training = read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training
    assert (training["chosen_epoch"], training["score"]) == (2, -0.5)


def test_an_epoch_is_kept_before_the_first_is_validated(trainer: MakeTrainer, tmp_path: Path) -> None:
    steps = trainer().loader.steps_per_epoch
    with pytest.raises(DataError, match="keeps epoch 1"):
        trainer(f"broken_batch={2 * steps + 1}", "epochs=4", "validate_every=4").run()
    training = read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training
    assert (training["chosen_epoch"], training["score"], training["finished"]) == (1, None, False)


def test_the_last_epoch_is_validated_whatever_the_interval(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer("epochs=5", "validate_every=2").run()
    records = records_of(tmp_path / "tiny.metrics.jsonl")
    assert [("validation" in record) for record in records] == [False, True, False, True, True]
    losses = {n: record["validation"]["loss"] for n, record in enumerate(records, 1) if "validation" in record}  # type: ignore[index]
    chosen = read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training["chosen_epoch"]
    assert losses[chosen] == min(losses.values())


def test_averaged_weights_are_what_is_saved(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer("ema_decay=0.9", "select=last", "epochs=2")
    run.run()
    assert run.updater.averaged is not None
    saved = model_weights(tmp_path / "tiny.safetensors")
    assert all(torch.equal(saved[k], v) for k, v in run.updater.averaged.network.state_dict().items())
    assert not torch.equal(saved["body.weight"], run.model.state_dict()["body.weight"])


def test_training_takes_the_warm_up_and_the_phases_it_is_told(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer("two_phases=true", "warmup_epochs=1.0", "epochs=1", "learning_rate=0.5")
    run.run()
    (record,) = records_of(tmp_path / "tiny.metrics.jsonl")
    assert set(record["losses"]) == {"class.class", "location.location"}  # type: ignore[call-overload]
    assert record["learning_rate"] == 0.5


def test_bfloat16_trains_float32_weights(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer("precision=bfloat16", "epochs=6").run()
    losses = [sum(record["losses"].values()) for record in records_of(tmp_path / "tiny.metrics.jsonl")]  # type: ignore[attr-defined]
    assert losses[-1] < 0.6 * losses[0]
    assert model_weights(tmp_path / "tiny.safetensors")["body.weight"].dtype == torch.float32


def test_starting_anew_over_an_unfinished_run_is_told(trainer: MakeTrainer) -> None:
    killed_after(trainer(save_seconds=0.0), 3)
    listener = Listener()
    trainer(reporter=listener).run()
    assert any("starting anew" in message for message in listener.heard)


def test_progress_tells_losses_by_name_rate_speed_and_the_last_validation(trainer: MakeTrainer) -> None:
    listener = Listener()
    trainer("epochs=2", "select=map", reporter=listener).run()
    first, last = listener.told[1], listener.told[-1]  # told[0] is where a resumed run stands
    assert set(first) == {"epoch", "loss", "lr", "samples/s", "class", "location"}
    assert set(last) == set(first) | {"validation_loss", "validation_mAP"}
    assert last["epoch"] == 2
    assert last["loss"] == pytest.approx(last["class"] + last["location"])


def test_a_model_that_lacks_something_is_told_what(tiny: TinyData, monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(Model):
        def forward(self, features: torch.Tensor, mask: torch.Tensor) -> Outputs:
            return {}

    monkeypatch.setitem(MODELS._entries, "half", Half)
    with pytest.raises(UsageError, match=r"model 'half' is not whole: Half has no decode, loss, Config"):
        train(tiny.features, tiny.truth, model="half")


def test_resuming_never_replaces_a_finished_run_of_other_settings(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer().run()
    finished = (tmp_path / "tiny.safetensors").read_bytes()
    with pytest.raises(UsageError, match="finished run with other settings, data or seed"):
        trainer("learning_rate=0.5").run(resume=True)
    assert (tmp_path / "tiny.safetensors").read_bytes() == finished


@pytest.mark.parametrize("error", [SafetensorError("I/O error: No space left on device"), OSError(28, "No space")])
def test_a_full_disk_is_said_in_one_line(
    trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*arguments: object, **others: object) -> None:
        raise error

    monkeypatch.setattr("taltool.experiment.checkpoint.save_file", full)
    with pytest.raises(DataError, match=r"tiny\.safetensors: cannot be written .*No space.*; make room"):
        trainer().run()
    assert not (tmp_path / "tiny.safetensors").exists()


def test_two_runs_never_write_to_one_output(trainer: MakeTrainer, tmp_path: Path) -> None:
    held = exclusive_lock(tmp_path / "tiny.safetensors.partial", "tiny.safetensors", SILENT)
    with held, pytest.raises(UsageError, match=r"tiny\.safetensors is being written by process \d+"):
        trainer().run()
    assert not (tmp_path / "tiny.safetensors").exists()
    trainer().run()
    assert not (tmp_path / "tiny.safetensors.partial").exists()


@pytest.mark.parametrize("broken", ["progress", "model", "optimizers", "stream", "scaler", "random"])
def test_a_state_that_is_not_whole_is_told_by_its_name(trainer: MakeTrainer, broken: str) -> None:
    run = trainer()
    state = {"fingerprint": run.plan.fingerprint, "progress": asdict(run.progress)} | run.updater.state()
    save_state(run.plan.state_path, {name: value for name, value in state.items() if name != broken})
    with pytest.raises(DataError, match=r"tiny\.resume\.pt: not a whole state .*train without --resume"):
        run.restore()
    for other in (None, {"x": 1}, torch.zeros(2)):
        save_state(run.plan.state_path, state | {broken: other})
        with contextlib.suppress(DataError):
            run.restore()
