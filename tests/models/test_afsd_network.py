"""AFSD's frame-level convolutions and the regions of a packed pyramid."""

import pytest
import torch

from taltool.models.afsd.network import FrameStack, RepeatedConv, packed_regions
from taltool.nn.conv import Axis, ConvStack, SameConv1d
from taltool.nn.pyramid import PyramidGrid


@pytest.mark.parametrize(
    ("times", "expected"),
    # 1 1 2 2 and 1 1 1 2 2 2 under the taps 1, 10, 100, between zeros.
    [(2, [110, 211, 221, 22]), (3, [110, 111, 211, 221, 222, 22])],
)
def test_repeated_positions_are_convolved_as_if_they_stood_there(times: int, expected: list[float]) -> None:
    conv = SameConv1d(1, 1, 3)
    conv.weight.data = torch.tensor([[[1.0, 10.0, 100.0]]])
    found = RepeatedConv(conv, times)(torch.tensor([[[1.0, 2.0]]]))
    assert found.flatten().tolist() == expected


def test_a_stack_on_repeated_positions_learns_what_it_learns_on_their_copies() -> None:
    torch.manual_seed(0)
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    axis = Axis.single(mask.repeat_interleave(4, dim=1))
    stack = FrameStack(5, 8, (3, 1), 4, groups=2)
    torch.nn.init.normal_(stack.blocks[0].conv.bias)  # type: ignore[union-attr, arg-type]
    features, direction = torch.randn(2, 5, 9) * mask[:, None], torch.randn(2, 8, 36)
    features.requires_grad_()
    plain = ConvStack(5, 8, (3, 1), groups=2)
    plain.load_state_dict(stack.state_dict())
    short, long = stack(features, axis), plain(features.repeat_interleave(4, dim=2), axis)
    torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-5)
    found, expected = (
        torch.autograd.grad((said * direction).sum(), [features, *own.parameters()])
        for said, own in ((short, stack), (long, plain))
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_packed_regions_stay_inside_their_level_and_off_padding() -> None:
    grid = PyramidGrid.of(torch.tensor([[True] * 6 + [False] * 2]), 2)  # level 0 at 0..7, gap, level 1 at 9..12
    regions = torch.tensor([-3, 99, 1, 2]).expand(1, grid.layout.size, 4)
    packed = packed_regions(regions, grid)[0]
    assert packed[0].tolist() == [0, 5, 1, 2]
    assert packed[10].tolist() == [9, 11, 10, 11]
