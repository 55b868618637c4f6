"""What the backbones that are networks share: checkpoints by their own names, how they are computed, what they see."""

import re
from functools import lru_cache

import numpy as np
import pytest
import torch
from small_backbones import SIDE, computing, made, needs_bf16, pictures
from torch import Tensor

from taltool.backbones import BACKBONES
from taltool.backbones._network import NetworkBackbone, reproducible
from taltool.backbones.contract import Computing
from taltool.errors import DataError, UsageError
from taltool.video.snippet_windows import SnippetWindows

NAMES = [name for name in BACKBONES.names() if issubclass(BACKBONES.load(name), NetworkBackbone)]

# Some tensors of each public checkpoint, with their shapes, and the number of parameters with the classifier: I3D's by
# its listing, I3D-R50's and R(2+1)D's as MMAction2 and torchvision publish them, EfficientNet-Lite0's as in its file,
# that of TSN as torchvision's ResNet-50 (25,557,032) with 400 for its 1,000 classes, C3D's by hand from the paper's
# figure 3 with 487 classes.
CHECKPOINTS: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    "i3d": (12_697_264, {"Conv3d_1a_7x7.conv3d.weight": (64, 3, 7, 7, 7), "Mixed_5c.b3b.bn.running_var": (128,)}),
    "i3d-r50": (
        28_043_472,
        {
            "backbone.conv1.conv.weight": (64, 3, 5, 7, 7),
            "backbone.layer1.0.conv1.conv.weight": (64, 64, 3, 1, 1),
            "backbone.layer2.1.conv1.conv.weight": (128, 512, 1, 1, 1),
            "backbone.layer4.0.downsample.bn.running_mean": (2048,),
            "cls_head.fc_cls.weight": (400, 2048),
        },
    ),
    "tsn": (
        25_557_032 - 2_049_000 + 819_600,
        {
            "backbone.conv1.conv.weight": (64, 3, 7, 7),
            "backbone.layer3.0.conv2.conv.weight": (256, 256, 3, 3),
            "backbone.layer4.2.conv3.bn.weight": (2048,),
            "cls_head.fc_cls.bias": (400,),
        },
    ),
    "c3d": (
        79_991_015,
        {"conv1.weight": (64, 3, 3, 3, 3), "conv5b.bias": (512,), "fc6.weight": (4096, 8192), "fc8.bias": (487,)},
    ),
    "r2plus1d": (
        31_505_325,
        {
            "stem.0.weight": (45, 3, 1, 7, 7),
            "stem.4.weight": (64,),
            "layer2.0.conv1.0.0.weight": (230, 64, 1, 3, 3),
            "layer2.0.conv2.0.0.weight": (230, 128, 1, 3, 3),
            "layer4.0.conv2.0.3.weight": (512, 921, 3, 1, 1),
            "layer3.0.downsample.1.running_mean": (256,),
            "fc.weight": (400, 512),
        },
    ),
    "efficientnet-lite0": (
        4_652_008,
        {
            "_conv_stem.weight": (32, 3, 3, 3),
            "_blocks.0._depthwise_conv.weight": (32, 1, 3, 3),
            "_blocks.15._project_conv.weight": (320, 1152, 1, 1),
            "_bn1.running_var": (1280,),
            "_fc.weight": (1000, 1280),
        },
    ),
}


def network(name: str, **settings: object) -> NetworkBackbone:
    backbone = made(name, **settings)  # type: ignore[arg-type]
    assert isinstance(backbone, NetworkBackbone)
    return backbone


