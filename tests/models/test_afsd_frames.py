"""AFSD from pixels: what it sees of frames, what learns, how frames are spliced, and segments in frames."""

import math

import pytest
import torch
from torch import Tensor

from taltool.errors import UsageError
from taltool.models.afsd import model as afsd_model
from taltool.models.afsd.consistency import Splice
from taltool.models.afsd.frames import FramePyramid
from taltool.models.afsd.model import AFSD, AFSDConfig
from taltool.models.contract import Batch, FrameInput, Outputs, Targets

LENGTH = 64
BACKBONE = "pyramid.backbone."


def small(length: int = LENGTH, channels: int = 3, **switches: object) -> AFSD:
    torch.manual_seed(0)
    settings = {"crop": 32, "backbone_divisor": 16, "width": 32, "groups": 8, "levels": 3, **switches}
    return AFSD(AFSDConfig(input="frames", **settings), channels, 3, length)


def mask(*lengths: int, length: int = LENGTH) -> Tensor:
    return torch.arange(length) < torch.tensor(lengths)[:, None]


def frames(clips: int = 1, channels: int = 3, length: int = LENGTH, seed: int = 0) -> Tensor:
    shape = (clips, channels, length, 32, 32)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def batch_of(pixels: Tensor, segments: list[list[list[float]]], shortest: float = 4.0) -> Batch:
    count = len(pixels)
    targets = Targets(
        [torch.tensor(own).view(-1, 2) for own in segments],
        [torch.arange(len(own)) % 3 for own in segments],
    )
    shown = [shortest] * count
    return Batch(pixels, mask(*[pixels.shape[2]] * count), targets, [str(n) for n in range(count)], shown, shown)


def two_clips() -> Batch:
    """A bright bar that moves while something happens, before grey noise; it is another one in the second clip."""
    pixels = frames(2) // 4 + 96
    for row, (first, last) in enumerate(((8, 28), (36, 52))):
        for number in range(first, last):
            place = (number - first) % 16 * 2
            pixels[row, row, number, :, place : place + 6] = 255
    return batch_of(pixels, [[[8.0, 28.0]], [[36.0, 52.0]]])


def total(model: AFSD, batch: Batch, phase: str = "all") -> Tensor:
    return torch.stack(list(model.training_loss(batch, phase).values())).sum()


