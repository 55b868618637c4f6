"""I3D, with the public checkpoint's tensors and prepared to encode, gives the public network's features."""

from typing import Literal

import numpy as np
import pytest
import torch
from golden_weights import drawn_weights, golden_answers
from small_backbones import needs_bf16

from taltool.backbones.contract import Computing
from taltool.backbones.i3d import I3D


@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=needs_bf16)])
def test_prepared_features_point_where_those_of_the_public_network_do(precision: Literal["float32", "bf16"]) -> None:
    backbone = I3D(I3D.Config())
    backbone.load(drawn_weights("i3d_keys.json"), "golden")
    backbone.prepare(Computing(precision=precision))
    pixels = np.random.default_rng(11).uniform(-1, 1, (1, 3, 16, 224, 224)).astype(np.float32)
    features = backbone.features(torch.from_numpy(pixels)).numpy().reshape(-1)
    expected = golden_answers("i3d_piergiaj_rgb.npz")["features"].reshape(-1)
    assert features @ expected / np.linalg.norm(features) / np.linalg.norm(expected) > 0.9999
    if precision == "float32":
        np.testing.assert_allclose(features, expected, atol=1e-4)
