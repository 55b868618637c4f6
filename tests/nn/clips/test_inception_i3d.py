"""Inception-I3D gives what the public PyTorch I3D gives with the same weights."""

import numpy as np
import pytest
import torch
from golden_weights import drawn_weights, golden_answers, golden_shapes
from torch import Tensor

from taltool.nn.clips.inception_i3d import InceptionI3D
from taltool.nn.clips.layers import fold_norms


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """The tensors that the golden numbers were made with, under the public checkpoint's names."""
    return drawn_weights("i3d_keys.json")


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return golden_answers("i3d_piergiaj_rgb.npz")


def clip(seed: int, length: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (1, 3, length, 224, 224)).astype(np.float32))


def loaded(weights: dict[str, Tensor], classes: int | None = None, *, folded: bool = False) -> InceptionI3D:
    """The network with these weights, without the classifier where no classes are given."""
    network = InceptionI3D(3, classes).eval().requires_grad_(False)
    network.load_state_dict({name: weights.get(name, own) for name, own in network.state_dict().items()})
    if folded:
        fold_norms(network)
    return network


def run(network: InceptionI3D, pixels: Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network.steps(network.first(pixels)).numpy()


def test_the_names_and_shapes_are_those_of_the_public_checkpoint() -> None:
    shapes = {name: list(value.shape) for name, value in InceptionI3D(3, 400).state_dict().items()}
    assert shapes == golden_shapes("i3d_keys.json")


@pytest.mark.parametrize("folded", [False, True])
def test_features_are_those_of_the_public_network(
    weights: dict[str, Tensor], golden: dict[str, np.ndarray], folded: bool
) -> None:
    features = run(loaded(weights, folded=folded), clip(11, 16))
    np.testing.assert_allclose(features[0, :, 0], golden["features"].reshape(-1), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("folded", [False, True])
def test_logits_are_those_of_the_public_network(
    weights: dict[str, Tensor], golden: dict[str, np.ndarray], folded: bool
) -> None:
    logits = run(loaded(weights, 400, folded=folded), clip(12, 64))
    np.testing.assert_allclose(logits, golden["logits64"], atol=1e-4)


def test_a_long_clip_gives_the_mean_of_its_steps(weights: dict[str, Tensor]) -> None:
    network, pixels = loaded(weights), clip(1, 32)[..., :64, :64]
    steps = run(network, pixels)
    assert steps.shape == (1, 1024, 32 // 8 - 1)
    with torch.inference_mode():
        np.testing.assert_allclose(network(pixels)[0], steps[0].mean(1), atol=1e-5)


def test_sides_and_lengths_that_do_not_halve_evenly_are_padded_as_tensorflow_does() -> None:
    assert run(InceptionI3D(3).eval(), torch.zeros(1, 3, 17, 49, 61)).shape == (1, 1024, 2)
