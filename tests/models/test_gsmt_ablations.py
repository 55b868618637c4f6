"""Every row of GSMT's tables runs at a tiny size and changes what it says it changes."""

from typing import Any

import pytest
import torch

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.experiment.configuration import Layer, build, preset_layer
from taltool.models.contract import Batch, Targets
from taltool.models.gsmt.model import GSMT, GSMTConfig

ROWS: dict[str, dict[str, Any]] = {
    **{f"T4 {kind}": {"embedding": kind} for kind in ("cnn1d", "mstcn", "transformer")},
    "T5 full": {},
    **{f"T5 w/o {loss}": {f"loss_{loss}": False} for loss in ("focal", "lr", "dice", "biou")},
    "T7 w/o mask branch": {"mask_branch": False},
    "T7 w/o class branch": {"classifier": "external"},
    **{f"T8 class {n}": {"cls_layers": n} for n in range(1, 6)},
    **{f"T8 mask {n}": {"mask_layers": n} for n in range(1, 6)},
    **{f"T9 {n} heads": {"heads": n} for n in range(1, 6)},
    **{f"T12 T={length}": {"length": length} for length in (50, 100, 150, 200)},
    **{f"T13 {kind}": {"pos_enc": kind} for kind in ("none", "learned", "sin")},
    **{f"T14 k={k}": {"biou_k": k} for k in (3, 5, 7, 9)},
    "code: head, order": {"mask_head": "tags", "norm": "post", "head_residual": False},
    "code: labels": {"targets": "code"},
    "code: class loss": {"class_loss": "code"},
    "code: mask loss": {"mask_loss": "code"},
    "code: decoding": {"decoding": "code"},
    "cross entropy": {"mask_loss": "bce"},
    "class segments": {"class_segments": True},
    "L2 as a fallback": {"l2_mode": "fallback"},
    "dice with its 2": {"dice_factor": 2},
    "separate LR layer": {"lr_head": "separate"},
    "columns": {"mask_axis": "column"},
    "span, mean": {"segments": "span", "mask_score": "mean"},
    "class of the segment": {"class_score": "segment"},
    "contrast": {"class_score": "contrast", "class_segments": True},
    "relative masks": {"mask_head": "relative", "symmetric_masks": True},
    "relative masks of near places": {"mask_head": "relative", "mask_reach": 3, "mask_loss": "bce"},
    "width": {"width": 12},
}


def model(length: int = 12, **switches: Any) -> GSMT:
    torch.manual_seed(0)
    return GSMT(GSMTConfig(**{"mask_width": 8, "mstcn_layers": 3} | switches), 8, 4, length).eval()


