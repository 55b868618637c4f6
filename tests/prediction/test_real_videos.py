"""The real videos, with every oddity: straight to proposals, as by way of a feature file."""

import json
from pathlib import Path

import pytest
from project import Run

from taltool.data.hdf5_features import FeatureFile

# The ground truth of these is made up: what is asked here is whether two ways give one result.
CLASSES = ("even", "odd")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["afsd", "tsa-tal"])
def test_every_real_video_gives_what_its_features_give(shared: Path, tmp_path: Path, taltool: Run, model: str) -> None:
    videos, features = shared / "data" / "videos", tmp_path / "feats.h5"
    assert taltool("extract", videos, "-o", features).returncode == 0
    with FeatureFile(str(features)) as file:
        durations = {video_id: file.clock(video_id).duration for video_id in file.ids}
    database = {
        video_id: {"duration": seconds, "annotations": [{"segment": [1.0, 3.0], "label": CLASSES[number % 2]}]}
        for number, (video_id, seconds) in enumerate(durations.items())
        if seconds > 4
    }
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    checkpoint = tmp_path / "m.safetensors"
    words = ["--set", "training.epochs=1", "--set", "prediction.min_score=0", "-o", checkpoint]
    assert taltool("train", "-m", model, features, tmp_path / "gt.json", *words).returncode == 0
    common = ["predict", "-m", checkpoint, "--no-provenance"]
    expected = taltool(*common, features)
    assert expected.stdout.count(b"\n") == len(durations) + 2 == 35
    for jobs in (1, 2):
        done = taltool(*common, videos, "--jobs", jobs)
        assert (done.returncode, done.stdout) == (0, expected.stdout)
