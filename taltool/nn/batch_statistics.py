"""What a loss has to know of the rest of its batch when several processes share the batch's samples.

A term that is a mean over samples needs nothing: whoever trains weighs the processes by their samples. A term that is
divided by something counted over the batch (its positive locations, say) needs the count over the whole batch; and what
a loss draws for each sample should be drawn as one process would, sample after sample. Outside of `shared_batch`, and
so in one process, the functions here see the batch that is there.

The surroundings are a context variable and no argument, because the terms that ask lie deep inside of the models.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

import torch
from torch import Tensor

Drawn = TypeVar("Drawn")


class SharedBatch(Protocol):
    """This process's samples as part of a batch that is spread over processes.

    share is their part of all samples; 0 where this process only stands by, and then nothing of it counts.
    """

    share: float

    def sum_over_batch(self, count: Tensor) -> Tensor:
        """The sum of `count` over the processes; every process has to ask."""

    def draw_in_order(self, draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
        """draw(generator), after the processes with earlier samples have drawn from the same stream of numbers."""


_SHARED: ContextVar[SharedBatch | None] = ContextVar("shared_batch", default=None)


@contextmanager
def shared_batch(batch: SharedBatch | None) -> Iterator[None]:
    """Compute losses as those of a part of `batch`."""
    token = _SHARED.set(batch)
    try:
        yield
    finally:
        _SHARED.reset(token)


def batch_count(count: Tensor) -> Tensor:
    """The divisor, at least 1, of a sum over the batch, given what was counted in the samples that are here.

    Where the batch is shared it is the whole batch's count times these samples' share of the batch, so that the mean of
    the processes' quotients, weighed by their samples, is the quotient of the whole batch.
    """
    shared = _SHARED.get()
    if shared is None:
        return count.clamp(min=1)
    sum_over_batch = shared.sum_over_batch(count).clamp(min=1)
    return sum_over_batch * shared.share if shared.share else sum_over_batch


def draw_in_batch_order(draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
    """What `draw` draws for the samples that are here, from a generator (None: torch's global one).

    The samples of a shared batch take the same numbers as they do in one process, if nothing else draws.
    """
    shared = _SHARED.get()
    return draw(None) if shared is None else shared.draw_in_order(draw)
