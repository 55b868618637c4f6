"""Mask losses against cases worked by hand (kernel, boundary and overlap can be counted on paper)."""

import pytest
import torch
from torch import Tensor

from taltool.nn.masks import (
    balanced_bce,
    boundary_band,
    boundary_overlap,
    dice_loss,
    eroded,
    length_normalised_distance,
)


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
