"""ResNet-50 over clips: what of time its stem, its blocks and its poolings see."""

import pytest
import torch
from torch import nn

from taltool.nn.clips.resnet50 import Bottleneck, ResNet50, Stem
from taltool.nn.clips.resnet_i3d import Family, ResNet50I3D


def clip(length: int) -> torch.Tensor:
    return torch.rand(1, 3, length, 32, 32, generator=torch.Generator().manual_seed(1))


def test_without_inflation_it_is_the_network_on_pictures() -> None:
    torch.manual_seed(0)
    stem = Stem(3, 1, 1, nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)))
    network = ResNet50(stem).eval().requires_grad_(False)
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
