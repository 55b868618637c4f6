"""Losses of a batch that is spread over processes: weighed by samples they are the loss of the whole batch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from taltool.nn.batch_statistics import batch_count, draw_in_batch_order, shared_batch
from taltool.nn.losses import normalised_sum


class Part:
    """Some of a batch's samples; what the others counted is known beforehand."""

    def __init__(self, share: float, others: float = 0, generator: torch.Generator | None = None) -> None:
        self.share, self.others, self.generator = share, others, generator

    def sum_over_batch(self, count: Tensor) -> Tensor:
        return count + self.others

    def draw_in_order(self, draw: Callable[[torch.Generator | None], object]) -> object:
        return draw(self.generator)


def test_alone_a_count_is_what_it_is_and_at_least_one() -> None:
    assert batch_count(torch.tensor(3)) == 3
    assert batch_count(torch.tensor(0)) == 1


def test_quotients_of_parts_weighed_by_their_samples_are_the_quotient_of_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(5, 7, generator=generator)
    mask = torch.rand(5, 7, generator=generator) > 0.5
    count = mask.sum(1)
    whole = normalised_sum(values, mask, count, per_sample=False)
    found = 0.0
    for rows in (slice(0, 2), slice(2, 5)):
        share = len(values[rows]) / 5
        with shared_batch(Part(share, float(count.sum() - count[rows].sum()))):  # type: ignore[arg-type]
            found += share * float(normalised_sum(values[rows], mask[rows], count[rows], per_sample=False))
    assert found == pytest.approx(float(whole))


def test_a_process_that_stands_by_divides_by_something() -> None:
    with shared_batch(Part(0.0, 4)):  # type: ignore[arg-type]
        assert batch_count(torch.tensor(0)) == 4


def test_numbers_are_drawn_from_the_batch_s_own_stream() -> None:
    draw = lambda generator: torch.rand(3, generator=generator).tolist()  # noqa: E731
    torch.manual_seed(5)
    alone = draw_in_batch_order(draw)
    with shared_batch(Part(1.0, generator=torch.Generator().manual_seed(5))):  # type: ignore[arg-type]
        assert draw_in_batch_order(draw) == alone


def test_the_batch_is_whole_again_behind_an_error() -> None:
    with pytest.raises(KeyError), shared_batch(Part(0.5, 10)):  # type: ignore[arg-type]
        raise KeyError
    assert batch_count(torch.tensor(2)) == 2
