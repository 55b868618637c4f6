"""Lets a micro-batch loss normalise by counts over the whole batch (`taltool.nn.batch_statistics`)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from taltool.training.distributed import Processes
from taltool.training.division import Piece

Drawn = TypeVar("Drawn")


class SharedPiece:
    """A piece whose batch is spread over processes, over parts, or both.

    generator is the stream of numbers that the processes share. totals are what was counted over the whole batch, in
    the order of asking, where that is known already; else the batch has one part, and the processes are asked.
    """

    def __init__(
        self, piece: Piece, processes: Processes, generator: torch.Generator, totals: Sequence[Tensor] | None = None
    ) -> None:
        self.share, self._processes, self._generator = piece.weight, processes, generator
        self._totals = iter(totals) if totals is not None else None

    def total(self, count: Tensor) -> Tensor:
        """See `SharedBatch`."""
        return next(self._totals) if self._totals else self._processes.total(self._own(count))

    def in_order(self, draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
        """See `SharedBatch`; one that only stands by draws from a copy of the stream."""
        if self._processes.count == 1:
            return draw(None)
        if self.share:
            return self._processes.in_turn(self._generator, draw)
        spare = copied(self._generator)
        self._processes.in_turn(self._generator, lambda _: None)
        return draw(spare)

    def _own(self, count: Tensor) -> Tensor:
        return count if self.share else torch.zeros_like(count)


class CountedPiece(SharedPiece):
    """A piece that passes through the network only so that its losses say what they count."""

    def __init__(self, piece: Piece, processes: Processes, generator: torch.Generator) -> None:
        super().__init__(piece, processes, generator)
        self.counts: list[Tensor] = []

    def total(self, count: Tensor) -> Tensor:
        """Keep the count; the loss that is divided by it is of no use."""
        self.counts.append(self._own(count))
        return count


def copied(generator: torch.Generator) -> torch.Generator:
    """Another generator that will draw the same."""
    other = torch.Generator()
    other.set_state(generator.get_state())
    return other
