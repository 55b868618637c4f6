"""AFSD: parity with an independent implementation, and the worked examples of its paper and code."""

import numpy as np
import pytest
import torch
from golden_weights import drawn_weights, golden_answers

from taltool.errors import DataError, UsageError
from taltool.models.afsd.consistency import activation_terms
from taltool.models.afsd.loss import offset_targets, refined_distances
from taltool.models.afsd.model import AFSD, AFSDConfig
from taltool.models.afsd.pretrained import from_opentad
from taltool.models.contract import Batch, Outputs, Targets
from taltool.nn.targets import level_bounds, padded_targets

Golden = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def golden() -> tuple[Golden, AFSD]:
    """The reference answers, and our network with the weights that they were made with."""
    model = AFSD(AFSDConfig(bcl="act"), 2048, 20, 64).eval()
    model.load_state_dict(AFSD.convert_state_dict(drawn_weights("afsd_features_keys.json")))
    return golden_answers("afsd_features.npz"), model


@pytest.fixture(scope="module")
def outputs(golden: tuple[Golden, AFSD]) -> Outputs:
    features = np.random.default_rng(17).standard_normal((2, 2048, 64)).astype(np.float32)
    with torch.no_grad():
        return golden[1](torch.from_numpy(features), torch.ones(2, 64, dtype=torch.bool))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("distances", "loc"), ("logits", "conf"), ("offsets", "prop_loc"), ("refined_logits", "prop_conf")],
)
def test_outputs_equal_the_reference(golden: tuple[Golden, AFSD], outputs: Outputs, ours: str, theirs: str) -> None:
    np.testing.assert_allclose(outputs[ours].numpy(), golden[0][theirs], atol=1e-4)


def test_quality_and_locations_equal_the_reference(golden: tuple[Golden, AFSD], outputs: Outputs) -> None:
    np.testing.assert_allclose(outputs["quality"].numpy(), golden[0]["center"][..., 0], atol=1e-4)
    np.testing.assert_allclose(outputs["centres"].numpy() / 256, golden[0]["priors"][:, 0], atol=1e-7)
    assert outputs["level"].tolist() == golden[0]["priors"][:, 1].astype(int).tolist()


def test_loss_terms_equal_the_reference(golden: tuple[Golden, AFSD], outputs: Outputs) -> None:
    answers, model = golden
    segments = [torch.from_numpy(answers[name]) for name in ("gt0", "gt1")]
    terms = model.loss(outputs, Targets(segments, [torch.from_numpy(answers[name]) for name in ("gl0", "gl1")]))
    names = {
        "location": "loss_loc",
        "class": "loss_cls",
        "quality": "loss_iou",
        "refined_location": "loss_prop_loc",
        "refined_class": "loss_prop_cls",
        "start_activation": "loss_start",
        "end_activation": "loss_end",
    }
    assert terms.keys() == names.keys()
    for ours, theirs in names.items():
        assert terms[ours].item() == pytest.approx(float(answers[theirs]), abs=1e-3)
    assert sum(terms.values()).item() == pytest.approx(float(answers["loss_cost"]), abs=2e-3)


def test_parameters_are_counted_exactly() -> None:
    model = AFSD(AFSDConfig(), 2048, 20, 64)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    refinement = {n: sum(p.numel() for p in part.parameters()) for n, part in model.refinement.named_children()}
    assert sum(parts.values()) == 14_239_797
    assert refinement["frame_stack"] == 1_839_616
    assert refinement["location_branch"] + refinement["class_branch"] == 4_209_664
    towers = (*model.coarse.location_tower.parameters(), *model.coarse.class_tower.parameters())
    assert sum(p.numel() for p in towers) == 3_151_872
    assert model.coarse.scales.numel() == 6


def test_names_of_another_network_are_refused() -> None:
    with pytest.raises(DataError, match=r"backbone\.stem\.weight"):
        from_opentad({"backbone.stem.weight": torch.zeros(1)})


def small(**switches: object) -> AFSD:
    torch.manual_seed(0)
    return AFSD(AFSDConfig(**{"width": 32, "groups": 8, "levels": 4, **switches}), 6, 3, 32)


