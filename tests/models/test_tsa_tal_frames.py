"""TSA-TAL from pixels: clips of frames, the positions that they become, what is learnt of them, and frames again."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_runs import Listener

from taltool.data.statistics import DatasetStatistics
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_pretrained
from taltool.experiment.configuration import Layer, build, preset_layer
from taltool.models.contract import Batch, FrameInput, Targets
from taltool.models.tsa_tal.model import TSATAL, TSATALConfig
from taltool.models.tsa_tal.network import ClipEncoder, position_mask
from taltool.nn.clips.resnet import ResNet50I3D
from taltool.ops.segments import tiou

SMALL: dict[str, Any] = {
    "input": "frames",
    "crop": 32,
    "positions": 25,
    "backbone_divisor": 16,
    "width": 32,
    "groups": 4,
    "tsa_warmup": 0,
}
FRAMES = 32


def model(channels: int = 3, frames: int = FRAMES, **switches: Any) -> TSATAL:
    torch.manual_seed(0)
    return TSATAL(TSATALConfig(**SMALL | switches), channels, 2, frames).eval()


def clips(channels: int = 3, frames: int = FRAMES, samples: int = 1, seed: int = 0) -> Tensor:
    drawn = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (samples, channels, frames, 32, 32), dtype=torch.uint8, generator=drawn)


def everywhere(frames: int = FRAMES, samples: int = 1) -> Tensor:
    return torch.ones(samples, frames, dtype=torch.bool)


@pytest.mark.parametrize("channels", [3, 2, 5])
def test_128_frames_become_64_steps_and_100_positions(channels: int) -> None:
    network = model(channels, 128, positions=100)
    assert network.backbone is not None
    with torch.no_grad():
        assert network.backbone.encode(clips(channels, 128), everywhere(128)).shape == (1, 2048 // 16, 64)
        outputs = network(clips(channels, 128), everywhere(128))
    assert outputs["final_logits"].shape == (1, 100, 3)
    assert all(value.shape[:2] == (1, 100) for value in outputs.values())


def test_at_full_size_it_is_the_network_of_the_checkpoint_before_512_channels() -> None:
    """The parameters of ResNet-50 I3D without its classifier, of 2048 to 512, and of all after it (as of features)."""
    with torch.device("meta"):
        network = TSATAL(TSATALConfig(input="frames"), 3, 20, 128)
        alone = ResNet50I3D(3)
    count = {name: sum(p.numel() for p in each.parameters()) for name, each in (("all", network), ("i3d", alone))}
    assert count["all"] == count["i3d"] + 7_954_480
    assert network.backbone is not None
    assert network.backbone.state_dict().keys() == alone.state_dict().keys()


def test_positions_say_what_the_frames_at_their_time_say() -> None:
    """Frames that change at a quarter of the clip change the positions before it and leave those far behind it."""
    network = model(frames=128, positions=100, tsa="none", tpp="none")
    assert network.backbone is not None
    given = clips(frames=128)
    other = given.clone()
    other[:, :, 32] = 255 - other[:, :, 32]
    with torch.no_grad():
        one, another = (network.backbone.encode(each, everywhere(128)) for each in (given, other))
    changed = (one != another).any(1)[0].nonzero().flatten()
    assert 32 / 2 in changed.tolist()
    # Nine of the blocks see three steps; the first convolution five frames, hence three steps.
    assert (changed - 16).abs().max() <= 10


@pytest.mark.parametrize(
    ("valid", "positions"), [(1, 1), (32, 25), (128, 100), (129 - 1, 100), (50, 40), (51, 40), (52, 41)]
)
def test_a_position_is_valid_that_holds_a_valid_frame(valid: int, positions: int) -> None:
    """128 frames, 100 positions: position p begins at frame 1.28 p; 50 frames end in position 39, 51.2 begins 40."""
    mask = (torch.arange(128) < valid)[None]
    found = position_mask(mask, 100)
    assert found.sum() == positions
    assert found[0, :positions].all()


def test_what_padding_holds_is_not_seen() -> None:
    network, mask = model(), (torch.arange(FRAMES) < 20)[None]
    other = clips()
    other[:, :, 20:] = 7
    with torch.no_grad():
        one, another = network(clips(), mask), network(other, mask)
    assert all(torch.equal(value, another[name]) for name, value in one.items())
    assert one["valid"].sum() == 16  # 16 * 1.28 = 20.48: position 15 begins at 19.2.


def test_pixels_come_as_the_checkpoint_expects_them() -> None:
    """Red 255 is (255 - 123.675) / 58.395; flow 128 is no motion, 255 is 127 over the mean deviation 57.63."""
    encoder = ClipEncoder(5, 16, False)
    seen: list[Tensor] = []
    encoder.conv1.conv.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    volume = torch.tensor([255, 0, 0, 128, 255], dtype=torch.uint8).view(1, 5, 1, 1, 1).expand(-1, -1, 8, 32, 32)
    with torch.no_grad():
        encoder.encode(volume, torch.tensor([[True] * 4 + [False] * 4]))
    expected = [131.325 / 58.395, -116.28 / 57.12, -103.53 / 57.375, 0.0, 127 / 57.63]
    torch.testing.assert_close(seen[0][0, :, 0, 0, 0], torch.tensor(expected))
    assert (seen[0][:, :, 4:] == 0).all()


def test_what_predicts_has_its_norms_in_its_convolutions_and_says_the_same() -> None:
    network, mask = model(), (torch.arange(FRAMES) < 20)[None]
    for name, value in network.state_dict().items():
        if ".bn." in name and value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(len(name)))
    with torch.inference_mode():
        expected = network(clips(), mask)
        network.prepare_inference()
        found = network(clips(), mask)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in network.modules())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4, msg=name)


def learning(network: TSATAL, precision: torch.dtype | None = None) -> dict[str, Tensor | None]:
    """The gradients of one step on two clips, the second without an action."""
    targets = Targets([torch.tensor([[4.0, 20.0]]), torch.zeros(0, 2)], [torch.tensor([1]), torch.zeros(0).long()])
    batch = Batch(clips(network.channels, samples=2), everywhere(samples=2), targets, ["a", "b"])
    network.train()
    with torch.autocast("cpu", precision, enabled=precision is not None):
        terms = network.training_loss(batch, "all")
    torch.stack([term.float() for term in terms.values()]).sum().backward()
    assert all(term.isfinite() for term in terms.values())
    return {name: parameter.grad for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_the_gradient_reaches_the_first_filters_and_no_norm_of_the_backbone(precision: torch.dtype | None) -> None:
    gradients = learning(model(5), precision)
    norms = {name for name in gradients if name.startswith("backbone.") and ".bn." in name}
    assert norms
    assert {name for name, gradient in gradients.items() if gradient is None} == norms
    first = gradients["backbone.conv1.conv.weight"]
    assert first is not None
    assert first.isfinite().all()
    assert (first.abs().amax((0, 2, 3, 4)) > 0).all()  # Colours and flow.


def test_statistics_of_the_backbone_stay_in_training() -> None:
    network = model()
    before = {name: value.clone() for name, value in network.state_dict().items() if ".bn." in name}
    learning(network)
    assert before
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_recomputed_blocks_learn_the_same() -> None:
    kept, recomputed = learning(model()), learning(model(checkpointing=True))
    assert kept.keys() == recomputed.keys()
    for name, gradient in kept.items():
        if gradient is not None:
            torch.testing.assert_close(recomputed[name], gradient, msg=name)


def test_the_backbone_learns_at_a_rate_of_its_own_and_at_0_not_at_all() -> None:
    network = model(backbone_rate=0.1)
    rates = {name: network.rate_of(name) for name, _ in network.named_parameters()}
    assert {rate for name, rate in rates.items() if name.startswith("backbone.")} == {0.1}
    assert {rate for name, rate in rates.items() if not name.startswith("backbone.")} == {1.0}
    gradients = learning(model(backbone_rate=0.0))
    assert {name.startswith("backbone.") for name, each in gradients.items() if each is None} == {True}
    assert {name.startswith("backbone.") for name, each in gradients.items() if each is not None} == {False}


@pytest.mark.slow
def test_two_clips_are_learnt() -> None:
    """A bright stretch is class 0, a dark one class 1."""
    given = clips(samples=2)
    given[0, :, 8:20], given[1, :, 12:28] = 250, 5
    segments = [torch.tensor([[8.0, 20.0]]), torch.tensor([[12.0, 28.0]])]
    targets = Targets(segments, [torch.tensor([0]), torch.tensor([1])])
    batch = Batch(given, everywhere(samples=2), targets, ["a", "b"])
    network = model().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    totals = []
    for _ in range(25):
        total = torch.stack(list(network.training_loss(batch, "all").values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.4 * totals[0]
    found = network.eval().decode(network(given, batch.mask), batch.mask)
    for candidates, segment, label in zip(found, targets.segments, targets.labels, strict=True):
        best = candidates.scores.argmax()
        assert candidates.labels is not None
        assert candidates.labels[best] == label
        assert tiou(candidates.segments[best][None].detach().numpy(), segment.numpy()) > 0.5


def test_positions_are_learnt_and_decoded_in_frames() -> None:
    """32 frames in 25 positions, 1.28 frames each. Of [6.4, 12.8], positions 5 to 9, position 5 with its centre 5.5
    (7.04 frames) is .5 and 4.5 positions from the ends: that is what makes the location terms 0 and is decoded."""
    network = model(decode="actionness", thresholds=(0.5,), top_classes=1, refine_boundary="regress")
    positions = torch.arange(25.0) + 0.5
    inside = (positions > 5) & (positions < 10)
    distances = torch.stack([positions - 5, 10 - positions], dim=-1).clamp(min=0)[None]
    outputs = {"valid": torch.ones(1, 25)}
    for stage in ("coarse", "refined", "final"):
        outputs[f"{stage}_logits"] = nn.functional.one_hot(inside.long() * 2, 3).float()[None] * 50
        outputs[f"{stage}_actionness"] = torch.where(inside, 9.0, -9.0)[None]
        outputs[f"{stage}_distances"] = distances
    terms = network.loss(outputs, Targets([torch.tensor([[6.4, 12.8]])], [torch.tensor([1])]))
    assert all(abs(term.item()) < 1e-3 for term in terms.values()), terms
    ((segments, scores, labels),) = network.decode(outputs, everywhere())
    torch.testing.assert_close(segments, torch.tensor([[6.4, 12.8]]))
    assert labels is not None
    assert labels.tolist() == [1]
    assert scores[0] > 0.99


@pytest.mark.parametrize("upsample", [1, 2, 4])
def test_no_segment_ends_behind_the_last_valid_frame(upsample: Any) -> None:
    network = model(decode_upsample=upsample)
    mask = torch.stack([torch.arange(FRAMES) < valid for valid in (1, 13, 20, 32)])
    found = network.decode(network(clips(samples=4), mask), mask)
    for candidates, valid in zip(found, (1, 13, 20, 32), strict=True):
        assert len(candidates.segments)
        assert (candidates.segments[:, 0] >= 0).all()
        assert candidates.segments.max() <= valid


def test_counts_of_parts_are_those_of_the_loss() -> None:
    """Frames [4, 20) are positions [3.125, 15.625), which have thirteen centres, 3.5 to 15.5."""
    network = model()
    targets = Targets([torch.tensor([[4.0, 20.0]])], [torch.tensor([0])])
    counts = network.loss_counts(Batch(clips(), everywhere(), targets, ["a"]), "all")
    assert counts["positives"] == 13


def test_of_features_nothing_is_asked_of_frames() -> None:
    assert TSATAL.frames_wanted(TSATALConfig()) is None
    assert TSATAL.frames_wanted(TSATALConfig(input="frames")) == FrameInput(crop=112)


@pytest.mark.parametrize("name", ["thumos14-frames", "activitynet12-frames"])
def test_presets_of_frames_see_clips_of_128_without_overlap(name: str) -> None:
    settings = build("tsa-tal", TSATALConfig, [preset_layer(name, TSATAL.presets, "tsa-tal")])
    sampling = settings.sampling
    assert (sampling.resize, sampling.length, sampling.test_stride) == ("window", 128, 128)
    assert TSATAL.frames_wanted(settings.model) == FrameInput(crop=112)


@pytest.mark.parametrize(
    "wrong", [{"crop": 16}, {"positions": 0}, {"backbone_divisor": 0}, {"backbone_rate": -1.0}], ids=str
)
def test_frames_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="tsa-tal: crop must"):
        TSATALConfig(**SMALL | wrong)


def mmaction_file(place: Path, divisor: int = 16) -> dict[str, Tensor]:
    """Write a checkpoint with MMAction's names, with a classifier; returns the tensors by the network's own names."""
    torch.manual_seed(7)
    network = ResNet50I3D(3, divisor=divisor, classes=10)
    state = {
        f"cls_head.fc_cls.{name.removeprefix('classifier.')}" if "classifier" in name else f"backbone.{name}": tensor
        for name, tensor in network.state_dict().items()
    }
    torch.save({"meta": {"epoch": 100}, "state_dict": state}, place)
    return network.state_dict()


@pytest.mark.parametrize("channels", [3, 2, 5])
def test_the_checkpoint_of_mmaction_fills_the_backbone_alone(channels: int, tmp_path: Path) -> None:
    theirs, network, listener = mmaction_file(tmp_path / "i3d.pth"), model(channels), Listener()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_pretrained(network, str(tmp_path / "i3d.pth"), listener)
    after = network.state_dict()
    stem = theirs["conv1.conv.weight"]
    flow = stem.mean(1, keepdim=True).expand(-1, 2, -1, -1, -1)
    expected = {3: stem, 2: flow, 5: torch.cat([stem, flow], 1)}[channels]
    torch.testing.assert_close(after["backbone.conv1.conv.weight"], expected)
    for name, tensor in after.items():
        if name != "backbone.conv1.conv.weight":
            own = theirs[name.removeprefix("backbone.")] if name.startswith("backbone.") else before[name]
            assert torch.equal(tensor, own), name
    [told] = listener.heard
    assert "the weights of backbone alone, without classifier.weight, classifier.bias" in told


def test_a_checkpoint_of_another_size_is_told_in_few_lines(tmp_path: Path) -> None:
    mmaction_file(tmp_path / "i3d.pth", divisor=8)
    with pytest.raises(DataError, match="of another network") as caught:
        load_pretrained(model(), str(tmp_path / "i3d.pth"))
    assert "MMAction's I3D on ResNet-50 over colours" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 15


@pytest.mark.parametrize(
    ("instances", "divisor", "length"), [(30, 4, 128), (20000, 1, 128)], ids=["few data", "many data"]
)
def test_settings_for_anybodys_frames(instances: int, divisor: int, length: int) -> None:
    """Long instances of 50 frames: clips of two of them, the next power of two; the store has 64 x 80 pixels."""
    facts = DatasetStatistics(40, 3, 5, 0.1, (300,) * 40, (50.0,) * instances, frame_size=(64, 80))
    settings = build("tsa-tal", TSATALConfig, [Layer("auto", TSATAL.auto_settings(facts))])
    assert (settings.model.input, settings.model.crop, settings.model.backbone_divisor) == ("frames", 64, divisor)
    assert (settings.sampling.resize, settings.sampling.length) == ("window", length)
    assert settings.model.positions == 100
    assert settings.sampling.normalize == "none"
    assert settings.sampling.feature_noise == 0