@pytest.mark.parametrize("per_position", [4, 8])
@pytest.mark.parametrize("crop", [32, 96])
def test_locations_are_those_of_the_grid_of_frames(per_position: int, crop: int) -> None:
    model = small(frames_per_snippet=per_position, crop=crop).eval()
    pixels = torch.zeros(2, 3, LENGTH, crop, crop, dtype=torch.uint8)
    with torch.no_grad():
        outputs = model(pixels, mask(64, 32))
    positions = LENGTH // per_position
    assert outputs["logits"].shape == (2, positions + positions // 2 + positions // 4, 4)
    assert outputs["centres"][:2].tolist() == [per_position / 2, per_position * 1.5]
    assert outputs["valid"].sum(1).tolist() == [outputs["valid"].shape[1], outputs["valid"].shape[1] // 2]


def test_the_model_says_what_it_wants_to_see() -> None:
    assert AFSD.frames_wanted(AFSDConfig(input="frames", crop=64)) == FrameInput(64, flip=True)
    assert AFSD.frames_wanted(AFSDConfig()) is None


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"frames_per_snippet": 5}, "frames_per_snippet must be 4 or 8"),
        ({"levels": 1}, "levels at least 2"),
        ({"crop": 31}, "crop=31 must be at least 32"),
        ({"backbone_rate": -1.0}, "backbone_rate not negative"),
        ({"length": 72}, r"sampling\.length=72 must be a multiple of 16 frames"),
    ],
)
def test_settings_that_cannot_be_are_refused(switches: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        small(**switches)  # type: ignore[arg-type]


def test_values_are_scaled_and_padding_is_grey_whatever_stands_there() -> None:
    model, seen = small().eval(), []
    model.pyramid.backbone.Conv3d_1a_7x7.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    pixels, other = frames(), frames()
    pixels[0, 0, 0, 0, :3] = torch.tensor([0, 51, 255])
    other[:, :, 40:] = 255
    other[:, :, :40] = pixels[:, :, :40]
    with torch.no_grad():
        one, two = model(pixels, mask(40)), model(other, mask(40))
    torch.testing.assert_close(seen[0][0, 0, 0, 0, :3], torch.tensor([-1.0, -0.6, 1.0]))
    assert not seen[0][:, :, 40:].any()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_candidates_of_a_short_video_end_with_it() -> None:
    model = small().eval()
    model.coarse.distance_head.bias.data += 4
    with torch.no_grad():
        outputs = model(frames(2), mask(37, 64))
    short, full = model.decode(outputs, mask(37, 64))
    # Positions 0-9 of level 0, 0-4 and 0-2 of the others hold a frame of the video, and there are three classes.
    assert len(short.segments) == (10 + 5 + 3) * 3
    assert (short.segments.min(), short.segments.max(), full.segments.max()) == (0, 37, 64)
    assert all(value.isfinite().all() for value in outputs.values())


def test_decoding_in_frames_is_that_of_a_worked_example() -> None:
    outputs: Outputs = {
        "distances": torch.tensor([[[12.0, 20.0]]]),
        "offsets": torch.tensor([[[0.25, -0.5]]]),
        "logits": torch.zeros(1, 1, 4),
        "refined_logits": torch.zeros(1, 1, 4),
        "quality": torch.zeros(1, 1),
        "centres": torch.tensor([42.0]),
        "level": torch.tensor([0]),
        "valid": torch.tensor([[True]]),
        "mask": torch.ones(1, 16, dtype=torch.bool),
    }
    # 42 - (12 + .25 * 16) and 42 + (20 - .5 * 16) frames; 1/4 of probability by half of quality.
    found = small().decode(outputs, mask(64))[0]
    assert found.segments.tolist() == [[26.0, 54.0]] * 3
    assert found.scores.tolist() == [0.125] * 3


def test_norms_stay_as_they_were_while_the_rest_learns() -> None:
    model = small().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    total(model, two_clips()).backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(".bn." in name for name in changed)
    assert {f"{BACKBONE}Conv3d_1a_7x7.conv3d.weight", "pyramid.fine.conv.weight"} <= changed


@pytest.mark.parametrize("rate", [1.0, 0.1, 0.0])
def test_the_backbone_has_a_learning_rate_of_its_own(rate: float) -> None:
    model = small(backbone_rate=rate).train()
    rates = {name: model.rate_of(name) for name, _ in model.named_parameters()}
    assert {own for name, own in rates.items() if name.startswith(BACKBONE)} == {rate}
    assert {own for name, own in rates.items() if not name.startswith(BACKBONE)} == {1.0}
    total(model, two_clips()).backward()
    learns = {name for name, value in model.named_parameters() if value.grad is not None}
    assert any(name.startswith(BACKBONE) for name in learns) == (rate > 0)
    assert "pyramid.fine.conv.weight" in learns


@pytest.mark.slow
@pytest.mark.parametrize(("per_position", "channels"), [(4, 2), (8, 5)])
def test_training_fits_two_clips(per_position: int, channels: int) -> None:
    switches = {"distance_unit": "level", "location_weight": 1.0, "bcl": "act"}
    model, clips = small(channels=channels, frames_per_snippet=per_position, **switches).train(), two_clips()
    batch = Batch(
        clips.features.repeat(1, 2, 1, 1, 1)[:, :channels],
        clips.mask,
        clips.targets,
        clips.video_ids,
        clips.shortest_instances,
        clips.shortest_shown,
    )
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = total(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(map(math.isfinite, losses))
    assert losses[-1] < 0.6 * losses[0]


def numbered() -> Tensor:
    """Two clips in which all pixels of frame t have the value t, in the second one 100 + t."""
    values = torch.arange(LENGTH)[None] + torch.tensor([[0], [100]])
    return values.to(torch.uint8)[:, None, :, None, None].expand(2, 3, LENGTH, 32, 32).contiguous()


def watched(model: AFSD, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Tensor], list[Splice | None]]:
    """Lists to be filled: the numbers of the frames that the backbone sees at each call, and the splices drawn."""
    seen: list[Tensor] = []
    plans: list[Splice | None] = []
    plan_splice = afsd_model.plan_splice

    def look(_: object, inputs: tuple[Tensor]) -> None:
        seen.append(((inputs[0][:, 0, :, 0, 0] + 1) * 127.5).round().long())

    def plan(*arguments: object) -> Splice | None:
        plans.append(plan_splice(*arguments))  # type: ignore[arg-type]
        return plans[-1]

    assert isinstance(model.pyramid, FramePyramid)
    model.pyramid.backbone.Conv3d_1a_7x7.register_forward_pre_hook(look)
    monkeypatch.setattr(afsd_model, "plan_splice", plan)
    return seen, plans


def test_frames_are_spliced_as_planned_and_only_of_clips_that_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(splice="paper").train()
    seen, plans = watched(model, monkeypatch)
    # The first clip is action all over; of the second, frames 20-43 are, and a piece has 5 frames.
    batch = batch_of(numbered(), [[[0.0, 64.0]], [[20.0, 44.0]]], shortest=5.0)
    terms = model.training_loss(batch, "all")
    first, spliced = seen
    assert first.tolist() == [list(range(64)), list(range(100, 164))]
    nothing, plan = plans
    assert nothing is None
    assert plan is not None
    assert spliced.tolist() == [[100 + number for number in plan.order.tolist()]]
    # Five frames of background stand between the parts of the action.
    start, end = (int(edge) for edge in plan.background)
    shown = [int(value) - 100 for value in spliced[0]]
    assert end - start == 5
    assert all(number < 20 or number >= 44 for number in shown[start:end])
    around = shown[int(plan.before[0]) : start] + shown[end : int(plan.after[1])]
    assert around == list(range(20, 44))
    assert terms["triplet"].item() > 0


def test_in_two_steps_the_second_learns_from_clips_that_can_be_spliced(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(bcl_update="two_step", splice="paper", trip="paper").train()
    assert model.phases == ("detection", "consistency")
    seen, plans = watched(model, monkeypatch)
    batch = batch_of(numbered(), [[[0.0, 64.0]], [[20.0, 44.0]]], shortest=5.0)
    assert "triplet" not in model.training_loss(batch, "detection")
    assert len(seen) == 1
    terms = model.training_loss(batch, "consistency")
    assert terms.keys() == {"start_activation", "end_activation", "triplet"}
    # The clip as it is, for its activations, then spliced.
    plan = plans[-1]
    assert plan is not None
    assert [each.tolist() for each in seen[1:]] == [[list(range(100, 164))], [(100 + plan.order).tolist()]]
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert model.get_parameter(f"{BACKBONE}Conv3d_1a_7x7.conv3d.weight").grad is not None
    whole = batch_of(numbered(), [[[0.0, 64.0]], [[0.0, 64.0]]], shortest=5.0)
    assert model.teaches(batch, "consistency")
    assert not model.teaches(whole, "consistency")
    assert model.loss_counts(batch, "consistency") == {"splices": torch.tensor(1)}


def test_counts_of_a_batch_are_those_that_its_loss_divides_by() -> None:
    model = small(refine="none", normaliser="batch")
    counts = model.loss_counts(two_clips(), "all")
    assert counts is not None
    # Centres within 8..28 and within 36..52 frames: 10, 14 ... and 38, 42 ...; 12, 20, 28 and 36, 44, 52; 8, 24 and 40.
    assert counts["positives"].item() == (5 + 4) + (3 + 3) + (2 + 1)


@pytest.mark.parametrize("per_position", [4, 8])
def test_checkpointing_changes_no_gradient(per_position: int) -> None:
    found = []
    for checkpointing in (False, True):
        model = small(checkpointing=checkpointing, frames_per_snippet=per_position).train()
        torch.manual_seed(1)
        loss = total(model, two_clips())
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize("per_position", [4, 8])
def test_a_network_prepared_for_inference_says_the_same(per_position: int) -> None:
    model = small(frames_per_snippet=per_position).eval()
    for name, value in model.state_dict().items():
        if name.endswith(("running_mean", "bn.bias")):
            value.normal_(0, 0.1)
    with torch.no_grad():
        expected = model(frames(2), mask(64, 37))
    model.prepare_inference()
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in model.modules())
    with torch.inference_mode():
        found = model(frames(2), mask(64, 37))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_half_precision_says_nearly_the_same() -> None:
    model = small().train()
    expected = model(frames(), mask(64))
    with torch.autocast("cpu", torch.bfloat16):
        found = model(frames(), mask(64))
        loss = total(model, two_clips())
    torch.testing.assert_close(found["logits"], expected["logits"], rtol=0.1, atol=0.1)
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