def batch(length: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(0)
    targets = Targets([torch.tensor([[1.0, 4.0], [6.0, 11.0]])], [torch.tensor([0, 3])])
    return Batch(
        torch.randn(1, 8, length, generator=generator), torch.ones(1, length, dtype=torch.bool), targets, ["v"]
    )


def terms(**switches: Any) -> dict[str, float]:
    given = batch()
    network = model(**switches)
    return {
        name: term.item() for name, term in network.loss(network(given.features, given.mask), given.targets).items()
    }


def size(**switches: Any) -> int:
    return sum(p.numel() for p in model(**switches).parameters())


@pytest.mark.parametrize("row", ROWS)
def test_row_runs(row: str) -> None:
    switches = dict(ROWS[row])
    length = switches.pop("length", 12)
    network, given = model(length, **switches), batch(length)
    network.train()
    losses = network.training_loss(given, "all")
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    network.eval()
    with torch.no_grad():
        ((segments, scores, _),) = network.decode(network(given.features, given.mask), given.mask)
    assert len(scores)
    assert segments.max() <= length


@pytest.mark.parametrize(
    ("loss", "removed"), [("focal", {"focal"}), ("lr", {"lr"}), ("dice", {"dice"}), ("biou", {"biou", "l2"})]
)
def test_a_loss_that_is_off_is_not_there_and_the_others_stay(loss: str, removed: set[str]) -> None:
    full = terms()
    assert full.keys() == {"focal", "lr", "biou", "l2", "dice"}
    assert terms(**{f"loss_{loss}": False}) == {name: value for name, value in full.items() if name not in removed}


def test_without_the_mask_branch_segments_are_runs_of_class_scores() -> None:
    network = model(mask_branch=False, thresholds=(0.5,))
    probabilities = torch.full((1, 5, 12), 1e-4)
    probabilities[0, 2, 3:6], probabilities[0, 1, 8] = 0.9, 0.7
    probabilities[0, 4] = 1 - probabilities[0, :4].sum(0)
    outputs = {"class_logits": probabilities.log(), "valid": torch.ones(1, 12)}
    ((segments, scores, labels),) = network.decode(outputs, torch.ones(1, 12, dtype=torch.bool))
    assert labels is not None
    found = sorted(zip(labels.tolist(), segments.tolist(), (round(s, 3) for s in scores.tolist()), strict=True))
    assert found == [(1, [8, 9], 0.7), (2, [3, 6], 0.9)]
    assert terms(mask_branch=False).keys() == {"focal", "lr"}


def test_runs_of_class_scores_may_join_the_masks() -> None:
    """What both say is there once, with the better score."""
    logits = torch.full((1, 5, 12), -50.0)
    logits[0, 4], logits[0, 4, 2:5], logits[0, 0, 2:5] = 50.0, -50.0, 50.0
    masks = torch.full((1, 12, 12), -50.0)
    masks[0, 2:5, 2:5], masks[0, 3, 3:6] = 1.0, 50.0
    outputs = {"class_logits": logits, "mask_logits": masks, "valid": torch.ones(1, 12)}
    found = []
    for is_on in (False, True):
        network = model(class_segments=is_on, thresholds=(0.5, 0.9))
        ((segments, scores, _),) = network.decode(outputs, torch.ones(1, 12, dtype=torch.bool))
        found.append({tuple(s): round(score, 3) for s, score in zip(segments.tolist(), scores.tolist(), strict=True)})
    alone, joined = found
    assert alone == {(2, 5): 0.731, (2, 6): 1.0, (3, 6): 1.0}
    assert joined == {(2, 5): 1.0, (2, 6): 1.0, (3, 6): 1.0}


def test_cross_entropy_may_stand_beside_the_papers_losses() -> None:
    full, both, code = terms(), terms(mask_loss="both"), terms(mask_loss="bce")
    assert both == {**full, "bce": code["bce"]}
    assert code["dice"] == pytest.approx(full["dice"] * 0.6 / 0.4)


def test_layers_heads_and_lengths_change_the_network_as_they_say() -> None:
    """Width 8: a class layer of kernel 3 has 200 weights, a mask layer 8 * 8 * 3 + 8, a head 3 * 64 + 8 * 8 + 2 * 8."""
    assert [size(cls_layers=n) - size() for n in (2, 5)] == [200, 800]
    assert [size(mask_layers=n) - size() for n in (4, 5)] == [200, 400]
    assert [size(heads=n + 1) - size(heads=n) for n in (1, 4)] == [272, 272]
    assert sum(p.numel() for p in model(20).parameters()) - size() == 8 * 8
    assert size(pos_enc="learned") - size() == 8 * 12
    assert size(pos_enc="sin") == size()
    assert size(lr_head="separate") - size() == 8 * 5 + 5


def test_kernels_of_the_boundary_change_its_term_alone() -> None:
    found = [terms(biou_k=k) for k in (3, 5, 7, 9)]
    assert len({term["biou"] for term in found}) == 4
    assert len({term["dice"] for term in found}) == 1


def test_dice_with_its_factor_is_twice_the_overlap() -> None:
    """1 - 2 x against 1 - x, both weighted by 0.4."""
    one, two = terms()["dice"] / 0.4, terms(dice_factor=2)["dice"] / 0.4
    assert 1 - two == pytest.approx(2 * (1 - one), abs=1e-5)


@pytest.mark.parametrize("name", GSMT.presets)
def test_presets_are_valid_settings(name: str) -> None:
    assert build("gsmt", GSMTConfig, [preset_layer(name, GSMT.presets, "gsmt")]).sampling.resize == "rescale"


def test_presets_hold_the_papers_numbers() -> None:
    thumos, anet = (build("gsmt", GSMTConfig, [Layer("", GSMT.presets[n])]) for n in ("thumos14", "activitynet13"))
    assert (thumos.sampling.length, anet.sampling.length) == (256, 100)
    assert (thumos.training.batch_size, anet.training.batch_size) == (50, 200)
    assert (thumos.training.weight_decay, anet.training.weight_decay) == (1e-5, 1e-3)
    assert (thumos.training.epochs, anet.training.epochs) == (15, 15)
    assert (thumos.nms.width, anet.nms.width) == (0.4, 0.6)
    assert (thumos.model.segments, anet.model.segments) == ("runs", "span")
    assert (thumos.training.learning_rate, anet.training.learning_rate) == (1e-5, 1e-4)
    for each in (thumos, anet):
        assert (each.training.optimizer, each.training.momentum, each.training.schedule) == ("sgd", 0, "constant")
        assert (each.model.mask_loss, each.model.l2_mode, each.model.biou_k) == ("biou", "formula", 7)
        assert (each.prediction.min_score, each.prediction.top_k, each.model.top_snippets) == (0.1, 200, 50)


def test_the_codes_preset_holds_its_numbers() -> None:
    tags = build("gsmt", GSMTConfig, [Layer("", GSMT.presets["tags"])])
    assert (tags.training.optimizer, tags.training.learning_rate, tags.training.weight_decay) == ("adam", 4e-4, 1e-3)
    assert (tags.training.schedule, tags.training.step_epochs, tags.training.step_factor) == ("step", 10, 0.2)
    assert (tags.training.epochs, tags.training.batch_size, tags.sampling.length) == (20, 200, 100)
    assert (tags.model.class_balance, tags.model.hard_neg, tags.model.top_snippets) == (0.6, 0.6, 10)
    assert (tags.model.targets, tags.model.class_loss, tags.model.mask_loss, tags.model.decoding) == ("code",) * 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss_focal": False, "loss_lr": False},
        {"loss_biou": False, "loss_dice": False},
        {"thresholds": ()},
        {"thresholds": (0.0, 0.5)},
        {"heads": 0},
        {"mask_reach": 4},
        {"mask_head": "relative", "mask_reach": -1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="gsmt: "):
        GSMTConfig(**wrong)


def facts(videos: list[int], instances: list[float], channels: int = 400) -> DatasetStatistics:
    return DatasetStatistics(len(videos), 5, channels, 0.5, tuple(sorted(videos)), tuple(sorted(instances)))


def cells_of_the_shortest(given: DatasetStatistics) -> float:
    """How many cells the 10 % shortest instances reach on the grid that the model chooses."""
    sampling = build("gsmt", GSMTConfig, [Layer("", GSMT.auto_settings(given))]).sampling
    longest = given.video_lengths[-1]
    scale = sampling.length / longest if sampling.resize == "rescale" else 1.0
    return given.instance_length(0.1) * scale


@pytest.mark.parametrize(
    "given",
    [
        facts([100] * 50, [20.0] * 40 + [70.0] * 40),
        facts([300, 500, 800], [4.0] * 90 + [40.0]),
        facts([5000, 9000], [4.0] * 90 + [30.0]),
        facts([20000], [3.0] * 30 + [400.0] * 30),
    ],
)
def test_auto_gives_short_instances_two_cells(given: DatasetStatistics) -> None:
    assert cells_of_the_shortest(given) >= 2


def test_auto_gives_long_videos_of_short_instances_windows() -> None:
    fitted = build("gsmt", GSMTConfig, [Layer("", GSMT.auto_settings(facts([5000, 9000], [4.0] * 90)))])
    assert fitted.sampling.resize == "window"
    assert fitted.sampling.length <= 512


def test_auto_keeps_the_rescaled_video_where_that_suffices() -> None:
    fitted = build("gsmt", GSMTConfig, [Layer("", GSMT.auto_settings(facts([100] * 400, [30.0] * 400)))])
    assert (fitted.sampling.resize, fitted.sampling.length) == ("rescale", 100)
