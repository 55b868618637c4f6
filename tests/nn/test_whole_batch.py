"""Losses of a batch that passes in parts: weighed by samples they are the loss of the whole batch."""

import pytest
import torch
from torch import Tensor

from taltool.nn.losses import normalised_sum
from taltool.nn.whole_batch import ALONE, WholeBatch


class Part(WholeBatch):
    """Some of a batch's samples; what is counted over all of it is known beforehand."""

    def __init__(self, share: float, known: int) -> None:
        self.share, self.known = share, known

    def total(self, name: str, value: Tensor) -> Tensor:
        return torch.tensor(self.known)


def test_alone_a_count_is_what_it_is_and_at_least_one() -> None:
    assert ALONE.divisor("positives", torch.tensor(3)) == 3
    assert ALONE.divisor("positives", torch.tensor(0)) == 1


def test_every_named_count_becomes_a_divisor() -> None:
    divisors = ALONE.divisors({"positives": torch.tensor(3), "negatives": torch.tensor(0)})
    assert divisors == {"positives": 3, "negatives": 1}
    assert Part(0.5, 8).divisors({"positives": torch.tensor(3)}) == {"positives": 4}


def test_quotients_of_parts_weighed_by_their_samples_are_the_quotient_of_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(5, 7, generator=generator)
    mask = torch.rand(5, 7, generator=generator) > 0.5
    whole = normalised_sum(values, mask, ALONE.divisor("positives", mask.sum()))
    found = 0.0
    for rows in (slice(0, 2), slice(2, 5)):
        part = Part(len(values[rows]) / 5, int(mask.sum()))
        divisor = part.divisor("positives", mask[rows].sum())
        found += part.share * float(normalised_sum(values[rows], mask[rows], divisor))
    assert found == pytest.approx(float(whole))


def test_a_batch_that_is_seen_whole_draws_from_the_global_stream() -> None:
    torch.manual_seed(5)
    found = ALONE.draw(lambda generator: torch.rand(3, generator=generator).tolist())
    assert found == torch.rand(3, generator=torch.Generator().manual_seed(5)).tolist()
