"""Clips that share the steps of a convolution get what each gets alone."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from taltool.nn.clips.layers import Conv3d, SameConv3d
from taltool.nn.clips.overlapping import OverlappingClips


class Convolution(OverlappingClips):
    """A convolution and nothing after it."""

    def __init__(self, convolution: Conv3d) -> None:
        super().__init__()
        self.convolution = convolution

    @property
    def first(self) -> Conv3d:
        return self.convolution

    def rest(self, volume: Tensor) -> Tensor:
        return volume


class Network(Convolution):
    """Sums up twice what its convolution gives, which it doubles in place."""

    def rest(self, volume: Tensor) -> Tensor:
        return volume.mul_(2).sum((2, 3, 4))


def drawn(*size: int) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(1)) - 0.5


@given(
    width=st.integers(1, 5),
    step=st.integers(1, 3),
    same=st.booleans(),
    window=st.integers(1, 12),
    stride=st.integers(1, 8),
    clips=st.integers(1, 4),
)
@settings(deadline=None)
def test_every_clip_is_convolved_as_if_it_were_alone(
    width: int, step: int, same: bool, window: int, stride: int, clips: int
) -> None:
    torch.manual_seed(0)
    sides = (width, 3, 3)
    if same:
        convolution: Conv3d = SameConv3d(2, 3, sides, (step, 2, 2))
        total = max((-(-window // step) - 1) * step + width - window, 0)
        zeros, across = (total // 2, total - total // 2), (0, 1)
    else:
        convolution = Conv3d(2, 3, sides, (step, 2, 2), (width // 2, 1, 1))
        zeros, across = (width // 2, width // 2), (1, 1)
    frames = drawn(1, 2, window + stride * (clips - 1), 6, 6)
    with torch.inference_mode():
        found = list(Convolution(convolution).forward_clips(frames, window, stride))
    assert len(found) == clips
    for number, each in enumerate(found):
        clip = F.pad(frames[:, :, number * stride :][:, :, :window], [*across, *across, *zeros])
        torch.testing.assert_close(each, F.conv3d(clip, convolution.weight, convolution.bias, (step, 2, 2)).detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("width", "padding"), [(7, 3), (5, 2), (3, 1), (1, 0)])
def test_a_network_may_change_what_the_convolution_gave(width: int, padding: int, dtype: torch.dtype) -> None:
    network = Network(Conv3d(3, 4, (width, 3, 3), padding=(padding, 1, 1))).to(dtype)
    frames = drawn(1, 3, 22, 8, 8).to(dtype)
    with torch.inference_mode():
        found = list(network.forward_clips(frames, 16, 2))
        alone = [network(frames[:, :, first : first + 16]) for first in (0, 2, 4, 6)]
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize(
    ("window", "stride", "shares"), [(16, 4, True), (16, 8, True), (16, 10, False), (16, 3, False), (4, 2, False)]
)
def test_only_aligned_clips_that_overlap_beyond_their_zeros_share_steps(window: int, stride: int, shares: bool) -> None:
    # "Same" zeros of 7 frames at every 2: steps 1 to 5 of 8 see none.
    assert Network(SameConv3d(1, 1, (7, 7, 7), (2, 2, 2))).shares(window, stride) is shares


def test_steps_in_common_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution, seen = SameConv3d(1, 1, (7, 7, 7), (2, 2, 2)), []
    real = SameConv3d.convolve

    def convolve(self: SameConv3d, volume: Tensor, padding: list[int], taps: slice = slice(None)) -> Tensor:
        result = real(self, volume, padding, taps)
        seen.append(result.shape[2])
        return result

    monkeypatch.setattr(SameConv3d, "convolve", convolve)
    list(Convolution(convolution).forward_clips(drawn(1, 1, 28, 8, 8), 16, 4))
    # Steps 1 to 11 of the 28 frames, and three with zeros for each of the four clips.
    assert sorted(seen) == [1] * 12 + [11]
