"""Training a network over clips: frozen norms, recomputed activations, exact gradients, end points."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from taltool.nn.clips.fine_tuning import FrozenNorm3d, freeze_norms, recomputed
from taltool.nn.clips.inception_i3d import InceptionI3D
from taltool.nn.clips.layers import fold_norms
from taltool.nn.clips.resnet import Bottleneck, ResNet50I3D

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "Inception-I3D": lambda: InceptionI3D(2, divisor=8),
    "I3D on ResNet-50": lambda: ResNet50I3D(2),
}
END_POINTS = ("Mixed_4f", "Mixed_5c")


def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights, affines and running statistics that are drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            scale = (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
            drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype) * scale
            offsets = {"running_var": 1.0, "bn.weight": 1.0, "bn.bias": 0.5}  # By which no unit is always off.
            offset = next((own for end, own in offsets.items() if name.endswith(end)), None)
            value.copy_(drawn if offset is None else offset + drawn.abs())
    return network


def clip(*size: int, seed: int = 1) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_frozen_norms_stay_while_the_rest_trains(name: str) -> None:
    network, pixels = drawn(NETWORKS[name]()).eval(), clip(2, 2, 16, 32, 32)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        expected = network(pixels)
    assert freeze_norms(network) is network
    network.train()
    assert before.keys() == network.state_dict().keys()
    found = network(pixels)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-5)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    found.square().sum().backward()
    torch.optim.SGD(trained, lr=1e-3).step()
    kept = {key for key, value in network.state_dict().items() if torch.equal(value, before[key])}
    norms = {f"{key}." for key, module in network.named_modules() if isinstance(module, nn.BatchNorm3d)}
    assert kept == {key for key in before if key.startswith(tuple(norms))}
    assert len(trained) == sum(isinstance(module, nn.Conv3d) for module in network.modules())


def test_frozen_norms_can_be_folded() -> None:
    network, pixels = freeze_norms(drawn(NETWORKS["Inception-I3D"]())).train(), clip(1, 2, 16, 32, 32)
    expected = network(pixels).detach()
    fold_norms(network)
    assert not any(isinstance(module, FrozenNorm3d) for module in network.modules())
    torch.testing.assert_close(network(pixels).detach(), expected, rtol=1e-4, atol=1e-5)


def kept_values(network: InceptionI3D, pixels: Tensor) -> tuple[Tensor, int]:
    """The last end point, and how many values that are no weights autograd keeps for it."""
    sizes: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        sizes[value.untyped_storage().data_ptr()] = value.numel()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        end = network.end_points(pixels, END_POINTS)["Mixed_5c"]
    weights = {value.untyped_storage().data_ptr() for value in network.state_dict().values()}
    return end, sum(size for place, size in sizes.items() if place not in weights)


@pytest.mark.parametrize("trains_stem", [True, False])
def test_checkpointing_gives_the_same_gradients_and_keeps_less(trains_stem: bool) -> None:
    pixels, found = clip(1, 3, 16, 64, 64), {}
    for checkpointing in (False, True):
        network = InceptionI3D(3, divisor=16, checkpointing=checkpointing)
        freeze_norms(drawn(network)).train()
        network.Conv3d_1a_7x7.requires_grad_(trains_stem)
        network.Conv3d_2b_1x1.requires_grad_(trains_stem)
        ends, size = kept_values(network, pixels)
        ends.square().sum().backward()
        gradients = {name: value.grad for name, value in network.named_parameters() if value.grad is not None}
        found[checkpointing] = (ends.detach(), gradients, size)
    torch.testing.assert_close(found[True][:2], found[False][:2])
    assert found[True][1].keys() >= {"Conv3d_2c_3x3.conv3d.weight", "Mixed_5c.b0.conv3d.weight"}
    assert not trains_stem or found[True][2] < 0.4 * found[False][2]


def test_recomputed_blocks_of_a_residual_network_give_the_same_gradients() -> None:
    torch.manual_seed(0)
    block, volume = freeze_norms(Bottleneck(8, 4, 2, 1)).train(), clip(1, 8, 4, 6, 6).requires_grad_()
    expected = torch.autograd.grad(block(volume).square().sum(), [volume, block.conv2.conv.weight])  # type: ignore[union-attr, list-item]
    found = torch.autograd.grad(recomputed(block, volume).square().sum(), [volume, block.conv2.conv.weight])  # type: ignore[union-attr, list-item]
    torch.testing.assert_close(found, expected)


def test_the_gradient_of_a_mixed_block_is_that_of_its_differences() -> None:
    network = freeze_norms(drawn(InceptionI3D(3, divisor=32).double(), seed=3)).train()
    block = network.get_submodule("Mixed_4c")
    volume = clip(1, network.channels["Mixed_4b"], 2, 3, 3).double().abs().requires_grad_()
    assert torch.autograd.gradcheck(block, (volume,))
    weights = [value for value in block.parameters() if value.requires_grad]
    assert len(weights) == 6
    with torch.no_grad():
        direction = torch.rand_like(block(volume))
    exact = torch.autograd.grad((block(volume) * direction).sum(), weights)
    for weight, gradient in zip(weights, exact, strict=True):
        along = torch.randn_like(weight)
        with torch.no_grad():
            sides = []
            for step in (1e-6, -2e-6):
                weight += step * along
                sides.append(float((block(volume) * direction).sum()))
            weight += 1e-6 * along
        assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(float((gradient * along).sum()), rel=1e-5, abs=1e-7)


def test_end_points_keep_their_extent_in_space() -> None:
    network = InceptionI3D(3, divisor=8).eval().requires_grad_(False)
    found = network.end_points(clip(1, 3, 32, 96, 96), END_POINTS)
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "Mixed_4f": (1, 832 // 8, 8, 6, 6),
        "Mixed_5c": (1, 1024 // 8, 4, 3, 3),
    }
    assert [network.channels[name] for name in END_POINTS] == [104, 128]
    # The features of the whole network are means of the last one.
    steps = found["Mixed_5c"].mean((3, 4))
    torch.testing.assert_close(network(clip(1, 3, 32, 96, 96)), (steps[..., 1:] + steps[..., :-1]).mean(2) / 2)
