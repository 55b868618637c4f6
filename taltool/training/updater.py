"""One update of a network: its micro-batches forward and backward, their gradients summed, clipped and applied.

Micro-batches pass one after the other (gradient accumulation) and, in several processes, at the same time; every loss
weighs as much as its micro-batch has samples, so the gradient is that of the whole batch at once. Where there are
several they pass twice, the first time to count what losses are divided by: the positives of a batch are known only at
its end. `SharedMicroBatch` lets a loss normalise by these counts (`taltool.nn.whole_batch`).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from taltool.experiment.device import compile_quietly
from taltool.experiment.settings import TrainingSettings
from taltool.models.contract import Batch, Model
from taltool.nn.whole_batch import ALONE, WholeBatch
from taltool.training.distributed import MicroBatch, ProcessGroup
from taltool.training.optim import AveragedWeights, make_optimizer, set_learning_rate

_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# A loss scale below this can no longer keep the gradient finite.
_LEAST_SCALE = 1.0
# Between the seeds of the processes, for what networks draw themselves (dropout).
_SEEDS_APART = 1_000_003
Drawn = TypeVar("Drawn")


class NotFinite(Exception):
    """A loss term, or the norm of the gradient, is NaN or infinite."""

    def __init__(self, term: str, value: float, video_ids: Sequence[str]) -> None:
        super().__init__(term, value, video_ids)
        self.term, self.value, self.video_ids = term, value, video_ids


class Objective(nn.Module):
    """A model's training losses as a forward pass (what distributed running wraps)."""

    def __init__(self, model: Model, precision: str) -> None:
        super().__init__()
        self.model, self.dtype = model, _AUTOCAST[precision]

    def forward(self, batch: Batch, phase: str, whole: WholeBatch) -> dict[str, Tensor]:
        """The named losses of one update."""
        device = batch.features.device.type
        with torch.autocast(device, self.dtype) if self.dtype else nullcontext():
            return self.model.training_loss(batch, phase, whole)


