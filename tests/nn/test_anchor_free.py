"""Anchor-free prediction: lengths of the pyramid, scales of levels and positive distances."""

import math

import pytest
import torch

from taltool.nn.pyramid import MAX_LOG_DISTANCE, AnchorFreeHeads, StridedPyramid


def test_a_pyramid_halves_the_length_and_ignores_padding() -> None:
    torch.manual_seed(0)
    pyramid = StridedPyramid(5, 8, 4, groups=4)
    short = torch.randn(1, 5, 8)
    long, mask = torch.nn.functional.pad(short, (0, 8)), torch.arange(16)[None] < 8
    alone = pyramid(short, mask[:, :8])
    assert [level.shape[2] for level in alone] == [8, 4, 2, 1]
    for one, other in zip(alone, pyramid(long, mask), strict=True):
        torch.testing.assert_close(other[..., : one.shape[2]], one)


def heads_saying(values: list[float]) -> AnchorFreeHeads:
    """Heads of width 2 whose distance layer says (v, 2 v) wherever the first feature is 1."""
    heads = AnchorFreeHeads(2, 3, levels=2, norm="ln", head_width=1)
    with torch.no_grad():
        heads.distance_head.weight.zero_()
        heads.distance_head.weight[:, 0, 0] = torch.tensor(values)
    return heads


def test_distances_are_exp_of_the_scaled_output() -> None:
    heads = heads_saying([math.log(2), math.log(3)])
    with torch.no_grad():
        heads.scales[1] = 2.0
    location = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])
    found = heads.distances(location, torch.tensor([0, 1, 1]))
    torch.testing.assert_close(found, torch.tensor([[[2.0, 4.0, 1.0], [3.0, 9.0, 1.0]]]))


def test_an_enormous_output_gives_a_finite_distance_and_gradient() -> None:
    heads = heads_saying([1e6, 1e6])
    found = heads.distances(torch.ones(1, 2, 1), torch.tensor([0]))
    found.sum().backward()
    assert found.max().item() == pytest.approx(math.exp(MAX_LOG_DISTANCE))
    assert heads.scales.grad is not None
    assert heads.scales.grad.isfinite().all()
