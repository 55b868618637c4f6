"""The loop that fits a network, whatever its model: epochs, schedule, selection, and resuming.

A run is a function of its plan (experiment, data, seed): batches follow from (seed, epoch, position), learning rates
from the iteration, and everything else that changes is in the state that is saved. So a run that was killed at any
moment and resumed ends with the same bytes on a CPU. Several processes run this loop in step.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from taltool.data.checkpoint_header import CheckpointHeader
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_state, model_weights, save_checkpoint, save_state
from taltool.experiment.device import is_compiler_failure
from taltool.experiment.feature_source import ChannelStatistics
from taltool.experiment.settings import Experiment
from taltool.models.contract import Batch, Model
from taltool.reporting import Reporter, Task
from taltool.training import failure_advice
from taltool.training.distributed import MicroBatch, ProcessGroup
from taltool.training.loader import TrainingLoader
from taltool.training.log_writer import TrainingLogWriter
from taltool.training.optim import learning_rate
from taltool.training.updater import NotFinite, Updater
from taltool.training.validation import Validation, batch_to_device

DEFAULT_SAVE_SECONDS = 60.0
# At the end of an epoch the state is saved if that costs less than this share of the time since the last save.
_SAVE_SHARE = 0.05

MicroBatches = Sequence[tuple[Batch, MicroBatch]]


@dataclass(frozen=True)
class Plan:
    """What a run is to do, besides the experiment: where its files are and what its checkpoint says.

    output is the checkpoint; state_path holds the state while the run is under way, log_path a line for each
    epoch. header is that of the checkpoint but for `training`; fingerprint names experiment, data and seed, so that no
    other run's state is taken up. save_seconds is the longest time that a kill may cost.
    """

    experiment: Experiment
    header: CheckpointHeader
    statistics: ChannelStatistics | None
    output: Path
    state_path: Path
    log_path: Path
    fingerprint: str
    seed: int
    device: str = "cpu"
    save_seconds: float = DEFAULT_SAVE_SECONDS
    processes: ProcessGroup = field(default_factory=ProcessGroup)
    is_compiled: bool = False
    is_deterministic: bool = False


@dataclass
class Progress:
    """Where a run stands: `epoch` and `step` are the next to do; sums are those of the losses of the epoch so far."""

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    sums: dict[str, float] = field(default_factory=dict)
    journal_size: int = 0  # Bytes of the log; the name stands in states that were saved.


class Trainer:
    """One training run; `run` ends with the finished checkpoint at the plan's place."""

    def __init__(
        self, plan: Plan, model: Model, loader: TrainingLoader, validation: Validation | None, reporter: Reporter
    ) -> None:
        self.plan, self.settings, self.reporter = plan, plan.experiment.training, reporter
        self.processes, self.loader, self.validation = plan.processes, loader, validation
        self.model = model.to(plan.device)
        self.updater = Updater(self.model, self.settings, plan.processes, plan.device, plan.is_compiled)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.measured: dict[str, float] = {}  # By the last validation.
        self.log = TrainingLogWriter(plan.log_path)
        self._saved_at, self._save_cost = time.monotonic(), 0.0

    def run(self) -> None:
        """Train from where `progress` stands to the end."""
        total = self.settings.epochs * self.loader.steps_per_epoch
        self.model.train()
        log = self.log if self.processes.is_first else nullcontext()
        with closing(self.loader), log, self.reporter.track("train", total, "steps") as task:
            task.advance(self.progress.epoch * self.loader.steps_per_epoch + self.progress.step)
            for epoch in range(self.progress.epoch, self.settings.epochs):
                self._run_epoch(epoch, task)
        if not self.settings.epochs:
            self.best = self.model.state_dict()
        self._finish()

    def _run_epoch(self, epoch: int, task: Task) -> None:
        started, samples = time.monotonic(), 0
        for step, work in self._work(epoch):
            rate, losses = self._update(work, epoch, step)
            samples += len(self.loader.places(step))
            for name, value in losses.items():
                self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
            self.progress.step = step + 1
            speed = samples / max(time.monotonic() - started, 1e-9)
            status = {"epoch": epoch + 1, "loss": sum(losses.values())} | self.measured
            task.advance(1, **(status | {"lr": rate, "samples/s": speed} | losses))
            if self.processes.broadcast(time.monotonic() - self._saved_at >= self.plan.save_seconds):
                self._save()
        self._end_epoch(epoch, samples / max(time.monotonic() - started, 1e-9))

    def _work(self, epoch: int) -> Iterator[tuple[int, MicroBatches]]:
        """The steps still to do, each with this process's micro-batches."""
        first = self.progress.step
        batches = (batch_to_device(batch, self.plan.device) for batch in self.loader.batches(epoch, first))
        for step in range(first, self.loader.steps_per_epoch):
            yield (
                step,
                [
                    (next(batches), micro_batch)
                    for micro_batch in self.loader.partition.micro_batches(self.loader.places(step))
                ],
            )

    def _update(self, work: MicroBatches, epoch: int, step: int) -> tuple[float, dict[str, float]]:
        """One iteration. Returns the learning rate and the losses of the batch."""
        iteration = epoch * self.loader.steps_per_epoch + step
        rate = learning_rate(self.settings, iteration, self.loader.steps_per_epoch)
        samples = max(len(batch.video_ids) for batch, _ in work)
        snippets = max(batch.mask.shape[1] for batch, _ in work)
        with self._explained(f"epoch {epoch + 1}, batch {step + 1}", samples, snippets):
            return rate, self.updater.update(work, iteration, rate)

    @contextmanager
    def _explained(self, where: str, samples: int, snippets: int) -> Iterator[None]:
        """Turn NaN, compiler and out-of-memory errors into user errors that name the mend; the best epoch is kept."""
        try:
            yield
        except NotFinite as error:
            self._write_checkpoint(is_finished=False)
            best = self.progress.best_epoch
            kept = f"{self.plan.output} keeps epoch {best}" if best else "no epoch was finished"
            raise DataError(failure_advice.not_finite(error, where, kept)) from error
        except (RuntimeError, MemoryError) as error:
            if is_compiler_failure(error):
                reason = next(filter(None, str(error).splitlines()))
                raise UsageError(f"--compile: {reason}; install a compiler, or train without --compile") from error
            if not failure_advice.is_out_of_memory(error):
                raise
            mend = failure_advice.out_of_memory(self.plan.experiment, samples, snippets, where, self.plan.state_path)
            raise UsageError(mend) from error

    def _end_epoch(self, epoch: int, speed: float) -> None:
        progress, network = self.progress, self.updater.network
        record: dict[str, Any] = {"epoch": epoch + 1, "iteration": (epoch + 1) * self.loader.steps_per_epoch}
        record["losses"] = {k: v / self.loader.steps_per_epoch for k, v in progress.sums.items()}
        record["learning_rate"] = self.updater.optimizers[self.model.phases[0]].param_groups[0]["lr"]
        is_last = epoch + 1 == self.settings.epochs
        if self.validation is not None and (is_last or (epoch + 1) % self.settings.validate_every == 0):
            is_map = self.settings.select == "map"
            samples = self.validation.at_a_time_for_map if is_map else self.validation.at_a_time
            with self._explained(f"epoch {epoch + 1}, validation", samples, self.loader.source.settings.length):
                record["validation"] = self._validate(self.validation, network)
        score = self._score(record)
        if score > progress.best_score or not progress.best_epoch:
            progress.best_epoch, progress.best_score = epoch + 1, score
            self.best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        if self.processes.is_first:
            self.log.write(record | {"best_epoch": progress.best_epoch, "samples_per_second": round(speed, 2)})
        progress.epoch, progress.step, progress.sums = epoch + 1, 0, {}
        if self.processes.broadcast(is_last or self._save_cost <= _SAVE_SHARE * (time.monotonic() - self._saved_at)):
            self._save()

    def _validate(self, validation: Validation, network: Model) -> dict[str, Any]:
        network.eval()
        losses = validation.losses(network)
        found: dict[str, Any] = {"losses": losses, "loss": sum(losses.values()) if losses else None}
        if self.settings.select == "map":
            found["mAP"] = validation.mean_average_precision(network)
        network.train(network is self.model)
        known = {name: found[name] for name in ("loss", "mAP") if found.get(name) is not None}
        self.measured = {f"validation_{name}": value for name, value in known.items()}
        told = ", ".join(f"{name} {value:.4f}" for name, value in known.items())
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
        self.progress.journal_size = self.log.size
        state = {"fingerprint": self.plan.fingerprint, "progress": asdict(self.progress)} | self.updater.state()
        if self.processes.is_first:
            save_state(self.plan.state_path, state)
        self._saved_at = time.monotonic()
        self._save_cost = self._saved_at - started

    def restore(self) -> None:
        """Continue from the saved state. Raises UsageError where that is of another run."""
        state = self.processes.broadcast(load_state(self.plan.state_path) if self.processes.is_first else {})
        if state["fingerprint"] != self.plan.fingerprint:
            raise UsageError(
                f"{self.plan.state_path} is of a run with other settings, data or seed; "
                "repeat its command line, or train without --resume"
            )
        self.progress = Progress(**state["progress"])
        self.updater.restore(state)
        if len(state["random"]) != self.processes.world_size:
            self.reporter.warn(
                f"{self.plan.state_path}: saved by {len(state['random'])} processes, continued by "
                f"{self.processes.world_size}; what the network draws by itself (dropout) will be other numbers"
            )
        if self.progress.best_epoch and self.processes.is_first:
            self.best = model_weights(self.plan.output)
        self.log.truncate(self.progress.journal_size)

    def _finish(self) -> None:
        self._write_checkpoint(is_finished=True)
        if self.processes.is_first:
            self.plan.state_path.unlink(missing_ok=True)

    def _write_checkpoint(self, is_finished: bool) -> None:
        if not self.best or not self.processes.is_first:
            return
        progress = self.progress
        training = {
            "seed": self.plan.seed,
            "epochs": self.settings.epochs,
            "chosen_epoch": progress.best_epoch,
            "select": self.settings.select,
            "score": progress.best_score if math.isfinite(progress.best_score) else None,
            "finished": is_finished,
            "processes": self.processes.world_size,
            "compiled": self.plan.is_compiled,
            "deterministic": self.plan.is_deterministic,
            "fingerprint": self.plan.fingerprint,
        }
        header = replace(self.plan.header, training=training)
        save_checkpoint(self.plan.output, self.best, header, self.plan.statistics)
