"""GSMT's losses of temporal masks against numbers worked by hand."""

import pytest
import torch
from torch import Tensor

from taltool.models.gsmt.loss import boundary_band, boundary_overlap, dice_loss, eroded, length_normalised_distance


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
