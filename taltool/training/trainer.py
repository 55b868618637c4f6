"""The loop that fits a network, whatever its model: epochs, schedule, selection, and resuming.

A run is a function of its plan (experiment, data, seed): batches follow from (seed, epoch, position), learning rates
from the iteration, and everything else that changes is in the state that is saved. So a run that was killed at any
moment and resumed ends with the same bytes on a CPU. Several processes run this loop in step. The training step itself
is `taltool.training.updater`.
"""

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taltool.data.checkpoint_header import CheckpointHeader, read_checkpoint_header
from taltool.data.files import remove_leftovers
from taltool.data.locking import exclusive_lock
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_state, model_weights, save_checkpoint, save_state
from taltool.experiment.device import is_compiler_failure, peak_memory
from taltool.experiment.sampling import DEFAULT_CACHE_BYTES, GIBIBYTE, ChannelStatistics
from taltool.experiment.settings import Experiment
from taltool.models.contract import Model
from taltool.reporting import Reporter
from taltool.training.distributed import ProcessGroup
from taltool.training.loader import TrainingLoader
from taltool.training.log_writer import TensorBoardWriter, TrainingLogWriter, require_tensorboard
from taltool.training.model_card import write_model_card
from taltool.training.updater import NotFinite, Updater, learning_rate
from taltool.training.validation import Validation, batch_to_device

