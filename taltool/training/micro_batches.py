"""A batch that does not pass the network at once: in parts (gradient accumulation), over processes, or both.

A batch is always the samples of one update. It is partitioned twice: over parts that pass one after the other, to save
memory, and within each part over the processes. Neither changes what is learnt, but for the rounding of sums: no sample
is lost or repeated, every loss weighs as much as its micro-batch has samples, and what a loss divides by is counted
over the whole batch (`taltool.nn.whole_batch`) before the first part passes. A model that can count from the ground
truth does (`Model.loss_counts`); of any other the parts pass twice, the first time without gradients.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from taltool.errors import UsageError
from taltool.models.contract import Batch, Model
from taltool.nn.whole_batch import WholeBatch
from taltool.training.distributed import ProcessGroup

Drawn = TypeVar("Drawn")
Counts = Mapping[str, Tensor]
# Between the seeds of the processes, for what networks draw themselves (dropout).
_SEEDS_APART = 1_000_003


@dataclass(frozen=True)
class MicroBatch:
    """What one process passes through the network at once.

    places are those of its samples in the epoch's order; weight is its share of the batch's samples. A process without
    a sample of its own takes the last one of the part with weight 0, because it has to take part in what the processes
    do together.
    """

    places: range
    weight: float = 1.0


# A process's part of a batch: its micro-batches in order, each with what they are of it.
Work = Sequence[tuple[Batch, MicroBatch]]


@dataclass(frozen=True)
class BatchPartition:
    """`parts` one after the other, each over `processes`, of which this is number `rank` from 0."""

    parts: int = 1
    processes: int = 1
    rank: int = 0

    def micro_batches(self, batch: range) -> list[MicroBatch]:
        """This process's micro-batches of the places of a batch: one for each part that holds a sample, in order."""
        found = []
        for part in filter(None, _divided(batch, self.parts)):
            own = _divided(part, self.processes)[self.rank]
            found.append(MicroBatch(own, len(own) / len(batch)) if own else MicroBatch(part[-1:], 0.0))
        return found


