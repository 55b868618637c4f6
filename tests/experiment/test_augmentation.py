"""Where a training sample begins: crops and shifted windows, counted over many draws."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.records import Floats, Integers
from taltool.experiment.batches import Example, resample_example, shift_sample, stretch_sample
from taltool.experiment.sampling import FeatureSource, Sample
from taltool.experiment.settings import SamplingSettings

LENGTHS = {"long": 1000, "short": 12}
NONE = np.zeros((0, 2))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FeatureFile]:
    """One snippet a second, so that seconds are grid positions."""
    path = str(tmp_path / "f.h5")
    with FeatureWriter(path) as writer:
        for video_id, length in LENGTHS.items():
            clock = FeatureClock(fps=1, stride=1, window=1, duration=length)
            writer.write(VideoFeatures(video_id, np.zeros((length, 1), np.float32), clock, {}))
    with FeatureFile(path) as opened:
        yield opened


def drawn(file: FeatureFile, sample: Sample, segments: Floats, draws: int, settings: SamplingSettings) -> Integers:
    """The first snippet of the sample after each of so many draws."""
    source, rng = FeatureSource(file, settings), np.random.default_rng(0)
    moved = [shift_sample(sample, segments, source, rng) for _ in range(draws)]
    assert {each.count for each in moved} == {settings.length}
    return np.array([each.first for each in moved])


def crops(file: FeatureFile, video_id: str, length: int, segments: Floats, draws: int = 3000) -> Integers:
    """Where crops of `length` snippets of a whole video begin."""
    whole = Sample(video_id, 0, LENGTHS[video_id], file.clock(video_id))
    return drawn(file, whole, segments, draws, SamplingSettings(resize="pad", length=length))


def test_two_crops_in_three_are_placed_on_an_instance_and_the_third_anywhere(file: FeatureFile) -> None:
    """A crop of 10 placed anywhere holds the instant 502 ten times in 991; 3000 draws have a deviation of .009."""
    first = crops(file, "long", 10, np.array([[500.0, 504.0]]))
    holds = (first <= 502) & (first + 10 >= 502)
    assert holds.mean() == pytest.approx(2 / 3 + 1 / 3 * 10 / 991, abs=0.03)
    others = first[~holds]
    assert others.mean() == pytest.approx(495, abs=30)
    assert others.min() < 10
    assert others.max() > 980


def test_the_middle_of_the_instance_lies_anywhere_in_its_crop(file: FeatureFile) -> None:
    first = crops(file, "long", 100, np.array([[500.0, 504.0]]))
    place = 502 - first[(first <= 502) & (first + 100 >= 502)]
    assert np.histogram(place, 4, (0, 100))[0] / len(place) == pytest.approx([0.25] * 4, abs=0.03)


def test_each_instance_is_as_likely_to_be_in_a_crop_and_no_crop_leaves_the_video(file: FeatureFile) -> None:
    """The crops on an instance at an end of the video begin at that end as often as they would begin outside of it."""
    first = crops(file, "long", 100, np.array([[0.0, 2.0], [400.0, 402.0], [998.0, 1000.0]]))
    assert first.min() == 0
    assert first.max() == 900
    for begin, end in ((0, 2), (301, 401), (898, 900)):
        assert ((begin <= first) & (first <= end)).mean() == pytest.approx(2 / 9, abs=0.06)


def test_a_video_without_instances_is_cropped_at_every_place_as_often(file: FeatureFile) -> None:
    counts = np.bincount(crops(file, "short", 8, NONE), minlength=5)
    assert len(counts) == 5  # 0 to 4: the last crop is flush with the end.
    assert counts / 3000 == pytest.approx([0.2] * 5, abs=0.03)


def test_a_video_as_long_as_its_samples_is_not_cropped(file: FeatureFile) -> None:
    assert set(crops(file, "short", 12, np.array([[1.0, 3.0]]), 50)) == {0}


def test_a_window_moves_to_either_side_by_no_more_than_the_jitter(file: FeatureFile) -> None:
    """uniform(-3, 3), rounded: the two ends are half as likely as what lies between."""
    sample = Sample("long", 100, 10, file.clock("long").cropped(100))
    first = drawn(file, sample, NONE, 3000, SamplingSettings(length=10, jitter=3.0))
    shares = np.bincount(first - 97, minlength=7) / 3000
    assert shares == pytest.approx([1 / 12, *[1 / 6] * 5, 1 / 12], abs=0.03)


def test_a_window_at_an_end_of_the_video_stays_in_it(file: FeatureFile) -> None:
    for begin, inwards in ((0, 1), (990, -1)):
        sample = Sample("long", begin, 10, file.clock("long").cropped(begin))
        moves = inwards * (drawn(file, sample, NONE, 500, SamplingSettings(length=10, jitter=3.0)) - begin)
        assert (moves.min(), moves.max()) == (0, 3)


def test_a_sample_knows_the_times_of_where_it_was_moved(file: FeatureFile) -> None:
    source = FeatureSource(file, SamplingSettings(resize="pad", length=8))
    whole = Sample("long", 0, 1000, file.clock("long"))
    moved = shift_sample(whole, NONE, source, np.random.default_rng(1))
    assert moved.first > 0
    assert moved.clock.seconds(0.0) == file.clock("long").seconds(float(moved.first))


def test_a_window_moves_only_to_where_it_holds_what_training_windows_must(file: FeatureFile) -> None:
    """Of [103, 107] at least 3 s must lie inside [first, first + 10): first from 96 to 104."""
    sample = Sample("long", 100, 10, file.clock("long").cropped(100))
    settings = SamplingSettings(length=10, jitter=9.0, min_ioa=0.75, require_whole=False)
    segments = np.array([[103.0, 107.0]])
    assert set(drawn(file, sample, segments, 500, settings).tolist()) == set(range(91, 110))
    useful = dataclasses.replace(settings, jitter_useful=True)
    assert set(drawn(file, sample, segments, 500, useful).tolist()) == set(range(96, 105))
    assert set(drawn(file, sample, NONE, 20, useful).tolist()) == {100}


def stretched(file: FeatureFile, sample: Sample, draws: int, **settings: Any) -> list[tuple[Sample, int]]:
    """The sample as it is stretched in each of so many draws, by at most 2."""
    source = FeatureSource(file, SamplingSettings(time_stretch=2.0, **settings))
    rng = np.random.default_rng(0)
    return [stretch_sample(sample, source, rng) for _ in range(draws)]


def test_a_window_shows_half_to_twice_as_much_in_as_many_positions(file: FeatureFile) -> None:
    window = Sample("long", 400, 100, file.clock("long").cropped(400))
    found = stretched(file, window, 3000, length=100)
    assert {positions for _, positions in found} == {100}
    shown = np.array([sample.count for sample, _ in found])
    assert (shown.min(), shown.max()) == (50, 200)
    assert np.log2(shown / 100).mean() == pytest.approx(0, abs=0.03)  # As often slower as faster.
    more = [sample for sample, _ in found if sample.count > 100]
    assert all(abs(sample.first + sample.count / 2 - 450) <= 0.5 for sample in more)
    parts = [sample for sample, _ in found if sample.count < 100]
    assert min(sample.first for sample in parts) == 400
    assert max(sample.first + sample.count for sample in parts) == 500


def test_a_stretched_window_stays_in_its_video_and_a_short_video_becomes_longer_or_shorter(file: FeatureFile) -> None:
    last = Sample("long", 900, 100, file.clock("long").cropped(900))
    assert all(s.first >= 0 and s.first + s.count <= 1000 for s, _ in stretched(file, last, 500, length=100))
    whole = Sample("short", 0, 12, file.clock("short"))
    found = stretched(file, whole, 500, resize="pad", length=20)
    assert {sample.count for sample, positions in found if positions < 20} == {12}
    assert min(positions for _, positions in found) == 6
    assert max(positions for _, positions in found) == 20
    assert min(sample.count for sample, _ in found) == 10  # Twice as slow, 20 positions show no more.


def test_what_is_shown_faster_or_slower_keeps_its_instances_in_place() -> None:
    ramp = np.arange(8, dtype=np.float32)[:, None]
    example = Example("v", ramp, np.array([[2.0, 6.0]]), np.array([3]), 4.0, 3.0)
    slower = resample_example(example, 16)
    assert (slower.segments.tolist(), slower.labels.tolist()) == ([[4.0, 12.0]], [3])
    assert (slower.shortest_instance, slower.shortest_shown) == (8.0, 6.0)
    # Positions of half a snippet have their centres at .25, .75, ...; snippet i has its own at i + .5.
    assert slower.values[1:-1, 0].tolist() == pytest.approx([i / 2 - 0.25 for i in range(1, 15)])
    faster = resample_example(example, 4)
    assert faster.values[:, 0].tolist() == pytest.approx([0.5, 2.5, 4.5, 6.5])
    assert faster.segments.tolist() == [[1.0, 3.0]]


def test_rescaled_videos_are_not_stretched_and_no_factor_is_below_one() -> None:
    with pytest.raises(ValueError, match='time_stretch has no meaning where resize = "rescale"'):
        SamplingSettings(resize="rescale", time_stretch=1.2)
    with pytest.raises(ValueError, match="time_stretch must be at least 1"):
        SamplingSettings(time_stretch=0.8)
