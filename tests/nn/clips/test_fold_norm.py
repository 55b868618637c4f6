"""Folding batch norms away changes no output."""

import numpy as np
import pytest
import torch
from torch import nn

from taltool.nn.clips.fold_norm import fold_norms


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
