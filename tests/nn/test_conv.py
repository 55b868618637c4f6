"""Convolution with "same" padding, and blocks that leave padding at zero."""

import torch

from taltool.nn.conv import Axis, ConvBlock, SameConv1d


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


def test_a_block_is_zero_in_padding() -> None:
    mask = torch.tensor([[True, True, False]])
    assert not ConvBlock(3, 4, 3, groups=2)(torch.randn(1, 3, 3), Axis.single(mask))[..., 2].any()
