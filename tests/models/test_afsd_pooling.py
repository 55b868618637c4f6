"""Boundary pooling: regions, range maxima, and their gradient."""

import pytest
import torch
from boundary_pooling_twin import brute_force_pool, loop_over_proposals
from hypothesis import given
from hypothesis import strategies as st

from taltool.models.afsd.pooling import (
    BoundaryPool,
    boundary_max_pool,
    boundary_mean_pool,
    boundary_regions,
    first_argmax,
)

FEATURES = torch.tensor([[[3.0, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 1, 8]]])
REGIONS = torch.tensor([[[-2, 1, 4, 6], [2, 4, 6, 9], [5, 3, 0, 0]]])


def random_case(seed: int, length: int = 40, proposals: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    """Features with many ties, zeros of both signs and regions that leave the clip or turn round."""
    torch.manual_seed(seed)
    features = torch.randn(2, 6, length).round() * torch.tensor([1.0, 0.5, -1.0, 1.0, 0.0, 2.0])[:, None]
    return features, torch.randint(-5, length + 5, (2, proposals, 4))


def test_pooling_of_the_worked_example() -> None:
    assert boundary_max_pool(FEATURES, REGIONS).tolist() == [[[3, 5, 9], [8, 8, 2]]]


@pytest.mark.parametrize("seed", range(5))
def test_pooling_and_its_gradient_equal_brute_force(seed: int) -> None:
    features, regions = random_case(seed)
    ours, twin = features.clone().requires_grad_(), features.clone().requires_grad_()
    pooled, expected = boundary_max_pool(ours, regions), brute_force_pool(twin, regions)
    assert torch.equal(pooled, expected)
    assert torch.equal(loop_over_proposals(features, regions), expected)
    weights = torch.randn_like(expected)
    (pooled * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, twin.grad)


def test_the_gradient_of_a_tie_goes_to_the_first_maximum() -> None:
    features = torch.tensor([[[-0.0, 0.0, 0.0, -1.0], [5.0, 7.0, 7.0, 7.0]]], requires_grad=True)
    boundary_max_pool(features, torch.tensor([[[0, 3, 0, 3]]])).sum().backward()
    assert features.grad.tolist() == [[[1, 0, 0, 0], [0, 1, 0, 0]]]


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=True), min_size=1, max_size=20),
    st.data(),
)
def test_the_first_argmax_is_that_of_a_list(values: list[float], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(values) - 1))
    last = data.draw(st.integers(first, len(values) - 1))
    found = first_argmax(torch.tensor([[values]]), torch.tensor([[first]]), torch.tensor([[last]]))
    part = values[first : last + 1]
    assert found.item() == first + part.index(max(part))


def test_no_proposals_pool_to_nothing() -> None:
    assert boundary_max_pool(FEATURES, REGIONS[:, :0]).shape == (1, 2, 0)


def test_mean_pooling_of_the_worked_example() -> None:
    pooled = boundary_mean_pool(FEATURES, REGIONS)
    torch.testing.assert_close(pooled, torch.tensor([[[2.0, 10 / 3, 9], [11 / 3, 4.5, 2]]]))


def test_stack_holds_first_middle_and_last_of_each_region_starts_in_the_first_half() -> None:
    pooled = BoundaryPool("stack", 2)(FEATURES, torch.tensor([[[0, 4, 1, 5]]]))
    assert pooled.flatten().tolist() == [3, 4, 5, 7, 8, 8]


def test_conv_mixes_the_three_samples_of_start_and_end_apart() -> None:
    pool = BoundaryPool("conv", 2)
    pool.mixing.weight.data = torch.tensor([[[1.0, 10, 100]], [[1.0, 1, 1]]])
    pool.mixing.bias.data.zero_()
    assert pool(FEATURES, torch.tensor([[[0, 4, 1, 5]]])).flatten().tolist() == [543, 23]


def test_regions_of_the_worked_examples() -> None:
    # T=256 frames, level of 64 positions: location 10 with distances 12, 20 and location 20 with distances 48, 52.
    level = boundary_regions(
        torch.tensor([10 - 3.0, 20 - 12.0]), torch.tensor([10 + 5.0, 20 + 13.0]), torch.tensor([8.0, 25.0]), 4, 10
    )
    assert level.tolist() == [[6, 9, 13, 16], [6, 14, 27, 36]]
    starts, ends = torch.tensor([42 - 12.0, 82 - 48.0]), torch.tensor([42 + 20.0, 82 + 52.0])
    frames = boundary_regions(starts, ends, ends - starts + 1, 4, 10)
    assert frames.tolist() == [[27, 38, 54, 65], [24, 59, 109, 144]]


def test_regions_reach_at_least_one_position_to_both_sides() -> None:
    assert boundary_regions(*torch.tensor([5.0, 5.0, 0.0]), 4, 10).tolist() == [4, 6, 4, 6]
