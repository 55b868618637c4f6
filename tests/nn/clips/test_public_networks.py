"""Our networks give what public programs gave with the same weights and pixels.

The expected numbers are every n-th output, six in all, of: torchvision 0.29.2's `r2plus1d_18` and `resnet50` (with 400
classes; TSN's network on one picture), the layer fc6 of github.com/DavideA/c3d-pytorch, and `I3Res50` of
github.com/Tushar-N/pytorch-resnet3d, as it is and with the first pooling of MMAction2's ResNet3d; each run in float32,
eval mode, on weights drawn by `public_names.drawn` from its own names.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from public_names import as_torchvision, drawn
from torch import nn

from taltool.nn.clips.c3d import C3DNetwork
from taltool.nn.clips.layers import fold_norms
from taltool.nn.clips.resnet import R2Plus1D18, ResNet50I3D, TemporalSegmentNetwork


def same(name: str) -> str:
    return name


# The network, its tensors' names in the public program, pixels, expected outputs.
CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[str], str], tuple[int, ...], list[float]]] = {
    "torchvision's R(2+1)D-18": (
        lambda: R2Plus1D18(400),
        same,
        (8, 48, 48),
        [1.00042, -0.91019, -0.39175, -2.80335, 0.45022, 2.47086],
    ),
    "torchvision's ResNet-50": (
        lambda: TemporalSegmentNetwork(3, classes=400),
        as_torchvision,
        (1, 64, 64),
        [-103.55862, -23.72768, 64.30011, 169.07475, 126.27596, 50.3374],
    ),
    "C3D": (C3DNetwork, same, (16, 112, 112), [1.90299, 0.0, 0.0, 0.96741, 0.0, 3.08136]),
    "I3D-R50 of Caffe2": (
        lambda: ResNet50I3D(3, "caffe2", 400),
        as_torchvision,
        (32, 64, 64),
        [-159.62492, 15.19503, 50.52338, 172.59357, 71.86452, 131.96339],
    ),
    "I3D-R50 of MMAction2": (
        lambda: ResNet50I3D(3, "mmaction", 400),
        as_torchvision,
        (32, 64, 64),
        [-133.12439, 19.14974, 41.7851, 156.04073, 63.14039, 106.43858],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_public_network(case: str) -> None:
    make, public_name, size, expected = CASES[case]
    network = make().eval()
    weights = {
        own: drawn(public_name(own), tuple(value.shape))
        for own, value in network.state_dict().items()
        if value.is_floating_point()
    }
    network.load_state_dict(weights, strict=False)
    pixels = torch.from_numpy(np.random.default_rng(3).uniform(-1, 1, (1, 3, *size)).astype(np.float32))
    with torch.inference_mode():
        outputs = fold_norms(network)(pixels)[0]
    np.testing.assert_allclose(outputs[:: len(outputs) // 6][:6], expected, rtol=1e-4, atol=1e-4)