def hand_made(distances: list[float], offsets: list[float], centre: float, frames: int) -> Outputs:
    """Outputs of one location of a model with 4 frames per snippet."""
    return {
        "distances": torch.tensor([[distances]]),
        "offsets": torch.tensor([[offsets]]),
        "logits": torch.tensor([[[0.0, 1.0, 2.0, 3.0]]]),
        "refined_logits": torch.tensor([[[0.0, 1.0, 2.0, 3.0]]]),
        "quality": torch.tensor([[0.0]]),
        "centres": torch.tensor([centre]),
        "level": torch.tensor([0]),
        "valid": torch.tensor([[True]]),
        "mask": torch.ones(1, frames // 4, dtype=torch.bool),
    }


@pytest.mark.parametrize(
    ("distances", "offsets", "centre", "expected"),
    [
        ([12.0, 20.0], [0.0, 0.0], 42.0, [30.0, 62.0]),
        ([12.0, 20.0], [0.25, -0.5], 42.0, [26.0, 54.0]),
        ([100.0, 30.0], [0.0, 0.1], 64.0, [0.0, 100.5]),
    ],
)
def test_decoding_of_the_worked_examples(
    distances: list[float], offsets: list[float], centre: float, expected: list[float]
) -> None:
    made = hand_made(distances, offsets, centre, 256)
    segments = small().decode(made, made["mask"])[0].segments
    torch.testing.assert_close(segments[0] * 4, torch.tensor(expected))


def test_with_even_quality_the_score_is_half_the_mean_class_probability() -> None:
    made = hand_made([1.0, 1.0], [0.0, 0.0], 42.0, 256)
    candidates = small().decode(made, made["mask"])[0]
    torch.testing.assert_close(candidates.scores, torch.tensor([0.0, 1, 2, 3]).softmax(0)[1:] / 2)
    assert candidates.labels.tolist() == [0, 1, 2]


def test_refined_targets_are_what_decoding_inverts() -> None:
    torch.manual_seed(0)
    coarse, truth = torch.rand(50, 2) * 40 + 0.1, torch.rand(50, 2) * 60
    torch.testing.assert_close(refined_distances(coarse, offset_targets(coarse, truth)), truth, atol=1e-4, rtol=1e-5)


def test_level_bounds_are_those_of_the_authors_on_activitynet() -> None:
    level = torch.arange(6)
    bounds = level_bounds(level, 8 * 2.0**level)
    assert bounds[:4].tolist() == [[0, 30], [15, 60], [30, 120], [60, 240]]
    assert bounds[4:, 0].tolist() == [96, 256]
    assert bounds[4:, 1].isinf().all()


def test_stream_fusion_averages_logits_and_distances_before_decoding() -> None:
    one = hand_made([10.0, 10.0], [0.0, 0.0], 42.0, 256)
    other = hand_made([20.0, 30.0], [0.2, 0.0], 42.0, 256) | {"quality": torch.tensor([[2.0]])}
    fused = small().average([one, other])
    assert fused["distances"].tolist() == [[[15, 20]]]
    assert fused["quality"].tolist() == [[1]]
    candidate = small().decode(fused, fused["mask"])[0]
    torch.testing.assert_close(candidate.segments[0] * 4, torch.tensor([42 - 15 - 0.1 * 17.5, 62.0]))


def test_stream_fusion_for_activitynet_takes_the_geometric_means_of_decoded_ends() -> None:
    torch.manual_seed(0)
    models = [small(fusion="segments").eval() for _ in range(2)]
    with torch.no_grad():
        # Distances of up to some twenty snippets: ends are clipped to the clip before they are averaged.
        outputs = [model(20 * torch.randn(1, 6, 32), torch.ones(1, 32, dtype=torch.bool)) for model in models]
        for each in outputs:
            each["distances"] = each["distances"] * 20
        mask = outputs[0]["mask"]
        rgb, flow = (model.decode(each, mask)[0] for model, each in zip(models, outputs, strict=True))
        fused = models[0].decode(models[0].average(outputs), mask)[0]
    assert (rgb.segments == 0).any()
    assert (flow.segments == 32).any()
    torch.testing.assert_close(fused.segments, (rgb.segments * flow.segments).sqrt(), atol=1e-4, rtol=0)
    logits = {name: (outputs[0][name] + outputs[1][name]) / 2 for name in ("logits", "refined_logits", "quality")}
    mean = models[0].decode(outputs[0] | logits, mask)[0]
    torch.testing.assert_close(fused.scores, mean.scores)


def test_networks_of_other_switches_are_averaged_in_what_all_of_them_say() -> None:
    torch.manual_seed(0)
    models = small(bcl="act").eval(), small(quality="none", bcl="none").eval()
    with torch.no_grad():
        outputs = [model(torch.randn(1, 6, 32), torch.ones(1, 32, dtype=torch.bool)) for model in models]
    fused = models[0].average(outputs)
    torch.testing.assert_close(fused["logits"], (outputs[0]["logits"] + outputs[1]["logits"]) / 2)
    for name in ("quality", "centres", "level", "activation_frame"):
        assert torch.equal(fused[name], outputs[0][name])
    assert fused.keys() == outputs[0].keys()


def test_activations_are_compared_with_labels_around_both_ends() -> None:
    # One snippet of 4 frames; an instance over it all has labels 1 at frames 0-1 (start) and 3 (end), which level 0
    # sees at frame 0 only. Activation .25 everywhere.
    outputs = {f"activation_{name}": torch.full((1, 2, n), 0.25) for name, n in (("frame", 4), ("location", 1))}
    targets = padded_targets([torch.tensor([[0.0, 4.0]])], [torch.tensor([0])], torch.device("cpu"))
    terms = activation_terms(outputs, targets, torch.ones(1, 1, dtype=torch.bool), AFSDConfig())
    yes, no = -np.log(0.25), -np.log(0.75)
    assert terms["start_activation"].item() == pytest.approx((2 * yes + 2 * no) / 4 + 0.1 * yes)
    assert terms["end_activation"].item() == pytest.approx((yes + 3 * no) / 4 + 0.1 * no)


def test_the_quality_target_has_no_gradient() -> None:
    model = small(bcl="none", class_weight=0.0, location_weight=0.0)
    features, mask = torch.randn(1, 6, 32), torch.ones(1, 32, dtype=torch.bool)
    outputs = model(features, mask)
    outputs["distances"].retain_grad()
    outputs["offsets"].retain_grad()
    quality = model.loss(outputs, Targets([torch.tensor([[2.0, 20.0]])], [torch.tensor([1])]))["quality"]
    quality.backward()
    assert quality.item() > 0
    assert outputs["distances"].grad is None
    assert outputs["offsets"].grad is None


def test_two_clips_lose_the_mean_of_what_they_lose_alone() -> None:
    model = small(bcl="act")
    features, mask = torch.randn(2, 6, 32), torch.ones(2, 32, dtype=torch.bool)
    segments, labels = (
        [torch.tensor([[2.0, 20.0]]), torch.tensor([[5.0, 9.0], [1.0, 3.0]])],
        [
            torch.tensor([1]),
            torch.tensor([0, 2]),
        ],
    )
    together = model.loss(model(features, mask), Targets(segments, labels))
    alone = [model.loss(model(features[[n]], mask[[n]]), Targets([segments[n]], [labels[n]])) for n in range(2)]
    for name, value in together.items():
        torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2)


def test_a_clip_shorter_than_the_pyramid_is_padded_to_it() -> None:
    model = small().eval()
    batch = torch.randn(1, 6, 3)
    with torch.no_grad():
        short = model(batch, torch.ones(1, 3, dtype=torch.bool))
        padded = model(torch.nn.functional.pad(batch, (0, 5)), torch.arange(8)[None] < 3)
    assert short["valid"].sum() == 3 + 2 + 1 + 1
    torch.testing.assert_close(short["distances"], padded["distances"])


def test_one_step_of_training_lowers_the_loss_of_the_same_clip() -> None:
    model = small(bcl="act")
    batch = Batch(
        torch.randn(1, 6, 32),
        torch.ones(1, 32, dtype=torch.bool),
        Targets([torch.tensor([[2.0, 8.0], [15.0, 25.0]])], [torch.tensor([0, 2])]),
        ["v"],
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(30):
        loss = sum(model.training_loss(batch, "all").values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_widths_that_the_groups_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="width=48"):
        AFSDConfig(width=48)
