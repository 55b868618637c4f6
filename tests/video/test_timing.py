"""Timestamps of all kinds are laid on the right grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.errors import DataError
from taltool.video.timing import Times, timeline


def constant_rate(times: Times, tick: float, declared: list[float]) -> float | None:
    """The rate of the grid on which the timestamps lie, as the timeline has found it; None where there is none."""
    native = timeline(times, tick, declared).native
    return None if native is None else native[1]


@given(fps=st.sampled_from([6.0, 19.62, 25.0, 29.97, 30000 / 1001, 59.94]), frames=st.integers(2, 5000))
def test_milliseconds_rounded_from_a_constant_rate_give_that_rate(fps: float, frames: int) -> None:
    times = np.round(np.arange(frames) / fps, 3)
    found = constant_rate(times, 1e-3, [])
    assert found is not None
    assert np.abs(times * found - np.arange(frames)).max() < 0.25


def test_a_declared_rate_that_drifts_from_the_timestamps_is_not_believed() -> None:
    times = np.arange(9000) * 1001 / 30000
    assert constant_rate(times, 1e-5, [30.0]) == pytest.approx(29.97, abs=1e-3)


def test_a_declared_rate_that_is_a_little_off_gives_way_to_the_timestamps() -> None:
    # A muxer that does not know how long the last frame lasts declares 100 frames / 3.96 s.
    assert constant_rate(np.arange(100) / 25, 1e-5, [25.04]) == pytest.approx(25)


def test_gaps_of_whole_frames_leave_the_rate_constant() -> None:
    assert constant_rate(np.array([0, 1, 2, 5, 6, 7, 9, 10, 11]) / 30, 1e-5, [28.0, 30.0]) == 30.0


def test_a_gif_with_two_kinds_of_delay_has_no_constant_rate() -> None:
    times = np.cumsum([0, 5, 2, 2, 2, 5, 2, 2, 4, 2, 2, 5, 2]) / 100
    assert constant_rate(times, 0.01, [50.0, 100.0]) is None
    assert timeline(times, 0.01, []).step == pytest.approx(0.02)


def test_resampling_begins_at_the_first_slot_that_has_a_frame() -> None:
    grid = timeline(np.arange(100) / 25 + 0.5, 1e-5, [25.0], wanted=10.0)
    assert grid.first == pytest.approx(0.5)
    assert timeline(np.arange(100) / 25 + 0.52, 1e-5, [25.0], wanted=10.0).first == pytest.approx(0.6)


def test_equal_timestamps_without_a_declared_rate_are_refused() -> None:
    with pytest.raises(DataError, match="how long a frame lasts"):
        timeline(np.zeros(5), 1e-3, [])


def test_one_frame_lasts_as_the_header_says() -> None:
    assert timeline(np.array([0.0]), 1e-3, [4.0]).step == 0.25
