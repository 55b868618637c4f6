"""The cells of a dense map, and sums over their points worked by hand."""

import torch

from taltool.nn.proposal_sampling import PointBags, sum_of_points, upper_triangle


def test_cells_are_those_of_the_upper_triangle_in_rows() -> None:
    first, last = upper_triangle(3)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]


def two_points_of_two_cells() -> PointBags:
    """Over two snippets: point 0 of cell 0 lies between both, point 1 of cell 1 on the second; the others are 0."""
    cells, rows = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 3])
    return PointBags.of(cells, rows, torch.tensor([0.25, 0.75, 1.0], dtype=torch.float64), num_cells=2, num_rows=4)


def test_a_sum_over_points_weighs_the_snippets_of_each() -> None:
    features, weight = torch.tensor([[[1.0, 5.0]]], requires_grad=True), torch.tensor([[[10.0, 100.0]]])
    found = sum_of_points(features, weight, two_points_of_two_cells())  # (N, B, D)
    assert found.flatten().tolist() == [10 * (0.25 * 1 + 0.75 * 5), 100 * 5]
    found.sum().backward()
    assert features.grad is not None
    assert features.grad.flatten().tolist() == [10 * 0.25, 10 * 0.75 + 100]


def test_a_bias_of_points_counts_with_their_weight() -> None:
    features, weight = torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)
    found = sum_of_points(features, weight, two_points_of_two_cells(), torch.tensor([7.0]))
    assert found.flatten().tolist() == [7, 7]
