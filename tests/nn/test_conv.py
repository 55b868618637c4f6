"""Convolution with "same" padding and norms that do not see padding."""

import pytest
import torch

from taltool.nn.anchor_free import StridedPyramid
from taltool.nn.conv import ConvBlock, SameConv1d
from taltool.nn.norm import MaskedGroupNorm
from taltool.nn.packed_pyramid import Axis


def counting_convolution(stride: int) -> SameConv1d:
    conv = SameConv1d(1, 1, 3, stride)
    conv.weight.data = torch.tensor([[[1.0, 10.0, 100.0]]])
    return conv


def test_stride_two_pads_an_even_length_on_the_right_only() -> None:
    # TensorFlow's rule; padding=1 would give 210, 432, 654.
    out = counting_convolution(2)(torch.arange(1.0, 7.0).view(1, 1, 6))
    assert out.flatten().tolist() == [321, 543, 65]


def test_stride_two_pads_an_odd_length_on_both_sides() -> None:
    out = counting_convolution(2)(torch.arange(1.0, 6.0).view(1, 1, 5))
    assert out.flatten().tolist() == [210, 432, 54]


def test_stride_one_keeps_the_length() -> None:
    out = counting_convolution(1)(torch.tensor([[[1.0, 2.0]]]))
    assert out.flatten().tolist() == [210, 21]


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_the_norm_without_padding_is_group_norm(length: int) -> None:
    torch.manual_seed(length)
    ours, plain = MaskedGroupNorm(4, 12), torch.nn.GroupNorm(4, 12)
    for norm in (ours, plain):
        norm.weight.data, norm.bias.data = torch.linspace(0.5, 2, 12), torch.linspace(-1, 1, 12)
    x = torch.randn(3, 12, length) * 5 + 2
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = torch.randn(3, 12, length)
    axis = Axis.single(torch.ones(3, length, dtype=torch.bool))
    torch.testing.assert_close(ours(mine, axis), plain(theirs), atol=1e-5, rtol=1e-5)
    (ours(mine, axis) * weights).sum().backward()
    (plain(theirs) * weights).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, atol=1e-4, rtol=1e-4)


def test_the_norm_ignores_what_stands_in_padding() -> None:
    norm, x = MaskedGroupNorm(2, 4), torch.randn(1, 4, 6)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    disturbed = x.clone()
    disturbed[..., 4:] = 1e4
    alone = norm(x[..., :4], Axis.single(mask[:, :4]))
    torch.testing.assert_close(norm(disturbed, Axis.single(mask))[..., :4], alone)


def test_a_block_is_zero_in_padding() -> None:
    mask = torch.tensor([[True, True, False]])
    assert not ConvBlock(3, 4, 3, groups=2)(torch.randn(1, 3, 3), Axis.single(mask))[..., 2].any()


def test_a_pyramid_halves_the_length_and_ignores_padding() -> None:
    torch.manual_seed(0)
    pyramid = StridedPyramid(5, 8, 4, groups=4)
    short = torch.randn(1, 5, 8)
    long, mask = torch.nn.functional.pad(short, (0, 8)), torch.arange(16)[None] < 8
    alone = pyramid(short, mask[:, :8])
    assert [level.shape[2] for level in alone] == [8, 4, 2, 1]
    for one, other in zip(alone, pyramid(long, mask), strict=True):
        torch.testing.assert_close(other[..., : one.shape[2]], one)


def test_statistics_are_in_full_precision_under_autocast() -> None:
    norm, x = MaskedGroupNorm(1, 2), torch.randn(1, 2, 50) + 300  # bfloat16 has steps of 2 at 300
    axis = Axis.single(torch.ones(1, 50, dtype=torch.bool))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(norm(x, axis), torch.nn.functional.group_norm(x, 1), atol=1e-3, rtol=1e-3)
