"""TSN's network looks at the middle of each segment."""

import pytest
import torch

from taltool.nn.clips.tsn import TemporalSegmentNetwork, segment_starts


def network(stacked: int = 1, segments: int = 1) -> TemporalSegmentNetwork:
    """With weights that are always the same for one number of stacked frames."""
    torch.manual_seed(0)
    return TemporalSegmentNetwork(2, stacked, segments).eval().requires_grad_(False)


def clip(length: int) -> torch.Tensor:
    return torch.rand(1, 2, length, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("length", "segments", "stacked", "starts"),
    [(5, 1, 1, [2]), (16, 1, 1, [8]), (9, 3, 1, [1, 4, 7]), (5, 1, 5, [0]), (16, 1, 5, [6]), (16, 3, 5, [0, 6, 11])],
)
def test_the_middle_of_each_segment_is_chosen(length: int, segments: int, stacked: int, starts: list[int]) -> None:
    assert segment_starts(length, segments, stacked) == starts


@pytest.mark.parametrize(("stacked", "seen"), [(1, slice(4, 5)), (5, slice(2, 7))])
def test_only_the_chosen_frames_count(stacked: int, seen: slice) -> None:
    whole, frames = network(stacked), clip(9)
    changed = 1 - frames
    changed[:, :, seen] = frames[:, :, seen]
    assert torch.equal(whole(changed), whole(frames))
    assert not torch.equal(whole(1 - frames), whole(frames))


def test_features_are_averaged_over_segments() -> None:
    frames = clip(9)
    parts = torch.cat([network()(part) for part in frames.split(3, dim=2)])
    torch.testing.assert_close(network(segments=3)(frames), parts.mean(0, keepdim=True), rtol=1e-5, atol=1e-5)
