"""Unlikely data as `taltool train` meets it: each case trains, or ends with a clear message and its exit status."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from plugin.tiny_data import TinyData, write_tiny_data
from project import PROJECT, Run

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureWriter, VideoFeatures

PATHS = os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "plugin")])
Train = Callable[..., CompletedProcess[bytes]]


@pytest.fixture
def data(tmp_path: Path) -> TinyData:
    return write_tiny_data(tmp_path)


@pytest.fixture
def train(taltool: Run, data: TinyData, tmp_path: Path) -> Train:
    run = partial(taltool, env={"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"})
    words = ["train", "-m", "tiny", data.features, data.truth, "-o", tmp_path / "x.safetensors", "--set", "epochs=1"]
    return partial(run, *words)


def change(data: TinyData, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(data.truth.read_text())
    edit(document["database"])
    data.truth.write_text(json.dumps(document))


@pytest.mark.slow
def test_a_label_seen_only_in_validation_is_named_and_left_out(train: Train, data: TinyData) -> None:
    change(data, lambda videos: videos["v03"]["annotations"].append({"segment": [4.0, 6.0], "label": "swim"}))
    done = train("--validation-subset", "validation")
    assert done.returncode == 0, done.stderr
    assert b"1 instances of classes without training instances, left out of the validation loss: swim" in done.stderr


@pytest.mark.slow
def test_a_class_whose_only_instance_is_empty_is_named(train: Train, data: TinyData) -> None:
    change(data, lambda videos: videos["v00"]["annotations"].append({"segment": [900.0, 901.0], "label": "swim"}))
    done = train()
    assert done.returncode == 0, done.stderr
    assert b"no usable training instance of swim" in done.stderr


def test_a_ground_truth_without_any_instance_is_bad_data(train: Train, data: TinyData) -> None:
    change(data, lambda videos: [video["annotations"].clear() for video in videos.values()])
    done = train()
    assert done.returncode == 3
    assert b"no usable instance in 9 training videos" in done.stderr


@pytest.mark.slow
def test_features_without_ground_truth_are_counted_and_not_used(train: Train, data: TinyData) -> None:
    change(data, lambda videos: videos.pop("v00"))
    done = train()
    assert done.returncode == 0, done.stderr
    assert b"1 videos of" in done.stderr
    assert b"are not in" in done.stderr


def test_test_videos_that_are_trained_on_are_refused(train: Train) -> None:
    done = train("--seeds", "2", "--test-subset", "training")
    assert done.returncode == 2
    assert b"9 of its videos are trained on" in done.stderr


def test_a_stream_that_is_misspelt_lists_those_that_are_there(train: Train) -> None:
    done = train("--streams", "rbg")
    assert done.returncode == 2
    assert b"no stream 'rbg' (there are: rgb, flow)" in done.stderr


@pytest.mark.slow
def test_predict_takes_the_streams_that_the_checkpoint_was_trained_on(
    taltool: Run, train: Train, data: TinyData, tmp_path: Path
) -> None:
    assert train("--streams", "flow").returncode == 0
    done = taltool("predict", "-m", tmp_path / "x.safetensors", data.features, env={"PYTHONPATH": PATHS})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 14


@pytest.mark.slow
def test_two_hours_and_five_seconds_train_together_under_auto(taltool: Run, tmp_path: Path) -> None:
    rng, database = np.random.default_rng(0), {}
    with FeatureWriter(str(tmp_path / "f.h5")) as writer:
        for name, duration in {"long": 7200.0, "short": 5.0, "other": 40.0, "fourth": 60.0}.items():
            clock = FeatureClock(fps=8.0, stride=8.0, window=8.0, duration=duration)
            values = rng.normal(0, 1, (int(duration), 4)).astype(np.float32)
            writer.write(VideoFeatures(name, values, clock, {}))
            annotation = {"segment": [1.0, 4.0], "label": "jump"}
            database[name] = {"duration": duration, "subset": "training", "annotations": [annotation]}
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    words = ["train", "-m", "afsd", tmp_path / "f.h5", tmp_path / "gt.json", "-o", tmp_path / "x.safetensors"]
    done = taltool(*words, "--set", "epochs=1", "--set", "model.width=32", env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert b"4 videos to train on (4 samples)" in done.stderr


@pytest.mark.slow
def test_auto_says_in_four_lines_what_the_data_are_and_what_it_chose(train: Train) -> None:
    done = train()
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.decode().splitlines() if line.startswith("taltool train: auto: ")]
    assert len(said) == 4
    assert "9 videos of" in said[0]
    assert not [line for line in train("-q").stderr.decode().splitlines() if "auto:" in line]


def test_a_model_that_decodes_windows_one_by_one_does_not_average_them(train: Train) -> None:
    done = train("--set", "prediction.average_windows=true")
    assert done.returncode == 2
    assert b"prediction.average_windows: tiny decodes windows one by one; leave it out" in done.stderr


def test_what_cannot_be_averaged_or_stretched_in_prediction_is_refused(
    taltool: Run, data: TinyData, tmp_path: Path
) -> None:
    words = ["train", "-m", "gsmt", data.features, data.truth, "-o", tmp_path / "x.safetensors", "--set"]
    alone = taltool(*words, "prediction.time_stretches=[0.8]", "--set", "prediction.average_windows=false")
    assert alone.returncode == 2
    assert b"time_stretches need average_windows = true" in alone.stderr
    rescaled = taltool(*words, "prediction.time_stretches=[0.8]", "--preset", "thumos14", "--subset", "training",
                       "--set", "prediction.average_windows=true")  # fmt: skip
    assert rescaled.returncode == 2
    assert b'prediction.average_windows needs windows: sampling.resize = "window"' in rescaled.stderr
