"""Norms of padded sequences against torch's, and what they must not mix."""

import pytest
import torch
from torch import nn

from taltool.nn.conv import Axis, ChannelNorm, ConvStack, MaskedGroupNorm

MASK = torch.arange(6) < torch.tensor([[6], [4]])


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_the_group_norm_without_padding_is_torch_s(length: int) -> None:
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


def test_the_group_norm_ignores_what_stands_in_padding() -> None:
    norm, x = MaskedGroupNorm(2, 4), torch.randn(1, 4, 6)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    disturbed = x.clone()
    disturbed[..., 4:] = 1e4
    alone = norm(x[..., :4], Axis.single(mask[:, :4]))
    torch.testing.assert_close(norm(disturbed, Axis.single(mask))[..., :4], alone)


def test_group_statistics_are_in_full_precision_under_autocast() -> None:
    norm, x = MaskedGroupNorm(1, 2), torch.randn(1, 2, 50) + 300  # bfloat16 has steps of 2 at 300
    axis = Axis.single(torch.ones(1, 50, dtype=torch.bool))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(norm(x, axis), torch.nn.functional.group_norm(x, 1), atol=1e-3, rtol=1e-3)


def test_the_channel_norm_of_two_channels_by_hand() -> None:
    # (1, 3): mean 2, deviation 1.
    found = ChannelNorm(2, eps=0.0)(torch.tensor([[[1.0, 5.0], [3.0, 1.0]]]), Axis.single(torch.ones(1, 2).bool()))
    torch.testing.assert_close(found, torch.tensor([[[-1.0, 1.0], [1.0, -1.0]]]))


def test_the_channel_norm_is_layer_norm_of_each_position() -> None:
    ours, theirs = ChannelNorm(4), nn.LayerNorm(4)
    with torch.no_grad():
        ours.weight.copy_(torch.arange(4.0))
        ours.bias.fill_(0.5)
    theirs.load_state_dict(ours.state_dict())
    features = drawn(2, 4, 6)
    torch.testing.assert_close(ours(features, Axis.single(MASK)), theirs(features.transpose(1, 2)).transpose(1, 2))


def test_equal_channels_have_finite_gradients() -> None:
    features = torch.ones(1, 4, 3, requires_grad=True)
    ChannelNorm(4)(features, Axis.single(MASK[:1, :3])).square().sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_a_stack_of_blocks_leaves_padding_at_zero_and_does_not_see_it() -> None:
    torch.manual_seed(0)
    stack = ConvStack(4, 5, (3, 3), "ln")
    with torch.no_grad():
        for block in stack.blocks:
            block.norm.bias.fill_(0.3)
    features = drawn(2, 4, 6) * MASK[:, None]
    found = stack(features, Axis.single(MASK))
    assert (found[1, :, 4:] == 0).all()
    torch.testing.assert_close(found[1:, :, :4], stack(features[1:, :, :4], Axis.single(MASK[1:, :4])))
