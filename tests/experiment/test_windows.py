"""Where samples lie and what ground truth they hold; expectations are worked by hand or by torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taltool.data.clock import FeatureClock
from taltool.experiment.sampling import (
    Sample,
    cut_samples,
    is_useful,
    on_grid,
    rescaled,
    visible_span,
    window_starts,
)
from taltool.experiment.settings import SamplingSettings

# One snippet a second, snippet i covering [i, i + 1): grid positions are seconds.
CLOCK = FeatureClock(fps=1, stride=1, window=1, duration=100)


@pytest.mark.parametrize(
    ("length", "window", "stride", "starts"),
    [
        (300, 128, 64, [0, 64, 128, 172]),  # the example of the papers' code
        (256, 128, 64, [0, 64, 128]),  # ends on the grid: no second last window
        (128, 128, 64, [0]),
        (127, 128, 64, [0]),
        (1, 128, 64, [0]),
        (130, 128, 64, [0, 2]),
    ],
)
def test_windows_cover_the_video_and_the_last_is_flush_with_its_end(
    length: int, window: int, stride: int, starts: list[int]
) -> None:
    assert window_starts(length, window, stride).tolist() == starts


@given(st.integers(1, 500), st.integers(1, 100), st.integers(1, 100))
def test_every_window_lies_inside_and_every_snippet_in_some_window(length: int, window: int, stride: int) -> None:
    starts = window_starts(length, window, min(stride, window))
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert starts[-1] + min(window, length) == length
    assert (np.diff(starts) <= window).all()


def test_a_window_keeps_the_instances_of_which_enough_lies_inside_clipped() -> None:
    settings = SamplingSettings(length=10, min_ioa=0.5)
    (_, sample, _) = cut_samples("v", 30, CLOCK, settings, 10)
    assert (sample.first, sample.count) == (10, 10)
    # Inside whole; half inside; less than half inside; outside.
    segments = np.array([[12.0, 15.0], [18.0, 22.0], [19.0, 22.0], [21.0, 25.0]])
    clipped, belongs, share = on_grid(sample, segments, settings.min_ioa)
    assert belongs.tolist() == [True, True, False, False]
    assert clipped[:2].tolist() == [[2.0, 5.0], [8.0, 10.0]]
    assert share.tolist() == pytest.approx([1, 0.5, 1 / 3, 0])


def test_a_training_window_needs_a_whole_instance_unless_told_otherwise() -> None:
    sample = Sample("v", 10, 10, CLOCK.cropped(10))
    half = np.array([[18.0, 22.0]])
    assert not is_useful(sample, half, SamplingSettings(require_whole=True))
    assert is_useful(sample, half, SamplingSettings(require_whole=False))
    assert is_useful(sample, np.array([[10.0, 20.0]]), SamplingSettings(require_whole=True))


def test_what_a_grid_can_express_ends_with_the_video() -> None:
    # Windows of 4 s every 2 s: centres at 2, 4, ... 18 s; cells are 2 s wide, so the grid spans 1 to 19 s.
    clock = FeatureClock(fps=1, stride=2, window=4, duration=18.5)
    assert visible_span(9, clock) == (1.0, 18.5)


@pytest.mark.parametrize(
    ("values", "length", "expected"),
    [
        ([0, 1, 2, 3], 8, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
        ([0, 1, 2, 3], 2, [0.5, 2.5]),
        ([0, 1, 2, 3, 4, 5], 4, [0.25, 1.75, 3.25, 4.75]),
        ([7], 3, [7, 7, 7]),
    ],
)
def test_rescaling_gives_the_values_of_the_sheet(values: list[float], length: int, expected: list[float]) -> None:
    column = np.array(values, np.float32)[:, None]
    assert rescaled(column, length)[:, 0].tolist() == expected


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_rescaling_is_torchs_interpolation(old: int, new: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal((old, 3)).astype(np.float32)
    tensor = torch.from_numpy(values).T[None]
    expected = torch.nn.functional.interpolate(tensor, size=new, mode="linear", align_corners=False)[0].T.numpy()
    # torch computes positions in float32: about 1e-6 of a snippet off at 40.
    assert rescaled(values, new) == pytest.approx(expected, abs=1e-4)


def test_rescaling_commutes_with_time_reversal() -> None:
    values = np.random.default_rng(0).standard_normal((17, 2)).astype(np.float32)
    assert rescaled(values[::-1], 6) == pytest.approx(rescaled(values, 6)[::-1], abs=1e-6)


clocks = st.builds(
    FeatureClock,
    fps=st.floats(1, 60),
    stride=st.floats(0.5, 64),
    window=st.floats(1, 64),
    offset=st.floats(0, 100),
    duration=st.just(1e5),
)


@given(
    clocks,
    st.sampled_from(["window", "rescale", "pad"]),
    st.integers(1, 300),
    st.integers(1, 100),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_ground_truth_comes_back_from_the_grid_of_every_sample_that_holds_it(
    clock: FeatureClock, resize: str, length: int, window: int, start: float, end: float
) -> None:
    settings = SamplingSettings(resize=resize, length=window)  # type: ignore[arg-type]
    if resize == "rescale":
        clock, length = clock.rescaled(length, window), window
    first, last = visible_span(length, clock)
    low, high = sorted((first + start * (last - first), first + end * (last - first)))
    segments = np.array([[low, high]])
    found = 0
    for sample in cut_samples("v", length, clock, settings, max(1, window // 2)):
        grid, _, share = on_grid(sample, segments, 0.0)
        if share[0] >= 1 - 1e-9 and high - low > 1e-6:
            found += 1
            assert sample.clock.seconds(grid) == pytest.approx(segments, abs=1e-4)
    if resize != "window" and high - low > 1e-3:
        assert found == 1
