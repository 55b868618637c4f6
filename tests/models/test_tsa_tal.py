"""TSA-TAL: matrices by hand-worked cases, modules against plain references, decoding, and degenerate input."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from degenerate import assert_learns
from torch import Tensor, nn

from taltool.errors import UsageError
from taltool.experiment.configuration import build, preset_layer
from taltool.models.contract import Batch, Targets
from taltool.models.tsa_tal.loss import SnippetTargets
from taltool.models.tsa_tal.model import TSATAL, TSATALConfig
from taltool.models.tsa_tal.network import (
    Detection,
    DilatedBlock,
    TemporalPyramidPooling,
    TemporalSelfAttention,
    attention_weights,
    condition_matrix,
    distance_matrix,
    fused_matrix,
    interval_tiou,
)
from taltool.nn.attention import SelfAttention, split_heads
from taltool.nn.conv import Axis
from taltool.nn.targets import padded_targets

CLASSES = torch.tensor([[1, 1, 2, 0, 1]])
INTERVALS = torch.tensor([[[0.0, 4], [1, 5], [2, 6], [3, 4], [10, 14]]])
A = torch.tensor([[1, 1, 0, 0.5, 1], [1, 1, 0, 0.5, 1], [0, 0, 1, 0.5, 0], [0.5, 0.5, 0.5, 0, 0.5], [1, 1, 0, 0.5, 1]])
B = torch.tensor([[0.0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [1, 0, 0, 1, 1], [1, 1, 1, 0, 1], [1, 1, 1, 1, 0]])
G = torch.tensor(
    [
        [0.4, 0, 0, 0.2, 0.4],
        [0, 0.4, 0, 0.2, 0.4],
        [0, 0, 2 / 3, 1 / 3, 0],
        [1 / 6, 1 / 6, 1 / 6, 1 / 3, 1 / 6],
        [2 / 7, 2 / 7, 0, 1 / 7, 2 / 7],
    ]
)
TINY = {"width": 32, "groups": 4, "tsa_warmup": 0}


def model(channels: int = 6, classes: int = 3, length: int = 12, **switches: Any) -> TSATAL:
    torch.manual_seed(0)
    return TSATAL(TSATALConfig(**TINY | switches), channels, classes, length).eval()


def features(length: int = 12, samples: int = 1, channels: int = 6) -> Tensor:
    return torch.randn(samples, channels, length, generator=torch.Generator().manual_seed(length))


def everywhere(length: int = 12, samples: int = 1) -> Tensor:
    return torch.ones(samples, length, dtype=torch.bool)


def test_tiou_of_predicted_intervals() -> None:
    found = interval_tiou(INTERVALS)[0]
    assert [round(found[0, j].item(), 4) for j in range(5)] == [1, 0.6, 0.3333, 0.25, 0]
    assert found[1, 2].item() == pytest.approx(0.6)


def test_empty_intervals_overlap_themselves_alone() -> None:
    assert interval_tiou(torch.full((1, 2, 2), 3.0)).tolist() == [[[1, 0], [0, 1]]]


def test_condition_matrix_of_two_actions_and_background() -> None:
    torch.testing.assert_close(condition_matrix(CLASSES, "same_or_bg", 0.5)[0], A)
    torch.testing.assert_close(condition_matrix(CLASSES, "same", 0.5)[0], (A == 1).float())
    assert (condition_matrix(CLASSES, "none", 0.5) == 1).all()


def test_distance_matrix_suppresses_what_overlaps() -> None:
    torch.testing.assert_close(distance_matrix(INTERVALS, "hard", 0.5)[0], B)
    torch.testing.assert_close(distance_matrix(INTERVALS, "soft", 0.5), 1 - interval_tiou(INTERVALS))
    torch.testing.assert_close(distance_matrix(INTERVALS, "similarity", 0.5), interval_tiou(INTERVALS))


def test_fusion_of_uniform_attention() -> None:
    found = fused_matrix(A * B, torch.full((5, 5), 0.2))
    torch.testing.assert_close(found, G)
    torch.testing.assert_close(found.sum(1), torch.ones(5))


def test_filters_are_symmetric_and_the_fused_matrix_is_not() -> None:
    attention = torch.rand(5, 5, generator=torch.Generator().manual_seed(0)).softmax(1)
    for matrix in (condition_matrix(CLASSES, "same_or_bg", 0.5)[0], distance_matrix(INTERVALS, "hard", 0.5)[0]):
        assert torch.equal(matrix, matrix.T)
    assert not torch.allclose(fused_matrix(A * B, attention), fused_matrix(A * B, attention).T)


def test_fusion_ignores_a_constant_added_to_the_logits_of_a_row() -> None:
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    shifted = logits + torch.arange(5.0)[:, None]
    torch.testing.assert_close(fused_matrix(A * B, logits.softmax(1)), fused_matrix(A * B, shifted.softmax(1)))


def test_permuted_snippets_permute_both_axes() -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    attention = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))

    def relation(which: Tensor) -> Tensor:
        a, b = condition_matrix(CLASSES[:, which], "same_or_bg", 0.5), distance_matrix(INTERVALS[:, which], "hard", 0.5)
        return (a * b)[0]

    permuted = fused_matrix(relation(order), attention[order][:, order])
    torch.testing.assert_close(permuted, fused_matrix(A * B, attention)[order][:, order])


def attention(kind: Any, heads: int = 1, a_mode: Any = "same_or_bg") -> TemporalSelfAttention:
    torch.manual_seed(0)
    return TemporalSelfAttention(8, kind, heads, a_mode, 0.5, "hard", 0.5)


def detection(labels: Tensor, distances: float = 1.0) -> Detection:
    logits = nn.functional.one_hot(labels, 4).float()
    return Detection(logits, torch.zeros(labels.shape), torch.full((*labels.shape, 2), distances))


@pytest.mark.parametrize("heads", [1, 4])
def test_attention_without_filters_is_torch_attention_with_a_residual(heads: int) -> None:
    ours, theirs = attention("m_only", heads), nn.MultiheadAttention(8, heads, batch_first=True)
    theirs.in_proj_weight = nn.Parameter(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
    theirs.in_proj_bias = nn.Parameter(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    given = features(6, 2, 8)
    snippets = given.transpose(1, 2)
    expected = given + theirs(snippets, snippets, snippets)[0].transpose(1, 2)
    found = ours(given, detection(torch.zeros(2, 6, dtype=torch.int64)), everywhere(6, 2))
    torch.testing.assert_close(found, expected)


def test_attention_weights_are_the_softmax_that_the_fused_attention_uses() -> None:
    torch.manual_seed(0)
    network = SelfAttention(8, heads=2, head_width=4)
    snippets = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    q, k, v = (split_heads(f(snippets), 2) for f in (network.query, network.key, network.value))
    weights = attention_weights(q, k, mask)
    torch.testing.assert_close(weights @ v, network(snippets, mask))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 6))
    assert weights[1, :, :, 4:].abs().max() == 0


def test_no_attention_is_the_identity() -> None:
    given = features(6, 1, 8)
    assert attention("none")(given, detection(torch.zeros(1, 6, dtype=torch.int64)), everywhere(6)) is given


def test_where_all_is_background_each_snippet_sees_itself() -> None:
    network, given = attention("full"), features(6, 1, 8)
    found = network(given, detection(torch.zeros(1, 6, dtype=torch.int64)), everywhere(6))
    expected = given + network.out(network.value(given.transpose(1, 2))).transpose(1, 2)
    torch.testing.assert_close(found, expected)


def test_in_warm_up_the_filters_are_not_used() -> None:
    given, said = features(6, 1, 8), detection(torch.tensor([[1, 1, 2, 2, 0, 0]]))
    full, plain = attention("full"), attention("m_only")
    assert not torch.allclose(full(given, said, everywhere(6)), plain(given, said, everywhere(6)))
    warm = full(given, said, everywhere(6), use_relation=False)
    torch.testing.assert_close(warm, plain(given, said, everywhere(6)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"tsa": "full"}, {"tsa": "am"}),
        ({"tsa": "full"}, {"tsa": "bm"}),
        ({"tsa": "full"}, {"tsa": "m_only"}),
        ({"tsa": "full"}, {"tsa": "none"}),
        ({"a_mode": "same_or_bg"}, {"a_mode": "same"}),
        ({"a_mode": "same"}, {"a_mode": "none"}),
        ({"alpha_bg": 0.5}, {"alpha_bg": 0.9}),
        ({"b_mode": "hard"}, {"b_mode": "soft"}),
        ({"b_mode": "soft"}, {"b_mode": "similarity"}),
        ({"b_theta": 0.5}, {"b_theta": 0.2}),
        ({"tsa_heads": 1}, {"tsa_heads": 4}),
        ({"actionness_to_tpp": "mul"}, {"actionness_to_tpp": "off"}),
        ({"actionness_to_tpp": "concat"}, {"actionness_to_tpp": "off"}),
        ({"tpp": "full"}, {"tpp": "none"}),
        ({"tpp_rates": (1, 2, 4, 8)}, {"tpp_rates": (1, 1, 1, 1)}),
        ({"tpp_levels": 3}, {"tpp_levels": 2}),
    ],
)
def test_a_switch_changes_the_final_answer_and_still_learns(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Classes and intervals are made to differ between snippets; weights of modules that both have are the same."""
    found = []
    first = model(**one)
    for network in (first, model(**other)):
        shared = {
            name: value
            for name, value in first.state_dict().items()
            if name in network.state_dict() and network.state_dict()[name].shape == value.shape
        }
        network.load_state_dict(shared, strict=False)
        with torch.no_grad():
            network.shared_heads.classes.bias.zero_()
            network.shared_heads.classes.weight.mul_(30)
            network.shared_heads.actionness.weight.mul_(30)
            network.shared_heads.distances.weight.mul_(30)
        found.append(network(features(), everywhere())["final_logits"])
    assert not torch.allclose(found[0], found[1], atol=1e-6)
    assert_learns(model(**other), features(), torch.tensor([[1.0, 4.0], [6.0, 11.0]]))


