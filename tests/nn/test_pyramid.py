"""The masked time axis and levels packed behind one another."""

import torch

from taltool.nn.conv import Axis, ConvStack, MaskedGroupNorm
from taltool.nn.pyramid import LevelLayout, PyramidGrid, level_masks, padded_to_multiple


def test_packed_levels_come_back_unchanged() -> None:
    layout = LevelLayout((4, 2, 1))
    levels = [torch.randn(2, 3, n) for n in layout.lengths]
    packed = layout.pack(levels)
    assert packed.shape == (2, 3, layout.size) == (2, 3, 9)
    for level, again in zip(levels, layout.unpack(packed), strict=True):
        assert torch.equal(level, again)


def test_a_gap_of_zero_separates_packed_levels() -> None:
    packed = LevelLayout((2, 1)).pack([torch.ones(1, 1, 2), torch.ones(1, 1, 1)])
    assert packed.flatten().tolist() == [1, 1, 0, 1]


def test_a_shared_stack_says_the_same_packed_as_level_by_level() -> None:
    torch.manual_seed(0)
    stack = ConvStack(6, 8, (3, 3), groups=4)
    masks = level_masks(torch.ones(2, 16, dtype=torch.bool), 4)
    layout = LevelLayout((16, 8, 4, 2))
    levels = [torch.randn(2, 6, n) for n in layout.lengths]
    packed = stack(layout.pack(levels), layout.axis(masks))
    for level, mask, ours in zip(levels, masks, layout.unpack(packed), strict=True):
        torch.testing.assert_close(ours, stack(level, Axis.single(mask)))


def test_means_of_levels_leave_padding_and_gaps_out() -> None:
    axis = LevelLayout((2, 1)).axis([torch.tensor([[True, False]]), torch.tensor([[True]])])
    normed = MaskedGroupNorm(1, 1, eps=1.0)(torch.tensor([[[3.0, 100.0, 50.0, 7.0]]]), axis)
    # Less the mean of the level, 3 or 7; the gap belongs to the level before it.
    assert normed.tolist() == [[[0.0, 97.0, 47.0, 0.0]]]
    assert axis.counts.tolist() == [[[1.0, 1.0]]]


def test_a_position_of_a_level_is_valid_when_its_first_snippet_is() -> None:
    masks = level_masks(torch.tensor([[True] * 5 + [False] * 3]), 3)
    assert [mask[0].tolist() for mask in masks[1:]] == [[True, True, True, False], [True, True]]


def test_padding_to_a_multiple_adds_invalid_zeros_at_the_end() -> None:
    features, mask = padded_to_multiple(torch.ones(1, 1, 5), torch.ones(1, 5, dtype=torch.bool), 4)
    assert features.flatten().tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert mask.sum() == 5


def test_the_paper_clips_have_126_and_189_locations() -> None:
    for length, count in ((64, 126), (96, 189)):
        grid = PyramidGrid.of(torch.ones(1, length, dtype=torch.bool), 6)
        assert len(grid.locations) == count
        places = grid.centre[grid.locations] / length
        assert places.min() > 0
        assert places.max() < 1
        assert places[0] == 0.5 / length
