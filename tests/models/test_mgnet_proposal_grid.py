"""MGNet's points of dense proposals: positions worked by hand, and the algebra against sampling everything first."""

import pytest
import torch
from mgnet_points_twin import plain_sum_of_points, positions, sampling_weights
from torch import Tensor

from taltool.models.mgnet.heads import POINTS, ProposalGrid, extended, point_positions
from taltool.nn.proposal_sampling import sum_of_points, upper_triangle

CPU = torch.device("cpu")


def points_of(values: Tensor, first: int, last: int) -> Tensor:
    """The 32 samples of one proposal on values (T,)."""
    grid = ProposalGrid.of(len(values), CPU)
    cell = int(((grid.first == first) & (grid.last == last)).nonzero())
    return grid.points(values[None])[0, cell]


def test_points_of_a_proposal_lie_around_its_start_inside_and_around_its_end() -> None:
    found = points_of(torch.arange(10.0), 2, 6)
    torch.testing.assert_close(found[:2], torch.tensor([1.0, 1.285714]))
    assert found[7] == 3
    torch.testing.assert_close(found[8:10], torch.tensor([2.0, 2.266667]))
    assert found[23] == 6
    torch.testing.assert_close(found[[24, 31]], torch.tensor([5.0, 7.0]))
    assert found.mean() == pytest.approx(4.0)


def test_points_outside_the_sample_are_moved_to_its_ends() -> None:
    found = points_of(torch.arange(10.0), 0, 9)
    assert point_positions(torch.tensor([0]), torch.tensor([9]))[0, 0] == -2
    assert (found[:4] == 0).all()
    assert (found[-4:] == 9).all()


def test_a_constant_is_sampled_as_itself_everywhere() -> None:
    torch.testing.assert_close(ProposalGrid.of(7, CPU).points(torch.full((1, 7), 3.5)), torch.full((1, 28, 32), 3.5))


def test_reversed_time_gives_reversed_points() -> None:
    length = 9
    values = torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for first, last in ((0, 0), (2, 5), (0, 8), (3, 3), (5, 8)):
        mirrored = points_of(values.flip(0), length - 1 - last, length - 1 - first).flip(0)
        torch.testing.assert_close(points_of(values, first, last), mirrored)


def test_positions_are_those_of_the_definition() -> None:
    first, last = upper_triangle(6)
    wanted = [positions(i, j) for i, j in zip(first.tolist(), last.tolist(), strict=True)]
    torch.testing.assert_close(point_positions(first, last), torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("length", [1, 2, 7, 20])
def test_summing_over_snippets_first_equals_sampling_first(length: int, kind: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(length)
    features, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(kind).requires_grad_()
        for shape in ((3, 5, length), (4, 5, 32), (4,))
    )
    with torch.no_grad():
        weight /= (5 * 32) ** 0.5
    grid = ProposalGrid.of(length, CPU)
    fast = sum_of_points(features, weight, grid.bags, bias / POINTS)  # (N, B, D)
    plain = plain_sum_of_points(features, weight, sampling_weights(length, kind), bias)[..., grid.first, grid.last]
    pull = torch.randn(fast.shape, generator=generator, dtype=torch.float64).to(kind) / len(fast) ** 0.5
    inputs = (features, weight, bias)
    gradients = torch.autograd.grad((fast * pull).sum(), inputs)
    plain_gradients = torch.autograd.grad((plain.permute(2, 0, 1) * pull).sum(), inputs)
    torch.testing.assert_close(fast, plain.permute(2, 0, 1), atol=tolerance, rtol=tolerance)
    for own, wanted in zip(gradients, plain_gradients, strict=True):
        torch.testing.assert_close(own, wanted, atol=tolerance, rtol=tolerance)


def test_the_algebra_stays_in_float32_under_autocast() -> None:
    features, weight, bias = torch.randn(1, 4, 8), torch.randn(3, 4, 32), torch.zeros(3)
    grid = ProposalGrid.of(8, CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = sum_of_points(features, weight, grid.bags, bias)
    assert torch.equal(under_autocast, sum_of_points(features, weight, grid.bags, bias))


def test_padding_repeats_the_last_valid_snippet() -> None:
    features = torch.tensor([[[1.0, 2, 0, 0]], [[3, 4, 5, 6]], [[7, 0, 0, 0]]])
    mask = torch.arange(4) < torch.tensor([[2], [4], [1]])
    assert extended(features, mask).squeeze(1).tolist() == [[1, 2, 2, 2], [3, 4, 5, 6], [7, 7, 7, 7]]
