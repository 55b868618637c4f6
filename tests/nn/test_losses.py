"""Losses against numbers worked by hand."""

import math

import pytest
import torch
from torch import Tensor

from taltool.nn import losses
from taltool.nn.losses import (
    balanced_bce,
    boundary_band,
    boundary_overlap,
    dice_loss,
    eroded,
    length_normalised_distance,
)


@pytest.mark.parametrize(("label", "expected"), [(0, 0.498398), (2, 0.034258)])
def test_softmax_focal_loss_of_the_worked_example(label: int, expected: float) -> None:
    loss = losses.softmax_focal_loss(torch.tensor([0.0, 1.0, 2.0]), torch.tensor(label))
    # The reference adds 1e-6 to the probability, which moves the result by 3e-6.
    assert loss.item() == pytest.approx(expected, abs=5e-6)


def test_focal_loss_stays_finite_with_a_fractional_exponent_at_certainty() -> None:
    logits = torch.tensor([[100.0, -100.0]], requires_grad=True)
    losses.softmax_focal_loss(logits, torch.tensor([0]), gamma=1.5).sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("target", "expected"), [(1.0, 0.043322), (0.0, 0.129965), (0.5, 0.5 * 0.25 * 0.693147)])
def test_sigmoid_focal_loss_of_the_worked_example(target: float, expected: float) -> None:
    loss = losses.sigmoid_focal_loss(torch.tensor(0.0), torch.tensor(target))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_sigmoid_focal_loss_is_finite_at_certainty() -> None:
    logits = torch.tensor([200.0, -200.0, 200.0], requires_grad=True)
    loss = losses.sigmoid_focal_loss(logits, torch.tensor([1.0, 1.0, 0.0]), gamma=1.5)
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.tensor([0.0, 50.0, 150.0]))  # alpha_t * |logit| where wrong
    assert logits.grad.isfinite().all()


def test_tiou_of_distances() -> None:
    assert losses.distance_tiou(torch.tensor([4.0, 6.0]), torch.tensor([6.0, 2.0])).item() == pytest.approx(0.5)


def test_tiou_of_distances_that_start_behind_the_location() -> None:
    # [5, 20] against [0, 10] around 0: 5 of 20.
    assert losses.distance_tiou(torch.tensor([-5.0, 20.0]), torch.tensor([0.0, 10.0])).item() == pytest.approx(0.25)


def test_tiou_of_disjoint_or_empty_segments_is_zero() -> None:
    ours = torch.tensor([[-5.0, 20.0], [0.0, 0.0], [3.0, -9.0]])
    assert losses.distance_tiou(ours, torch.tensor([[0.0, 4.0], [0.0, 0.0], [1.0, 1.0]])).tolist() == [0, 0, 0]


def test_cross_entropy_of_mean_activations() -> None:
    rows = torch.tensor([[0.0, 0, 1], [2, 2, 2]]).tanh().mean(1)
    torch.testing.assert_close(rows, torch.tensor([0.253865, 0.964028]), atol=1e-6, rtol=0)
    loss = losses.probability_bce(rows, torch.tensor([0.0, 1.0])).mean()
    assert loss.item() == pytest.approx(0.164742, abs=1e-6)


def test_cross_entropy_of_certain_mistakes_is_finite() -> None:
    wrong = torch.tensor([0.0, 1.0], requires_grad=True)
    loss = losses.probability_bce(wrong, torch.tensor([1.0, 0.0])).sum()
    loss.backward()
    assert loss.isfinite()
    assert wrong.grad.isfinite().all()


def test_the_triplet_wants_a_margin_of_one() -> None:
    anchor, near, far = torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]), torch.tensor([0.0, 5.5])
    assert losses.triplet_margin_loss(anchor, near, far).item() == pytest.approx(5 - 5.5 + 1, abs=1e-5)
    assert losses.triplet_margin_loss(anchor, near, far, squared=True).item() == 0  # 25 - 30.25 + 1 < 0
    assert losses.triplet_margin_loss(anchor, far, near, squared=True).item() == pytest.approx(6.25)


def test_the_margin_of_a_triplet_may_be_chosen() -> None:
    # FaceNet's: 0.2.
    anchor, near, far = torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8]), torch.tensor([0.0, 1.0])
    assert losses.triplet_margin_loss(anchor, far, near, squared=True, margin=0.2).item() == pytest.approx(1.4)


def test_the_triplet_equals_pytorchs_with_gradient() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(3, 7, 16)
    ours, plain = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    losses.triplet_margin_loss(*ours).mean().backward()
    torch.nn.functional.triplet_margin_loss(*plain).backward()
    torch.testing.assert_close(ours.grad, plain.grad)


def test_the_triplet_of_equal_vectors_has_a_finite_gradient() -> None:
    vectors = torch.zeros(3, 2, 4, requires_grad=True)
    losses.triplet_margin_loss(*vectors).sum().backward()
    assert vectors.grad.isfinite().all()


def test_centerness_is_one_in_the_middle_and_zero_at_an_end() -> None:
    values = losses.centerness(torch.tensor([[5.0, 5.0], [0.0, 8.0], [1.0, 4.0]]))
    assert values.tolist() == pytest.approx([1, 0, 0.5])


def test_sums_are_normalised_per_clip_or_over_the_batch() -> None:
    values, mask = torch.tensor([[2.0, 4.0], [6.0, 9.0]]), torch.tensor([[True, True], [True, False]])
    count = mask.sum(1)
    assert losses.normalised_sum(values, mask, count, per_sample=True).item() == (6 / 2 + 6 / 1) / 2
    assert losses.normalised_sum(values, mask, count, per_sample=False).item() == 12 / 3


