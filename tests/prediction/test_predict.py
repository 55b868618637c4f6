"""From features and checkpoints to proposals: what is told, what is refused, and what is written all the same."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pytest
from plugin.tiny_data import TinyData
from training_runs import Listener, MakeTrainer

from taltool.errors import DataError, PartialFailure, UsageError
from taltool.experiment.checkpoint import load_checkpoint, save_checkpoint
from taltool.prediction.predict import Prediction, predict

Predict = Callable[..., Prediction]


@pytest.fixture
def checkpoint(trainer: MakeTrainer, tmp_path: Path) -> Path:
    trainer("epochs=1").run()
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def run(checkpoint: Path, tiny: TinyData, tmp_path: Path) -> Predict:
    """`predict` of the tiny data into p.jsonl, all of which may be said otherwise."""
    return partial(predict, tiny.features, model=checkpoint, output=tmp_path / "p.jsonl")


@pytest.fixture
def records(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """What p.jsonl holds: a line each."""
    return lambda: [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]


Records = Callable[[], list[dict[str, Any]]]


def with_broken(tiny: TinyData, *video_ids: str) -> Path:
    """A copy of the features in which these videos hold a NaN."""
    path = tiny.features.with_name("broken.h5")
    with h5py.File(tiny.features) as whole, h5py.File(path, "w") as broken:
        for video_id in whole:
            whole.copy(video_id, broken)
            if video_id in video_ids:
                broken[video_id][3, 0] = float("nan")
    return path


def test_what_was_written_is_told_back(run: Predict, records: Records, tmp_path: Path) -> None:
    prediction = run()
    proposals = sum(len(record["scores"]) for record in records() if "video_id" in record)
    assert prediction == Prediction(str(tmp_path / "p.jsonl"), 12, proposals)
    assert proposals > 1000
    assert repr(prediction) == f"Prediction({tmp_path}/p.jsonl: 12 videos, {proposals:,} proposals)"


def test_broken_videos_are_named_when_the_others_are_written(
    checkpoint: Path, tiny: TinyData, records: Records, tmp_path: Path
) -> None:
    listener = Listener()
    with pytest.raises(PartialFailure, match="2 of 12 videos failed: v01, v05; the others are written") as raised:
        predict(
            with_broken(tiny, "v01", "v05"), model=str(checkpoint), output=str(tmp_path / "p.jsonl"), reporter=listener
        )
    written = [record["video_id"] for record in records() if "video_id" in record]
    assert written == [f"v{n:02}" for n in range(12) if n not in (1, 5)]
    assert sum("snippet 3, channel 0 is nan" in message for message in listener.heard) == 2
    result = raised.value.result
    assert isinstance(result, Prediction)
    assert result.videos == 10
    assert [failure.video_id for failure in result.failed] == ["v01", "v05"]
    assert all("snippet 3, channel 0 is nan" in failure.reason for failure in result.failed)
    assert repr(result).endswith(" proposals; failed: v01, v05)")


def test_a_file_without_one_good_video_is_bad_data(checkpoint: Path, tiny: TinyData, tmp_path: Path) -> None:
    broken = with_broken(tiny, *(f"v{n:02}" for n in range(12)))
    with pytest.raises(DataError, match="no video could be predicted"):
        predict(broken, model=checkpoint, output=tmp_path / "p.jsonl")


def with_header(checkpoint: Path, **changes: Any) -> None:
    """Write the checkpoint anew with another header."""
    loaded = load_checkpoint(str(checkpoint))
    save_checkpoint(checkpoint, loaded.model.state_dict(), replace(loaded.header, **changes), None)


def test_a_checkpoint_of_an_unfinished_training_is_told(run: Predict, checkpoint: Path) -> None:
    with_header(checkpoint, training={"finished": False})
    listener = Listener()
    run(reporter=listener)
    assert any("a training that has not ended" in message for message in listener.heard)


def test_what_is_asked_for_wins_over_the_limits_of_the_model(run: Predict, records: Records) -> None:
    counts = {}
    for top_k in (None, 3):
        run(min_score=0.0, top_k=top_k)
        counts[top_k] = {len(record["scores"]) for record in records() if "video_id" in record}
    assert counts[3] == {3}
    assert min(counts[None]) > 3


@pytest.mark.parametrize("subset", ["training,validation", ["training", "validation"], "validation", ["validation"]])
def test_subsets_are_a_text_or_names(run: Predict, tiny: TinyData, subset: str | list[str]) -> None:
    assert run(subset=subset, ground_truth=tiny.truth).videos == (12 if "training" in subset else 3)


def test_the_chain_goes_on_from_the_features_and_the_model(run: Predict, records: Records) -> None:
    run()
    names = [each["name"] for each in records()[0]["taltool"]["provenance"][-1]["inputs"]]
    assert names == ["features.h5", "tiny.safetensors"]
    run(provenance=False)
    header = records()[0]["taltool"]
    assert "provenance" not in header
    assert header["classes"] == ["jump", "run"]


def test_a_device_that_is_not_here_is_refused(run: Predict) -> None:
    with pytest.raises(UsageError, match="--device nowhere"):
        run(device="nowhere")


@pytest.mark.parametrize("answers", ["class", "class, mask", ["class"]])
def test_a_model_without_answers_to_replace_says_so(run: Predict, tiny: TinyData, answers: str | list[str]) -> None:
    with pytest.raises(
        UsageError, match=r"--oracle class: no answer of this tiny can be replaced by that \(it has none"
    ):
        run(oracle=answers, ground_truth=tiny.truth)


def test_a_model_that_nobody_registers_is_told_with_the_mend(run: Predict, checkpoint: Path) -> None:
    with_header(checkpoint, model="toy")
    mend = r"tiny\.safetensors: no model is named 'toy'.*; name the file that registers it too: --model FILE\.py"
    with pytest.raises(UsageError, match=mend):
        run()


def test_a_file_that_a_checkpoint_names_is_not_run(run: Predict, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with_header(checkpoint, model=str(tmp_path / "own.py"))
    with pytest.raises(DataError, match="cannot be the name of a model"):
        run()
    assert not (tmp_path / "ran").exists()
