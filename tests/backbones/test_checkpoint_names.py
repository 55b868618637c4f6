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


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["mmaction", "caffe2"])
def test_flow_of_i3d_r50_sees_the_mean_over_the_colours_in_both_directions(checkpoint: str) -> None:
    """Hand-made filters: those of R, G, B are n, 2 n and 6 n, so those of x and y are 3 n."""
    colours, flow = made("i3d-r50", checkpoint=checkpoint), made("i3d-r50", "flow", checkpoint=checkpoint)
    assert isinstance(colours, NetworkBackbone)
    assert isinstance(flow, NetworkBackbone)
    weights = colours.network.state_dict()
    filters = torch.arange(64.0).view(64, 1, 1, 1, 1).expand(64, 1, 5, 7, 7)
    weights["conv1.conv.weight"] = torch.cat([filters, 2 * filters, 6 * filters], dim=1)
    named = {as_torchvision(name) if checkpoint == "caffe2" else f"backbone.{name}": w for name, w in weights.items()}
    flow.load({f"module.{name}": value for name, value in named.items()}, "file.pt")
    assert flow.adaptation == "its first filters' mean over the colours for x and y"
    own = flow.network.state_dict()
    torch.testing.assert_close(own.pop("conv1.conv.weight"), (3 * filters).expand(-1, 2, -1, -1, -1))
    weights.pop("conv1.conv.weight")
    assert all(torch.equal(value, weights[name]) for name, value in own.items())


def test_a_checkpoint_of_i3d_r50_that_learned_from_flow_is_taken_as_it_is() -> None:
    backbone = made("i3d-r50", "flow")
    assert isinstance(backbone, NetworkBackbone)
    assert loads(backbone, {f"backbone.{name}": value for name, value in halves(backbone).items()})
    assert backbone.adaptation == ""
    # Its zero is 128, its spread that of the colours: (58.395 + 57.12 + 57.375) / 3.
    pixel = torch.tensor([128.0, 255.0]).view(1, 2, 1, 1, 1)
    torch.testing.assert_close(backbone.normalised(pixel).flatten(), torch.tensor([0.0, 127 / 57.63]))


def test_colours_of_i3d_r50_take_no_filters_of_flow() -> None:
    backbone, flow = made("i3d-r50"), made("i3d-r50", "flow")
    assert isinstance(backbone, NetworkBackbone)
    assert isinstance(flow, NetworkBackbone)
    with pytest.raises(DataError, match=r"conv1.conv.weight \(64, 2, 5, 7, 7\) instead of \(64, 3"):
        backbone.load({f"backbone.{name}": value for name, value in halves(flow).items()}, "file.pt")


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
