"""What a loss has to know of its batch where it sees only some of the samples: the others pass in other processes, or
before and behind these (gradient accumulation).

A term that is a mean over samples needs nothing: whoever trains weighs the parts by their samples. A term that is
divided by something counted over the batch (its positive locations, say) needs the count over the whole batch; and what
a loss draws for each sample should be drawn as one process would, sample after sample.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

Drawn = TypeVar("Drawn")


class WholeBatch:
    """The batch as a loss asks for it. This one is all that the loss sees; whoever trains in parts gives another one.

    A loss asks for each name once at most, and for the same names in every batch, also in one without instances.
    """

    # The share of the batch's samples that is here; 0 for a part that only stands by.
    share: float = 1.0

    def total(self, name: str, value: Tensor) -> Tensor:
        """The sum over the whole batch of what was counted, or summed, in the samples that are here."""
        return value

    def divisor(self, name: str, count: Tensor) -> Tensor:
        """The divisor of a sum over the batch, given what was counted in the samples that are here.

        It is the `total`, at least 1, times the share of the batch that is here: so the mean of the parts' quotients,
        weighed by their samples, is the quotient of the whole batch.
        """
        total = self.total(name, count).clamp(min=1)
        return total * self.share if self.share else total

    def divisors(self, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The divisor of each of the named counts."""
        return {name: self.divisor(name, count) for name, count in counts.items()}

    def draw(self, draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
        """What `draw` draws for the samples that are here, from a generator (None: torch's global one).

        The samples of a part take the same numbers as they do in one piece, if nothing else draws.
        """
        return draw(None)


ALONE = WholeBatch()
