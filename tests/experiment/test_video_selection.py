"""Which videos `predict` takes: subsets, splits and shards."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugin.tiny_data import TinyData, write_tiny_data
from training_runs import Listener

from taltool.data.annotations import read_ground_truth
from taltool.data.features import FeatureFile
from taltool.errors import DataError, UsageError
from taltool.experiment.video_selection import chosen_videos, sharded
from taltool.reporting import SILENT


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
    with pytest.raises(DataError, match="features of 1 of the 2 videos wanted; missing: gone"):
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
