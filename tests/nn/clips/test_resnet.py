"""ResNet-50 over clips: what of time its stem, its blocks, its poolings and the segments of TSN see."""

import pytest
import torch
from torch import nn

from taltool.nn.clips.resnet import (
    Bottleneck,
    ConvNorm,
    Family,
    ResNet50,
    ResNet50I3D,
    TemporalSegmentNetwork,
    segment_starts,
)


def clip(length: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(1, channels, length, 32, 32, generator=torch.Generator().manual_seed(1))


def test_without_inflation_it_is_the_network_on_pictures() -> None:
    torch.manual_seed(0)
    conv1, pool1 = ConvNorm(3, 64, (1, 7, 7), (1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
    network = ResNet50(conv1, pool1).eval().requires_grad_(False)
    frames = clip(3)
    pictures = torch.cat([network(picture) for picture in frames.split(1, dim=2)])
    torch.testing.assert_close(network(frames), pictures.mean(0, keepdim=True), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("inflated", "changed"), [(0, [3]), (1, [2, 3, 4])])
def test_an_inflated_block_sees_the_neighbours_of_each_step(inflated: int, changed: list[int]) -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, 4, 1, inflated).eval().requires_grad_(False)
    volume = torch.rand(1, 8, 7, 4, 4)
    other = volume.clone()
    other[:, :, 3] += 1
    differs = (block(other) != block(volume)).any(1).flatten(2).any(2)
    assert differs.nonzero()[:, 1].tolist() == changed


@pytest.mark.parametrize("family", ["mmaction", "caffe2"])
def test_i3d_turns_eight_frames_and_thirty_two_pixels_into_one_step_and_cell(family: Family) -> None:
    network = ResNet50I3D(3, family).eval().requires_grad_(False)
    seen: list[torch.Size] = []
    network.layer4.register_forward_hook(lambda _, __, output: seen.append(output.shape))
    network(torch.zeros(1, 3, 32, 64, 64))
    assert seen == [(1, 2048, 4, 2, 2)]


def segment_network(stacked: int = 1, segments: int = 1) -> TemporalSegmentNetwork:
    """With weights that are always the same for one number of stacked frames."""
    torch.manual_seed(0)
    return TemporalSegmentNetwork(2, stacked, segments).eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("length", "segments", "stacked", "starts"),
    [(5, 1, 1, [2]), (16, 1, 1, [8]), (9, 3, 1, [1, 4, 7]), (5, 1, 5, [0]), (16, 1, 5, [6]), (16, 3, 5, [0, 6, 11])],
)
def test_the_middle_of_each_segment_is_chosen(length: int, segments: int, stacked: int, starts: list[int]) -> None:
    assert segment_starts(length, segments, stacked) == starts


@pytest.mark.parametrize(("stacked", "seen"), [(1, slice(4, 5)), (5, slice(2, 7))])
def test_only_the_chosen_frames_count(stacked: int, seen: slice) -> None:
    whole, frames = segment_network(stacked), clip(9, channels=2)
    changed = 1 - frames
    changed[:, :, seen] = frames[:, :, seen]
    assert torch.equal(whole(changed), whole(frames))
    assert not torch.equal(whole(1 - frames), whole(frames))


def test_features_are_averaged_over_segments() -> None:
    frames = clip(9, channels=2)
    parts = torch.cat([segment_network()(part) for part in frames.split(3, dim=2)])
    torch.testing.assert_close(segment_network(segments=3)(frames), parts.mean(0, keepdim=True), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["mmaction", "caffe2"])
def test_without_its_poolings_in_time_i3d_has_a_step_for_every_two_frames(family: Family) -> None:
    """The same tensors; what a frame changes stays at its time."""
    torch.manual_seed(0)
    network = ResNet50I3D(3, family, divisor=8, temporal_pooling=False).eval().requires_grad_(False)
    assert network.state_dict().keys() == ResNet50I3D(3, family, divisor=8).state_dict().keys()
    other = clip(33)
    other[:, :, 20] = 1 - other[:, :, 20]
    steps, changed = network.steps(clip(33)), network.steps(other)
    assert steps.shape == (1, 256, 17)
    assert (steps != changed).any(1)[0, 10]
    torch.testing.assert_close(steps.mean(2), network(clip(33)))
