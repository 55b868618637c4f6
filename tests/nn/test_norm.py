"""LayerNorm over channels against torch's, and what it must not mix."""

import torch
from torch import nn

from taltool.nn.conv import ConvStack
from taltool.nn.norm import ChannelNorm
from taltool.nn.packed_pyramid import Axis

MASK = torch.arange(6) < torch.tensor([[6], [4]])


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_two_channels_by_hand() -> None:
    # (1, 3): mean 2, deviation 1.
    found = ChannelNorm(2, eps=0.0)(torch.tensor([[[1.0, 5.0], [3.0, 1.0]]]), Axis.single(torch.ones(1, 2).bool()))
    torch.testing.assert_close(found, torch.tensor([[[-1.0, 1.0], [1.0, -1.0]]]))


def test_it_is_layer_norm_of_each_position() -> None:
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
