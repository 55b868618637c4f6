"""The clock of features: seconds and grid are inverse, and crops and rescalings keep the time of every snippet."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.data.clock import FeatureClock, clock_number
from taltool.errors import DataError

CLOCKS = st.builds(
    FeatureClock,
    fps=st.floats(0.5, 120),
    stride=st.floats(0.25, 64),
    window=st.floats(1, 64),
    offset=st.floats(-32, 1000),
    duration=st.floats(1, 10000),
)


def test_snippet_time_is_the_centre_of_its_window() -> None:
    # Snippet 3 of 16 frames every 4 covers frames [12, 28); its centre is frame 20, at 10 frames/s second 2.
    clock = FeatureClock(fps=10, stride=4, window=16, duration=5)
    assert clock.seconds(3 + 0.5) == 2.0


def test_offset_shifts_every_snippet() -> None:
    assert FeatureClock(fps=10, stride=4, window=16, offset=5, duration=5).seconds(3.5) == 2.5


@given(CLOCKS, st.floats(-1000, 100000))
def test_seconds_and_grid_are_inverse(clock: FeatureClock, position: float) -> None:
    assert clock.grid(clock.seconds(position)) == pytest.approx(position, rel=1e-9, abs=1e-6)


@given(CLOCKS, st.integers(0, 500), st.floats(0, 500))
def test_crop_keeps_the_time_of_what_is_left(clock: FeatureClock, first: int, position: float) -> None:
    assert clock.cropped(first).seconds(position) == pytest.approx(clock.seconds(first + position), rel=1e-9, abs=1e-6)


@given(CLOCKS, st.integers(2, 400), st.integers(2, 400))
def test_rescaled_centres_are_the_interpolated_centres(clock: FeatureClock, length: int, new_length: int) -> None:
    centres = clock.seconds(np.arange(length) + 0.5)
    # Linear resampling with align_corners=False stands at these old indices; extrapolate beyond the outermost ones.
    wanted = (np.arange(new_length) + 0.5) * length / new_length - 0.5
    interpolated = centres[0] + wanted * (centres[-1] - centres[0]) / (length - 1)
    found = clock.rescaled(length, new_length).seconds(np.arange(new_length) + 0.5)
    np.testing.assert_allclose(found, interpolated, rtol=1e-9, atol=1e-6)


@given(CLOCKS, st.integers(2, 400), st.integers(2, 400))
def test_rescaling_forth_and_back_is_the_same_clock(clock: FeatureClock, length: int, new_length: int) -> None:
    back = clock.rescaled(length, new_length).rescaled(new_length, length)
    assert (back.stride, back.offset) == pytest.approx((clock.stride, clock.offset), rel=1e-9, abs=1e-6)


@given(st.integers(1, 1000), st.floats(0.1, 10000))
def test_covering_clock_divides_the_video_evenly(length: int, duration: float) -> None:
    clock = FeatureClock.covering(length, duration)
    assert clock.seconds(0.0) == pytest.approx(0, abs=1e-9)
    assert clock.seconds(float(length)) == pytest.approx(duration)


def test_clipped_seconds_stay_inside_the_video() -> None:
    clock = FeatureClock(fps=1, stride=1, window=1, duration=5)
    assert clock.clipped_seconds(np.array([-3.0, 2.0, 9.0])).tolist() == [0.0, 2.0, 5.0]


@pytest.mark.parametrize("name", ["fps", "stride", "window", "duration"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_clock_refuses_what_is_no_positive_finite_number(name: str, value: float) -> None:
    with pytest.raises(DataError, match=f"{name} is {value}; expected a positive, finite number"):
        FeatureClock(**{"fps": 1.0, "stride": 1.0, "window": 1.0, "duration": 1.0} | {name: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_clock_refuses_an_offset_that_is_not_finite(value: float) -> None:
    with pytest.raises(DataError, match=f"offset is {value}; expected a finite number"):
        FeatureClock(fps=1, stride=1, window=1, offset=value, duration=1)


@pytest.mark.parametrize("duration", [0.0, math.nan, math.inf])
def test_a_video_of_no_duration_cannot_be_divided(duration: float) -> None:
    with pytest.raises(DataError, match=f"duration is {duration}"):
        FeatureClock.covering(4, duration)


def test_a_number_of_a_clock_may_be_an_array_of_one() -> None:
    # As MATLAB writes attributes.
    assert clock_number(np.array([16]), "stride", "v") == clock_number(np.array([[16.0]]), "stride", "v") == 16.0
    assert clock_number("25", "fps", "v") == 25.0
    for value in (np.array([16, 32]), np.array([]), "sixteen", None):
        with pytest.raises(DataError, match=r"v: window is .*; expected a number"):
            clock_number(value, "window", "v")