@lru_cache(maxsize=1)
def checkpoint(name: str) -> dict[str, Tensor]:
    """Weights of the whole network, under its own names: not those that it has by itself, norms that do something."""
    state = network(name, output="logits").network.state_dict()
    steps = {key: torch.linspace(-0.2, 0.2, len(value)) for key, value in state.items() if value.dim() == 1}
    changed = {key: value + steps[key] if key in steps else 1.01 * value for key, value in state.items()}
    return {key: value for key, value in changed.items() if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_network_is_the_published_one(name: str) -> None:
    parameters, tensors = CHECKPOINTS[name]
    backbone = network(name, output="logits")
    state = backbone.network.state_dict()
    assert sum(parameter.numel() for parameter in backbone.network.parameters()) == parameters
    for key, shape in tensors.items():
        assert state[backbone.renamed(key)].shape == backbone.reshaped(torch.empty(shape)).shape, key


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_taken_over_and_what_features_do_not_need_is_passed_by(name: str) -> None:
    backbone, weights = network(name), checkpoint(name)
    first = next(iter(weights))
    assert not torch.equal(backbone.network.state_dict()[first], weights[first])
    backbone.load({f"module.{key}": value for key, value in weights.items()}, "file.pt")
    for key, value in backbone.network.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(value, weights[key])


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_that_does_not_fit_is_refused_with_names(name: str) -> None:
    backbone = network(name)
    weights = dict(backbone.network.state_dict())
    first, second = [key for key in weights if key.endswith("weight")][:2]
    broken = {key: value for key, value in weights.items() if key != first} | {"head.extra": torch.zeros(1)}
    broken[second] = torch.zeros(2, 2)
    with pytest.raises(DataError) as caught:
        backbone.load(broken, "file.pt")
    message = str(caught.value)
    assert message.startswith("file.pt: not a checkpoint of this network")
    assert f"1 tensors missing ({first})" in message
    assert "1 tensors unexpected (head.extra)" in message
    assert re.search(rf"1 tensors of another shape \({re.escape(second)} \(2, 2\) instead of", message)


def test_of_many_wrong_names_the_first_few_are_listed() -> None:
    with pytest.raises(DataError, match=r"missing \(Conv3d_1a_7x7.conv3d.weight, .*, and \d+ more\)"):
        network("i3d").load(checkpoint("r2plus1d"), "file.pt")


@pytest.mark.parametrize("name", computing(NAMES))
def test_folding_and_layout_change_no_feature(name: str) -> None:
    weights = checkpoint(name)
    plain, prepared = network(name), network(name)
    for backbone in (plain, prepared):
        backbone.load(weights, "file.pt")
    prepared.prepare(Computing())
    assert not any("running_mean" in key for key in prepared.network.state_dict())
    snippets = pictures(plain, plain.window)[None]
    expected = plain.encode_snippets(snippets)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(prepared.encode_snippets(snippets), expected, atol=1e-4 * np.abs(expected).max())


@needs_bf16
@pytest.mark.parametrize("name", computing(NAMES))
def test_bfloat16_gives_nearly_the_same_features(name: str) -> None:
    exact, rough = network(name), network(name)
    exact.prepare(Computing())
    rough.prepare(Computing(precision="bf16"))
    snippets = pictures(exact, exact.window)[None]
    one, other = exact.encode_snippets(snippets)[0], rough.encode_snippets(snippets)[0]
    assert other.dtype == np.float32
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9999


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_number_type_that_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    monkeypatch.setattr("taltool.backbones.contract.is_quick_on_cpu", lambda _: False)
    with pytest.raises(UsageError, match=f"--precision {precision}: this processor .*use float32"):
        Computing(precision=precision)  # type: ignore[arg-type]
    Computing("cuda", precision)  # type: ignore[arg-type]


def test_a_gpu_computes_float32_in_float32() -> None:
    before = torch.backends.cudnn.allow_tf32
    with reproducible(Computing("cuda:0")):
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.deterministic
        assert torch.backends.cudnn.enabled
    assert torch.backends.cudnn.allow_tf32 == before


def test_a_network_that_cannot_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = network("tsn")
    monkeypatch.setattr(backbone.network, "compile", lambda: None)
    backbone.prepare(Computing(compile=True))

    def broken(_: object, __: object) -> None:
        raise RuntimeError("no C++ compiler\nand more")

    backbone.network.register_forward_pre_hook(broken)
    with pytest.raises(UsageError, match=r"--compile: torch cannot compile the network here \(no C\+\+ compiler\)"):
        backbone.encode_snippets(pictures(backbone, 5)[None])


@pytest.mark.parametrize("name", computing(NAMES))
def test_snippets_do_not_influence_each_other(name: str) -> None:
    backbone = network(name)
    backbone.prepare(Computing())
    snippets = pictures(backbone, 2 * backbone.window).reshape(2, backbone.window, *pictures(backbone, 1).shape[1:])
    together = backbone.encode_snippets(snippets)
    assert np.abs(together[0] - together[1]).max() > 1e-3 * np.abs(together).max()
    for snippet, row in zip(snippets, together, strict=True):
        np.testing.assert_allclose(backbone.encode_snippets(snippet[None])[0], row, atol=1e-5 * np.abs(row).max())


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_are_the_same_in_every_process(name: str) -> None:
    torch.manual_seed(77)
    state = torch.get_rng_state()
    one = network(name).network.state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(78)
    other = network(name).network.state_dict()
    assert all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("name", computing(NAMES))
def test_only_the_middle_square_is_seen(name: str) -> None:
    backbone = network(name)
    snippet = pictures(backbone, backbone.window)
    side = backbone.config.crop
    height, width = snippet.shape[1:3]
    top, left = (height - side) // 2, (width - side) // 2
    changed = 255 - snippet
    changed[:, top : top + side, left : left + side] = snippet[:, top : top + side, left : left + side]
    assert (changed != snippet).any()
    np.testing.assert_array_equal(backbone.encode_snippets(changed[None]), backbone.encode_snippets(snippet[None]))


# A pixel whose R, G, B are 200, 150, 50, as each network gets it: by hand from the publishers' normalisation.
PIXELS = {
    "i3d": (200 / 127.5 - 1, 150 / 127.5 - 1, 50 / 127.5 - 1),
    "i3d-r50": ((200 - 123.675) / 58.395, (150 - 116.28) / 57.12, (50 - 103.53) / 57.375),
    "tsn": ((200 - 123.675) / 58.395, (150 - 116.28) / 57.12, (50 - 103.53) / 57.375),
    "c3d": (50 - 90, 150 - 98, 200 - 102),
    "r2plus1d": (
        (200 / 255 - 0.43216) / 0.22803,
        (150 / 255 - 0.394666) / 0.22145,
        (50 / 255 - 0.37645) / 0.216989,
    ),
    "efficientnet-lite0": (73 / 128, 23 / 128, -77 / 128),
}


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_are_normalised_as_the_checkpoint_was_trained(name: str) -> None:
    pixel = torch.tensor([200.0, 150.0, 50.0]).view(1, 3, 1, 1, 1)
    np.testing.assert_allclose(network(name).normalised(pixel).flatten(), PIXELS[name], atol=1e-5)


@pytest.mark.parametrize(("name", "least"), [("i3d", 8), ("i3d-r50", 8), ("c3d", 16)])
def test_windows_that_are_too_short_are_refused(name: str, least: int) -> None:
    backbone = network(name)
    backbone.check(SnippetWindows(least, 4))
    with pytest.raises(UsageError, match=f"--window {least - 1}: {name}"):
        backbone.check(SnippetWindows(least - 1, 4))


@pytest.mark.parametrize("name", NAMES)
def test_a_crop_larger_than_the_pictures_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="crop = 300"):
        network(name, crop=300)


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_of_no_classes_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="classes = 0: must be at least 1"):
        network(name, output="logits", classes=0)