def _divided(places: range, count: int) -> list[range]:
    """`count` consecutive ranges whose lengths differ by one at most."""
    bounds = [len(places) * number // count for number in range(count + 1)]
    return [places[first:last] for first, last in pairwise(bounds)]


class PartOfBatch(WholeBatch):
    """One micro-batch seen by its losses.

    totals holds what was counted over the whole batch; None: each count is summed over the processes when it is asked
    for. generator is the stream of random numbers that the processes share.
    """

    def __init__(
        self, share: float, processes: ProcessGroup, generator: torch.Generator, totals: Counts | None = None
    ) -> None:
        self.share, self.processes, self.generator, self.totals = share, processes, generator, totals

    def total(self, name: str, value: Tensor) -> Tensor:
        """See `WholeBatch`."""
        return self.processes.all_reduce_sum(self._own(value)) if self.totals is None else self.totals[name]

    def draw(self, draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
        """See `WholeBatch`; a part that only stands by draws from a copy of the stream."""
        if self.processes.world_size == 1:
            return draw(None)
        if self.share:
            return self.processes.sequential_rng(self.generator, draw)
        spare = _copied(self.generator)
        self.processes.sequential_rng(self.generator, lambda _: None)
        return draw(spare)

    def _own(self, count: Tensor) -> Tensor:
        return count if self.share else torch.zeros_like(count)


class CountedPart(PartOfBatch):
    """A micro-batch that passes only so that its losses say what they count; their values are of no use."""

    def __init__(self, share: float, processes: ProcessGroup, generator: torch.Generator) -> None:
        super().__init__(share, processes, generator)
        self.counts: dict[str, Tensor] = {}

    def total(self, name: str, value: Tensor) -> Tensor:
        """Keep what is counted here."""
        self.counts[name] = self._own(value)
        return value


class Objective(nn.Module):
    """A model's training losses as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, model: Model, autocast: Callable[[], AbstractContextManager[object]]) -> None:
        super().__init__()
        self.model, self.autocast = model, autocast

    def forward(self, batch: Batch, phase: str, whole: WholeBatch) -> dict[str, Tensor]:
        """The named losses of a micro-batch."""
        with self.autocast():
            return self.model.training_loss(batch, phase, whole)


def stacked(terms: Mapping[str, Tensor]) -> Tensor:
    """The losses (K,) by their names in float32; raises UsageError, naming it, for one that is no scalar."""
    for name, term in terms.items():
        if term.ndim:
            raise UsageError(f"loss term '{name}' has the shape {tuple(term.shape)}; a model's losses are scalars")
    return torch.stack([term.float() for term in terms.values()])


class DividedBatch:
    """Makes the gradient of a batch that passes in parts, as if it had passed at once."""

    def __init__(
        self,
        model: Model,
        processes: ProcessGroup,
        device: str,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.model, self.processes = model, processes
        self._gpus = [device] if device.startswith("cuda") else []
        self.generator = torch.Generator()
        self.generator.set_state(torch.get_rng_state())
        self.objective = Objective(model, autocast)
        self.exchanging: nn.Module = self.objective
        if processes.world_size > 1:
            torch.manual_seed(torch.initial_seed() + processes.rank * _SEEDS_APART)
            # Phases, and batches without instances, leave weights unused.
            self.exchanging = DistributedDataParallel(self.objective, find_unused_parameters=True)

    def backward(self, phase: str, work: Work, scaler: torch.amp.GradScaler) -> dict[str, list[float]]:
        """Sum the gradients of the losses of `phase`; return by name what each micro-batch of this process lost."""
        totals = self._totals(phase, work) if len(work) > 1 else None
        values: dict[str, list[float]] = {}
        for number, (batch, part) in enumerate(work, start=1):
            is_last = number == len(work)
            # What a model counts by updates is counted once, and the processes exchange gradients behind the last part.
            with nullcontext() if is_last else self._buffers_kept(), nullcontext() if is_last else self._no_exchange():
                whole = PartOfBatch(part.weight, self.processes, self.generator, totals)
                losses: dict[str, Tensor] = self.exchanging(batch, phase, whole)
                each = stacked(losses)
                # The processes' gradients are averaged, not summed.
                scaler.scale(each.sum() * (part.weight * self.processes.world_size)).backward()
            for name, value in zip(losses, each.tolist(), strict=True):
                values.setdefault(name, []).append(value)
        return values

    def _totals(self, phase: str, work: Work) -> Counts:
        """What the losses count over all parts and processes, by name; nothing is learnt or drawn for it."""
        found = []
        stream = _copied(self.generator)
        with torch.no_grad(), torch.random.fork_rng(self._gpus):
            for batch, part in work:
                counted = CountedPart(part.weight, self.processes, stream)
                known = self.model.loss_counts(batch, phase)
                if known is None:
                    with self._buffers_kept():
                        self.objective(batch, phase, counted)
                else:
                    for name, count in known.items():
                        counted.total(name, count)
                found.append(counted.counts)
        return {
            name: self.processes.all_reduce_sum(torch.stack([counts[name] for counts in found]).sum(0))
            for name in found[0]
        }

    def _no_exchange(self) -> AbstractContextManager[object]:
        ddp = self.exchanging
        return ddp.no_sync() if isinstance(ddp, DistributedDataParallel) else nullcontext()

    @contextmanager
    def _buffers_kept(self) -> Iterator[None]:
        """Undo what a `with` block does to buffers."""
        buffers = list(self.model.buffers())
        before = [buffer.clone() for buffer in buffers]
        yield
        if buffers:
            torch._foreach_copy_(buffers, before)


def _copied(generator: torch.Generator) -> torch.Generator:
    """Another generator that will draw the same."""
    other = torch.Generator()
    other.set_state(generator.get_state())
    return other
