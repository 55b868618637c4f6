"""Checkpoints: what they hold comes back, the same input gives the same bytes, and broken ones are told."""

import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from training_runs import MakeTrainer

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    load_state,
    model_weights,
    save_checkpoint,
    save_state,
)
from taltool.models.contract import Model


@pytest.mark.slow
def test_a_checkpoint_comes_back_whole(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer("epochs=1", "normalize=channel", "width=5", "levels=[3, 4]", "select=last")
    run.run()
    loaded = load_checkpoint(str(tmp_path / "tiny.safetensors"))
    assert loaded.experiment == run.plan.experiment
    assert loaded.header.classes == ["jump", "run"]
    assert (loaded.header.channels, loaded.header.length) == (6, 16)
    assert loaded.header.clock == {"fps": 16.0, "stride": 8.0, "window": 8.0, "seconds_per_snippet": 0.5}
    assert loaded.header.streams == {"rgb": [0, 4], "flow": [4, 6]}
    assert loaded.header.training["finished"] is True
    assert loaded.statistics is not None
    assert run.plan.statistics is not None
    assert (loaded.statistics.mean == run.plan.statistics.mean).all()
    assert all(torch.equal(v, run.model.state_dict()[k]) for k, v in loaded.model.state_dict().items())
    assert not loaded.model.training


def test_provenance_is_left_out_on_demand_only(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer("epochs=1", with_provenance=True, seed=7).run()
    chain = read_checkpoint_header(str(tmp_path / "tiny.safetensors")).provenance
    assert chain is not None
    assert chain[-1]["seed"] == 7
    assert [each["name"] for each in chain[-1]["inputs"]] == ["features.h5", "gt.json"]
    trainer("epochs=1").run()
    assert read_checkpoint_header(str(tmp_path / "tiny.safetensors")).provenance is None


def test_saving_twice_gives_the_same_bytes(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer()
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, run.model.state_dict(), run.plan.header, None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello, this is no tensor at all")
    with pytest.raises(DataError, match="not a safetensors file"):
        read_checkpoint_header(str(tmp_path / "text"))
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(DataError, match="no checkpoint of taltool train"):
        read_checkpoint_header(str(tmp_path / "foreign"))
    with pytest.raises(DataError, match="No such file"):
        read_checkpoint_header(str(tmp_path / "absent"))


def test_a_checkpoint_cut_short_is_told(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer()
    path = tmp_path / "cut.safetensors"
    save_checkpoint(path, run.model.state_dict(), run.plan.header, None)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="not a readable safetensors file"):
        load_checkpoint(str(path))


def spoilt(path: Path, name: str, value: float) -> Path:
    """A copy of a checkpoint, one value of one of whose tensors is another."""
    other = path.with_name("spoilt.safetensors")
    with safe_open(path, framework="pt") as file:
        tensors, metadata = {each: file.get_tensor(each) for each in file.keys()}, file.metadata()  # noqa: SIM118
    tensors[name].view(-1)[-1] = value
    save_file(tensors, other, metadata)
    return other


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["body.weight", "taltool.channel_mean", "taltool.channel_deviation"])
def test_a_tensor_that_is_not_finite_is_named(trainer: MakeTrainer, tmp_path: Path, name: str, value: float) -> None:
    trainer("epochs=1", "normalize=channel").run()
    path = spoilt(tmp_path / "tiny.safetensors", name, value)
    with pytest.raises(DataError, match=rf"spoilt\.safetensors: tensor '{name}' holds values that are not finite"):
        load_checkpoint(str(path))


def test_a_deviation_of_zero_is_refused(trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer("epochs=1", "normalize=channel").run()
    path = spoilt(tmp_path / "tiny.safetensors", "taltool.channel_deviation", 0.0)
    with pytest.raises(DataError, match=r"'taltool\.channel_deviation' holds values that are not positive"):
        load_checkpoint(str(path))


def test_weights_that_are_not_finite_are_not_written(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer()
    path = tmp_path / "tiny.safetensors"
    weights = run.model.state_dict() | {"body.weight": torch.full((1,), torch.inf)}
    with pytest.raises(DataError, match=r"tensor 'body\.weight' holds values that are not finite"):
        save_checkpoint(path, weights, run.plan.header, None)
    assert not path.exists()


def test_a_state_that_is_not_finite_is_refused_with_the_place(tmp_path: Path) -> None:
    state = {
        "best_score": -math.inf,
        "optimizer": {"state": [{"step": torch.ones(1)}, {"mean": torch.tensor(math.nan)}]},
    }
    save_state(tmp_path / "state", state)
    with pytest.raises(DataError, match=r"state: tensor 'optimizer\.state\.1\.mean' holds values that are not finite"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_first_weights_that_are_not_finite_are_refused(trainer: MakeTrainer, trained: Path, suffix: str) -> None:
    path = spoilt(trained, "body.weight", math.nan)
    if suffix == "pth":
        with safe_open(path, framework="pt") as file:
            torch.save({name: file.get_tensor(name) for name in file.keys()}, path.with_suffix(".pth"))  # noqa: SIM118
    with pytest.raises(DataError, match=rf"spoilt\.{suffix}: tensor 'body\.weight' holds values that are not finite"):
        trainer(init=str(path.with_suffix(f".{suffix}")))


def test_weights_of_another_shape_are_told(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer()
    path = tmp_path / "odd.safetensors"
    save_checkpoint(path, run.model.state_dict() | {"body.weight": torch.zeros(1)}, run.plan.header, None)
    with pytest.raises(DataError, match="weights do not fit model 'tiny'"):
        load_checkpoint(str(path))


def test_a_network_is_prepared_for_inference_where_it_is_loaded(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[Model] = []
    monkeypatch.setattr(Model, "prepare_inference", lambda self: prepared.append(self))
    model = load_checkpoint(str(trained)).model
    assert prepared == [model]
    assert not model.training


def test_a_name_is_looked_for_here_and_then_in_the_folders_of_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, first, second = tmp_path / "here", tmp_path / "first", tmp_path / "second"
    for folder in (here, first, second):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("TALTOOL_MODELS", f"{first}:{second}")
    (second / "a.safetensors").touch()
    assert find_checkpoint("a") == str(second / "a.safetensors")
    (first / "a.safetensors").touch()
    assert find_checkpoint("a") == str(first / "a.safetensors")
    (here / "a.safetensors").touch()
    assert find_checkpoint("a") == "a.safetensors"
    (here / "a").touch()
    assert find_checkpoint("a") == "a"
    with pytest.raises(UsageError, match=r"--model b: no such checkpoint \(looked for b, b\.safetensors"):
        find_checkpoint("b")


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (Path.touch, (Path("exploded"),))


def test_a_state_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_state(tmp_path / "state", {"bomb": Bomb()})
    with pytest.raises(DataError, match="not a readable training state"):
        load_state(tmp_path / "state")
    assert not (tmp_path / "exploded").exists()


@pytest.fixture
def trained(trainer: MakeTrainer, tmp_path: Path) -> Path:
    """A checkpoint of two epochs."""
    path = tmp_path / "trained.safetensors"
    trainer("epochs=2", output=str(path)).run()
    return path


def test_no_epochs_keep_the_weights_bit_for_bit(trainer: MakeTrainer, trained: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.safetensors"
    trainer("epochs=0", output=str(kept), init=str(trained), seed=5).run()
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
