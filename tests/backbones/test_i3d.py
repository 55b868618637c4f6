"""Inception-I3D gives what the public PyTorch I3D gives with the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import drawn_weights
from small_backbones import needs_bf16
from torch import Tensor

from taltool.backbones.contract import Computing
from taltool.backbones.i3d import I3D, InceptionI3D
from taltool.data.files import read_bytes


@pytest.fixture(scope="module")
def weights(shared: Path) -> dict[str, Tensor]:
    """The tensors that the golden numbers were made with, under the public checkpoint's names."""
    return drawn_weights(shared, "i3d_keys.json")


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden/i3d_piergiaj_rgb.npz") as file:
        return dict(file)


def clip(seed: int, length: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (1, 3, length, 224, 224)).astype(np.float32))


def loaded(weights: dict[str, Tensor], output: str = "features") -> I3D:
    backbone = I3D(I3D.Config(output=output))
    backbone.load(weights, "golden")
    return backbone


def run(backbone: I3D, pixels: Tensor) -> np.ndarray:
    network = backbone.network
    assert isinstance(network, InceptionI3D)
    with torch.inference_mode():
        return network.steps(pixels.to(next(network.parameters()).dtype)).float().numpy()


def test_the_names_and_shapes_are_those_of_the_public_checkpoint(shared: Path) -> None:
    listed = json.loads(read_bytes(str(shared / "golden/i3d_keys.json"))[0])
    state = I3D(I3D.Config(output="logits")).network.state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == listed


@pytest.mark.parametrize("folded", [False, True])
def test_features_are_those_of_the_public_network(
    weights: dict[str, Tensor], golden: dict[str, np.ndarray], folded: bool
) -> None:
    backbone = loaded(weights)
    if folded:
        backbone.prepare(Computing())
    features = run(backbone, clip(11, 16))
    np.testing.assert_allclose(features[0, :, 0], golden["features"].reshape(-1), atol=1e-4)


@pytest.mark.parametrize("folded", [False, True])
def test_logits_are_those_of_the_public_network(
    weights: dict[str, Tensor], golden: dict[str, np.ndarray], folded: bool
) -> None:
    backbone = loaded(weights, output="logits")
    if folded:
        backbone.prepare(Computing())
    np.testing.assert_allclose(run(backbone, clip(12, 64)), golden["logits64"], atol=1e-4)


@needs_bf16
def test_features_in_bfloat16_point_the_same_way(weights: dict[str, Tensor], golden: dict[str, np.ndarray]) -> None:
    backbone = loaded(weights)
    backbone.prepare(Computing(precision="bf16"))
    features, expected = run(backbone, clip(11, 16)).reshape(-1), golden["features"].reshape(-1)
    assert features @ expected / np.linalg.norm(features) / np.linalg.norm(expected) > 0.9999


def test_a_long_window_gives_the_mean_of_its_steps(weights: dict[str, Tensor]) -> None:
    backbone = loaded(weights)
    pixels = clip(1, 32)[..., :64, :64]
    with torch.inference_mode():
        np.testing.assert_allclose(backbone.network(pixels)[0], run(backbone, pixels)[0].mean(1), atol=1e-5)
    assert run(backbone, pixels).shape == (1, 1024, 32 // 8 - 1)


def test_sides_and_lengths_that_do_not_halve_evenly_are_padded_as_tensorflow_does() -> None:
    backbone = I3D(I3D.Config())
    assert run(backbone, torch.zeros(1, 3, 17, 49, 61)).shape == (1, 1024, 2)
