"""Layers over clips give what their plain definitions give, and folded norms what they gave before."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from taltool.nn.clips.layers import Conv3d, SameConv3d, SameMaxPool3d, fold_norms


@pytest.mark.parametrize(
    ("size", "width", "stride", "zeros"),
    [
        (224, 7, 2, (2, 3)),
        (112, 3, 2, (0, 1)),
        (57, 3, 2, (1, 1)),
        (7, 3, 1, (1, 1)),
        (4, 2, 2, (0, 0)),
        (5, 1, 2, (0, 0)),
    ],
)
def test_same_padding_is_that_of_tensorflow(size: int, width: int, stride: int, zeros: tuple[int, int]) -> None:
    assert SameConv3d(1, 1, (width, 1, 1), (stride, 1, 1)).zeros((size, 1, 1)) == [zeros, (0, 0), (0, 0)]


@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 4)] * 3), st.tuples(*[st.integers(1, 3)] * 3))
@settings(deadline=None)
def test_pooling_is_the_largest_value_of_every_padded_window(
    size: tuple[int, int, int], width: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    volume = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    padded = np.pad(volume.numpy(), [(0, 0), (0, 0), *SameConv3d(3, 3, width, stride).zeros(size)])
    pooled = SameMaxPool3d(width, stride)(volume).numpy()
    assert pooled.shape[2:] == tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    for cell in np.ndindex(pooled.shape[2:]):
        t, h, w = (slice(i * s, i * s + k) for i, s, k in zip(cell, stride, width, strict=True))
        np.testing.assert_array_equal(pooled[(..., *cell)], padded[..., t, h, w].max((2, 3, 4)))


def test_pooling_leaves_its_input_as_it_is() -> None:
    volume = torch.rand(1, 2, 3, 4, 5)
    before = volume.clone()
    SameMaxPool3d((3, 3, 3), (1, 1, 1))(volume)
    assert torch.equal(volume, before)


def test_pooling_keeps_the_layout_of_memory() -> None:
    volume = torch.rand(1, 8, 4, 6, 6).to(memory_format=torch.channels_last_3d)
    assert SameMaxPool3d((3, 3, 3), (2, 2, 2))(volume).is_contiguous(memory_format=torch.channels_last_3d)


@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.sampled_from([(1, 1), (1, 2), (2, 2), (3, 1), (3, 2)])] * 3),
)
@settings(deadline=None)
def test_pooling_with_gradients_gives_what_it_gives_without(
    size: tuple[int, int, int], axes: tuple[tuple[int, int], ...]
) -> None:
    (t, t_stride), (h, h_stride), (w, w_stride) = axes
    pool = SameMaxPool3d((t, h, w), (t_stride, h_stride, w_stride))
    volume = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    expected = pool(volume)
    found = pool(volume.requires_grad_())
    assert torch.equal(found, expected)
    found.sum().backward()
    # Every window passes its gradient on to one place.
    assert volume.grad is not None
    assert volume.grad.sum() == found.numel()


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_fast_convolution_is_the_plain_one(width: int, stride: int) -> None:
    torch.manual_seed(0)
    convolution = Conv3d(6, 5, width, stride, padding=width // 2)
    volume = torch.rand(1, 6, 4, 9, 9).to(memory_format=torch.channels_last_3d)
    expected = F.conv3d(volume.double(), convolution.weight.double(), convolution.bias.double(), stride, width // 2)
    with torch.inference_mode():
        found = convolution(volume)
    np.testing.assert_allclose(found, expected.detach(), atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_convolution_can_be_trained() -> None:
    convolution = Conv3d(2, 3, 3, padding=1)
    convolution(torch.rand(1, 2, 4, 5, 5)).sum().backward()
    assert convolution.weight.grad is not None


@pytest.mark.parametrize("size", [(16, 20, 21), (15, 14, 13)])
def test_a_strided_convolution_has_its_extra_zero_at_the_end(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    convolution = SameConv3d(2, 3, (7, 7, 7), (2, 2, 2))
    volume = torch.rand(1, 2, *size)
    zeros = [zero for n in reversed(size) for zero in ((2, 3) if n % 2 == 0 else (3, 3))]
    expected = F.conv3d(F.pad(volume, zeros), convolution.weight, stride=2)
    with torch.inference_mode():
        np.testing.assert_allclose(convolution(volume), expected.detach(), atol=1e-5)


def shaken(network: nn.Module) -> nn.Module:
    """The network in eval mode, its norms having seen something."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.uniform_(0.3, 2, generator=generator)
    return network.eval()


@pytest.mark.parametrize("bias", [False, True])
def test_a_folded_norm_is_part_of_its_convolution(bias: bool) -> None:
    torch.manual_seed(0)
    network = shaken(nn.Sequential(nn.Conv3d(2, 4, 3, bias=bias), nn.BatchNorm3d(4, eps=0.01), nn.ReLU()))
    volume = torch.randn(2, 2, 5, 6, 7)
    expected = network(volume)
    folded = fold_norms(network)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in folded.modules())
    np.testing.assert_allclose(folded(volume).detach(), expected.detach(), atol=1e-5)


def test_norms_are_found_across_nested_modules() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1))
    network = shaken(nn.Sequential(inner, nn.Sequential(nn.BatchNorm2d(2))))
    pictures = torch.randn(2, 1, 6, 7)
    expected = network(pictures)
    np.testing.assert_allclose(fold_norms(network)(pictures).detach(), expected.detach(), atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_a_norm_without_a_convolution_before_it_stays() -> None:
    network = shaken(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.BatchNorm2d(2)))
    pictures = torch.randn(2, 1, 3, 3)
    expected = network(pictures)
    assert isinstance(fold_norms(network)[2], nn.BatchNorm2d)
    np.testing.assert_allclose(network(pictures).detach(), expected.detach())
