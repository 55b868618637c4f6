"""`taltool predict --oracle`: ground truth in place of a network's answers, as in Table 6 of GSMT's paper."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from plugin.tiny_data import TinyData, write_tiny_data
from project import Run

HARDLY_TRAINED = (
    "training.epochs=1",
    "model.width=8",
    "model.mask_width=8",
    "model.embedding=transformer",
    "model.class_segments=false",
)
Predict = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def run(taltool: Run) -> Run:
    return partial(taltool, env={"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TinyData:
    return write_tiny_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def gsmt(run: Run, data: TinyData) -> Path:
    path = data.truth.parent / "gsmt.safetensors"
    sets = [word for each in HARDLY_TRAINED for word in ("--set", each)]
    done = run("train", "-q", "-m", "gsmt", data.features, data.truth, "-o", path, *sets)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def predict(run: Run, data: TinyData, gsmt: Path) -> Predict:
    return partial(run, "predict", "-m", gsmt, data.features, "--subset", "validation", "--ground-truth", data.truth)


def average_map(run: Run, data: TinyData, stream: bytes) -> float:
    kept = run("nms", "--sigma", "0.4", stdin=stream).stdout
    report = run("evaluate", data.truth, "--tiou", "0.5,0.75", "--format", "json", stdin=kept)
    return float(json.loads(report.stdout)["metrics"]["average_mAP"])


@pytest.mark.slow
def test_true_classes_and_masks_are_a_perfect_detector(run: Run, data: TinyData, predict: Predict) -> None:
    both = predict("--oracle", "class,mask")
    assert both.returncode == 0, both.stderr
    assert b"class, mask from " in both.stderr
    assert average_map(run, data, both.stdout) == pytest.approx(1.0)
    assert average_map(run, data, predict().stdout) < 0.9


def test_each_answer_is_replaced_by_itself(data: TinyData, predict: Predict) -> None:
    """True classes are certain of every snippet of an action; true masks leave the instances, whole, as segments."""
    of_class, of_mask = (json.loads(predict("--oracle", each).stdout.splitlines()[1]) for each in ("class", "mask"))
    truth = json.loads(data.truth.read_text())["database"][of_class["video_id"]]["annotations"]
    wanted = {tuple(each["segment"]) for each in truth}
    found = set(map(tuple, of_mask["segments"]))
    assert found
    assert all(any(abs(a - c) + abs(b - d) < 0.5 for c, d in wanted) for a, b in found)
    assert set(map(tuple, of_class["segments"])) - found
    assert max(of_mask["scores"]) < 0.99


def test_the_truth_of_every_video_is_needed(run: Run, data: TinyData, gsmt: Path, tmp_path: Path) -> None:
    without = run("predict", "-m", gsmt, data.features, "--oracle", "mask")
    assert without.returncode == 2
    assert b"--oracle needs --ground-truth" in without.stderr
    fewer = json.loads(data.truth.read_text())
    del fewer["database"]["v03"]
    (tmp_path / "fewer.json").write_text(json.dumps(fewer))
    lacking = run("predict", "-m", gsmt, data.features, "--oracle", "mask", "--ground-truth", tmp_path / "fewer.json")
    assert lacking.returncode == 3
    assert b"does not have 1 of the 12 videos: v03" in lacking.stderr


def test_an_unknown_answer_is_refused_with_those_there_are(predict: Predict) -> None:
    unknown = predict("--oracle", "masks")
    assert unknown.returncode == 2
    assert b"--oracle masks" in unknown.stderr
    assert b"did you mean 'mask'? (there are: class, mask)" in unknown.stderr
