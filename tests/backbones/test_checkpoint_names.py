"""Checkpoints of one network that circulate under several names for its tensors."""

import pytest
import torch
from public_names import as_torchvision
from small_backbones import made
from torch import Tensor

from taltool.backbones._network import NetworkBackbone
from taltool.errors import DataError


def as_mmaction_c3d(name: str) -> str:
    """A tensor of C3D as MMAction calls it."""
    layer, kind = name.split(".")
    if layer.startswith("fc"):
        return name
    return f"{layer if layer[-1] in 'ab' else layer + 'a'}.conv.{kind}"


def loads(backbone: NetworkBackbone, weights: dict[str, Tensor]) -> bool:
    backbone.load(weights, "file.pt")
    own = backbone.network.state_dict()
    return all(bool((value == 0.5).all()) for name, value in own.items() if not name.endswith("num_batches_tracked"))


def halves(backbone: NetworkBackbone) -> dict[str, Tensor]:
    state = backbone.network.state_dict()
    return {name: torch.full_like(value, 0.5) for name, value in state.items() if value.is_floating_point()}


def test_i3d_r50_takes_the_checkpoint_that_was_converted_from_caffe2() -> None:
    backbone = made("i3d-r50", checkpoint="caffe2")
    assert isinstance(backbone, NetworkBackbone)
    weights = {as_torchvision(name): value for name, value in halves(backbone).items()}
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.1.bias", "layer4.2.bn3.weight"} <= weights.keys()
    assert loads(backbone, weights | {"fc.weight": torch.zeros(400, 2048), "fc.bias": torch.zeros(400)})


def test_the_families_of_i3d_r50_are_not_mistaken_for_each_other() -> None:
    # They differ in a pooling that has no tensors: names must not be translated where the network is the other one.
    backbone = made("i3d-r50")
    assert isinstance(backbone, NetworkBackbone)
    weights = {as_torchvision(name): value for name, value in halves(backbone).items()}
    with pytest.raises(DataError, match=r"missing \(conv1.conv.weight"):
        backbone.load(weights, "file.pt")


def test_c3d_takes_the_checkpoint_of_mmaction() -> None:
    backbone = made("c3d")
    assert isinstance(backbone, NetworkBackbone)
    weights = {as_mmaction_c3d(name): value for name, value in halves(backbone).items()}
    assert {"conv1a.conv.weight", "conv3b.conv.bias", "fc6.weight"} <= weights.keys()
    assert loads(backbone, weights | {"fc7.weight": torch.zeros(4096, 4096), "fc7.bias": torch.zeros(4096)})


def test_c3d_takes_the_classifier_of_mmaction() -> None:
    backbone = made("c3d", output="logits", classes=101)
    assert isinstance(backbone, NetworkBackbone)
    weights = {as_mmaction_c3d(name): value for name, value in halves(backbone).items()}
    renamed = {name.replace("fc8", "cls_head.fc_cls"): value for name, value in weights.items()}
    assert loads(backbone, {f"backbone.{name}" if "cls" not in name else name: v for name, v in renamed.items()})


def test_what_c3d_lacks_for_a_later_layer_is_named() -> None:
    backbone = made("c3d", output="logits")
    assert isinstance(backbone, NetworkBackbone)
    weights = {name: value for name, value in halves(backbone).items() if not name.startswith("fc8")}
    with pytest.raises(DataError, match=r"2 tensors missing \(fc8.weight, fc8.bias\)"):
        backbone.load(weights, "file.pt")
