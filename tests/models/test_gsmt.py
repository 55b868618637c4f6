"""GSMT: its equations by hand-worked cases, its decoding, and what makes gradients break elsewhere."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from taltool.data.arrays import Detections, Instances
from taltool.models.contract import Targets
from taltool.models.decoding import Runs
from taltool.models.gsmt.decode import contrast, pairwise_masks
from taltool.models.gsmt.loss import class_terms, focal_loss, l2_term, logistic_loss
from taltool.models.gsmt.model import GSMT, GSMTConfig
from taltool.models.gsmt.network import CERTAIN
from taltool.ops.metrics.map import mean_average_precision


def model(length: int = 10, channels: int = 8, classes: int = 4, **switches: Any) -> GSMT:
    torch.manual_seed(0)
    return GSMT(GSMTConfig(**{"heads": 2, "mask_width": 8} | switches), channels, classes, length).eval()


def features(length: int, channels: int = 8) -> torch.Tensor:
    return torch.randn(1, channels, length, generator=torch.Generator().manual_seed(length))


def everywhere(length: int, samples: int = 1) -> torch.Tensor:
    return torch.ones(samples, length, dtype=torch.bool)


def parameters(channels: int, classes: int = 200, length: int = 100, **switches: Any) -> int:
    with torch.device("meta"):
        network = GSMT(GSMTConfig(**switches), channels, classes, length)
    return sum(p.numel() for p in network.parameters())


TAGS = {"norm": "post", "head_residual": False, "mask_head": "tags"}


@pytest.mark.parametrize(
    ("channels", "switches", "expected"),
    [
        (400, {}, 2_860_809),  # the paper's Table 3: 2.9 M
        (400, {"norm": "post"}, 2_857_609),
        (400, TAGS, 5_864_073),
        (2048, {}, 68_391_881),
        (2048, {"norm": "post"}, 68_375_497),
        (2048, TAGS, 75_811_785),  # the authors' code: 75.8 M
    ],
)
def test_parameters_are_those_of_the_paper_and_the_code(channels: int, switches: dict[str, Any], expected: int) -> None:
    assert parameters(channels, **switches) == expected


def test_class_loss_of_equation_5_worked_by_hand() -> None:
    """K = 20, logits 0 but 2 at the true class: p = e^2 / (e^2 + 20), sigmoid(2) = .880797, |N| = 2."""
    logits = torch.zeros(1, 1, 21)
    logits[..., 3] = 2.0
    labels = torch.tensor([[3]])
    focal, lr = focal_loss(logits, labels, 2.0), logistic_loss(logits, labels, 10.0, 0.1)
    assert focal.item() == pytest.approx(0.698594, abs=1e-5)
    assert lr.item() == pytest.approx(7.058400, abs=1e-5)
    assert 0.4 * focal.item() + 0.6 * lr.item() == pytest.approx(4.514478, abs=1e-5)


def test_class_terms_are_means_over_valid_snippets_weighted_by_lambda_1() -> None:
    """The snippets of the case above, three of them valid; the true class of the padding is another one."""
    logits = torch.zeros(1, 21, 5)
    logits[:, 3] = 2.0
    outputs = {"class_logits": logits, "lr_logits": logits, "valid": torch.tensor([[1.0, 1, 1, 0, 0]])}
    terms = class_terms(GSMTConfig(), outputs, torch.tensor([[3, 3, 3, 7, 7]]))
    assert terms["focal"].item() == pytest.approx(0.4 * 0.698594, abs=1e-5)
    assert terms["lr"].item() == pytest.approx(0.6 * 7.058400, abs=1e-5)


def test_hard_negatives_are_the_most_probable_wrong_classes() -> None:
    """Of K = 20 wrong classes only the best two count: lowering any other changes nothing."""
    logits = torch.zeros(1, 21)
    logits[0, 5], logits[0, 20] = 1.0, 0.5
    lower = logits.clone()
    lower[0, 6:20] = -3.0
    labels = torch.tensor([0])
    torch.testing.assert_close(logistic_loss(logits, labels, 10.0, 0.1), logistic_loss(lower, labels, 10.0, 0.1))
    higher = logits.clone()
    higher[0, 20] = 0.6
    assert logistic_loss(higher, labels, 10.0, 0.1) > logistic_loss(logits, labels, 10.0, 0.1)


def test_few_classes_have_one_hard_negative() -> None:
    """K = 3: -log sigmoid(0) + 10 * -log(1 - sigmoid(1)), the largest wrong logit being 1."""
    found = logistic_loss(torch.tensor([[0.0, 1.0, -1.0, -2.0]]), torch.tensor([0]), 10.0, 0.1)
    assert found.item() == pytest.approx(0.693147 + 10 * 1.313262, abs=1e-4)


@pytest.mark.parametrize(
    ("classes", "share", "expected"),
    [(9, 0.1, 1), (10, 0.1, 1), (19, 0.1, 1), (20, 0.1, 2), (29, 0.1, 2), (200, 0.1, 20), (100, 0.29, 29), (5, 1.0, 5)],
)
def test_hard_negatives_are_a_share_of_the_classes_without_background(
    classes: int, share: float, expected: int
) -> None:
    """|N| = K / 10 (Eq. 5), whole classes: as many wrong logits, background among them, are pushed down."""
    logits = torch.linspace(-1, 1, classes + 1)[None].requires_grad_()
    logistic_loss(logits, torch.tensor([0]), 10.0, share).sum().backward()
    assert logits.grad is not None
    assert (logits.grad > 0).nonzero()[:, 1].tolist() == list(range(classes + 1 - expected, classes + 1))


def test_l2_term_is_a_fallback_or_a_quotient() -> None:
    mask, truth = torch.zeros(1, 10), torch.zeros(1, 10)
    mask[0, 2:7], truth[0, 7:] = 1.0, 1.0
    none, some = torch.tensor([0.0]), torch.tensor([2.0])
    assert l2_term(mask, truth, none, "fallback", 1e-8).item() == pytest.approx(0.942809, abs=1e-5)
    assert l2_term(mask, truth, some, "fallback", 1e-8).item() == 0
    assert l2_term(mask, truth, some, "formula", 1e-8).item() == pytest.approx(0.942809 / 2, abs=1e-5)


def test_total_mask_loss_of_one_snippet_worked_by_hand() -> None:
    """m = 0011111000 against g = 0001111000, k = 3: 1 - 1/3, .4 * 5/9, and 1 / 4 over the intersection 1 + e^-8."""
    network = model(mask_layers=1, biou_k=3)
    logits = torch.full((1, 10, 10), -50.0)
    logits[0, :, 2:7] = 50.0
    outputs = {
        "class_logits": torch.zeros(1, 5, 10),
        "lr_logits": torch.zeros(1, 5, 10),
        "mask_logits": logits,
        "valid": torch.ones(1, 10),
    }
    terms = network.loss(outputs, Targets([torch.tensor([[3.0, 7.0]])], [torch.tensor([0])]))
    assert terms["biou"].item() == pytest.approx(2 / 3, abs=1e-3)
    assert terms["dice"].item() == pytest.approx(0.4 * 5 / 9, abs=1e-5)
    assert terms["l2"].item() == pytest.approx(1 / 4 / (1 + math.exp(-8)), abs=1e-5)


def test_targets_of_action_snippets_are_a_symmetric_block_for_each_instance() -> None:
    targets = Targets([torch.tensor([[1.0, 3.0], [5.2, 8.4]])], [torch.tensor([2, 0])])
    labels, masks = model().snippet_targets(targets, torch.ones(1, 10))
    assert labels.tolist() == [[4, 2, 2, 4, 4, 0, 0, 0, 4, 4]]
    torch.testing.assert_close(masks, masks.transpose(1, 2))
    expected = torch.zeros(10, 10)
    expected[1:3, 1:3] = expected[5:8, 5:8] = 1
    torch.testing.assert_close(masks[0], expected)


def test_every_instance_of_a_video_is_a_target() -> None:
    targets = Targets([torch.tensor([[0.0, 1.0], [4.1, 4.3], [9.0, 10.0]])], [torch.tensor([0, 1, 2])])
    labels, _ = model().snippet_targets(targets, torch.ones(1, 10))
    assert labels.tolist() == [[0, 4, 4, 4, 1, 4, 4, 4, 4, 2]]


def decoded(row: list[float], **switches: Any) -> list[tuple[float, float, float]]:
    """What one snippet of certain class 0 with that mask gives; the other snippets are certain background."""
    network = model(len(row), **switches)
    classes = torch.full((1, 5, len(row)), -50.0)
    classes[0, 4, 1:], classes[0, 0, 0] = 50.0, 50.0
    masks = torch.full((1, len(row), len(row)), -50.0)
    masks[0, 0] = torch.tensor(row).logit(eps=1e-6)
    outputs = {"class_logits": classes, "mask_logits": masks, "valid": torch.ones(1, len(row))}
    ((segments, scores, labels),) = network.decode(outputs, everywhere(len(row)))
    assert labels is not None
    assert set(labels.tolist()) <= {0}
    found = torch.cat([segments, scores[:, None]], dim=1).tolist()
    return sorted((round(a, 4), round(b, 4), round(s, 4)) for a, b, s in found)


ROW = [0.05, 0.3, 0.75, 0.9, 0.6, 0.85, 0.2, 0.55, 0.1001, 0.0]


def test_decoding_of_a_mask_at_single_thresholds() -> None:
    assert decoded(ROW, thresholds=(0.5,)) == [(2, 6, 0.9), (7, 8, 0.55)]
    assert decoded(ROW, thresholds=(0.5,), segments="span") == [(2, 8, 0.9)]
    assert decoded(ROW, thresholds=(0.8,)) == [(3, 4, 0.9), (5, 6, 0.85)]
    assert decoded(ROW, thresholds=(0.8,), segments="span") == [(3, 6, 0.9)]
    assert decoded(ROW, thresholds=(0.1,)) == decoded(ROW, thresholds=(0.1,), segments="span") == [(1, 9, 0.9)]


def test_the_mean_of_the_mask_may_be_its_score() -> None:
    assert decoded(ROW, thresholds=(0.5,), mask_score="mean") == [(2, 6, 0.775), (7, 8, 0.55)]


def test_the_class_of_a_segment_may_weigh_its_score() -> None:
    """Class 0 is sure of snippets 0, 1 and half sure of 2; the mask of snippet 0 has the runs [0, 3) and [4, 5)."""
    classes = torch.full((1, 5, 6), -50.0)
    classes[0, 0, :2], classes[0, 4, 3:] = 0.0, 0.0
    classes[0, [0, 1], 2] = 0.0
    masks = torch.full((1, 6, 6), -50.0)
    masks[0, 0, :3], masks[0, 0, 4] = torch.tensor(0.8).logit(), 50.0
    outputs = {"class_logits": classes, "mask_logits": masks, "valid": torch.ones(1, 6)}
    found = {}
    for kind in ("snippet", "segment"):
        network = model(6, thresholds=(0.5,), class_score=kind)
        ((segments, scores, _),) = network.decode(outputs, everywhere(6))
        rows = zip(segments.tolist(), scores.tolist(), strict=True)
        found[kind] = {tuple(segment): round(score, 4) for segment, score in rows}
    assert found["snippet"] == {(0, 3): 0.8, (4, 5): 1.0}
    assert found["segment"] == {(0, 3): round(0.8 * 2.5 / 3, 4)}  # Nothing of class 0 in [4, 5).


def test_a_contrast_is_the_mean_inside_less_the_mean_over_quarters_of_the_length() -> None:
    """[2, 6) of .8 .8 .4 .8 has margins of one snippet: .3 before, .1 behind; [0, 1) has a quarter of snippet 1."""
    row = torch.tensor([[0.6, 0.3, 0.8, 0.8, 0.4, 0.8, 0.1, 0.9]])
    found = Runs(*torch.tensor([[0, 2, 6], [0, 0, 1], [0, 0, 8], [0, 1, 2], [0, 4, 6]]).T)
    expected = [0.7 - 0.2, 0.6 - 0.3, row.mean(), 0.0, 0.6 - 0.45]
    torch.testing.assert_close(contrast(row, found, torch.full((5,), 8)), torch.tensor(expected))


def test_a_contrast_ends_where_the_sample_does() -> None:
    row = torch.tensor([[0.2, 0.8, 0.8, 0.8, 0.8, 0.0]])
    (found,) = contrast(row, Runs(*torch.tensor([[0], [1], [5]])), torch.tensor([5])).tolist()
    assert found == pytest.approx(0.6)  # Snippet 5 is padding: the margin before it is all there is.


def test_a_segment_that_ends_with_its_class_is_scored_above_longer_and_shorter_ones() -> None:
    row = torch.tensor([[0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1]])
    pairs = [(start, end) for start in range(10) for end in range(start + 1, 11)]
    starts, ends = torch.tensor(pairs).T
    scores = contrast(row, Runs(torch.zeros_like(starts), starts, ends), torch.full_like(starts, 10))
    assert pairs[int(scores.argmax())] == (2, 6)


def test_masks_of_which_only_one_of_both_snippets_is_sure_weigh_less() -> None:
    masks = torch.tensor([[0.5, 0.9, 0.1], [0.4, 0.8, 0.2], [0.9, 0.2, 0.6]]).logit()[None]
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(
        pairwise_masks(masks, mask, is_symmetric=True)[0],
        torch.tensor([[0.5, 0.6, 0.0], [0.6, 0.8, 0.0], [0.3, 0.2, 0.0]]),
    )
    torch.testing.assert_close(pairwise_masks(masks, mask, is_symmetric=False)[0, 0], torch.tensor([0.5, 0.9, 0.0]))


def test_a_relative_mask_moves_with_its_action() -> None:
    """The same stretch of features three snippets later has the same masks three snippets later."""
    network = model(6, mask_head="relative", mask_reach=4, embedding="cnn1d").eval()
    alone = torch.zeros(1, 8, 60)
    alone[..., 25:30] = features(5)
    with torch.no_grad():
        early = network(alone, everywhere(60))["mask_logits"]
        late = network(alone.roll(3, dims=2), everywhere(60))["mask_logits"]
    near = slice(20, 35)
    torch.testing.assert_close(early[:, near, near], late[:, 23:38, 23:38])
    assert early[0, 25, 25:30].std() > 0
    reached = (early > -CERTAIN)[0]
    place = torch.arange(60)
    assert torch.equal(reached, (place[:, None] - place).abs() <= 4)


def test_a_relative_head_without_a_reach_says_every_place_of_the_sample() -> None:
    network = model(6, mask_head="relative")
    with torch.no_grad():
        assert bool((network(features(6), everywhere(6))["mask_logits"] > -CERTAIN).all())
        assert network(features(9), everywhere(9))["mask_logits"].shape == (1, 9, 9)


def test_the_same_segment_of_two_thresholds_is_one_candidate() -> None:
    assert decoded([0.0, 0.95, 0.95, 0.0], thresholds=(0.1, 0.5, 0.9)) == [(1, 3, 0.95)]


def test_only_the_best_snippets_are_asked() -> None:
    network = model(4, top_snippets=1, thresholds=(0.5,))
    classes = torch.zeros(1, 5, 4)
    classes[0, 1, 2] = 3.0
    outputs = {"class_logits": classes, "mask_logits": 50 * (2 * torch.eye(4)[None] - 1), "valid": torch.ones(1, 4)}
    ((segments, _, labels),) = network.decode(outputs, everywhere(4))
    assert labels is not None
    assert (segments.tolist(), labels.tolist()) == ([[2, 3]], [1])


def test_nothing_is_decoded_from_padding() -> None:
    network, mask = model(10), torch.tensor([[True] * 4 + [False] * 6])
    outputs = network(features(10) * mask[:, None], mask)
    ((segments, scores, _),) = network.decode(outputs, mask)
    assert len(scores)
    assert segments.max() <= 4


def test_padding_changes_no_valid_snippet() -> None:
    network, mask = model(10), torch.tensor([[True] * 6 + [False] * 4])
    padded = features(10) * mask[:, None]
    with torch.no_grad():
        found, alone = network(padded, mask), network(padded[..., :6], mask[:, :6])
    torch.testing.assert_close(found["class_logits"][..., :6], alone["class_logits"])
    torch.testing.assert_close(found["mask_logits"][:, :6, :6], alone["mask_logits"])


def test_without_places_a_permutation_of_snippets_permutes_the_classes() -> None:
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    for kind, is_equal in (("none", True), ("sin", False), ("learned", False)):
        network = model(pos_enc=kind)
        with torch.no_grad():
            plain = network(features(10), everywhere(10))["class_logits"]
            permuted = network(features(10)[..., order], everywhere(10))["class_logits"]
        assert torch.allclose(plain[..., order], permuted, atol=1e-5) == is_equal


def test_a_mask_depends_on_embeddings_two_snippets_away() -> None:
    """Column t of M comes from snippets t - 2 ... t + 2: two layers of kernel 3 and one of kernel 1."""
    head = model(20, channels=8).mask_head
    assert head is not None
    one = features(20)
    other = one.clone()
    other[..., 10] += 1
    changed = (head(one, everywhere(20)) != head(other, everywhere(20))).any(1)[0].nonzero().flatten()
    assert changed.tolist() == [8, 9, 10, 11, 12]


def test_row_reading_is_the_transpose_of_column_reading() -> None:
    column, row = model(mask_axis="column"), model()
    with torch.no_grad():
        masks = [each(features(10), everywhere(10))["mask_logits"] for each in (column, row)]
    torch.testing.assert_close(masks[0], masks[1].transpose(1, 2))


def test_a_constant_video_has_equal_snippets() -> None:
    with torch.no_grad():
        found = model()(features(1).expand(-1, -1, 10), everywhere(10))["class_logits"]
    torch.testing.assert_close(found, found[..., :1].expand_as(found))


def test_a_longer_sample_than_the_masks_is_refused_with_the_mend() -> None:
    with pytest.raises(Exception, match=r"masks are 10 snippets long, the sample has 12.*rescale or window"):
        model(10)(features(12), everywhere(12))


def test_true_classes_and_masks_give_a_perfect_score() -> None:
    """Table 6 with both: mAP 1 at every threshold on instances that lie on the grid."""
    segments = torch.tensor([[0.0, 3.0], [4.0, 5.0], [7.0, 10.0]])
    labels = torch.tensor([1, 0, 1])
    network, targets = model(), Targets([segments], [labels])
    outputs = network.with_truth(network(features(10), everywhere(10)), targets, ("class", "mask"))
    ((found, scores, classes),) = network.decode(outputs, everywhere(10))
    assert classes is not None
    truth = Instances(np.zeros(3, np.int64), labels.numpy(), segments.double().numpy(), 1, 2)
    said = Detections(np.zeros(len(scores), np.int64), classes.numpy(), found.double().numpy(), scores.numpy())
    assert mean_average_precision(truth, said, (0.5, 0.95)).average == pytest.approx(1.0)


def test_an_external_classifier_leaves_candidates_without_labels() -> None:
    network = model(classifier="external")
    assert network.is_class_agnostic
    outputs = network(features(10), everywhere(10))
    assert outputs["class_logits"].shape == (1, 2, 10)
    assert network.decode(outputs, everywhere(10))[0].labels is None
    targets = Targets([torch.tensor([[1.0, 3.0]])], [torch.tensor([3])])
    assert network.snippet_targets(targets, torch.ones(1, 10))[0].tolist() == [[1, 0, 0, *[1] * 7]]
