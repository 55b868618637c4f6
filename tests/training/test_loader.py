"""Batches: what is in them, what is random in them, and that neither memory nor threads matter."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from plugin.tiny_data import TinyData, write_tiny_data

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.errors import UsageError
from taltool.experiment.batches import NO_INSTANCES, read_batch
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.sampling import ChannelStatistics, FeatureSource, StretchedSource, cut_samples, shortest_shown
from taltool.experiment.settings import SamplingSettings
from taltool.models.contract import Batch
from taltool.training.loader import TrainingLoader
from taltool.training.validation import batch_to_device

# One snippet a second, so that seconds are grid positions.
LENGTHS = {"long": 25, "short": 6}


@pytest.fixture
def file(tmp_path: Path):  # type: ignore[no-untyped-def]
    """`long` holds the number of its snippet in channel 0 and minus that in channel 1; `short` is all ones."""
    path = str(tmp_path / "f.h5")
    with FeatureWriter(path) as writer:
        for video_id, length in LENGTHS.items():
            clock = FeatureClock(fps=1, stride=1, window=1, duration=length)
            column = np.arange(length) if video_id == "long" else np.ones(length)
            writer.write(VideoFeatures(video_id, np.stack([column, -column], 1).astype(np.float32), clock, {}))
    with FeatureFile(path) as opened:
        yield opened


VIDEOS = [
    LabelledVideo("long", np.array([[2.0, 5.0], [11.0, 13.0], [20.0, 24.0]]), np.array([0, 1, 0])),
    LabelledVideo("short", np.array([[1.0, 4.0]]), np.array([1])),
]


def loader(file: FeatureFile, batch_size: int = 2, multiple: int = 1, cache: int = 1 << 20, **settings: object):  # type: ignore[no-untyped-def]
    sampling = SamplingSettings(**settings)  # type: ignore[arg-type]
    statistics = ChannelStatistics.measure(file, LENGTHS, None)
    return TrainingLoader(FeatureSource(file, sampling, statistics, cache), VIDEOS, batch_size, multiple, seed=3)


def same(first: Batch, second: Batch) -> bool:
    pairs = [(first.features, second.features), (first.mask, second.mask)]
    pairs += list(zip(first.targets.segments, second.targets.segments, strict=True))
    return first.video_ids == second.video_ids and all(torch.equal(a, b) for a, b in pairs)


def test_windows_without_a_whole_instance_are_left_out(file: FeatureFile) -> None:
    found = loader(file, length=10, train_stride=5)
    # Windows of `long` start at 0, 5, 10, 15; 5..15 holds the second instance, 0..10 the first, 15..25 the third.
    assert [(s.video_id, s.first) for s in found.samples] == [
        ("long", 0),
        ("long", 5),
        ("long", 10),
        ("long", 15),
        ("short", 0),
    ]
    found = loader(file, length=6, train_stride=6)
    # 0..6 first; 6..12 and 12..18 none whole; 18..24 third; 19..25 third; short is padded.
    assert [(s.video_id, s.first) for s in found.samples] == [("long", 0), ("long", 18), ("long", 19), ("short", 0)]


def test_a_window_batch_holds_the_snippets_and_the_ground_truth_of_its_windows(file: FeatureFile) -> None:
    source = FeatureSource(file, SamplingSettings(length=10))
    samples = [cut_samples("long", 25, file.clock("long"), source.settings, 10)[1]]
    samples += cut_samples("short", 6, file.clock("short"), source.settings, 10)
    batch = read_batch(source, samples, [(v.segments, v.labels) for v in VIDEOS], 1)
    assert batch.features.shape == (2, 2, 10)
    assert batch.features[0, 0].tolist() == list(range(10, 20))
    assert batch.features[1, 0].tolist() == [1] * 6 + [0] * 4
    assert batch.mask.sum(1).tolist() == [10, 6]
    assert [s.tolist() for s in batch.targets.segments] == [[[1, 3]], [[1, 4]]]
    assert [each.tolist() for each in batch.targets.labels] == [[1], [1]]
    assert batch.video_ids == ["long", "short"]


def test_a_pad_batch_is_as_long_as_its_longest_video_rounded_up(file: FeatureFile) -> None:
    (batch,) = loader(file, multiple=8, resize="pad", length=100).batches(0)
    assert batch.features.shape == (2, 2, 32)
    assert sorted(batch.mask.sum(1).tolist()) == [6, 25]
    assert (batch.features.abs().sum(1)[~batch.mask] == 0).all()


def test_a_random_crop_moves_features_and_ground_truth_together(file: FeatureFile) -> None:
    firsts = set()
    for epoch in range(30):
        for batch in loader(file, 1, resize="pad", length=8).batches(epoch):
            if batch.video_ids == ["long"]:
                first = int(batch.features[0, 0, 0])
                firsts.add(first)
                assert batch.features[0, 0].tolist() == list(range(first, first + 8))
                whole = [s for s in VIDEOS[0].segments.tolist() if s[0] >= first and s[1] <= first + 8]
                found = (batch.targets.segments[0] + first).tolist()
                assert [segment for segment in found if segment in whole] == whole
    assert len(firsts) > 5


def test_jitter_moves_windows_but_never_out_of_the_video(file: FeatureFile) -> None:
    firsts = set()
    for epoch in range(30):
        for batch in loader(file, 1, length=10, train_stride=5, jitter=4.0).batches(epoch):
            if batch.video_ids == ["long"]:
                first = int(batch.features[0, 0, 0])
                firsts.add(first)
                assert batch.features[0, 0].tolist() == list(range(first, first + 10))
    assert len(firsts) > 8
    assert min(firsts) == 0
    assert max(firsts) == 15


def test_a_rescaled_batch_holds_whole_videos(file: FeatureFile) -> None:
    found = {}
    for batch in loader(file, 1, resize="rescale", length=50).batches(0):
        found[batch.video_ids[0]] = batch
    assert found["long"].features.shape == (1, 2, 50)
    assert found["long"].targets.segments[0].tolist() == [[4, 10], [22, 26], [40, 48]]
    assert found["short"].mask.all()
    assert found["short"].targets.segments[0].numpy() == pytest.approx(np.array([[50 / 6, 200 / 6]]))


@pytest.mark.parametrize(
    ("settings", "long", "short"),
    [
        ({"length": 10, "train_stride": 10}, 2, 3),
        ({"length": 10, "train_stride": 10, "jitter": 3}, 2, 3),
        ({"resize": "pad", "length": 8}, 2, 3),
        ({"resize": "rescale", "length": 50}, 4, 25),
        ({"resize": "pad", "length": 100, "mixup": 1.0}, 2, 2),
    ],
)
def test_a_sample_knows_the_shortest_instance_of_its_video_in_it_or_not(
    settings: dict[str, object], long: float, short: float, file: FeatureFile
) -> None:
    unseen = 0
    for epoch in range(20):
        for batch in loader(file, 1, **settings).batches(epoch):
            (shortest,), (segments,) = batch.shortest_instances, batch.targets.segments
            assert shortest == pytest.approx({"long": long, "short": short}[batch.video_ids[0]])
            unseen += not len(segments) or bool(segments.diff(dim=1).min() > shortest + 1e-3)
    assert unseen or "mixup" in settings or settings["length"] == 50


def test_a_video_without_instances_has_no_shortest_one(file: FeatureFile) -> None:
    source = FeatureSource(file, SamplingSettings(length=10))
    samples = cut_samples("short", 6, file.clock("short"), source.settings, 10)
    batch = read_batch(source, samples, [NO_INSTANCES], 1)
    assert batch.shortest_instances == batch.shortest_shown == [np.inf]


def test_what_windows_show_of_an_instance_at_least() -> None:
    """Windows [0, 10), [6, 16), [10, 20): of [7, 12] they show 3 (60 %), all 5, and 2 (40 %, which does not belong)."""
    settings = SamplingSettings(length=10, train_stride=6, min_ioa=0.5)
    assert shortest_shown(np.array([[7.0, 12.0]]), 20, settings) == 3
    assert shortest_shown(np.array([[7.0, 12.0], [17.0, 19.5]]), 20, settings) == 2.5
    assert shortest_shown(np.array([[7.0, 12.0]]), 20, dataclasses.replace(settings, min_ioa=0.4)) == 2
    assert shortest_shown(np.array([[7.0, 12.0]]), 20, dataclasses.replace(settings, resize="pad")) == 5
    # Of a longer one no window shows half, but some are full of it.
    covered = dataclasses.replace(settings, min_covered=0.75)
    assert shortest_shown(np.array([[0.0, 40.0]]), 40, settings) == np.inf
    assert shortest_shown(np.array([[0.0, 40.0]]), 40, covered) == 10


def test_a_shifted_window_may_show_less_than_those_of_the_grid(file: FeatureFile) -> None:
    settings = {"length": 10, "train_stride": 10, "jitter": 5.0, "min_ioa": 0.3, "require_whole": False}
    for epoch in range(20):
        for batch in loader(file, 1, **settings).batches(epoch):
            (shown,), (segments,) = batch.shortest_shown, batch.targets.segments
            assert not len(segments) or shown <= float(segments.diff(dim=1).min()) + 1e-5


def test_a_batch_on_another_device_is_the_same_batch(file: FeatureFile) -> None:
    (batch,) = loader(file, resize="pad", length=100).batches(0)
    moved = batch_to_device(batch, "meta")
    assert {each.device.type for each in (moved.features, moved.mask, *moved.targets.segments)} == {"meta"}
    for name in ("video_ids", "shortest_instances", "shortest_shown"):
        assert getattr(moved, name) == getattr(batch, name)


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own(file: FeatureFile) -> None:
    found = loader(file, length=10, train_stride=5)
    orders = []
    for epoch in (0, 1, 2, 0):
        batches = list(found.batches(epoch))
        assert [len(batch.video_ids) for batch in batches] == [2, 2, 1]
        starts = [int(value) for batch in batches for value in batch.features[:, 0, 0]]
        assert sorted(starts) == [0, 1, 5, 10, 15]
        orders.append(starts)
    assert orders[0] == orders[3]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize(
    "settings",
    [
        {"length": 10, "train_stride": 5, "jitter": 3.0, "feature_noise": 0.5, "feature_dropout": 0.5},
        {"resize": "pad", "length": 8, "feature_noise": 0.5, "normalize": "channel"},
        {"resize": "rescale", "length": 8},
        {"length": 10, "train_stride": 5, "jitter": 3.0, "time_dropout": 0.3, "mixup": 1.5},
        {"resize": "pad", "length": 8, "mixup": 0.4},
    ],
)
@pytest.mark.parametrize("cache", [0, 150, 1 << 20])
def test_the_rest_of_an_epoch_is_the_same_from_any_step_and_from_disk_or_memory(
    file: FeatureFile, settings: dict[str, object], cache: int
) -> None:
    whole = list(loader(file, 1, **settings).batches(4))  # type: ignore[arg-type]
    for first in range(len(whole) + 1):
        rest = list(loader(file, 1, cache=cache, **settings).batches(4, first))  # type: ignore[arg-type]
        assert len(rest) == len(whole) - first
        assert all(same(a, b) for a, b in zip(whole[first:], rest, strict=True))


def test_what_is_random_in_a_sample_does_not_depend_on_the_batch_it_is_in(file: FeatureFile) -> None:
    settings = {"length": 10, "train_stride": 5, "jitter": 3.0, "feature_noise": 0.5, "time_dropout": 0.3, "mixup": 1.5}
    alone = list(loader(file, 1, **settings).batches(2))  # type: ignore[arg-type]
    together = list(loader(file, 3, **settings).batches(2))  # type: ignore[arg-type]
    assert [len(batch.video_ids) for batch in together] == [3, 2]
    assert torch.equal(torch.cat([b.features for b in alone]), torch.cat([b.features for b in together]))
    segments = [[each.tolist() for b in batches for each in b.targets.segments] for batches in (alone, together)]
    assert segments[0] == segments[1]


def test_stretched_samples_show_their_instances_where_their_snippets_are(file: FeatureFile) -> None:
    """Channel 0 of `long` is the number of the snippet: in the middle of the instances 3, 11.5 and 21.5."""
    made, counts = loader(file, resize="pad", length=64, time_stretch=1.5), set()
    for batch in (batch for epoch in range(20) for batch in made.batches(epoch)):
        row = batch.video_ids.index("long")
        middles = batch.targets.segments[row].mean(1).long()
        assert batch.features[row, 0, middles].tolist() == pytest.approx([3.0, 11.5, 21.5], abs=1.0)
        counts.add(int(batch.mask[row].sum()))
    assert min(counts) in range(17, 20)  # 25 / 1.5 = 16.7
    assert max(counts) in range(34, 39)
    assert all(same(*pair) for pair in zip(made.batches(3), made.batches(3), strict=True))


def test_a_stretched_source_has_the_same_video_on_another_grid(file: FeatureFile) -> None:
    """Snippets of .8 s: 31 of 25 s. What stands at a time is what stood there: second t holds t - .5."""
    source = FeatureSource(file, SamplingSettings(resize="window", length=10))
    longer = StretchedSource(source, 1.25)
    assert longer.length("long") == 31
    ends = longer.clock("long").seconds(np.array([0.0, 31.0]))
    assert ends.tolist() == pytest.approx([0.0, 25.0])
    whole = longer.read("long", 0, 31)
    middles = longer.clock("long").seconds(np.arange(31) + 0.5)
    assert whole[:, 0].tolist() == pytest.approx(np.clip(middles - 0.5, 0, 24).tolist(), abs=1e-5)
    assert np.array_equal(longer.read("long", 7, 9), whole[7:16])
    assert StretchedSource(source, 0.01).length("short") == 1


def test_mixup_shows_two_samples_at_once_with_the_instances_of_both(file: FeatureFile) -> None:
    """`short` is one everywhere, in both channels with opposite signs; `long` counts its snippets."""
    shares = []
    for epoch in range(50):
        for batch in loader(file, 1, resize="pad", length=100, mixup=1.0).batches(epoch):
            assert batch.mask.all()
            assert batch.features.shape == (1, 2, 25)
            found = batch.features[0, 0].numpy()
            last = found[-1] / 24  # Only `long` is there.
            own = last if batch.video_ids == ["long"] else 1 - last
            shares.append(own)
            expected = last * np.arange(25) + np.where(np.arange(25) < 6, 1 - last, 0)
            assert found == pytest.approx(expected, abs=1e-5)
            assert batch.features[0, 1].numpy() == pytest.approx(-expected, abs=1e-5)
            together = zip(batch.targets.segments[0].tolist(), batch.targets.labels[0].tolist(), strict=True)
            assert sorted(together) == [([1, 4], 1), ([2, 5], 0), ([11, 13], 1), ([20, 24], 0)]
    # Beta(1, 1) is uniform; the larger share is the sample's own.
    assert min(shares) >= 0.5
    assert np.mean(shares) == pytest.approx(0.75, abs=0.05)


def test_a_sample_is_never_mixed_with_itself(file: FeatureFile) -> None:
    sampling = SamplingSettings(resize="pad", length=100, mixup=1.5)
    for _ in range(2):
        (batch,) = TrainingLoader(FeatureSource(file, sampling), VIDEOS[1:], 1, 1, seed=3).batches(0)
        assert batch.features[0, 0].tolist() == [1] * 6
        assert batch.targets.segments[0].tolist() == [[1, 4]]


def test_time_dropout_zeroes_whole_snippets_and_leaves_the_others_as_they_are(file: FeatureFile) -> None:
    snippets = []
    for epoch in range(100):
        for batch in loader(file, 1, length=10, time_dropout=0.25).batches(epoch):
            if batch.video_ids == ["short"]:
                assert batch.mask.sum() == 6
                snippets += batch.features[0, :, :6].T.tolist()
    assert {tuple(snippet) for snippet in snippets} == {(0, 0), (1, -1)}
    assert np.mean([snippet[0] for snippet in snippets]) == pytest.approx(0.75, abs=0.06)


def test_dropout_zeroes_channels_of_a_sample_and_keeps_the_mean(file: FeatureFile) -> None:
    values = []
    for epoch in range(100):
        for batch in loader(file, 1, length=10, feature_dropout=0.25).batches(epoch):
            if batch.video_ids == ["short"]:
                values += batch.features[0, :, :6].tolist()
    assert all(len(set(channel)) == 1 for channel in values)  # all of a channel, or nothing of it
    magnitudes = np.abs([channel[0] for channel in values])
    assert set(np.unique(magnitudes)) == {0, np.float64(np.float32(1 / 0.75))}
    assert magnitudes.mean() == pytest.approx(1, abs=0.15)


def test_noise_is_measured_in_deviations_of_each_channel(tmp_path: Path) -> None:
    path = str(tmp_path / "n.h5")
    values = np.random.default_rng(0).normal(0, [1, 100], (400, 2)).astype(np.float32)
    clock = FeatureClock(fps=1, stride=1, window=1, duration=400)
    with FeatureWriter(path) as writer:
        writer.write(VideoFeatures("v", values, clock, {}))
    video = LabelledVideo("v", np.array([[1.0, 9.0]]), np.array([0]))
    with FeatureFile(path) as file:
        for normalize, scale in (("none", [0.5, 50]), ("channel", [0.5, 0.5])):
            settings = SamplingSettings(resize="rescale", length=400, feature_noise=0.5, normalize=normalize)  # type: ignore[arg-type]
            source = FeatureSource(file, settings, ChannelStatistics.measure(file, ["v"], None))
            (batch,) = TrainingLoader(source, [video], 1, 1, 0).batches(0)
            noise = batch.features[0].T.numpy() - source.read("v", 0, 400)
            assert noise.std(0) == pytest.approx(scale, rel=0.15)


def test_channels_are_normalized_over_the_training_videos(tmp_path: Path) -> None:
    data: TinyData = write_tiny_data(tmp_path)
    with FeatureFile(str(data.features)) as file:
        statistics = ChannelStatistics.measure(file, file.ids, None)
        source = FeatureSource(file, SamplingSettings(resize="pad", normalize="channel"), statistics)
        values = np.concatenate([source.read(v, 0, source.length(v)) for v in file.ids])
    assert values.mean(0) == pytest.approx(np.zeros(6), abs=1e-5)
    assert values.std(0) == pytest.approx(np.ones(6), abs=1e-4)


def test_a_constant_channel_becomes_zero_not_noise(file: FeatureFile) -> None:
    statistics = ChannelStatistics.measure(file, ["short"], None)
    assert statistics.normalized(file.read("short")).tolist() == np.zeros((6, 2)).tolist()


def normalized(folder: Path, *channels: list[float]) -> np.ndarray:
    """A video of these channels, stored in float32, normalised by its own statistics: (C, T)."""
    values = np.array(channels, np.float32).T
    with FeatureWriter(str(folder / "n.h5")) as writer:
        writer.write(VideoFeatures("v", values, FeatureClock(fps=1, stride=1, window=1, duration=len(values)), {}))
    with FeatureFile(str(folder / "n.h5")) as file:
        return ChannelStatistics.measure(file, ["v"], None).normalized(file.read("v")).T


def test_a_channel_that_changes_by_rounding_only_becomes_zero_not_noise(tmp_path: Path) -> None:
    """Neighbouring float32 numbers are 1e-7 of their size apart."""
    pairs = [[value, float(np.nextafter(np.float32(value), np.float32(np.inf)))] for value in (0.3, 7.0, -1000.1)]
    for channel in normalized(tmp_path, *(pair * 50 for pair in pairs)):
        assert np.abs(channel).max() < 1e-3


def test_small_changes_are_normalised_like_large_ones(tmp_path: Path) -> None:
    """A ten-thousandth of the mean, and a billionth about zero, are no rounding of float32."""
    for channel in normalized(tmp_path, [99.99, 100.01] * 50, [-1e-9, 1e-9] * 50):
        assert channel.tolist() == pytest.approx([-1, 1] * 50, abs=1e-3)


def test_streams_are_chosen_by_name_and_in_order(tmp_path: Path) -> None:
    data: TinyData = write_tiny_data(tmp_path, 1)
    with FeatureFile(str(data.features)) as file:
        whole = file.read("v00")
        source = FeatureSource(file, SamplingSettings(streams=("flow", "rgb")))
        assert source.width("v00") == 6
        assert (source.read("v00", 0, 5) == whole[:5, [4, 5, 0, 1, 2, 3]]).all()
        with pytest.raises(UsageError, match=r"no stream 'audio' \(there are: rgb, flow\)"):
            FeatureSource(file, SamplingSettings(streams=("audio",)))
