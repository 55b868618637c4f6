"""What every network over clips promises: shapes, a classifier on demand, the same outputs however it is computed."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from taltool.nn.clips.c3d import C3DNetwork
from taltool.nn.clips.inception_i3d import InceptionI3D
from taltool.nn.clips.resnet import R2Plus1D18, ResNet50I3D, TemporalSegmentNetwork

# How each is made with this many classes or none, the size of a clip (C, T, H, W), its features.
NETWORKS: dict[str, tuple[Callable[[int | None], nn.Module], tuple[int, ...], int]] = {
    "Inception-I3D": (lambda classes: InceptionI3D(2, classes), (2, 16, 40, 33), 1024),
    "I3D on ResNet-50": (lambda classes: ResNet50I3D(3, classes=classes), (3, 16, 40, 33), 2048),
    "TSN": (lambda classes: TemporalSegmentNetwork(2, 5, 2, classes), (2, 10, 40, 33), 2048),
    "R(2+1)D": (R2Plus1D18, (3, 9, 40, 33), 512),
    "C3D": (
        lambda classes: C3DNetwork("logits" if classes else "fc6", classes or 1),
        (3, 16, 112, 112),
        4096,
    ),
}


def made(name: str, classes: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name][0](classes).eval()


def clips(name: str) -> Tensor:
    return torch.rand(2, *NETWORKS[name][1], generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_clips_become_features_or_logits_by_whether_there_are_classes(name: str) -> None:
    with torch.inference_mode():
        assert made(name)(clips(name)).shape == (2, NETWORKS[name][2])
        assert made(name, 7)(clips(name)).shape == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_layout_of_memory_changes_no_feature(name: str) -> None:
    network, volume = made(name), clips(name)
    with torch.inference_mode():
        expected = network(volume)
        found = network(volume.to(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_learns_from_pixels(name: str) -> None:
    network = made(name, 7)
    logits = network(clips(name))
    with torch.inference_mode():
        torch.testing.assert_close(logits.detach(), network(clips(name)), rtol=1e-4, atol=1e-5)
    logits.square().sum().backward()
    assert [each for each, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []
