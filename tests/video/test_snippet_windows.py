"""Snippets are the windows that the documentation promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.errors import DataError, UsageError
from taltool.video.snippet_windows import SnippetWindows


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20), st.integers(0, 10))
def test_snippet_i_begins_at_offset_plus_i_strides(frames: int, window: int, stride: int, offset: int) -> None:
    windows = SnippetWindows(window, stride, offset)
    rows = [np.array([n]) for n in range(frames)]
    if offset >= frames:
        with pytest.raises(DataError, match="offset"):
            list(windows.cut(rows))
        return
    cut = [snippet[:, 0].tolist() for snippet in windows.cut(rows)]
    starts = [s for s in range(offset, frames, stride) if s + window <= frames] or [offset]
    assert cut == [[min(n, frames - 1) for n in range(start, start + window)] for start in starts]
    assert windows.count(frames) == len(cut)


def test_a_window_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--window 1000000000: must be at most 10000 \(frames\)"):
        SnippetWindows(1_000_000_000, 8)


@pytest.mark.parametrize("wrong", [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_windows_without_frames_or_progress_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="must be at least"):
        SnippetWindows(*wrong)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10))
def test_a_frame_is_held_when_a_snippet_of_a_long_video_has_it(window: int, stride: int, offset: int) -> None:
    windows = SnippetWindows(window, stride, offset)
    cut = {frame for snippet in windows.spans(range(100)) for frame in snippet}
    last = max(cut)
    assert {frame for frame in range(last + 1) if windows.holds(frame)} == cut


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10), st.integers(1, 100), st.data())
def test_the_frames_at_the_positions_that_count_are_held_in_any_video(
    window: int, stride: int, offset: int, length: int, data: st.DataObject
) -> None:
    positions = sorted(data.draw(st.sets(st.integers(0, window - 1), min_size=1)))
    windows = SnippetWindows(window, stride, offset)
    snippets = list(windows.spans(range(offset + length)))
    counting = {snippet[position] for snippet in snippets for position in positions}
    held = {frame for frame in range(offset + length) if windows.holds(frame, positions)}
    assert counting <= held
    # Beside these, there may be more before the first snippet's last position, and after the last snippet.
    inside = range(offset + positions[-1] + 1, max(snippets[-1]) - window + positions[0] + 1)
    assert held & {*inside} == counting & {*inside}