def test_a_sum_without_positives_is_an_attached_zero() -> None:
    values = torch.ones(1, 3, requires_grad=True)
    total = losses.normalised_sum(values, torch.zeros(1, 3, dtype=torch.bool), torch.zeros(1), per_sample=True)
    total.backward()
    assert total.item() == 0
    assert values.grad.tolist() == [[0, 0, 0]]


def test_smooth_l1_is_quadratic_below_one() -> None:
    assert losses.offset_loss("smooth_l1")(torch.tensor(0.5), torch.tensor(0.0)).item() == 0.125
    assert losses.offset_loss("l1")(torch.tensor(0.5), torch.tensor(0.0)).item() == 0.5
    assert math.isclose(losses.offset_loss("smooth_l1")(torch.tensor(3.0), torch.tensor(0.0)).item(), 2.5)


def bits(text: str) -> Tensor:
    return torch.tensor([float(bit) for bit in text])


TRUTH, WIDER, AT_END = bits("0001111000"), bits("0011111000"), bits("0000000111")
SOFT = torch.tensor([0, 0, 0.2, 0.8, 0.9, 0.9, 0.7, 0.1, 0, 0])


def test_boundary_of_a_mask_is_what_erosion_takes() -> None:
    assert boundary_band(WIDER, 3).tolist() == bits("0010001000").tolist()
    assert boundary_band(TRUTH, 3).tolist() == bits("0001001000").tolist()


def test_the_end_of_the_clip_is_a_boundary() -> None:
    assert boundary_band(AT_END, 3).tolist() == bits("0000000101").tolist()


def test_boundary_of_a_soft_mask() -> None:
    expected = torch.tensor([0, 0, 0.2, 0.6, 0.1, 0.2, 0.6, 0.1, 0, 0])
    torch.testing.assert_close(boundary_band(SOFT, 3), expected)


@pytest.mark.parametrize(("kernel", "expected"), [(3, 1 / 3), (5, 3 / 5), (7, 4 / 5)])
def test_boundary_overlap_of_two_masks(kernel: int, expected: float) -> None:
    overlap, union = boundary_overlap(WIDER, TRUTH, kernel)
    assert float(overlap / union) == pytest.approx(expected)


def test_boundary_overlap_of_a_soft_mask() -> None:
    overlap, union = boundary_overlap(SOFT, TRUTH, 3)
    assert (float(overlap), float(union)) == (pytest.approx(1.2), pytest.approx(2.6))


@pytest.mark.parametrize("mask", [TRUTH, SOFT])
def test_equal_masks_overlap_completely(mask: Tensor) -> None:
    overlap, union = boundary_overlap(mask, mask, 7)
    torch.testing.assert_close(overlap, union)


def test_erosion_is_the_least_of_a_window_with_zeros_outside() -> None:
    masks = torch.rand(4, 9, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([torch.zeros(4, 2), masks, torch.zeros(4, 2)], dim=1)
    expected = torch.stack([padded[:, i : i + 5].amin(1) for i in range(9)], dim=1)
    torch.testing.assert_close(eroded(masks, 5), expected)


@pytest.mark.parametrize(("mask", "expected"), [(WIDER, 5 / 9), (TRUTH, 0.5)])
def test_dice_without_its_factor_leaves_a_half_for_a_perfect_mask(mask: Tensor, expected: float) -> None:
    """Hand-worked: m.g = 4, m.m + g.g = 5 + 4; a mask against itself 4 / 8."""
    assert float(dice_loss(mask, TRUTH, 1)) == pytest.approx(expected)


def test_dice_of_a_soft_mask() -> None:
    """m.g = 0.8 + 0.9 + 0.9 + 0.7 = 3.3; m.m = 2.80, g.g = 4."""
    assert float(dice_loss(SOFT, TRUTH, 1)) == pytest.approx(1 - 3.3 / 6.8)
    assert float(dice_loss(SOFT, TRUTH, 2)) == pytest.approx(1 - 6.6 / 6.8)


def test_distance_is_per_snippet_of_the_target() -> None:
    """Eight positions differ, the target has three."""
    assert float(length_normalised_distance(WIDER, AT_END)) == pytest.approx(8**0.5 / 3)


def test_distance_of_equal_masks_has_a_finite_gradient() -> None:
    mask = TRUTH.clone().requires_grad_()
    length_normalised_distance(mask, TRUTH).backward()
    assert mask.grad is not None
    assert mask.grad.isfinite().all()


def test_balanced_bce_weighs_both_kinds_alike() -> None:
    """Positives at probability 1/2 and 1/4, the single negative at 1/2: (mean(ln 2, ln 4) + ln 2) / 2."""
    logits = torch.tensor([0.0, -torch.log(torch.tensor(3.0)), 0.0])
    found = balanced_bce(logits, torch.tensor([1.0, 1.0, 0.0]), torch.ones(3))
    log2 = float(torch.log(torch.tensor(2.0)))
    assert float(found) == pytest.approx((1.5 * log2 + log2) / 2)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_balanced_bce_of_one_kind_alone_is_finite_and_ignores_masked_positions(target: float) -> None:
    logits = torch.zeros(4, requires_grad=True)
    loss = balanced_bce(logits, torch.full((4,), target), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * float(torch.log(torch.tensor(2.0))))
    assert logits.grad is not None
    assert logits.grad[2:].tolist() == [0, 0]