@pytest.mark.parametrize(("classes", "expected"), [(20, 7_954_480), (100, 8_200_400)])
def test_parameters_at_2048_channels(classes: int, expected: int) -> None:
    with torch.device("meta"):
        network = TSATAL(TSATALConfig(), 2048, classes, 100)
    assert sum(p.numel() for p in network.parameters()) == expected


def test_parallel_convolutions_of_rate_1_are_one_convolution() -> None:
    """Level 0 of the pyramid with all rates 1: the same weights behind one another, the same groups of channels."""
    torch.manual_seed(0)
    block = DilatedBlock(32, (1, 1, 1, 1), 2)
    weight, bias = (torch.cat([getattr(conv, name) for conv in block.convs]) for name in ("weight", "bias"))
    plain = nn.functional.conv1d(features(12, 2, 32), weight, bias, padding=1)
    expected = nn.functional.group_norm(plain, 8).relu()
    found = block(features(12, 2, 32), Axis.single(everywhere(12, 2)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [100, 101, 64, 1])
def test_pyramid_pooling_keeps_the_length(length: int) -> None:
    pooling = TemporalPyramidPooling(9, 32, 3, (1, 2, 4, 8), 4)
    assert pooling(features(length, 1, 9), everywhere(length)).shape == (1, 32, length)


def test_a_dilated_convolution_sees_three_snippets() -> None:
    conv = DilatedBlock(4, (8,), 1).convs[0]
    impulse = torch.zeros(1, 4, 100)
    impulse[..., 50] = 1
    changed = (conv(impulse) != conv(torch.zeros(1, 4, 100))).any(1)[0].nonzero().flatten()
    assert changed.tolist() == [42, 50, 58]


@pytest.mark.parametrize("valid", [5, 8, 11])
def test_padding_changes_no_valid_snippet(valid: int) -> None:
    network, mask = model(), torch.arange(16)[None] < valid
    padded = features(16) * mask[:, None]
    with torch.no_grad():
        found, alone = network(padded, mask), network(padded[..., :valid], mask[:, :valid])
    for name, value in alone.items():
        torch.testing.assert_close(found[name][:, :valid], value, atol=1e-5, rtol=1e-4, msg=name)


def test_targets_of_snippets() -> None:
    """Centres .5 ... 5.5; [1, 4) holds cells 1, 2, 3; the shorter [2, 3) owns cell 2."""
    segments = torch.tensor([[1.0, 4.0], [2.0, 3.0]])
    truth = SnippetTargets.of(padded_targets([segments], [torch.tensor([0, 2])], segments.device), torch.ones(1, 6))
    assert truth.labels.tolist() == [[0, 1, 3, 1, 0, 0]]
    assert truth.distances[0, 1:4].tolist() == [[0.5, 2.5], [0.5, 0.5], [2.5, 0.5]]


def said(actionness: list[float], distances: list[float] | None = None) -> dict[str, Tensor]:
    """Outputs of certain class 1 with that actionness, and the same distances everywhere."""
    length = len(actionness)
    logits = torch.zeros(1, length, 4)
    logits[..., 2] = 50
    return {
        "final_logits": logits,
        "final_actionness": torch.tensor([actionness]).logit(eps=1e-6),
        "final_distances": torch.tensor(distances or [0.5, 0.5]).expand(1, length, 2),
    }


def decoded(outputs: dict[str, Tensor], **switches: Any) -> list[tuple[float, float, float, int]]:
    switches = {"top_classes": 1, "decode": "actionness", "refine_boundary": "none"} | switches
    length = outputs["final_logits"].shape[1]
    ((segments, scores, labels),) = model(length=length, **switches).decode(outputs, everywhere(length))
    assert labels is not None
    rows = zip(segments.tolist(), scores.tolist(), labels.tolist(), strict=True)
    return sorted((round(a, 4), round(b, 4), round(s, 4), label) for (a, b), s, label in rows)


ROW = [0.05, 0.3, 0.75, 0.9, 0.6, 0.85, 0.2, 0.55, 0.1, 0.0]


def test_runs_of_actionness_and_their_means() -> None:
    assert decoded(said(ROW), thresholds=(0.5,)) == [(2, 6, 0.775, 1), (7, 8, 0.55, 1)]
    assert decoded(said(ROW), thresholds=(0.8,)) == [(3, 4, 0.9, 1), (5, 6, 0.85, 1)]


def test_a_run_of_several_thresholds_is_one_candidate() -> None:
    assert decoded(said([0.0, 0.9, 0.9, 0.0]), thresholds=(0.1, 0.5, 0.7)) == [(1, 3, 0.9, 1)]


def test_ends_of_a_run_are_refined_by_what_its_snippets_regress() -> None:
    """Run [1, 3): the first centre 1.5 says 1.5 - 1.5, the last centre 2.5 says 2.5 + 2."""
    outputs = said([0.0, 0.9, 0.9, 0.0, 0.0, 0.0], [1.5, 2.0])
    assert decoded(outputs, thresholds=(0.5,), refine_boundary="regress") == [(0, 4.5, 0.9, 1)]
    assert decoded(outputs, thresholds=(0.5,), refine_boundary="mean") == [(0.5, 3.75, 0.9, 1)]


def test_every_snippet_may_say_its_own_segment() -> None:
    outputs = said([0.25, 0.5], [0.5, 0.25])
    assert decoded(outputs, decode="anchor_free") == [(0, 0.75, 0.25, 1), (1, 1.75, 0.5, 1)]
    both = decoded(outputs, decode="both", thresholds=(0.2,))
    assert both == sorted([*decoded(outputs, decode="anchor_free"), (0.0, 2.0, 0.375, 1)])


def test_no_actionness_leaves_the_snippets_own_segments() -> None:
    assert decoded(said([0.05] * 4)) == []
    assert len(decoded(said([0.05] * 4), decode="both")) == 4


def test_finer_decoding_keeps_the_grid() -> None:
    """Twice as many positions: actionness 0, 0, 1, 1, 0, 0 becomes 0, 0, 0, .25, .75, 1, 1, .75, .25, 0, 0, 0."""
    found = decoded(said([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]), decode_upsample=2, thresholds=(0.5,))
    assert [row[:2] for row in found] == [(2, 4)]
    assert [row[:2] for row in decoded(said([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]), decode_upsample=4, thresholds=(0.2,))] == [
        (1.75, 4.25)
    ]


def test_labels_of_a_segment_are_its_best_classes() -> None:
    outputs = said([0.0, 0.8, 0.0])
    outputs["final_logits"] = torch.log(torch.tensor([0.1, 0.2, 0.6, 0.1])).expand(1, 3, 4)
    assert decoded(outputs, thresholds=(0.5,), top_classes=2) == [(1, 2, 0.16, 0), (1, 2, 0.48, 1)]


def test_nothing_is_decoded_from_padding() -> None:
    mask = torch.tensor([[True] * 3 + [False] * 3])
    outputs = said([0.9] * 6, [9.0, 9.0])
    ((segments, _, _),) = model(length=6).decode(outputs, mask)
    assert len(segments)
    assert segments.max() <= 3


def test_no_gradient_reaches_the_coarse_heads_through_the_filters() -> None:
    network = attention("full")
    heads = nn.Linear(8, 6)
    given = features(6, 1, 8)
    logits, distances = heads(given.transpose(1, 2)).split([4, 2], dim=-1)
    found = network(given, Detection(logits, logits[..., 0], distances.exp()), everywhere(6))
    assert found.requires_grad
    assert torch.autograd.grad(found.sum(), heads.parameters(), allow_unused=True) == (None, None)


def test_the_warm_up_counts_training_updates_only() -> None:
    network = model(tsa_warmup=2).train()
    batch = Batch(features(), everywhere(), Targets([torch.tensor([[1.0, 4.0]])], [torch.tensor([0])]), ["v"])
    with torch.no_grad():
        network.loss(network(batch.features, batch.mask), batch.targets)
        assert network.updates == 0
        network.training_loss(batch, "all")
    assert network.updates == 1
    assert network.state_dict()["updates"] == 1


def test_losses_of_perfect_answers_are_small_and_worked_by_hand_elsewhere() -> None:
    """Two snippets, one of class 1 with distances .5, .5; the other background. Location is 1 - tIoU of [0, 1]."""
    network = model(length=2)
    targets = Targets([torch.tensor([[0.0, 1.0]])], [torch.tensor([1])])
    outputs = {"valid": torch.ones(1, 2)}
    for stage, distance in (("coarse", 0.5), ("refined", 1.0), ("final", 2.0)):
        outputs[f"{stage}_logits"] = torch.zeros(1, 2, 4)
        outputs[f"{stage}_actionness"] = torch.zeros(1, 2)
        outputs[f"{stage}_distances"] = torch.full((1, 2, 2), distance)
    terms = {name: term.item() for name, term in network.loss(outputs, targets).items()}
    assert terms["coarse_location"] == pytest.approx(0)
    assert terms["refined_location"] == pytest.approx(0.5 * (1 - 1 / 2))
    assert terms["final_location"] == pytest.approx(1 - 1 / 4)
    assert terms["final_actionness"] == pytest.approx(math.log(2))
    focal = (0.75 + 0.25) * 0.75**2 * math.log(4)
    assert terms["final_class"] == pytest.approx(focal)
    assert terms["coarse_class"] == pytest.approx(focal / 2)


@pytest.mark.parametrize("name", TSATAL.presets)
def test_presets_are_valid_settings(name: str) -> None:
    settings = build("tsa-tal", TSATALConfig, [preset_layer(name, TSATAL.presets, "tsa-tal")])
    length = 128 if settings.model.input == "frames" else 100
    assert (settings.sampling.length, settings.sampling.min_ioa, settings.sampling.min_covered) == (length, 0.75, 0.75)
    assert settings.nms.width == (0.5 if name.startswith("thumos14") else 0.85)


@pytest.mark.parametrize("wrong", [{"width": 100}, {"thresholds": ()}, {"tpp_levels": 0}, {"top_classes": 0}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="tsa-tal: "):
        dataclasses.replace(TSATALConfig(), **wrong)
