"""Where samples lie and what ground truth they hold; expectations are worked by hand or by torch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from taltool.data.clock import FeatureClock
from taltool.experiment.batches import read_batch
from taltool.experiment.sampling import (
    FeatureSource,
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


def test_an_instance_that_covers_enough_of_a_window_belongs_to_it_too() -> None:
    """The sheet's crop [100, 228] of frames: kept are .875 of an instance, and what covers all of the crop."""
    sample = Sample("v", 100, 128, FeatureClock(fps=1, stride=1, window=1, duration=1000).cropped(100))
    segments = np.array([[90.0, 110.0], [95.0, 135.0], [0.0, 1000.0], [0.0, 195.0], [0.0, 197.0]])
    clipped, belongs, _ = on_grid(sample, segments, 0.75, 0.75)
    assert belongs.tolist() == [False, True, True, False, True]  # 95 and 97 of 128: .742 and .758.
    assert clipped[1:3].tolist() == [[0, 35], [0, 128]]
    assert on_grid(sample, segments, 0.75)[1].tolist() == [False, True, False, False, False]
    settings = SamplingSettings(min_ioa=0.75, min_covered=0.75, require_whole=False)
    assert is_useful(sample, segments[2:3], settings)
    assert not is_useful(sample, segments[3:4], settings)


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


class OneVideo:
    """A feature file with the one video v."""

    def __init__(self, values: NDArray[np.float32], clock: FeatureClock) -> None:
        self.values, self._clock = values, clock
        self.read_rows = 0

    def shape(self, video_id: str) -> tuple[int, int]:
        return self.values.shape[0], self.values.shape[1]

    def clock(self, video_id: str) -> FeatureClock:
        return self._clock

    def read(self, video_id: str, first: int = 0, last: int | None = None, channels: Any = None) -> NDArray[np.float32]:
        found = self.values[first:last]
        self.read_rows += len(found)
        return found


SECONDS = SamplingSettings(length=100, window_seconds=12.8, train_stride=25, test_stride=100)


@pytest.mark.parametrize(
    "clock", [FeatureClock(10, 1, 16, duration=60), FeatureClock(30, 4, 16, 3, duration=60), CLOCK]
)
def test_a_window_of_seconds_lasts_so_long_whatever_the_distance_of_snippets(clock: FeatureClock) -> None:
    # A feature that is the time of its snippet: a line, which linear interpolation keeps.
    length = int(60 / clock.seconds_per_snippet)
    times = clock.seconds(np.arange(length) + 0.5).astype(np.float32)[:, None]
    source = FeatureSource(OneVideo(times, clock), SECONDS)  # type: ignore[arg-type]
    samples = cut_samples("v", source.length("v"), source.clock("v"), SECONDS, SECONDS.test_stride)
    begins = [float(sample.clock.seconds(0.0)) for sample in samples]
    assert [sample.count for sample in samples] == [100] * len(samples)
    assert [float(sample.clock.seconds(100.0)) for sample in samples] == pytest.approx([b + 12.8 for b in begins])
    assert np.diff(begins)[:-1] == pytest.approx([12.8] * (len(samples) - 2))
    # The grid begins where that of the file does, and ends with it, to less than a position.
    assert begins[0] == pytest.approx(clock.seconds(0.0))
    assert 0 <= samples[-1].clock.seconds(100.0) - clock.seconds(float(length)) + 1e-9 < 0.128
    middle = samples[1]
    found = source.read("v", middle.first, middle.count)[:, 0]
    assert found == pytest.approx(middle.clock.seconds(np.arange(100) + 0.5), abs=1e-4)


def test_a_short_video_fills_a_part_of_its_window_and_the_rest_is_masked() -> None:
    values = np.arange(50, dtype=np.float32)[:, None] + 1  # 5 s: 39.06 positions of .128 s, so 40.
    source = FeatureSource(OneVideo(values, FeatureClock(10, 1, 1, duration=5)), SECONDS)  # type: ignore[arg-type]
    [sample] = cut_samples("v", source.length("v"), source.clock("v"), SECONDS, 100)
    batch = read_batch(source, [sample], [(np.array([[0.0, 5.0]]), np.array([0]))], 1)
    assert batch.mask.sum() == sample.count == 40
    assert batch.features.shape == (1, 1, 100)
    assert (batch.features[0, 0, :40] > 0).all()
    assert (batch.features[0, 0, 40:] == 0).all()
    # 5 s on positions of .128 s.
    assert batch.targets.segments[0].tolist() == [pytest.approx([0, 39.0625])]


@pytest.mark.parametrize("sampling", [SECONDS, SamplingSettings(resize="rescale", length=100)])
def test_what_does_not_fit_memory_is_read_in_parts_and_resampled_to_the_same(sampling: SamplingSettings) -> None:
    values = np.random.default_rng(0).standard_normal((700, 3)).astype(np.float32)
    clock = FeatureClock(25, 4, 16, duration=112.5)
    file = OneVideo(values, clock)
    whole = FeatureSource(file, sampling)  # type: ignore[arg-type]
    parts = FeatureSource(file, sampling, cache_bytes=0)  # type: ignore[arg-type]
    every = whole.read("v", 0, whole.length("v"))
    file.read_rows = 0
    for first in (0, 13, whole.length("v") - 20):
        np.testing.assert_array_equal(parts.read("v", first, 20), every[first : first + 20])
    assert file.read_rows < 3 * 160
    if sampling is SECONDS:  # By another way: each window on its own.
        positions = (np.arange(13, 33) + 0.5) * 0.8 - 0.5
        expected = [np.interp(positions, np.arange(700), column) for column in values.T]
        np.testing.assert_allclose(every[13:33], np.transpose(expected), atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"window_seconds": -1.0}, {"window_seconds": 5.0, "resize": "pad"}, {"min_covered": 1.1}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"window_seconds must not be negative|min_covered must lie"):
        SamplingSettings(**wrong)


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
    st.sampled_from(["window", "rescale", "pad", "seconds"]),
    st.integers(1, 300),
    st.integers(1, 100),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_ground_truth_comes_back_from_the_grid_of_every_sample_that_holds_it(
    clock: FeatureClock, resize: str, length: int, window: int, start: float, end: float
) -> None:
    file = OneVideo(np.zeros((length, 1), np.float32), clock)
    seconds = 3 * clock.seconds_per_snippet + 1.7 if resize == "seconds" else 0.0
    settings = SamplingSettings(
        resize="window" if resize == "seconds" else resize,  # type: ignore[arg-type]
        length=window,
        window_seconds=seconds,
    )
    source = FeatureSource(file, settings)  # type: ignore[arg-type]
    clock, length = source.clock("v"), source.length("v")
    first, last = visible_span(length, clock)
    low, high = sorted((first + start * (last - first), first + end * (last - first)))
    segments = np.array([[low, high]])
    found = 0
    for sample in cut_samples("v", length, clock, settings, max(1, window // 2)):
        grid, _, share = on_grid(sample, segments, 0.0)
        if share[0] >= 1 - 1e-9 and high - low > 1e-6:
            found += 1
            assert sample.clock.seconds(grid) == pytest.approx(segments, abs=1e-4)
    if resize in ("rescale", "pad") and high - low > 1e-3:
        assert found == 1
