"""Joining features and ground truth: what is used, what is dropped aloud, and what stops a training."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugin.tiny_data import TinyData, write_tiny_data
from training_runs import Listener, MakeTrainer

from taltool.data.annotations import read_ground_truth
from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.records import GroundTruth
from taltool.errors import DataError, UsageError
from taltool.experiment import dataset
from taltool.experiment.dataset import LabelledVideo, chosen_videos, sharded
from taltool.experiment.settings import SamplingSettings
from taltool.reporting import SILENT

CLOCK = FeatureClock(fps=1, stride=2, window=4, duration=18.5)  # its grid spans 1 to 19 s


def features_of(folder: Path, channels: dict[str, int]) -> str:
    path = str(folder / "f.h5")
    with FeatureWriter(path) as writer:
        for video_id, count in channels.items():
            writer.write(VideoFeatures(video_id, np.ones((9, count), np.float32), CLOCK, {}))
    return path


def truth_of(folder: Path, videos: dict[str, list[tuple[float, float, str]]]) -> GroundTruth:
    database = {
        video_id: {
            "duration": 18.5,
            "subset": "training" if video_id.startswith("t") else "validation",
            "annotations": [{"segment": [start, end], "label": label} for start, end, label in annotations],
        }
        for video_id, annotations in videos.items()
    }
    (folder / "gt.json").write_text(json.dumps({"database": database}))
    return read_ground_truth(str(folder / "gt.json"))


def test_instances_are_clipped_to_the_features_and_dropped_outside_both_aloud(tmp_path: Path) -> None:
    inside, early, late, gone, empty, before = (
        (3.0, 5.0, "a"), (0.0, 5.0, "a"), (15.0, 30.0, "b"), (20.0, 25.0, "b"), (4.0, 4.0, "a"), (0.0, 0.9, "a"),
    )  # fmt: skip
    truth = truth_of(tmp_path, {"t1": [inside, early, late, gone, empty, before]})
    listener = Listener()
    with FeatureFile(features_of(tmp_path, {"t1": 3})) as file:
        segments, labels = dataset.usable_instances(truth, file, listener)["t1"]
    assert segments.tolist() == [[3.0, 5.0], [1.0, 5.0], [15.0, 18.5]]
    assert [truth.names.names[label] for label in labels] == ["a", "a", "b"]
    assert any(
        m.endswith("3 instances are empty or lie outside their video's features; dropped") for m in listener.heard
    )
    assert any(m.endswith("1 instances run past the end of their video; clipped") for m in listener.heard)


def test_videos_without_features_are_an_error_with_counts_unless_skipped(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, {"t1": [], "t2": [], "t3": []})
    listener = Listener()
    with FeatureFile(features_of(tmp_path, {"t1": 3})) as file:
        with pytest.raises(DataError, match=r"has 1 of the 3 videos.*missing: t2, t3; use --skip-missing"):
            dataset.videos_with_features(truth, file, False, SILENT)
        assert list(dataset.videos_with_features(truth, file, True, listener).videos) == ["t1"]
    assert listener.heard == ["2 of 3 videos have no features, skipped: t2, t3"]


def test_files_that_share_no_video_are_an_error_even_when_skipping(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, {"t1": []})
    with (
        FeatureFile(features_of(tmp_path, {"x": 3})) as file,
        pytest.raises(DataError, match="do the two files belong together"),
    ):
        dataset.videos_with_features(truth, file, True, SILENT)


def test_a_subset_without_videos_is_an_error(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, {"t1": []}).only([])
    with FeatureFile(features_of(tmp_path, {"t1": 3})) as file, pytest.raises(DataError, match="no videos in this"):
        dataset.videos_with_features(truth, file, False, SILENT)


def test_classes_without_a_training_instance_are_told_and_not_learnt(tmp_path: Path) -> None:
    whole = truth_of(tmp_path, {"t1": [(3, 5, "b"), (3, 5, "a"), (20, 25, "lost")], "v1": [(3, 5, "strange")]})
    truth = whole.subset("training")
    listener = Listener()
    with FeatureFile(features_of(tmp_path, {"t1": 3, "v1": 3})) as file:
        instances = dataset.usable_instances(truth, file, SILENT)
    assert dataset.class_names(truth, instances, listener) == ["a", "b"]
    assert any("no usable training instance of lost" in message for message in listener.heard)
    assert any("have strange" in message for message in listener.heard)


def test_a_training_without_any_usable_instance_is_an_error(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, {"t1": [(20, 25, "a")]})
    with FeatureFile(features_of(tmp_path, {"t1": 3})) as file:
        instances = dataset.usable_instances(truth, file, SILENT)
    with pytest.raises(DataError, match="nothing to learn"):
        dataset.class_names(truth, instances, SILENT)


def test_labels_are_numbered_by_the_classes_and_unknown_ones_left_out_aloud(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, {"v1": [(3, 5, "z"), (6, 7, "strange"), (8, 9, "a")]})
    listener = Listener()
    with FeatureFile(features_of(tmp_path, {"v1": 3})) as file:
        (video,) = dataset.label_videos(truth, dataset.usable_instances(truth, file, SILENT), ["a", "z"], listener)
    assert video.labels.tolist() == [1, 0]
    assert video.segments.tolist() == [[3, 5], [8, 9]]
    assert "1 instances of classes without training instances" in listener.heard[0]


def test_facts_are_in_snippets(tmp_path: Path) -> None:
    data: TinyData = write_tiny_data(tmp_path, 3)
    truth = read_ground_truth(str(data.truth))
    with FeatureFile(str(data.features)) as file:
        videos = dataset.label_videos(truth, dataset.usable_instances(truth, file, SILENT), ["jump", "run"], SILENT)
        facts = dataset.dataset_statistics(file, videos, 2, 6)
        lengths = sorted(file.shape(video_id)[0] for video_id in file.ids)
    assert facts.video_lengths == tuple(lengths)
    assert facts.instance_lengths == pytest.approx((5, 5, 5, 6, 6, 6))  # snippets 2..7 and the ten before last to 4
    assert facts.seconds_per_snippet == 0.5
    assert (facts.num_videos, facts.num_classes, facts.channels) == (3, 2, 6)


def test_coverage_decides_how_often_a_video_is_shown(tmp_path: Path) -> None:
    """v0 is covered by a fifth on average, v1 by nearly all, v2 by nothing, v3 by half (of 18.5 s)."""
    spans = {"v0": [(1.85, 3.7), (5.0, 10.55)], "v1": [(0.1, 18.4)], "v2": [], "v3": [(0.0, 9.25)]}
    videos = [
        LabelledVideo(name, np.array(own).reshape(-1, 2), np.zeros(len(own), np.int64)) for name, own in spans.items()
    ]

    def shown(**rules: float) -> list[str]:
        kept = dataset.select_by_coverage(videos, file, SamplingSettings(**rules), listener)  # type: ignore[arg-type]
        return [video.video_id for video in kept]

    listener = Listener()
    with FeatureFile(features_of(tmp_path, dict.fromkeys(spans, 3))) as file:
        assert shown() == ["v0", "v1", "v2", "v3"]
        assert listener.heard == []
        assert shown(drop_coverage=0.98) == ["v0", "v2", "v3"]
        assert listener.heard == ["1 training videos have a coverage of 0.98 or more; left out"]
        assert shown(repeat_coverage=0.21) == ["v0", "v1", "v2", "v3", "v0"]
        assert shown(drop_coverage=0.5, repeat_coverage=0.19) == ["v0", "v2"]
        videos.pop(2)
        with pytest.raises(UsageError, match="drop_coverage"):
            shown(drop_coverage=0.1)


def test_a_repeated_video_is_seen_twice_in_an_epoch(trainer: MakeTrainer) -> None:
    once = trainer().loader.samples
    twice = trainer("sampling.repeat_coverage=1.0").loader.samples
    assert sorted(sample.video_id for sample in twice) == sorted(2 * [sample.video_id for sample in once])


def videos_with(labels: list[list[int]]) -> list[LabelledVideo]:
    return [
        LabelledVideo(f"v{n}", np.tile([0.0, 1.0], (len(own), 1)), np.array(own, np.int64))
        for n, own in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.1, 1), (0.24, 2), (0.28, 3), (0.5, 5), (0.01, 1), (0.98, 9), (0.0, 0)]
)
def test_a_share_of_the_videos_is_held_out(share: float, expected: int) -> None:
    videos = videos_with([[0, 1]] * 10)
    train, held = dataset.hold_out(videos, share, seed=0)
    assert len(held) == expected
    assert sorted(v.video_id for v in [*train, *held]) == [v.video_id for v in videos]


def test_a_video_without_instances_is_trained_on_and_chooses_no_epoch() -> None:
    for seed in range(10):
        train, held = dataset.hold_out(videos_with([[], [], [], [], [0], [0]]), 0.5, seed)
        assert [video.video_id for video in held] in (["v4"], ["v5"])
        assert len(train) == 5


def test_the_held_out_videos_follow_from_the_seed() -> None:
    videos = videos_with([[0]] * 20)
    drawn = [tuple(v.video_id for v in dataset.hold_out(videos, 0.2, seed)[1]) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_no_class_loses_its_last_training_instance() -> None:
    for seed in range(20):
        train, held = dataset.hold_out(videos_with([[0], [0], [0], [1], [0, 2]]), 0.8, seed)
        assert {int(label) for video in train for label in video.labels} == {0, 1, 2}
        assert sorted(video.video_id for video in held) == ["v0", "v1", "v2"]


def test_one_video_is_never_held_out() -> None:
    train, held = dataset.hold_out(videos_with([[0]]), 0.5, seed=0)
    assert (len(train), held) == (1, [])


@pytest.fixture
def data(tmp_path: Path) -> TinyData:
    return write_tiny_data(tmp_path, 8)


@pytest.fixture
def file(data: TinyData) -> Iterator[FeatureFile]:
    with FeatureFile(str(data.features)) as opened:
        yield opened


@pytest.fixture
def split(tmp_path: Path) -> str:
    (tmp_path / "s.json").write_text(json.dumps({"one": {"training": ["v01", "v00"], "validation": ["v05", "gone"]}}))
    return f"{tmp_path / 's.json'}:one"


def test_nothing_said_means_all(file: FeatureFile) -> None:
    assert chosen_videos(file, None, None, None, False, SILENT) == file.ids


def test_a_subset_is_that_of_the_ground_truth(file: FeatureFile, data: TinyData) -> None:
    truth = read_ground_truth(str(data.truth))
    assert chosen_videos(file, "validation", None, truth, False, SILENT) == ["v03", "v07"]
    with pytest.raises(DataError, match="no subset 'test'"):
        chosen_videos(file, "test", None, truth, False, SILENT)


def test_a_subset_needs_someone_who_knows_it(file: FeatureFile) -> None:
    with pytest.raises(UsageError, match="--subset needs --ground-truth GT or --split"):
        chosen_videos(file, "validation", None, None, False, SILENT)


def test_a_split_names_its_videos(file: FeatureFile, split: str) -> None:
    assert chosen_videos(file, "training", split, None, False, SILENT) == ["v00", "v01"]
    with pytest.raises(DataError, match=r"no subset 'test' \(there are: training, validation\)"):
        chosen_videos(file, "test", split, None, False, SILENT)


def test_videos_of_a_split_without_features_are_an_error_unless_skipped(file: FeatureFile, split: str) -> None:
    with pytest.raises(DataError, match=r"has 1 of the 2 videos wanted from .*; missing: gone"):
        chosen_videos(file, "validation", split, None, False, SILENT)
    listener = Listener()
    assert chosen_videos(file, "validation", split, None, True, listener) == ["v05"]
    assert listener.heard == ["1 of 2 videos have no features, skipped: gone"]


@given(st.integers(0, 30), st.integers(1, 9))
def test_shards_share_the_videos_out_evenly(videos: int, count: int) -> None:
    ids = [str(number) for number in range(videos)]
    parts = [sharded(ids, f"{index}/{count}") for index in range(1, count + 1)]
    assert sorted(video_id for part in parts for video_id in part) == sorted(ids)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_shard_that_makes_no_sense_is_refused(shard: str) -> None:
    with pytest.raises(UsageError, match="expected I/N with I from 1 to N"):
        sharded(["a"], shard)
