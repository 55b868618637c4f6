"""From a request to a file of proposals: what is told, what is refused, and what is written all the same."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from plugin.tiny_data import TinyData
from training_runs import Listener, MakeTrainer

from taltool.data.hdf5_features import FeatureFile
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.experiment.checkpoint import load_checkpoint, save_checkpoint
from taltool.prediction.predict import PredictRequest, write_predictions


@pytest.fixture
def request_(trainer: MakeTrainer, tmp_path: Path) -> PredictRequest:
    trainer("epochs=1").run()
    return PredictRequest([str(tmp_path / "tiny.safetensors")], str(tmp_path / "p.jsonl"))


def written(request: PredictRequest) -> list[str]:
    records = map(json.loads, Path(request.output).read_text().splitlines())
    return [record["video_id"] for record in records if "video_id" in record]


def break_features(tiny: TinyData, *video_ids: str) -> None:
    with h5py.File(tiny.features) as whole, h5py.File(tiny.features.with_name("broken.h5"), "w") as broken:
        for video_id in whole:
            whole.copy(video_id, broken)
            if video_id in video_ids:
                broken[video_id][3, 0] = float("nan")


def test_broken_videos_are_named_when_the_others_are_written(request_: PredictRequest, tiny: TinyData) -> None:
    break_features(tiny, "v01", "v05")
    listener = Listener()
    with (
        FeatureFile(str(tiny.features.with_name("broken.h5"))) as file,
        pytest.raises(PartialFailure, match="2 of 12 videos failed: v01, v05; the others are written"),
    ):
        write_predictions(request_, file, None, True, listener)
    assert written(request_) == [f"v{n:02}" for n in range(12) if n not in (1, 5)]
    assert sum("snippet 3, channel 0 is nan" in message for message in listener.heard) == 2


def test_a_file_without_one_good_video_is_bad_data(request_: PredictRequest, tiny: TinyData) -> None:
    break_features(tiny, *(f"v{n:02}" for n in range(12)))
    with (
        FeatureFile(str(tiny.features.with_name("broken.h5"))) as file,
        pytest.raises(DataError, match="no video could be predicted"),
    ):
        write_predictions(request_, file, None, True, Listener())


def test_a_checkpoint_of_an_unfinished_training_is_told(request_: PredictRequest, tiny: TinyData) -> None:
    loaded = load_checkpoint(request_.models[0])
    header = replace(loaded.header, training=loaded.header.training | {"finished": False})
    save_checkpoint(Path(request_.models[0]), loaded.model.state_dict(), header, None)
    listener = Listener()
    with FeatureFile(str(tiny.features)) as file:
        write_predictions(request_, file, None, True, listener)
    assert any("a training that has not ended" in message for message in listener.heard)


def test_the_request_wins_over_the_limits_of_the_model(request_: PredictRequest, tiny: TinyData) -> None:
    counts = {}
    with FeatureFile(str(tiny.features)) as file:
        for top_k in (None, 3):
            write_predictions(replace(request_, min_score=0.0, top_k=top_k), file, None, True, Listener())
            records = map(json.loads, Path(request_.output).read_text().splitlines())
            counts[top_k] = {len(record["scores"]) for record in records if "video_id" in record}
    assert counts[3] == {3}
    assert min(counts[None]) > 3


def test_the_chain_goes_on_from_the_features_and_the_model(request_: PredictRequest, tiny: TinyData) -> None:
    with FeatureFile(str(tiny.features)) as file:
        write_predictions(request_, file, None, True, Listener())
        (header, *_) = map(json.loads, Path(request_.output).read_text().splitlines())
        names = [each["name"] for each in header["taltool"]["provenance"][-1]["inputs"]]
        assert names == ["features.h5", "tiny.safetensors"]
        write_predictions(request_, file, None, False, Listener())
    (header, *_) = map(json.loads, Path(request_.output).read_text().splitlines())
    assert "provenance" not in header["taltool"]
    assert header["taltool"]["classes"] == ["jump", "run"]


def test_a_device_that_is_not_here_is_refused(request_: PredictRequest, tiny: TinyData) -> None:
    with FeatureFile(str(tiny.features)) as file, pytest.raises(UsageError, match="--device nowhere"):
        write_predictions(replace(request_, device="nowhere"), file, None, True, Listener())