DEFAULT_SAVE_SECONDS = 60.0
# At the end of an epoch the state is saved if that costs less than this share of the time since the last save.
_SAVE_SHARE = 0.05
# How the allocators of processors say that memory is used up; GPUs have an exception of their own.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is carried out, besides what it learns.

    cache_bytes: features kept in memory, over this process and its workers. workers: processes that make the batches of
    each process of the training; 0: a thread does. save_seconds: the longest time that a kill may cost. init: a file
    of weights to begin with.
    """

    seed: int = 0
    device: str = "cpu"
    processes: ProcessGroup = field(default_factory=ProcessGroup)
    save_seconds: float = DEFAULT_SAVE_SECONDS
    cache_bytes: int = DEFAULT_CACHE_BYTES
    workers: int = 0
    is_compiled: bool = False
    is_deterministic: bool = False
    init: str | None = None
    with_provenance: bool = True


@dataclass(frozen=True)
class Plan:
    """What a run is to do.

    header is that of the checkpoint at `output`, but for its `training`; fingerprint names experiment, data and seed,
    so that no other run's state is taken up.
    """

    experiment: Experiment
    header: CheckpointHeader
    statistics: ChannelStatistics | None
    output: Path
    fingerprint: str
    options: RunOptions

    @property
    def state_path(self) -> Path:
        """Where the state lies while the run is under way."""
        return self._beside(".resume.pt")

    @property
    def log_path(self) -> Path:
        """Where a line is written for each epoch."""
        return self._beside(".metrics.jsonl")

    @property
    def card_path(self) -> Path:
        """Where the model card is written when the run ends."""
        return self._beside(".card.md")

    def is_finished(self) -> bool:
        """Whether the checkpoint of this very run is there already."""
        if not self.output.exists():
            return False
        training = read_checkpoint_header(str(self.output)).training
        return bool(training.get("finished")) and training.get("fingerprint") == self.fingerprint

    def is_taken(self) -> bool:
        """Whether a finished checkpoint of another run is there."""
        return (
            self.output.exists()
            and bool(read_checkpoint_header(str(self.output)).training.get("finished"))
            and not self.is_finished()
        )

    def _beside(self, ending: str) -> Path:
        stem = self.output.with_suffix("") if self.output.suffix == ".safetensors" else self.output
        return stem.with_name(stem.name + ending)


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
        self.options, self.processes = plan.options, plan.options.processes
        self.loader, self.validation = loader, validation
        self.model = model.to(self.options.device)
        self.updater = Updater(self.model, self.settings, self.processes, self.options.device, self.options.is_compiled)
        self.progress = Progress()
        # Of frames, which cost the most, how many a second and how much memory is told.
        self.sees_frames = model.frames_wanted(plan.experiment.model) is not None
        self.cost = ""
        self.best: dict[str, Tensor] = {}
        self.measured: dict[str, float] = {}  # By the last validation.
        self.log = TrainingLogWriter(plan.log_path)
        self._saved_at, self._save_cost = time.monotonic(), 0.0

    def run(self, resume: bool = False, tensorboard: str | None = None) -> None:
        """Train from the beginning or, with `resume`, from where a killed run stopped; a finished one is left as it is.

        tensorboard is the folder where TensorBoard's files go, if anywhere.
        """
        if tensorboard is not None:
            require_tensorboard()  # Before anything of an earlier run is removed.
        with self._alone():
            if self._begin(resume):
                self._train(tensorboard)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other run write to the same place meanwhile; raises UsageError where one does."""
        folder = Path(f"{self.plan.output}.partial")
        if not self.processes.is_first:
            yield
            return
        with exclusive_lock(folder, str(self.plan.output), self.reporter):
            try:
                yield
            finally:
                shutil.rmtree(folder)

    def _train(self, tensorboard: str | None) -> None:
        """Train from where the progress is to the end."""
        progress, steps = self.progress, self.loader.steps_per_epoch
        if tensorboard is not None and self.processes.is_first:
            self.log.tensorboard = TensorBoardWriter(tensorboard, progress.epoch)
        self.model.train()
        log = self.log if self.processes.is_first else nullcontext()
        tracked = self.reporter.track("train", self.settings.epochs * steps, "steps", of_round=steps)
        with closing(self.loader), log, tracked as task:
            task.advance(progress.epoch * steps + progress.step)
            for epoch in range(progress.epoch, self.settings.epochs):
                started, samples = time.monotonic(), 0
                batches = self.loader.batches(epoch, progress.step)
                for step in range(progress.step, steps):
                    iteration, work = epoch * steps + step, []
                    for part in self.loader.partition.micro_batches(self.loader.places(step)):
                        batch = batch_to_device(next(batches), self.options.device)
                        work.append((batch, part))
                    rate = learning_rate(self.settings, iteration, steps)
                    most, longest = (max(sizes) for sizes in zip(*(batch.mask.shape for batch, _ in work), strict=True))
                    with self._explained(f"epoch {epoch + 1}, batch {step + 1}", most, longest):
                        losses = self.updater.update(work, iteration, rate)
                    samples += len(self.loader.places(step))
                    speed = samples / max(time.monotonic() - started, 1e-9)
                    for name, value in losses.items():
                        progress.sums[name] = progress.sums.get(name, 0.0) + value
                    progress.step = step + 1
                    status = {
                        "epoch": epoch + 1,
                        "loss": sum(losses.values()),
                    } | self.measured
                    pace = {"samples/s": speed} if not self.sees_frames else {"frames/s": speed * self._clip_length}
                    task.advance(1, **(status | {"lr": rate} | pace | losses))
                    if self.processes.broadcast(time.monotonic() - self._saved_at >= self.options.save_seconds):
                        self._save()
                self._end_epoch(epoch, samples / max(time.monotonic() - started, 1e-9))
        if not self.settings.epochs:
            self.best = self.model.state_dict()
        self._write_checkpoint(is_finished=True)
        if self.processes.is_first:
            plan = self.plan
            write_model_card(plan.output, plan.card_path, self._header(True), plan.experiment, plan.log_path)
            plan.state_path.unlink(missing_ok=True)
        self.reporter.note(
            f"wrote {self.plan.output} (epoch {progress.best_epoch} of {self.settings.epochs}){self.cost}"
        )

    @property
    def _clip_length(self) -> int:
        return self.loader.source.settings.length

    def _begin(self, resume: bool) -> bool:
        """Tidy up after earlier runs, and take up the state of one that was killed; whether there is anything to do."""
        plan, is_first = self.plan, self.processes.is_first
        if is_first:
            remove_leftovers(plan.output)
            remove_leftovers(plan.state_path)
            if plan.state_path.exists() and not resume:
                self.reporter.warn(
                    f"{plan.state_path} is of a run that did not end; starting anew (--resume would continue)"
                )
                plan.state_path.unlink()
        if not resume:
            return True
        if self.processes.broadcast(is_first and plan.state_path.exists()):
            self.restore()
            self.reporter.note(f"continuing at epoch {self.progress.epoch + 1}, batch {self.progress.step + 1}")
            return True
        if self.processes.broadcast(is_first and plan.is_finished()):
            self.reporter.note(f"{plan.output} is finished; nothing to do")
            return False
        if self.processes.broadcast(is_first and plan.is_taken()):
            raise UsageError(
                f"{plan.output} is of a finished run with other settings, data or seed: give another -o, or leave out "
                "--resume to train anew"
            )
        self.reporter.note("no state to continue from; starting at the beginning")
        return True

    @contextmanager
    def _explained(self, where: str, samples: int, snippets: int) -> Iterator[None]:
        """Turn NaN, compiler and out-of-memory errors into user errors that name the mend; the best epoch is kept.

        samples of that many snippets are what one process passes through the network at a time.
        """
        try:
            yield
        except NotFinite as error:
            self._write_checkpoint(is_finished=False)
            best = self.progress.best_epoch
            kept = f"{self.plan.output} keeps epoch {best}" if best else "no epoch was finished"
            videos = ", ".join(dict.fromkeys(error.video_ids))
            raise DataError(
                f"{where}: loss term '{error.term}' is {error.value} (videos: {videos}); "
                f"lower training.learning_rate or training.clip_norm; {kept}"
            ) from error
        except (RuntimeError, MemoryError) as error:
            if is_compiler_failure(error):
                reason = next(filter(None, str(error).splitlines()))
                raise UsageError(f"--compile: {reason}; install a compiler, or train without --compile") from error
            is_out = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
            if not is_out and not any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
                raise
            if samples > 1:
                parts = self.settings.accumulation * 2
                mend = f"--set training.accumulation={parts} passes {-(-samples // 2)} at a time and learns the same"
                mend += " (with --resume it continues)" if self.plan.state_path.exists() else ""
            else:
                mend = f"--set sampling.length={max(snippets // 2, 1)} halves the sample"
            unit = "frames" if self.sees_frames else "snippets"
            raise UsageError(
                f"{where}: out of memory with {samples} samples of {snippets} {unit} at a time; {mend}"
            ) from error

    def _end_epoch(self, epoch: int, speed: float) -> None:
        """Measure the network, keep it if it is the best so far, write the epoch's line and, if it pays, the state."""
        progress, network, settings = self.progress, self.updater.network, self.settings
        steps = self.loader.steps_per_epoch
        record: dict[str, Any] = {"epoch": epoch + 1, "iteration": (epoch + 1) * steps}
        record["losses"] = {k: v / steps for k, v in progress.sums.items()}
        record["learning_rate"] = learning_rate(settings, (epoch + 1) * steps - 1, steps)
        is_last = epoch + 1 == settings.epochs
        if self.validation is not None and (is_last or (epoch + 1) % settings.validate_every == 0):
            is_map = settings.select == "map"
            samples = self.validation.at_a_time_for_map if is_map else self.validation.at_a_time
            network.eval()
            with self._explained(f"epoch {epoch + 1}, validation", samples, self._clip_length):
                losses = self.validation.losses(network)
                found: dict[str, Any] = {"losses": losses, "loss": sum(losses.values()) if losses else None}
                if is_map:
                    found["mAP"] = self.validation.mean_average_precision(network)
            network.train(network is self.model)
            record["validation"] = found
            known = {name: found[name] for name in ("loss", "mAP") if found.get(name) is not None}
            self.measured = {f"validation_{name}": value for name, value in known.items()}
            told = ", ".join(f"{name} {value:.4f}" for name, value in known.items())
            self.reporter.detail(f"epoch {epoch + 1}: validation {told}")
        score = self._score(record)
        if score > progress.best_score or not progress.best_epoch:
            progress.best_epoch, progress.best_score = epoch + 1, score
            self.best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        record |= {"best_epoch": progress.best_epoch, "samples_per_second": round(speed, 2)}
        if self.sees_frames:
            frames, memory = speed * self._clip_length, peak_memory(self.options.device)
            record["frames_per_second"], self.cost = round(frames, 1), f"; {frames:.1f} frames/s"
            if memory is not None:
                record["peak_memory_gib"] = round(memory / GIBIBYTE, 3)
                self.cost += f", at most {memory / GIBIBYTE:.2f} GiB of memory"
            self.reporter.detail(f"epoch {epoch + 1}{self.cost}")
        if self.processes.is_first:
            self.log.write(record)
        progress.epoch, progress.step, progress.sums = epoch + 1, 0, {}
        if self.processes.broadcast(is_last or self._save_cost <= _SAVE_SHARE * (time.monotonic() - self._saved_at)):
            self._save()

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
        """Continue from the saved state.

        Raises UsageError where that is of another run, DataError where it is not whole.
        """
        state = self.processes.broadcast(load_state(self.plan.state_path) if self.processes.is_first else {})
        if state.get("fingerprint") != self.plan.fingerprint:
            raise UsageError(
                f"{self.plan.state_path} is of a run with other settings, data or seed; "
                "repeat its command line, or train without --resume"
            )
        try:
            self.progress = Progress(**state["progress"])
            self.updater.restore(state)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            # Nobody but this program writes such a file: it was damaged, or is another version's.
            raise DataError(f"{self.plan.state_path}: not a whole state ({error}); train without --resume") from error
        if len(state["random"]) != self.processes.world_size:
            self.reporter.warn(
                f"{self.plan.state_path}: saved by {len(state['random'])} processes, continued by "
                f"{self.processes.world_size}; what the network draws by itself (dropout) will be other numbers"
            )
        if self.progress.best_epoch and self.processes.is_first:
            self.best = model_weights(self.plan.output)
        self.log.truncate(self.progress.journal_size)

    def _write_checkpoint(self, is_finished: bool) -> None:
        if self.best and self.processes.is_first:
            save_checkpoint(self.plan.output, self.best, self._header(is_finished), self.plan.statistics)

    def _header(self, is_finished: bool) -> CheckpointHeader:
        progress = self.progress
        training = {
            "seed": self.options.seed,
            "epochs": self.settings.epochs,
            "chosen_epoch": progress.best_epoch,
            "select": self.settings.select,
            "score": progress.best_score if math.isfinite(progress.best_score) else None,
            "finished": is_finished,
            "processes": self.processes.world_size,
            "compiled": self.options.is_compiled,
            "deterministic": self.options.is_deterministic,
            "fingerprint": self.plan.fingerprint,
        }
        return replace(self.plan.header, training=training)
