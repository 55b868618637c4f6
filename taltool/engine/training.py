"""The loop that fits a network, whatever its model: phases, schedule, averaged weights, selection, and resuming.

A run is a function of its plan (experiment, data, seed): batches follow from (seed, epoch, position), learning rates
from the iteration, and everything else that changes is in the state that is saved. So a run that was killed at any
moment and resumed ends with the same bytes on a CPU.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taltool.data.checkpoints import CheckpointHeader
from taltool.engine.checkpoint import load_state, model_weights, save_checkpoint, save_state
from taltool.engine.journal import Journal
from taltool.engine.loading import TrainingLoader
from taltool.engine.optim import AveragedWeights, learning_rate, make_optimizer, set_learning_rate
from taltool.engine.settings import Experiment
from taltool.engine.source import ChannelStatistics
from taltool.engine.validation import Validation, moved_batch
from taltool.errors import DataError, UsageError
from taltool.models.contract import Batch, Model
from taltool.reporting import Reporter, Task

DEFAULT_SAVE_SECONDS = 60.0
# At the end of an epoch the state is saved if that costs less than this share of the time since the last save.
_SAVE_SHARE = 0.05


@dataclass(frozen=True)
class Plan:
    """What a run is to do, besides the experiment: where its files are and what its checkpoint says.

    output is the checkpoint; state_path holds the state while the run is under way, journal_path a line for each
    epoch. header is that of the checkpoint but for `training`; fingerprint names experiment, data and seed, so that no
    other run's state is taken up. save_seconds is the longest time that a kill may cost.
    """

    experiment: Experiment
    header: CheckpointHeader
    statistics: ChannelStatistics | None
    output: Path
    state_path: Path
    journal_path: Path
    fingerprint: str
    seed: int
    device: str = "cpu"
    save_seconds: float = DEFAULT_SAVE_SECONDS


@dataclass
class Progress:
    """Where a run stands: `epoch` and `step` are the next to do; sums are those of the losses of the epoch so far."""

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    sums: dict[str, float] = field(default_factory=dict)
    journal_size: int = 0


class Objective(nn.Module):
    """A model's training losses as a forward pass (what distributed running wraps)."""

    def __init__(self, model: Model, precision: str) -> None:
        super().__init__()
        self.model, self.precision = model, precision

    def forward(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """The named losses of one update."""
        with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.model.training_loss(batch, phase)


class Trainer:
    """One training run; `run` ends with the finished checkpoint at the plan's place."""

    def __init__(
        self, plan: Plan, model: Model, loader: TrainingLoader, validation: Validation | None, reporter: Reporter
    ) -> None:
        self.plan, self.settings, self.reporter = plan, plan.experiment.training, reporter
        self.model, self.loader, self.validation = model.to(plan.device), loader, validation
        self.objective = Objective(self.model, self.settings.precision)
        self.optimizers = {p: make_optimizer(model.phase_parameters(p), self.settings) for p in model.phases}
        self.parameters = {
            phase: [each for _, each in model.phase_parameters(phase) if each.requires_grad] for phase in model.phases
        }
        self.averaged = AveragedWeights(self.model, self.settings.ema_decay) if self.settings.ema_decay else None
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.journal = Journal(plan.journal_path)
        self._saved_at, self._save_cost = time.monotonic(), 0.0

    def run(self) -> None:
        """Train from where `progress` stands to the end."""
        total = self.settings.epochs * self.loader.steps_per_epoch
        self.model.train()
        with self.journal, self.reporter.track("train", total, "steps") as task:
            task.advance(self.progress.epoch * self.loader.steps_per_epoch + self.progress.step)
            for epoch in range(self.progress.epoch, self.settings.epochs):
                self._run_epoch(epoch, task)
        self._finish()

    def _run_epoch(self, epoch: int, task: Task) -> None:
        started, videos, first = time.monotonic(), 0, self.progress.step
        for step, batch in enumerate(self._batches(epoch, first), start=first):
            rate, losses = self._update(batch, epoch, step)
            videos += len(batch.video_ids)
            for name, value in losses.items():
                self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
            self.progress.step = step + 1
            speed = videos / max(time.monotonic() - started, 1e-9)
            task.advance(1, epoch=epoch + 1, loss=sum(losses.values()), lr=rate, **{"samples/s": speed})
            if time.monotonic() - self._saved_at >= self.plan.save_seconds:
                self._save()
        self._end_epoch(epoch, videos / max(time.monotonic() - started, 1e-9))

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        return (moved_batch(batch, self.plan.device) for batch in self.loader.batches(epoch, first))

    def _update(self, batch: Batch, epoch: int, step: int) -> tuple[float, dict[str, float]]:
        """One iteration: an update of every phase. Returns the learning rate and the losses."""
        iteration = epoch * self.loader.steps_per_epoch + step
        rate = learning_rate(self.settings, iteration, self.loader.steps_per_epoch)
        values: dict[str, float] = {}
        for phase, optimizer in self.optimizers.items():
            set_learning_rate(optimizer, rate)
            losses = self.objective(batch, phase)
            numbers = torch.stack([loss.detach().float() for loss in losses.values()]).tolist()
            named = dict(zip(losses, numbers, strict=True))
            self._check_finite(named, batch, epoch, step)
            optimizer.zero_grad(set_to_none=True)
            torch.stack([loss.float() for loss in losses.values()]).sum().backward()
            self._check_finite({"gradient": self._clip(phase)}, batch, epoch, step)
            optimizer.step()
            values |= named if len(self.optimizers) == 1 else {f"{phase}.{name}": v for name, v in named.items()}
        if self.averaged is not None:
            self.averaged.update(iteration)
        return rate, values

    def _clip(self, phase: str) -> float:
        """Bring the gradient norm below `clip_norm`; return what it was."""
        limit = self.settings.clip_norm or math.inf
        return float(nn.utils.clip_grad_norm_(self.parameters[phase], limit, foreach=True))

    def _check_finite(self, named: dict[str, float], batch: Batch, epoch: int, step: int) -> None:
        for name, value in named.items():
            if not math.isfinite(value):
                self._write_checkpoint(is_finished=False)
                best = self.progress.best_epoch
                kept = f"{self.plan.output} keeps epoch {best}" if best else "no epoch was finished"
                videos = ", ".join(dict.fromkeys(batch.video_ids))
                raise DataError(
                    f"epoch {epoch + 1}, batch {step + 1}: loss term '{name}' is {value} (videos: {videos}); "
                    f"lower training.learning_rate or training.clip_norm; {kept}"
                )

    def _end_epoch(self, epoch: int, speed: float) -> None:
        progress, network = self.progress, self.averaged.network if self.averaged else self.model
        record: dict[str, Any] = {"epoch": epoch + 1, "iteration": (epoch + 1) * self.loader.steps_per_epoch}
        record["losses"] = {k: v / self.loader.steps_per_epoch for k, v in progress.sums.items()}
        record["learning_rate"] = self.optimizers[self.model.phases[0]].param_groups[0]["lr"]
        is_last = epoch + 1 == self.settings.epochs
        if self.validation is not None and (is_last or (epoch + 1) % self.settings.validate_every == 0):
            record["validation"] = self._validate(self.validation, network)
        score = self._score(record)
        if score > progress.best_score or not progress.best_epoch:
            progress.best_epoch, progress.best_score = epoch + 1, score
            self.best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self.journal.write(record | {"best_epoch": progress.best_epoch, "samples_per_second": round(speed, 2)})
        progress.epoch, progress.step, progress.sums = epoch + 1, 0, {}
        if is_last or self._save_cost <= _SAVE_SHARE * (time.monotonic() - self._saved_at):
            self._save()

    def _validate(self, validation: Validation, network: Model) -> dict[str, Any]:
        network.eval()
        losses = validation.losses(network)
        found: dict[str, Any] = {"losses": losses, "loss": sum(losses.values()) if losses else None}
        if self.settings.select == "map":
            found["mAP"] = validation.mean_average_precision(network)
        network.train(network is self.model)
        told = ", ".join(f"{name} {found[name]:.4f}" for name in ("loss", "mAP") if found.get(name) is not None)
        self.reporter.detail(f"epoch {self.progress.epoch + 1}: validation {told}")
        return found

    def _score(self, record: dict[str, Any]) -> float:
        """How good the epoch is, by the rule of selection; -inf for one that was not validated."""
        if self.settings.select == "last" or self.validation is None:
            return float(record["epoch"])
        found = record.get("validation")
        if found is None:
            return -math.inf
        value = found["mAP"] if self.settings.select == "map" else -found["loss"]
        return float(value) if math.isfinite(value) else -math.inf

    def _save(self) -> None:
        """Write the best weights so far, then the state; a kill between the two is harmless.

        The state is then the older one, and the epochs after it find the same best weights again.
        """
        started = time.monotonic()
        self._write_checkpoint(is_finished=False)
        self.progress.journal_size = self.journal.size
        state = {
            "fingerprint": self.plan.fingerprint,
            "progress": asdict(self.progress),
            "model": self.model.state_dict(),
            "averaged": self.averaged.network.state_dict() if self.averaged else None,
            "optimizers": {phase: optimizer.state_dict() for phase, optimizer in self.optimizers.items()},
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if self.plan.device.startswith("cuda") else [],
        }
        save_state(self.plan.state_path, state)
        self._saved_at = time.monotonic()
        self._save_cost = self._saved_at - started

    def restore(self) -> None:
        """Continue from the saved state. Raises UsageError where that is of another run."""
        state = load_state(self.plan.state_path)
        if state["fingerprint"] != self.plan.fingerprint:
            raise UsageError(
                f"{self.plan.state_path} is of a run with other settings, data or seed; "
                "repeat its command line, or train without --resume"
            )
        self.progress = Progress(**state["progress"])
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.network.load_state_dict(state["averaged"])
        for phase, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][phase])
        if self.progress.best_epoch:
            self.best = model_weights(self.plan.output)
        self.journal.truncate(self.progress.journal_size)
        torch.set_rng_state(state["random"])
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])

    def _finish(self) -> None:
        self._write_checkpoint(is_finished=True)
        self.plan.state_path.unlink(missing_ok=True)

    def _write_checkpoint(self, is_finished: bool) -> None:
        if not self.best:
            return
        progress = self.progress
        training = {
            "seed": self.plan.seed,
            "epochs": self.settings.epochs,
            "chosen_epoch": progress.best_epoch,
            "select": self.settings.select,
            "score": progress.best_score if math.isfinite(progress.best_score) else None,
            "finished": is_finished,
            "fingerprint": self.plan.fingerprint,
        }
        header = replace(self.plan.header, training=training)
        save_checkpoint(self.plan.output, self.best, header, self.plan.statistics)
