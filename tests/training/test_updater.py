"""One update: parts of a batch add up to the whole, half precision scales its loss, and failures are explained."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_runs import Listener, MakeTrainer, killed_after, work_of

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_state, model_weights, save_state
from taltool.models.contract import Batch
from taltool.nn.whole_batch import ALONE, WholeBatch
from taltool.training.distributed import ProcessGroup
from taltool.training.trainer import Trainer

PARTS = ("batch_size=5", "dropout=0.0", "clip_norm=0.1", "ema_decay=0.9", "epochs=3")
SCALED = ("precision=float16", "batch_size=4", "epochs=3")


def weights(trainer: Trainer) -> dict[str, Tensor]:
    trainer.run()
    return copy.deepcopy(trainer.updater.network.state_dict())


@pytest.mark.parametrize("parts", [2, 5, 9])
def test_a_batch_in_parts_learns_what_the_whole_batch_learns(trainer: MakeTrainer, parts: int) -> None:
    whole = weights(trainer(*PARTS))
    divided = weights(trainer(*PARTS, f"accumulation={parts}"))
    assert all(torch.allclose(divided[name], whole[name], rtol=0, atol=1e-5) for name in whole)
    other = weights(trainer(*PARTS, "batch_size=4"))
    assert not all(torch.allclose(other[name], whole[name], rtol=0, atol=1e-3) for name in whole)


@pytest.mark.slow
def test_a_batch_in_parts_gives_the_gradient_of_the_whole_all_along_a_training(trainer: MakeTrainer) -> None:
    """From the same weights, because AFSD's drift apart by themselves: where rounding moves a pooled region by one
    position, or AdamW makes whole steps of gradients that are rounding alone, weights go other ways (as they do after
    a change of one weight by one bit). Without stretched samples: in one of 20 batches of them such a region moved."""
    settings = ("width=32", "groups=8", "batch_size=5", "optimizer=adamw", "learning_rate=1e-3", "clip_norm=0")
    settings += ("time_stretch=1",)
    whole, divided = (trainer(*settings, f"accumulation={parts}", model="afsd") for parts in (1, 2))
    compared = 0
    for epoch in range(10):
        for all_at_once, in_parts in zip(work_of(whole, epoch), work_of(divided, epoch), strict=True):
            divided.model.load_state_dict(whole.model.state_dict())
            before = torch.get_rng_state()
            divided.updater.update(in_parts, 0, 1e-3)
            torch.set_rng_state(before)
            whole.updater.update(all_at_once, 0, 1e-3)
            pairs = zip(whole.model.named_parameters(), divided.model.parameters(), strict=True)
            for (name, expected), found in pairs:
                if expected.grad is not None:
                    assert torch.allclose(found.grad, expected.grad, rtol=1e-4, atol=1e-6), (compared, name)  # type: ignore[arg-type]
            compared += 1
    assert compared == 20


def test_parts_pass_the_network_one_after_the_other(trainer: MakeTrainer) -> None:
    run = trainer(*PARTS, "accumulation=2", "epochs=1")
    sizes, own = [], run.model.training_loss

    def training_loss(batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        sizes.append(len(batch.video_ids))
        return own(batch, phase, whole)

    run.model.training_loss = training_loss  # type: ignore[method-assign, assignment]
    run.run()
    # 21 samples; parts pass once more before, to be counted.
    assert sizes == [2, 3, 2, 3] * 4 + [1]


def test_parts_pass_once_where_their_counts_follow_from_the_ground_truth(trainer: MakeTrainer) -> None:
    run = trainer(*PARTS, "accumulation=2", "epochs=1")
    sizes, own = [], run.model.training_loss

    def training_loss(batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        sizes.append(len(batch.video_ids))
        return own(batch, phase, whole)

    run.model.training_loss = training_loss  # type: ignore[method-assign, assignment]
    run.model.loss_counts = lambda batch, phase: {}  # type: ignore[method-assign, assignment]
    run.run()
    assert sizes == [2, 3] * 4 + [1]


def test_what_a_model_counts_by_updates_is_counted_once_for_all_parts(trainer: MakeTrainer) -> None:
    run = trainer(*PARTS, "accumulation=3", "epochs=1")
    run.model.register_buffer("updates", torch.zeros((), dtype=torch.int64))
    own = run.model.training_loss

    def training_loss(batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        run.model.updates += 1  # type: ignore[operator]
        return own(batch, phase, whole)

    run.model.training_loss = training_loss  # type: ignore[method-assign, assignment]
    work = next(work_of(run, 0))
    assert len(work) == 3
    run.updater.update(work, 0, 1e-2)
    assert run.model.updates.item() == 1  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("parts", [1, 2])
def test_a_loss_that_is_no_scalar_is_named(trainer: MakeTrainer, parts: int) -> None:
    run = trainer("batch_size=4", f"accumulation={parts}")
    own = run.model.training_loss
    run.model.training_loss = lambda *asked: own(*asked) | {"location": torch.zeros(4, 2)}  # type: ignore[method-assign, assignment]
    with pytest.raises(UsageError, match=r"loss term 'location' has the shape \(4, 2\); a model's losses are scalars"):
        run.run()


def test_float16_scales_the_loss_and_leaves_a_step_that_overflows_out(trainer: MakeTrainer) -> None:
    run = trainer(*SCALED)
    run.updater.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = copy.deepcopy(run.model.state_dict())
    work = next(work_of(run, 0))
    run.updater.update(work, 0, 1e-2)
    assert all(torch.equal(before[name], value) for name, value in run.model.state_dict().items())
    assert run.updater.scaler.get_scale() == 2.0**119
    run.updater.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    run.updater.update(work, 0, 1e-2)
    assert not torch.equal(before["body.weight"], run.model.state_dict()["body.weight"])


def test_float16_stops_where_no_scale_keeps_the_gradient_finite(trainer: MakeTrainer) -> None:
    run = trainer(*SCALED)
    run.updater.scaler = torch.amp.GradScaler("cpu", init_scale=0.5)
    hook = run.model.body.weight.register_hook(lambda gradient: gradient * float("inf"))  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"loss term 'gradient' is (inf|nan)"):
        run.run()
    hook.remove()


@pytest.mark.parametrize("extra", [(), ("accumulation=2",), ("two_phases=true",)])
def test_a_killed_run_in_float16_resumes_to_the_same_bytes(
    trainer: MakeTrainer, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    settings = (*SCALED, "ema_decay=0.9", *extra)
    trainer(*settings, output=str(tmp_path / "whole.safetensors")).run()
    wishes = {"output": str(tmp_path / "cut.safetensors"), "save_seconds": 0.0}
    run = trainer(*settings, **wishes)
    killed_after(run, 8)
    saved = load_state(tmp_path / "cut.resume.pt")["scaler"]
    assert saved == run.updater.scaler.state_dict()
    assert saved["_growth_tracker"] > 0
    torch.manual_seed(98)
    trainer(*settings, **wishes).run(resume=True)
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert model_weights(tmp_path / "cut.safetensors")["body.weight"].dtype == torch.float32


def exhausted(run: Trainer, error: Exception) -> Trainer:
    own, calls = run.model.training_loss, [0]

    def training_loss(batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        calls[0] += 1
        if calls[0] > 6:
            raise error
        return own(batch, phase, whole)

    run.model.training_loss = training_loss  # type: ignore[method-assign, assignment]
    return run


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    MemoryError("Unable to allocate 3 GiB"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_out_of_memory_says_into_how_many_parts_a_batch_has_to_go(trainer: MakeTrainer, error: Exception) -> None:
    with pytest.raises(UsageError) as caught:
        exhausted(trainer("batch_size=4", "select=last"), error).run()
    assert str(caught.value) == (
        "epoch 2, batch 1: out of memory with 4 samples of 16 snippets at a time; "
        "--set training.accumulation=2 passes 2 at a time and learns the same (with --resume it continues)"
    )
    assert caught.value.exit_status == 2


def test_out_of_memory_with_one_sample_says_how_long_it_may_be(trainer: MakeTrainer) -> None:
    with pytest.raises(UsageError, match=r"with 1 samples? of 16 snippets .* --set sampling\.length=8 halves"):
        exhausted(trainer("batch_size=1"), OUT_OF_MEMORY[0]).run()


def test_other_errors_are_not_taken_for_an_end_of_memory(trainer: MakeTrainer) -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        exhausted(trainer(), RuntimeError("size mismatch")).run()


def test_a_run_that_met_the_end_of_the_memory_continues_in_smaller_parts(trainer: MakeTrainer, tmp_path: Path) -> None:
    run = trainer("batch_size=4", "select=last", save_seconds=0.0)
    with pytest.raises(UsageError, match="with --resume it continues"):
        exhausted(run, OUT_OF_MEMORY[0]).run()
    listener = Listener()
    trainer("batch_size=4", "select=last", "accumulation=2", reporter=listener).run(resume=True)
    assert any("continuing at epoch 1, batch 7" in message for message in listener.heard)
    assert read_checkpoint_header(str(tmp_path / "tiny.safetensors")).training["finished"] is True


def test_a_batch_smaller_than_the_number_of_processes_is_refused(trainer: MakeTrainer) -> None:
    with pytest.raises(UsageError, match=r"--set training\.batch_size=3 or more"):
        trainer("batch_size=2", processes=ProcessGroup(0, 3))


@pytest.mark.slow
def test_a_compiled_network_learns_what_the_other_learns(trainer: MakeTrainer, tmp_path: Path) -> None:
    settings = ("dropout=0.0", "epochs=2", "select=last")
    plain = weights(trainer(*settings))
    compiled = weights(trainer(*settings, is_compiled=True, output=str(tmp_path / "c.safetensors")))
    assert plain.keys() == compiled.keys()
    assert all(torch.allclose(compiled[name], plain[name], rtol=0, atol=1e-4) for name in plain)
    assert read_checkpoint_header(str(tmp_path / "c.safetensors")).training["compiled"] is True


@pytest.mark.parametrize(("settings", "parts"), [(("batch_size=4",), 2), (("batch_size=1", "select=map"), 2)])
def test_out_of_memory_in_validation_is_explained_too(
    trainer: MakeTrainer, settings: tuple[str, ...], parts: int
) -> None:
    run = trainer(*settings)
    assert run.validation is not None
    run.validation.losses = exhausting  # type: ignore[method-assign, assignment]
    with pytest.raises(UsageError, match=rf"epoch 1, validation: out of memory .* training\.accumulation={parts}"):
        run.run()


def exhausting(model: object) -> dict[str, float]:
    raise OUT_OF_MEMORY[0]


def test_validation_passes_as_few_samples_at_a_time_as_training(trainer: MakeTrainer) -> None:
    run = trainer("batch_size=6", "accumulation=4", "select=map")
    assert run.validation is not None
    assert (run.validation.at_a_time, run.validation.at_a_time_for_map) == (2, 2)
    run = trainer("batch_size=6", "select=map")
    assert run.validation is not None
    assert (run.validation.at_a_time, run.validation.at_a_time_for_map) == (6, 8)


def test_a_run_may_continue_in_another_number_of_processes(trainer: MakeTrainer, tmp_path: Path) -> None:
    whole = weights(trainer(*PARTS, output=str(tmp_path / "whole.safetensors")))
    run = trainer(*PARTS, save_seconds=0.0)
    killed_after(run, 3)
    state = load_state(run.plan.state_path)
    save_state(run.plan.state_path, state | {"random": state["random"] * 2})  # as two processes save it
    listener = Listener()
    run = trainer(*PARTS, reporter=listener)
    run.run(resume=True)
    assert any("saved by 2 processes, continued by 1" in message for message in listener.heard)
    assert all(torch.equal(value, whole[name]) for name, value in run.updater.network.state_dict().items())
