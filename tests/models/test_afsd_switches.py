"""Every switch of AFSD runs, and changes what it says."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from taltool.experiment.settings import TrainingSettings
from taltool.models.afsd.consistency import Splice, activations, triplet_term
from taltool.models.afsd.model import AFSD, AFSDConfig
from taltool.models.afsd.network import BoundaryFeatures
from taltool.models.contract import Batch, Targets
from taltool.training.distributed import ProcessGroup
from taltool.training.micro_batches import MicroBatch
from taltool.training.updater import Updater

LENGTH, CHANNELS, CLASSES = 32, 6, 3
WHOLE = torch.ones(2, LENGTH, dtype=torch.bool)


def network(**switches: object) -> AFSD:
    torch.manual_seed(0)
    settings = {"width": 32, "groups": 8, "levels": 4, **switches}
    return AFSD(AFSDConfig(**settings), CHANNELS, CLASSES, LENGTH)


def batch() -> Batch:
    features = torch.randn(2, CHANNELS, LENGTH, generator=torch.Generator().manual_seed(3))
    segments = [torch.tensor([[2.0, 12.0], [14.0, 16.5]]), torch.tensor([[20.0, 30.0]])]
    targets = Targets(segments, [torch.tensor([0, 2]), torch.tensor([1])])
    return Batch(features, WHOLE, targets, ["a", "b"], [2.5, 10.0], [2.5, 10.0])


def terms_of(model: AFSD) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return model.training_loss(batch(), model.phases[0])


def scores_and_segments(model: AFSD) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        candidates = model.decode(model(batch().features, WHOLE), WHOLE)[0]
    return candidates.scores, candidates.segments


def all_terms(model: AFSD) -> set[str]:
    return set().union(*(model.training_loss(batch(), phase) for phase in model.phases))


BCL = ("both", "act", "trip", "none")
REFINES, POOLS = ("all", "naive", "self", "frame", "none"), ("max", "mean", "conv", "stack")


@pytest.mark.parametrize(
    "switches",
    [
        *({"refine": refine, "pool": pool} for refine, pool in itertools.product(REFINES, POOLS)),
        *({"refine": "none", "quality": quality} for quality in ("tiou", "centerness", "none")),
        *({"bcl": bcl, "bcl_update": update} for bcl, update in itertools.product(BCL, ("joint", "two_step"))),
        *({"act_norm": kind} for kind in ("tanh", "clip", "minmax")),
        *({"region": region} for region in ("inside", "outside", "symmetric")),
        {"norm": "none"},
        {"trip": "paper", "ssl_inside_div": 100.0},
        {"distance_unit": "level", "level_bounds": True, "refined_best": True, "refined_loss": "smooth_l1"},
        {"classifier": "external", "normaliser": "batch"},
        {"frames_per_snippet": 1},
        {"levels": 1},
    ],
    ids=lambda switches: ",".join(f"{name}={value}" for name, value in switches.items()),
)  # fmt: skip
def test_every_combination_trains_all_its_parameters_and_decodes(switches: dict[str, object]) -> None:
    model = network(**switches)
    for phase in model.phases:
        sum(model.training_loss(batch(), phase).values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    scores, segments = scores_and_segments(model)
    assert len(scores) == len(segments) > 0
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    ("switch", "values"),
    [("refine", REFINES), ("pool", POOLS), ("region", ("inside", "outside", "symmetric")), ("norm", ("gn", "none"))],
)
def test_switches_of_the_network_change_what_it_says(switch: str, values: tuple[str, ...]) -> None:
    said = [scores_and_segments(network(**{switch: value})) for value in values]
    for one, other in itertools.combinations(said, 2):
        assert not torch.allclose(one[0], other[0], atol=1e-6)


@pytest.mark.parametrize(
    ("switch", "values", "term"),
    [
        ("quality", ("tiou", "centerness"), "quality"),
        ("act_norm", ("tanh", "clip", "minmax"), "start_activation"),
        ("trip", ("code", "paper"), "triplet"),
        ("ssl_inside_div", (0.0, 1.5), "triplet"),
        ("ssl_outside_div", (0.0, 1.5), "triplet"),
        ("quality_divisor", ("coarse", "refined"), "quality"),
        ("level_bounds", (False, True), "class"),
        ("distance_unit", ("frame", "level"), "location"),
        ("refined_best", (False, True), "refined_location"),
        ("refined_tiou", (0.5, 0.05), "refined_class"),
        ("refined_loss", ("l1", "smooth_l1"), "refined_location"),
        ("normaliser", ("clip", "batch"), "class"),
        ("focal_gamma", (2.0, 1.0), "class"),
        ("background_alpha", (0.25, 0.5), "class"),
        ("location_weight", (10.0, 1.0), "location"),
        ("level_consistency_weight", (0.1, 0.5), "end_activation"),
    ],
)
def test_switches_of_the_loss_change_their_term(switch: str, values: tuple[object, ...], term: str) -> None:
    base = {"refined_loss": {"refined_tiou": 0.2}, "refined_best": {"refined_tiou": 0.99}}.get(switch, {})
    losses = [terms_of(network(**{**base, switch: value}))[term].item() for value in values]
    assert len(set(losses)) == len(values)


def test_weights_scale_their_terms() -> None:
    one, two = terms_of(network()), terms_of(network(location_weight=20.0, triplet_weight=0.3))
    assert two["location"].item() == pytest.approx(2 * one["location"].item())
    assert two["triplet"].item() == pytest.approx(3 * one["triplet"].item())
    assert two["class"].item() == one["class"].item()


@pytest.mark.parametrize(
    ("bcl", "expected"),
    [
        ("both", {"start_activation", "end_activation", "triplet"}),
        ("act", {"start_activation", "end_activation"}),
        ("trip", {"triplet"}),
        ("none", set()),
    ],
)
def test_bcl_names_the_consistency_terms(bcl: str, expected: set[str]) -> None:
    consistency = {"start_activation", "end_activation", "triplet"}
    assert all_terms(network(bcl=bcl)) & consistency == expected
    assert all_terms(network(bcl=bcl, bcl_update="two_step")) & consistency == expected


@pytest.mark.parametrize("refine", ["naive", "none"])
def test_without_boundary_features_there_is_no_consistency_loss(refine: str) -> None:
    model = network(refine=refine, bcl_update="two_step")
    assert model.phases == ("all",)
    assert not {"start_activation", "triplet"} & all_terms(model)


def only(rows: slice) -> Batch:
    """Some clips of `batch`: the first can be spliced, the second cannot."""
    whole = batch()
    targets = Targets(whole.targets.segments[rows], whole.targets.labels[rows])
    known = whole.video_ids[rows], whole.shortest_instances[rows], whole.shortest_shown[rows]
    return Batch(whole.features[rows], whole.mask[rows], targets, *known)


def consistency_terms(model: AFSD, clips: Batch) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return model.training_loss(clips, "consistency")


def test_two_steps_together_are_the_joint_loss_of_a_clip_that_can_be_spliced() -> None:
    joint, two_step, clip = network(), network(bcl_update="two_step"), only(slice(1))
    assert two_step.phases == ("detection", "consistency")
    apart = two_step.training_loss(clip, "detection") | consistency_terms(two_step, clip)
    torch.manual_seed(5)
    together = joint.training_loss(clip, "all")
    assert together.keys() == apart.keys()
    for name, value in together.items():
        torch.testing.assert_close(apart[name], value)


def test_the_second_step_learns_from_clips_that_can_be_spliced_alone() -> None:
    """Algorithm 1 of the supplement: l_con is the mean over the clips for boundary consistency learning."""
    model = network(bcl_update="two_step")
    both, first = consistency_terms(model, batch()), consistency_terms(model, only(slice(1)))
    assert both.keys() == first.keys() == {"start_activation", "end_activation", "triplet"}
    for name, value in both.items():
        torch.testing.assert_close(value, first[name])
    assert model.teaches(batch(), "consistency")
    assert not model.teaches(only(slice(1, 2)), "consistency")
    assert model.teaches(only(slice(1, 2)), "detection")


@pytest.mark.parametrize("bcl", ["both", "act", "trip"])
def test_no_second_step_is_made_without_a_clip_to_splice(bcl: str) -> None:
    """Else the weight decay inside Adam would shrink what the first step does not change."""
    settings = TrainingSettings(learning_rate=1e-2, weight_decay=1e-2)
    weights = []
    for switches in ({"bcl": bcl, "bcl_update": "two_step"}, {"bcl": "none"}):
        updater = Updater(network(**switches), settings, ProcessGroup(), "cpu")
        for number in range(3):
            updater.update([(only(slice(1, 2)), MicroBatch(range(1)))], number, 1e-2)
        weights.append(updater.model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_refinement_sources_are_those_of_table_2d() -> None:
    terms = {refine: network(refine=refine) for refine in ("all", "self", "frame")}
    with torch.no_grad():
        outputs = {refine: model(batch().features, WHOLE) for refine, model in terms.items()}
    named = {r: {n.removeprefix("activation_") for n in o if n.startswith("activation_")} for r, o in outputs.items()}
    assert named == {"all": {"frame", "location", "class"}, "self": {"location", "class"}, "frame": {"frame"}}


def test_without_refinement_the_coarse_segment_and_class_are_the_answer() -> None:
    model = network(refine="none", quality="none").eval()
    with torch.no_grad():
        outputs = model(batch().features, WHOLE)
        candidates = model.decode(outputs, WHOLE)[0]
    assert "offsets" not in outputs
    coarse = outputs["centres"][:, None] + outputs["distances"][0] * torch.tensor([-1, 1])
    expected = (coarse / model.config.frames_per_snippet).clamp(0, WHOLE.shape[1])
    torch.testing.assert_close(
        candidates.segments.unflatten(0, (len(expected), -1)), expected[:, None].expand(-1, 3, 2)
    )
    torch.testing.assert_close(candidates.scores, outputs["logits"][0].softmax(-1)[:, 1:].flatten())


def test_an_external_classifier_makes_candidates_without_labels() -> None:
    model = network(classifier="external")
    assert model.is_class_agnostic
    assert not network().is_class_agnostic
    with torch.no_grad():
        outputs = model(batch().features, WHOLE)
    assert outputs["logits"].shape[-1] == 2
    assert model.decode(outputs, WHOLE)[0].labels is None


def test_normalisations_of_activations() -> None:
    frame = torch.tensor([[[0.0, 0.5, 2.0, 9.0], [1.0, 1.0, 1.0, 1.0]]])
    mask = torch.tensor([[True, True, True, False]])
    features = BoundaryFeatures(frame, (), mask, mask)
    tanh, clip, minmax = (
        activations(features, kind)["activation_frame"][0, :, :3] for kind in ("tanh", "clip", "minmax")
    )
    torch.testing.assert_close(tanh, frame[0, :, :3].tanh())
    assert clip.tolist() == [[0, 0.5, 1], [1, 1, 1]]
    assert minmax.tolist() == [[0, 0.25, 1], [0, 0, 0]]


def test_the_triplet_compares_the_end_of_the_first_part_with_the_start_of_the_second() -> None:
    # Width 2: one start and one end channel at 1 frame per snippet. A1 = [0, 10], background = [10, 14], A2 = [14, 24].
    model = network(refine="frame", frames_per_snippet=1, width=2, groups=1, triplet_weight=1.0)
    start, end = torch.zeros(32), torch.zeros(32)
    end[10], start[14], start[12], end[12] = 3.0, 2.5, 2.0, 5.0
    mask = torch.ones(1, 32, dtype=torch.bool)
    plan = Splice(torch.arange(32), (0.0, 10.0), (10.0, 14.0), (14.0, 24.0))
    features = BoundaryFeatures(torch.stack([start, end])[None], (), mask, mask)
    # The end of A1 sees frames 7..11: 3; the start of A2 13..17: 2.5. Of the background [11, 13], its start 10..12
    # gives 2, its end 12..14 gives 5.
    code = triplet_term(features, [plan], model.refinement, model.config)
    assert code.item() == pytest.approx(abs(3 - 2.5) - abs(3 - 2) + 1, abs=1e-4)
    on_paper = dataclasses.replace(model.config, trip="paper")
    paper = triplet_term(features, [plan], model.refinement, on_paper)
    assert paper.item() == pytest.approx((max(0.25 - 1 + 1, 0) + max(0.25 - 4 + 1, 0)) / 2, abs=1e-4)


def test_regions_of_the_contrast_as_printed_reach_out_of_a_part() -> None:
    """Eq. 3 with delta_a = 4, delta_b = 100: a fourth of the length outside, at least one frame inside."""
    model = network(refine="frame", frames_per_snippet=1, width=2, groups=1, triplet_weight=1.0)
    printed = dataclasses.replace(model.config, ssl_inside_div=100.0, ssl_outside_div=4.0)
    start, end = torch.zeros(32), torch.zeros(32)
    # A1 = [0, 10], 11 long: its end sees 10 - 1 .. 10 + 2.75, 9..13; A2 = [14, 24]: its start sees 11..15. Of the
    # background [11, 13], 3 long, the start sees 10..12.
    end[8], end[13], start[11], start[16] = 7.0, 3.0, 2.5, 9.0
    mask = torch.ones(1, 32, dtype=torch.bool)
    plan = Splice(torch.arange(32), (0.0, 10.0), (10.0, 14.0), (14.0, 24.0))
    features = BoundaryFeatures(torch.stack([start, end])[None], (), mask, mask)
    loss = triplet_term(features, [plan], model.refinement, printed)
    assert loss.item() == pytest.approx(abs(3 - 2.5) - abs(3 - 2.5) + 1, abs=1e-4)


def authors_triplet(sources: list[tuple[np.ndarray, int]], spans: list[list[float]]) -> float:
    """The authors' triplet of one clip, position by position: sources (C, T) with frames per position, and the frames
    of A1, A2 and background."""
    total = 0.0
    for number, (features, frames) in enumerate(sources):
        half, length = len(features) // 2, features.shape[1]
        pooled = np.empty((3, 2 * half))
        for row, (start, end) in enumerate(spans):
            width = end - start + 1
            inside, outside = max(width / 4, 1), max(width / 10, 1)
            for side, edges in enumerate([(start - outside, start + inside), (end - inside, end + outside)]):
                first, last = (min(max(int(round(edge) / frames), 0), length - 1) for edge in edges)
                own = features[side * half : (side + 1) * half, first : max(first, last) + 1]
                pooled[row, side * half : (side + 1) * half] = own.max(1)
        anchor, positive, negative = pooled[0, half:], pooled[1, :half], pooled[2, :half]
        near, far = (np.sqrt(np.square(anchor - each + 1e-6).sum()) for each in (positive, negative))
        total += (1.0, 0.1, 0.1)[number] * max(near - far + 1, 0)
    return total


def test_the_triplet_is_the_authors_on_a_hundred_random_splices() -> None:
    model = network(width=8, groups=1, frames_per_snippet=4, triplet_weight=1.0)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        frame, *branches = (rng.random(shape).astype(np.float32) * 2 for shape in ((8, 64), (16, 16), (16, 16)))
        split, piece, first, rest = (
            int(rng.integers(5, 8)),
            int(rng.integers(1, 4)),
            rng.uniform(0, 3),
            rng.uniform(2, 6),
        )
        last = split + piece + rest
        plan = Splice(torch.arange(16), (first, split), (split, split + piece), (split + piece, last))
        mask, frame_mask = torch.ones(1, 16, dtype=torch.bool), torch.ones(1, 64, dtype=torch.bool)
        features = BoundaryFeatures(
            torch.from_numpy(frame)[None], tuple(torch.from_numpy(each)[None] for each in branches), mask, frame_mask
        )
        t, th = split * 4, piece * 4
        spans = [[first * 4, t], [t + th, last * 4], [t + 1, t + th - 1]]
        expected = authors_triplet([(frame, 1), *((each, 4) for each in branches)], spans)
        found.append(triplet_term(features, [plan], model.refinement, model.config).item())
        assert found[-1] == pytest.approx(expected, abs=1e-6)
    assert np.std(found) > 0.01