@pytest.mark.parametrize("name", computing(NAMES))
def test_the_channels_of_features_are_those_that_its_class_names(name: str) -> None:
    backbone = network(name)
    assert backbone.streams == {"rgb": (0, type(backbone).feature_channels)}
    assert backbone.encode_snippets(pictures(backbone, backbone.window)[None]).shape == (1, backbone.feature_channels)


def test_logits_are_as_many_as_there_are_classes() -> None:
    backbone = network("i3d", output="logits", classes=7)
    assert backbone.streams == {"rgb": (0, 7)}
    assert backbone.encode_snippets(np.zeros((1, 16, SIDE, SIDE, 3), np.uint8)).shape == (1, 7)


@pytest.mark.parametrize("name", computing(["i3d", "i3d-r50", "c3d", "r2plus1d", "tsn", "efficientnet-lite0"]))
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_neighbours_encoded_together_get_the_features_that_each_gets_alone(name: str, stride: int) -> None:
    backbone = made(name)
    backbone.prepare(Computing())
    windows = SnippetWindows(16, stride)
    shown = pictures(backbone, windows.window + 3 * stride)
    together = backbone.encode_run(shown, windows)
    alone = [backbone.encode_snippets(shown[None, first : first + 16]) for first in range(0, 4 * stride, stride)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5 * np.abs(together).max())


@pytest.mark.parametrize(
    ("name", "stride", "shares"), [("i3d", 4, True), ("i3d", 5, False), ("i3d-r50", 8, True), ("c3d", 1, False)]
)
def test_a_network_asks_for_neighbours_only_where_they_share_work(name: str, stride: int, shares: bool) -> None:
    assert (made(name).run_length(SnippetWindows(16, stride)) > 1) is shares