class Updater:
    """A network with its optimizers, its averaged weights and all else that an update changes."""

    def __init__(
        self, model: Model, settings: TrainingSettings, processes: ProcessGroup, device: str, is_compiled: bool = False
    ) -> None:
        self.model, self.settings, self.processes = model, settings, processes
        self._device, self._is_on_gpu = device, device.startswith("cuda")
        self.optimizers = {p: make_optimizer(model.phase_parameters(p), settings, model.decay_of) for p in model.phases}
        self.parameters = {
            phase: [each for _, each in model.phase_parameters(phase) if each.requires_grad] for phase in model.phases
        }
        self.averaged = AveragedWeights(model, settings.ema_decay) if settings.ema_decay else None
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=settings.precision == "float16")
        self.objective = Objective(model, settings.precision)
        if is_compiled:
            compile_quietly(model)
        self.generator = torch.Generator()
        self.generator.set_state(torch.get_rng_state())
        self._wrapped: nn.Module = self.objective
        if processes.world_size > 1:
            torch.manual_seed(torch.initial_seed() + processes.rank * _SEEDS_APART)
            # Phases, and batches without instances, leave weights unused.
            self._wrapped = DistributedDataParallel(self.objective, find_unused_parameters=True)

    @property
    def network(self) -> Model:
        """The weights to measure and to keep: the averaged ones where there are any."""
        return self.averaged.network if self.averaged else self.model

    def update(self, work: Sequence[tuple[Batch, MicroBatch]], iteration: int, rate: float) -> dict[str, float]:
        """An update of every phase by the micro-batches of a batch. Returns the losses of the whole batch.

        Raises NotFinite, in every process, before weights change by a loss or gradient that is not.
        """
        values: dict[str, float] = {}
        for phase, optimizer in self.optimizers.items():
            set_learning_rate(optimizer, rate)
            self.objective.zero_grad(set_to_none=True)
            named = self._losses(phase, work)
            self.scaler.unscale_(optimizer)
            self._check_gradient(self._clip(phase), work)
            self.scaler.step(optimizer)
            values |= named if len(self.optimizers) == 1 else {f"{phase}.{name}": v for name, v in named.items()}
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update(iteration)
        return values

    def _losses(self, phase: str, work: Sequence[tuple[Batch, MicroBatch]]) -> dict[str, float]:
        """Sum the gradients of the micro-batches; return the losses of the whole batch."""
        totals = self._counted(phase, work) if len(work) > 1 else None
        found: list[list[float]] = []
        for number, (batch, micro_batch) in enumerate(work, start=1):
            is_last = number == len(work)
            with nullcontext() if is_last else self._buffers_kept():
                losses = self._backward(phase, batch, micro_batch, totals, is_last=is_last)
            found.append(torch.stack([loss.detach().float() for loss in losses.values()]).tolist())
        weighed = [
            [value * micro_batch.weight for value in own] for own, (_, micro_batch) in zip(found, work, strict=True)
        ]
        sums = [sum(column) for column in zip(*weighed, strict=True)]
        if self.processes.world_size > 1:
            sums = self.processes.all_reduce_sum(torch.tensor(sums, dtype=torch.float64)).tolist()
        if not all(map(math.isfinite, sums)):
            self._raise_not_finite(list(losses), found, work)
        return dict(zip(losses, sums, strict=True))

    def _counted(self, phase: str, work: Sequence[tuple[Batch, MicroBatch]]) -> dict[str, Tensor]:
        """What the losses count over all parts and processes, by name; nothing is learnt or drawn."""
        stream, found = copied(self.generator), []
        with torch.no_grad(), torch.random.fork_rng([self._device] if self._is_on_gpu else []):
            for batch, micro_batch in work:
                counted = CountingMicroBatch(micro_batch, self.processes, stream)
                with self._buffers_kept():
                    self.objective(batch, phase, counted)
                found.append(counted.counts)
        return {n: self.processes.all_reduce_sum(torch.stack([own[n] for own in found]).sum(0)) for n in found[0]}

    @contextmanager
    def _buffers_kept(self) -> Iterator[None]:
        """Undo what a `with` block does to buffers: what a model counts by updates is counted once."""
        buffers = list(self.model.buffers())
        before = [buffer.clone() for buffer in buffers]
        yield
        if buffers:
            torch._foreach_copy_(buffers, before)

    def _backward(
        self, phase: str, batch: Batch, micro_batch: MicroBatch, totals: Mapping[str, Tensor] | None, *, is_last: bool
    ) -> dict[str, Tensor]:
        """Add the gradient of a micro-batch's share of the loss; the processes exchange theirs behind the last one."""
        wrapped, count = self._wrapped, self.processes.world_size
        alone = isinstance(wrapped, DistributedDataParallel) and not is_last
        is_shared = count > 1 or totals is not None
        whole = SharedMicroBatch(micro_batch, self.processes, self.generator, totals) if is_shared else ALONE
        with wrapped.no_sync() if alone else nullcontext():  # type: ignore[operator]
            losses: dict[str, Tensor] = wrapped(batch, phase, whole)
            # The processes' gradients are averaged, not summed.
            loss = torch.stack([loss.float() for loss in losses.values()]).sum() * (micro_batch.weight * count)
            self.scaler.scale(loss).backward()
        return losses

    def _clip(self, phase: str) -> float:
        """Bring the gradient norm below `clip_norm`; return what it was."""
        limit = self.settings.clip_norm or math.inf
        return float(nn.utils.clip_grad_norm_(self.parameters[phase], limit, foreach=True))

    def _check_gradient(self, norm: float, work: Sequence[tuple[Batch, MicroBatch]]) -> None:
        is_scaled = self.scaler.is_enabled() and self.scaler.get_scale() >= _LEAST_SCALE
        if not math.isfinite(norm) and not is_scaled:  # Else the scaler leaves the step out and lowers the scale.
            videos = self.processes.all_gather([video_id for batch, _ in work for video_id in batch.video_ids])
            raise NotFinite("gradient", norm, [video_id for own in videos for video_id in own])

    def _raise_not_finite(
        self, names: Sequence[str], found: Sequence[Sequence[float]], work: Sequence[tuple[Batch, MicroBatch]]
    ) -> None:
        """Tell every process the first loss term that is not finite, wherever it is."""
        own = [
            (name, value, list(batch.video_ids))
            for values, (batch, _) in zip(found, work, strict=True)
            for name, value in zip(names, values, strict=True)
            if not math.isfinite(value)
        ]
        first, *_ = (each for bad in self.processes.all_gather(own) for each in bad)
        raise NotFinite(*first)

    def state(self) -> dict[str, Any]:
        """All that `restore` needs; the processes have to ask together."""
        stream = torch.get_rng_state() if self.processes.world_size == 1 else self.generator.get_state()
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.network.state_dict() if self.averaged else None,
            "optimizers": {phase: optimizer.state_dict() for phase, optimizer in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
            "stream": stream,
            "random": self.processes.all_gather(self._random_states()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` said, also in another number of processes.

        What the network itself draws (dropout) is then no longer what it would have been.
        """
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.network.load_state_dict(state["averaged"])
        for phase, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][phase])
        self.scaler.load_state_dict(state["scaler"])
        if self.processes.rank < len(state["random"]):
            cpu, gpu = state["random"][self.processes.rank]
            torch.set_rng_state(cpu)
            if gpu is not None and self._is_on_gpu:
                torch.cuda.set_rng_state(gpu, self._device)
        self.generator.set_state(state["stream"])
        if self.processes.world_size == 1:
            torch.set_rng_state(state["stream"])

    def _random_states(self) -> tuple[Tensor, Tensor | None]:
        return torch.get_rng_state(), torch.cuda.get_rng_state(self._device) if self._is_on_gpu else None


class SharedMicroBatch(WholeBatch):
    """A micro-batch whose batch is spread over processes, over parts, or both.

    generator is the stream of numbers that the processes share. totals are what was counted over the whole batch, by
    name, where that is known already; else the batch has one part, and the processes are asked.
    """

    def __init__(
        self,
        micro_batch: MicroBatch,
        processes: ProcessGroup,
        generator: torch.Generator,
        totals: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.share, self._processes, self._generator = micro_batch.weight, processes, generator
        self._totals = totals

    def divisor(self, name: str, count: Tensor) -> Tensor:
        """See `WholeBatch`."""
        total = self._processes.all_reduce_sum(self._own(count)) if self._totals is None else self._totals[name]
        total = total.clamp(min=1)
        return total * self.share if self.share else total

    def draw(self, draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
        """See `WholeBatch`; one that only stands by draws from a copy of the stream."""
        if self._processes.world_size == 1:
            return draw(None)
        if self.share:
            return self._processes.sequential_rng(self._generator, draw)
        spare = copied(self._generator)
        self._processes.sequential_rng(self._generator, lambda _: None)
        return draw(spare)

    def _own(self, count: Tensor) -> Tensor:
        return count if self.share else torch.zeros_like(count)


class CountingMicroBatch(SharedMicroBatch):
    """A micro-batch that passes through the network only so that its losses say what they count."""

    def __init__(self, micro_batch: MicroBatch, processes: ProcessGroup, generator: torch.Generator) -> None:
        super().__init__(micro_batch, processes, generator)
        self.counts: dict[str, Tensor] = {}

    def divisor(self, name: str, count: Tensor) -> Tensor:
        """Keep the count; the loss that is divided by it is of no use."""
        self.counts[name] = self._own(count)
        return count.clamp(min=1)


def copied(generator: torch.Generator) -> torch.Generator:
    """Another generator that will draw the same."""
    other = torch.Generator()
    other.set_state(generator.get_state())
    return other
