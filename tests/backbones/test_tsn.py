"""TSN looks at the middle of each segment, and stacks flow fields as its checkpoint was trained."""

import numpy as np
import pytest
import torch
from small_backbones import SIDE, made, pictures

from taltool.backbones.tsn import TSN, segment_starts
from taltool.errors import UsageError
from taltool.video.snippet_windows import SnippetWindows


@pytest.mark.parametrize(
    ("length", "segments", "stacked", "starts"),
    [(5, 1, 1, [2]), (16, 1, 1, [8]), (9, 3, 1, [1, 4, 7]), (5, 1, 5, [0]), (16, 1, 5, [6]), (16, 3, 5, [0, 6, 11])],
)
def test_the_middle_of_each_segment_is_chosen(length: int, segments: int, stacked: int, starts: list[int]) -> None:
    assert segment_starts(length, segments, stacked) == starts


def test_only_the_chosen_frames_count() -> None:
    backbone = made("tsn")
    frames = pictures(backbone, 9)
    changed = 255 - frames
    changed[4] = frames[4]
    np.testing.assert_array_equal(backbone.encode_snippets(changed[None]), backbone.encode_snippets(frames[None]))


def test_features_are_averaged_over_segments() -> None:
    whole, single = made("tsn", segments=3), made("tsn")
    frames = pictures(whole, 9)
    parts = single.encode_snippets(frames.reshape(3, 3, SIDE, -1, 3))
    np.testing.assert_allclose(whole.encode_snippets(frames[None])[0], parts.mean(0), rtol=1e-5, atol=1e-3)


def test_a_flow_stack_holds_x_and_y_of_each_field_in_turn() -> None:
    backbone = made("tsn", "flow")
    assert isinstance(backbone, TSN)
    # A first convolution that passes on the channels x of field 1, y of field 1, x of field 2 ... as they come.
    seen: list[torch.Tensor] = []
    backbone.network.conv1.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))  # type: ignore[union-attr]
    fields = np.zeros((1, 5, SIDE, SIDE, 2), np.uint8)
    fields += np.arange(10, dtype=np.uint8).reshape(1, 5, 1, 1, 2) + 128
    backbone.encode_snippets(fields)
    np.testing.assert_allclose(seen[0][0, :, 0, 0, 0], np.arange(10) / 128, atol=1e-6)


def test_a_window_shorter_than_a_flow_stack_is_refused() -> None:
    made("tsn", "rgb").check(SnippetWindows(1, 1))
    with pytest.raises(UsageError, match="--window 4: tsn needs at least 5 frames"):
        made("tsn", "flow").check(SnippetWindows(4, 1))
