"""How the samples of a batch are divided: over parts that pass through the network one after the other (gradient
accumulation, to save memory), and within each part over the processes of the training.

A batch is always the samples of one update. So neither parts nor processes change what is learnt, but for the rounding
of sums: no sample is lost or repeated, and every sample weighs the same wherever it is computed.
"""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Piece:
    """What one process passes through the network at once.

    places are those of its samples in the epoch's order; weight is its share of the batch's samples. A process without
    a sample of its own takes the last one of the part with weight 0, because it has to take part in what the processes
    do together.
    """

    places: range
    weight: float = 1.0


@dataclass(frozen=True)
class Division:
    """`parts` one after the other, each over `processes`, of which this is number `rank` from 0."""

    parts: int = 1
    processes: int = 1
    rank: int = 0

    def pieces(self, batch: range) -> list[Piece]:
        """This process's pieces of the places of a batch: one for each part that holds a sample, in order."""
        parts = [part for part in _divided(batch, self.parts) if part]
        return [self._piece(part, len(batch)) for part in parts]

    def _piece(self, part: range, batch_size: int) -> Piece:
        own = _divided(part, self.processes)[self.rank]
        if not own:
            return Piece(part[-1:], 0.0)
        return Piece(own, len(own) / batch_size)


def _divided(places: range, count: int) -> list[range]:
    """`count` consecutive ranges whose lengths differ by one at most."""
    bounds = [len(places) * number // count for number in range(count + 1)]
    return [places[first:last] for first, last in pairwise(bounds)]
