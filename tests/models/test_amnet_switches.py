"""Every switch of AMNet runs and changes what it says; rows of the paper's tables; its updates in two steps."""

import copy
import itertools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.experiment.settings import TrainingSettings
from taltool.models.amnet.config import auto_settings
from taltool.models.amnet.model import AMNet, AMNetConfig
from taltool.models.contract import Batch, Candidates, Targets
from taltool.training.updater import make_optimizer

LENGTH, CHANNELS, CLASSES = 32, 6, 3
WHOLE = torch.ones(2, LENGTH, dtype=torch.bool)
BASELINE = {"ame": False, "gam": "none", "match": False}
# The rows of Tables 2 to 5 and the curves of Figure 6 as switches.
ROWS: dict[str, list[dict[str, object]]] = {
    "table 2": [
        BASELINE,
        {"ame": False, "gam": "none"},
        {"gam": "none"},
        {"ame": False},
        {},
    ],
    "table 3": [{"ame": False, "gam": "none"}, {"gam": "none"}, *({"ame": False, "gam": g} for g in ("self", "cross"))],
    "table 4": [{"match": False}, {"match_act": "sigmoid"}, {"match_act": "tanh"}],
    "table 5": [
        {"lambda1": one, "lambda2": two}
        for one, two in ((0.5, 0.5), (1.0, 0.5), (0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (2.0, 2.0))
    ],
    "figure 6": [
        *({"match_loss": loss} for loss in ("l2", "l1", "smooth_l1")),
        {"match_loss": "bce", "match_act": "sigmoid"},
    ],
}


def network(**switches: object) -> AMNet:
    torch.manual_seed(0)
    values = {"width": 16, "levels": 4, "heads": 2, **switches}
    return AMNet(AMNetConfig(**values), CHANNELS, CLASSES, LENGTH)


def batch(segments: list[list[list[float]]] | None = None) -> Batch:
    own = [[[2.0, 12.0], [14.0, 16.5]], [[20.0, 30.0]]] if segments is None else segments
    tensors = [torch.tensor(each, dtype=torch.float32).view(-1, 2) for each in own]
    features = torch.randn(2, CHANNELS, LENGTH, generator=torch.Generator().manual_seed(3))
    return Batch(features, WHOLE, Targets(tensors, [torch.arange(len(each)) % CLASSES for each in own]), ["a", "b"])


def terms_of(model: AMNet, phase: str | None = None) -> dict[str, Tensor]:
    phases = [phase] if phase else model.phases
    return {name: term for each in phases for name, term in model.training_loss(batch(), each).items()}


def total(model: AMNet) -> Tensor:
    return torch.stack(list(terms_of(model).values())).sum()


def said(model: AMNet) -> Candidates:
    with torch.no_grad():
        return model.eval().decode(model(batch().features, WHOLE), WHOLE)[0]


def update(model: AMNet, phase: str, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(model.training_loss(batch(), phase).values())).sum().backward()
    optimizer.step()


def optimizers(model: AMNet) -> dict[str, torch.optim.Optimizer]:
    chosen = TrainingSettings(optimizer="adamw", learning_rate=1e-2, weight_decay=0.05, decay_everything=False)
    return {phase: make_optimizer(model.phase_parameters(phase), chosen) for phase in model.phases}


def changed(model: AMNet, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}


def parts(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def snapshot(model: AMNet) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


# Every combination

GAMS, ONOFF = ("full", "self", "cross", "none"), (True, False)


@pytest.mark.parametrize(
    "switches",
    [
        *({"ame": ame, "gam": gam, "match": match} for ame, gam, match in itertools.product(ONOFF, GAMS, ONOFF)),
        *(
            {"training": training, "triplet_pool": pool}
            for training, pool in itertools.product(("two_step", "joint"), ("mean_norm", "mean", "interp"))
        ),
        *({"attn_window": window, "residual": residual} for window, residual in ((0, False), (5, True), (5, False))),
        *({"match_act": act, "match_loss": loss} for act, loss in (("sigmoid", "bce"), ("tanh", "l1"))),
        {"shared_cross": False},
        {"pos_enc": "sin", "dropout": 0.1},
        {"boundary_act": "relu", "level_bounds": True, "normaliser": "sum"},
        {"classifier": "external"},
        {"levels": 1, "gam": "self"},
        {"levels": 5},
        {"ame_layers": 1, "ame_kernel": 1, "head_layers": 1},
        {"lambda2": 0.0},
    ],
    ids=lambda switches: ",".join(f"{name}={value}" for name, value in switches.items()),
)
def test_every_combination_trains_all_its_parameters_and_decodes(switches: dict[str, object]) -> None:
    model = network(**switches)
    total(model).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    found = said(model)
    assert len(found.scores) > 0
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert ((found.segments >= 0) & (found.segments <= LENGTH)).all()


@pytest.mark.parametrize(
    ("switch", "values"),
    [
        ("ame", ONOFF),
        ("gam", GAMS),
        ("match", ONOFF),
        ("match_act", ("tanh", "sigmoid")),
        ("attn_window", (0, 5, 9)),
        ("residual", ONOFF),
        ("shared_cross", ONOFF),
        ("pos_enc", ("none", "sin")),
        ("head_layers", (1, 2)),
        ("ame_layers", (1, 2)),
        ("ame_kernel", (1, 3)),
        ("heads", (1, 2)),
    ],
)
def test_switches_of_the_network_change_what_it_says(switch: str, values: tuple[object, ...]) -> None:
    found = [said(network(**{switch: value})).scores for value in values]
    for one, other in itertools.combinations(found, 2):
        assert not torch.allclose(one, other, atol=1e-7)


@pytest.mark.parametrize(
    ("switch", "values", "term"),
    [
        ("match_loss", ("l2", "l1", "smooth_l1"), "matching"),
        ("match_act", ("tanh", "sigmoid"), "matching"),
        ("lambda1", (0.5, 1.0, 2.0), "location"),
        ("lambda2", (0.5, 1.0, 2.0), "triplet"),
        ("triplet_pool", ("mean_norm", "mean", "interp"), "triplet"),
        ("triplet_margin", (0.2, 1.0), "triplet"),
        ("boundary_act", ("exp", "relu"), "location"),
        ("level_bounds", ONOFF, "class"),
        ("label_smoothing", (0.0, 0.1), "class"),
        ("focal_alpha", (0.25, 0.5), "class"),
        ("focal_gamma", (2.0, 1.0), "class"),
        ("normaliser", ("positives", "sum"), "class"),
    ],
)
def test_switches_of_the_loss_change_their_term(switch: str, values: tuple[object, ...], term: str) -> None:
    assert len({terms_of(network(**{switch: value}))[term].item() for value in values}) == len(values)


def test_the_distance_of_a_rectified_boundary_may_be_zero() -> None:
    with torch.no_grad():
        distances = network(boundary_act="relu")(batch().features, WHOLE)["distances"]
    assert (distances == 0).any()
    assert (distances >= 0).all()


@pytest.mark.parametrize("table", ROWS)
def test_rows_of_a_table_differ(table: str) -> None:
    models = [network(**switches) for switches in ROWS[table]]
    found = [(said(model).scores.sum().item(), total(model).item()) for model in models]
    assert len(set(found)) == len(found)


def test_all_modules_off_leave_the_pyramid_and_two_heads() -> None:
    model = network(**BASELINE)
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"pyramid", "heads"}
    assert set(model(batch().features, WHOLE)) & {"matching"} == set()
    assert model.phases == ("all",)


def test_an_external_classifier_leaves_one_class_of_action() -> None:
    found = said(network(classifier="external"))
    assert found.labels is None
    assert len(found.scores) == LENGTH + LENGTH // 2 + LENGTH // 4 + LENGTH // 8


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"match_loss": "bce"}, "match_act=sigmoid"),
        ({"width": 18, "heads": 4}, "multiple of heads=4"),
        ({"levels": 1}, "levels to 2"),
        ({"lambda2": -1.0}, "negative"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
    ],
)
def test_settings_that_contradict_are_refused(switches: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        network(**switches)


# Updates


def test_the_first_step_changes_the_encoder_alone_and_the_second_everything() -> None:
    model = network(triplet_margin=2.0)
    assert model.phases == ("mask", "detector")
    steps, before = optimizers(model), snapshot(model)
    update(model, "mask", steps["mask"])
    assert changed(model, before) == {name for name in before if name.startswith("ame.")}
    before = snapshot(model)
    update(model, "detector", steps["detector"])
    assert changed(model, before) == set(before)


def test_the_second_step_sees_what_the_first_has_changed() -> None:
    model = network(triplet_margin=2.0)
    before = terms_of(model, "detector")
    update(model, "mask", optimizers(model)["mask"])
    assert terms_of(model, "detector")["class"] != before["class"]


def test_joint_training_is_one_update_on_the_sum() -> None:
    model = network(training="joint")
    assert model.phases == ("all",)
    two_step = terms_of(network())
    assert terms_of(model).keys() == two_step.keys() == {"class", "location", "matching", "triplet"}
    assert all(torch.equal(value, two_step[name]) for name, value in terms_of(model).items())


def test_without_a_triplet_two_steps_are_one() -> None:
    models = [network(training=training, lambda2=0.0) for training in ("two_step", "joint")]
    for model in models:
        steps = optimizers(model)
        for _ in range(3):
            for phase in model.phases:
                update(model, phase, steps[phase])
    one, other = (dict(model.named_parameters()) for model in models)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_mask_first_trains_the_encoder_and_then_the_detector() -> None:
    model = network(training="mask_first", mask_updates=2, triplet_margin=2.0)
    steps, history = optimizers(model), []
    for _ in range(4):
        for phase in model.phases:
            before = snapshot(model)
            update(model, phase, steps[phase])
            history.append((phase, parts(changed(model, before))))
    everything = {"ame", "pyramid", "attention", "heads"}
    assert history[:4] == [("mask", {"ame"}), ("detector", set())] * 2
    assert history[5] == history[7] == ("detector", everything)


def test_how_far_mask_first_has_come_is_part_of_the_weights() -> None:
    model = network(training="mask_first", mask_updates=1)
    terms_of(model)
    other = network(training="mask_first", mask_updates=1)
    other.load_state_dict(model.state_dict())
    assert set(terms_of(other, "mask")) == {"idle"}
    assert "class" in terms_of(other, "detector")


def test_an_encoder_trained_by_the_triplet_separates_action_from_background() -> None:
    model = network(triplet_margin=2.0)
    step, losses = optimizers(model)["mask"], []
    for _ in range(30):
        update(model, "mask", step)
        losses.append(terms_of(model, "mask")["triplet"].item())
    assert losses[-1] < 0.7 * losses[0]


# Degenerate cases, padding and precision


@pytest.mark.parametrize("training", ["two_step", "joint"])
@pytest.mark.parametrize("pool", ["mean_norm", "mean", "interp"])
@pytest.mark.parametrize(
    "segments",
    [[[], []], [[[0.0, 32.0]], [[0.0, 32.0]]], [[[3.0, 3.0]], [[5.0, 5.001]]], [[[0.0, 32.0]], []]],
    ids=["no instance", "no background", "empty instances", "either kind alone"],
)
def test_degenerate_ground_truth_has_finite_gradients(
    training: str, pool: str, segments: list[list[list[float]]]
) -> None:
    model = network(training=training, triplet_pool=pool)
    losses = [term for phase in model.phases for term in model.training_loss(batch(segments), phase).values()]
    torch.stack(losses).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_sample_of_padding_only_has_finite_gradients_and_no_candidates() -> None:
    model, own = network(), batch()
    mask = WHOLE.clone()
    mask[1] = False
    empty = Batch(own.features * mask[:, None], mask, own.targets, own.video_ids)
    losses = [term for phase in model.phases for term in model.training_loss(empty, phase).values()]
    torch.stack(losses).sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        assert len(model.decode(model(empty.features, mask), mask)[1].scores) == 0


def test_an_encoder_that_says_nothing_has_finite_gradients() -> None:
    model = network()
    with torch.no_grad():
        model.ame.output.weight.zero_()
    loss = terms_of(model, "mask")["triplet"]
    loss.backward()
    assert loss.item() == 1  # three equal vectors: the margin
    assert all(p.grad.isfinite().all() for p in model.ame.parameters())


@settings(max_examples=15, deadline=None)
@given(
    valid=st.integers(1, 40),
    extra=st.integers(0, 40),
    gam=st.sampled_from(GAMS),
    window=st.sampled_from([0, 5]),
    noise=st.floats(0, 100),
)
def test_padding_changes_no_valid_output(valid: int, extra: int, gam: str, window: int, noise: float) -> None:
    model = network(gam=gam, attn_window=window).eval()
    features = torch.randn(1, CHANNELS, valid, generator=torch.Generator().manual_seed(valid))
    longer = torch.cat([features, torch.zeros(1, CHANNELS, extra)], 2)
    neighbour = noise * torch.ones_like(longer)
    mask = torch.arange(valid + extra) < torch.tensor([[valid], [valid + extra]])
    with torch.no_grad():
        alone = model(features, mask[:1, :valid])
        together = model(torch.cat([longer, neighbour]), mask)
    for name in ("logits", "distances", "matching"):
        expected = alone[name][0, alone["valid"][0]]
        torch.testing.assert_close(together[name][0, together["valid"][0]], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("window", [0, 5])
def test_bfloat16_gives_nearly_the_same_losses(window: int) -> None:
    model = network(attn_window=window)
    plain = terms_of(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = terms_of(model)
    torch.stack(list(reduced.values())).sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    for name, value in reduced.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(plain[name].item(), rel=0.1, abs=0.02)


def test_two_networks_are_averaged_in_what_they_say_not_in_the_grid() -> None:
    one, other = network(), copy.deepcopy(network(focal_alpha=0.5))
    with torch.no_grad():
        other.heads.main.class_head.bias.add_(2.0)
        outputs = [model(batch().features, WHOLE) for model in (one, other)]
        merged = one.average(outputs)
    torch.testing.assert_close(merged["logits"], outputs[0]["logits"] + 1.0)
    assert merged["valid"].dtype == torch.bool
    assert torch.equal(merged["level"], outputs[0]["level"])


# Settings for anybody's data

KITCHEN = DatasetStatistics(40, 17, 28, 1.0, tuple(range(212, 532, 8)), tuple(float(n) for n in range(1, 101)) * 7)
FILMS = DatasetStatistics(40, 17, 28, 1.0, tuple([7200] * 40), KITCHEN.instance_lengths)


def test_the_highest_level_covers_the_long_instances() -> None:
    for facts in (KITCHEN, FILMS):
        stride = 2 ** (auto_settings(facts)["model"]["levels"] - 1)
        assert stride <= facts.instance_length(0.95) * 1.5 <= 6 * stride


def test_long_videos_are_seen_through_windows() -> None:
    assert auto_settings(KITCHEN)["sampling"]["resize"] == "pad"
    assert auto_settings(FILMS)["sampling"]["resize"] == "window"
    assert auto_settings(FILMS)["sampling"]["length"] >= 4 * FILMS.instance_length(0.95)
