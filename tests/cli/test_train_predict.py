"""`taltool train` and `taltool predict` as their users run them, with a model of another package."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from plugin.tiny_data import TinyData, write_tiny_data
from project import PROJECT, Run
from proposal_streams import headers, held
from safetensors import safe_open
from safetensors.torch import save_file

PATHS = os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "plugin")])
ENVIRONMENT = {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
# Without the provenance, which holds the time, equal runs give equal bytes.
REPRODUCIBLE = "--no-provenance"


@pytest.fixture(scope="module")
def run(taltool: Run) -> Run:
    return partial(taltool, env=ENVIRONMENT)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TinyData:
    return write_tiny_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def checkpoint(run: Run, data: TinyData) -> Path:
    path = data.truth.parent / "tiny.safetensors"
    done = run("train", "-m", "tiny", data.features, data.truth, "-o", path, "--set", "epochs=30", REPRODUCIBLE)
    assert done.returncode == 0, done.stderr
    return path


def videos_of(stream: bytes) -> list[str]:
    records = [json.loads(line) for line in stream.splitlines()]
    return [record["video_id"] for record in records if "video_id" in record]


@pytest.mark.slow
def test_what_was_trained_finds_the_actions(run: Run, data: TinyData, checkpoint: Path) -> None:
    found = run("predict", "-m", checkpoint, data.features, "--subset", "validation", "--ground-truth", data.truth)
    assert videos_of(found.stdout) == ["v03", "v07", "v11"]
    kept = run("nms", stdin=found.stdout)
    report = run("evaluate", data.truth, "--format", "json", "--tiou", "0.3", stdin=kept.stdout)
    assert json.loads(report.stdout)["metrics"]["average_mAP"] > 0.5


@pytest.mark.slow
def test_pipes_and_files_give_the_same_bytes(run: Run, data: TinyData, checkpoint: Path, tmp_path: Path) -> None:
    python = f"{sys.executable} -m taltool"
    pipe = (
        f"{python} predict -m {checkpoint} {data.features} {REPRODUCIBLE} | {python} nms {REPRODUCIBLE} "
        f"| {python} evaluate {data.truth} -"
    )
    piped = subprocess.run(
        ["bash", "-o", "pipefail", "-c", pipe], env=os.environ | ENVIRONMENT, capture_output=True, check=True
    )
    raw, kept = tmp_path / "raw.jsonl", tmp_path / "kept.jsonl"
    run("predict", "-m", checkpoint, data.features, "-o", raw, REPRODUCIBLE)
    run("nms", raw, "-o", kept, REPRODUCIBLE)
    assert run("evaluate", data.truth, "-", stdin=kept.read_bytes()).stdout == piped.stdout


@pytest.mark.slow
def test_a_reader_that_stops_after_the_header_is_no_error(data: TinyData, checkpoint: Path) -> None:
    pipe = f"{sys.executable} -m taltool predict -m {checkpoint} {data.features} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", pipe], env=os.environ | ENVIRONMENT, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert list(json.loads(done.stdout)) == ["taltool"]


def test_the_shards_of_a_prediction_are_the_whole(run: Run, data: TinyData, checkpoint: Path) -> None:
    whole = run("predict", "-m", checkpoint, data.features).stdout
    parts = [run("predict", "-m", checkpoint, data.features, "--shard", f"{n}/2").stdout for n in (1, 2)]
    assert sorted(videos_of(parts[0]) + videos_of(parts[1])) == sorted(videos_of(whole))
    assert all(len(videos_of(part)) == 6 for part in parts)
    assert held(b"".join(parts)) == held(whole)


@pytest.mark.slow
def test_predictions_hold_the_same_in_every_layout(run: Run, data: TinyData, checkpoint: Path, tmp_path: Path) -> None:
    usual, wanted = {}, {"jsonl": [2], "jsonl1": [1], "activitynet": []}
    for to, versions in wanted.items():
        done = run("predict", "-m", checkpoint, data.features, "--to", to, "-o", tmp_path / to)
        assert (done.returncode, done.stdout) == (0, b"")
        written = (tmp_path / to).read_bytes()
        assert [header["version"] for header in headers(written)] == versions
        back = run("convert", tmp_path / to, "--to", "jsonl").stdout
        assert headers(back)[0]["classes"] == ["jump", "run"]
        usual = usual or held(written)
        assert held(back) == usual
        assert len(usual) == 12


@pytest.mark.slow
def test_the_example_of_parts_scores_them_like_the_whole(data: TinyData, checkpoint: Path, tmp_path: Path) -> None:
    command = tmp_path / "taltool"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m taltool "$@"\n')
    command.chmod(0o755)
    env = os.environ | ENVIRONMENT | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["sh", PROJECT / "examples" / "predict-in-parts.sh", checkpoint, data.features, data.truth]
    done = subprocess.run([*words, tmp_path / "parts N"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    joined, single = done.stdout.splitlines()[-2:]
    assert (joined.split()[-7], single.split()[-7]) == ("N/joined.jsonl", "N/single.jsonl")
    assert joined.split()[-6:] == single.split()[-6:]
    parts = sorted((tmp_path / "parts N").glob("part-*.jsonl"))
    assert [len(videos_of(part.read_bytes())) for part in parts] == [3] * 4


def test_a_checkpoint_is_found_by_name_in_the_folder_of_models(run: Run, data: TinyData, checkpoint: Path) -> None:
    env = ENVIRONMENT | {"TALTOOL_MODELS": str(checkpoint.parent)}
    assert run("predict", "-m", "tiny", data.features, env=env).returncode == 0


def test_a_checkpoint_that_is_nowhere_is_wrong_usage_with_the_places(
    run: Run, data: TinyData, checkpoint: Path, tmp_path: Path
) -> None:
    env = ENVIRONMENT | {"TALTOOL_MODELS": str(checkpoint.parent)}
    missing = run("predict", "-m", "tinny", data.features, env=env, cwd=tmp_path)
    assert (missing.returncode, missing.stdout) == (2, b"")
    places = f"tinny, tinny.safetensors, {checkpoint.parent / 'tinny.safetensors'}; $TALTOOL_MODELS adds folders"
    assert f"error: --model tinny: no such checkpoint (looked for {places})" in missing.stderr.decode()


TOY = """
from dataclasses import dataclass

from taltool.models import MODELS
from tiny_model import TinyConfig, TinyModel


@dataclass(frozen=True)
class ToyConfig(TinyConfig):
    depth: int = 1


@MODELS.register("toy")
class Toy(TinyModel):
    Config = ToyConfig
"""


@pytest.mark.slow
def test_a_model_of_ones_own_is_a_file(run: Run, data: TinyData, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(TOY)
    sets = ["--set", "epochs=1", "--set", "model.depth=2"]
    trained = run("train", "-m", "./own.py", data.features, data.truth, "-o", "toy.safetensors", *sets, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    with safe_open(tmp_path / "toy.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["taltool"])
    assert header["model"] == "toy"
    for words in (["-m", "./own.py", "-m", "toy.safetensors"], ["-m", "toy", "-m", str(tmp_path / "own.py")]):
        found = run("predict", *words, data.features, cwd=tmp_path)
        assert found.returncode == 0, found.stderr
        assert len(videos_of(found.stdout)) == 12
    without = run("predict", "-m", "toy.safetensors", data.features, cwd=tmp_path)
    assert (without.returncode, without.stdout) == (2, b"")
    assert b"error: toy.safetensors: no model is named 'toy'" in without.stderr
    assert b"name the file that registers it too: --model FILE.py" in without.stderr
    alone = run("predict", "-m", "own.py", data.features, cwd=tmp_path)
    assert (alone.returncode, alone.stdout) == (2, b"")
    assert b"--model own.py: says how the network is made; name a checkpoint too" in alone.stderr


def test_two_equal_models_predict_what_one_predicts(run: Run, data: TinyData, checkpoint: Path) -> None:
    one = run("predict", "-m", checkpoint, data.features, REPRODUCIBLE)
    two = run("predict", "-m", checkpoint, "-m", checkpoint, data.features, REPRODUCIBLE)
    assert len(videos_of(one.stdout)) == 12
    assert one.stdout == two.stdout


def test_features_of_other_channels_are_refused_with_both_numbers(
    run: Run, checkpoint: Path, data: TinyData, tmp_path: Path
) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(data.features) as source, h5py.File(other, "w") as target:
        copy = target.create_dataset("v00", data=source["v00"][:, :3])
        copy.attrs.update(source["v00"].attrs)
    done = run("predict", "-m", checkpoint, other)
    assert done.returncode == 3
    said = f"error: {other}: video 'v00' has 3 channels, {checkpoint} was trained on 6; extract with the same backbone"
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert videos_of(done.stdout) == []


@pytest.mark.slow
def test_features_that_are_not_numbers_are_named(run: Run, data: TinyData, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(data.features.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["v02"][5, 1] = np.nan
    done = run("train", "-m", "tiny", broken, data.truth, "-o", tmp_path / "x.safetensors")
    assert done.returncode == 3
    assert b"video 'v02': snippet 5, channel 1 is nan" in done.stderr
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("offset", "nan", "offset is nan; expected a finite number"),
        ("offset", "inf", "offset is inf; expected a finite number"),
        ("fps", "inf", "fps is inf; expected a positive, finite number"),
        ("fps", "0", "fps is 0.0; expected a positive, finite number"),
        ("duration", "inf", "duration is inf; expected a positive, finite number"),
    ],
)
def test_a_clock_that_is_none_is_refused_with_its_video(
    run: Run, data: TinyData, checkpoint: Path, tmp_path: Path, name: str, value: str, said: str
) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(data.features.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["v02"].attrs[name] = float(value)
    done = run("predict", "-m", checkpoint, broken)
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.decode().endswith(f"taltool predict: error: {broken}: video 'v02': {said}\n")


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_weights_that_are_not_finite_are_refused_with_the_tensor(
    run: Run, data: TinyData, checkpoint: Path, tmp_path: Path, value: str
) -> None:
    broken = changed_weights(checkpoint, tmp_path / "broken.safetensors", float(value))
    done = run("predict", "-m", broken, data.features)
    assert (done.returncode, done.stdout) == (3, b"")
    said = f"error: {broken}: tensor 'body.weight' holds values that are not finite\n"
    assert done.stderr.decode().endswith(said)


def test_a_network_that_overflows_is_told_with_the_video(
    run: Run, data: TinyData, checkpoint: Path, tmp_path: Path
) -> None:
    done = run("predict", "-m", changed_weights(checkpoint, tmp_path / "loud.safetensors", 3e38), data.features)
    assert done.returncode == 3
    first = rf"no video could be predicted; the first: {re.escape(str(data.features))}: video 'v00': the network's \w+"
    assert re.search(first, done.stderr.decode())
    assert videos_of(done.stdout) == []


def changed_weights(checkpoint: Path, other: Path, value: float) -> Path:
    """A copy of a checkpoint, all weights of whose first layer are `value`."""
    with safe_open(checkpoint, framework="pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors | {"body.weight": torch.full_like(tensors["body.weight"], value)}, other, metadata)
    return other


@pytest.mark.parametrize("words", [("--set", "prediction.min_score=nan"), ("--config", "CONFIG")])
def test_settings_that_are_not_finite_are_wrong_usage(
    run: Run, data: TinyData, tmp_path: Path, words: tuple[str, str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[prediction]\nmin_score = nan\n")
    given = [str(config) if word == "CONFIG" else word for word in words]
    done = run("train", "-m", "tiny", data.features, data.truth, "-o", tmp_path / "x.safetensors", *given)
    assert done.returncode == 2
    assert b"prediction.min_score: expected a finite number, found nan" in done.stderr
    assert not (tmp_path / "x.safetensors").exists()


def test_annotated_videos_without_features_are_counted(run: Run, data: TinyData, tmp_path: Path) -> None:
    truth = json.loads(data.truth.read_text())
    truth["database"]["v99"] = dict(truth["database"]["v00"])
    more = tmp_path / "more.json"
    more.write_text(json.dumps(truth))
    done = run("train", "-m", "tiny", data.features, more, "-o", tmp_path / "x.safetensors")
    assert done.returncode == 3
    assert b"has 9 of the 10 videos wanted from" in done.stderr
    assert b"missing: v99; use --skip-missing to go on without them" in done.stderr


def test_a_subset_that_is_not_there_lists_those_that_are(run: Run, data: TinyData, tmp_path: Path) -> None:
    done = run("train", "-m", "tiny", data.features, data.truth, "--subset", "test", "-o", tmp_path / "x.safetensors")
    assert done.returncode == 3
    assert b"training, validation" in done.stderr


def test_the_printed_configuration_is_a_configuration(run: Run, data: TinyData, tmp_path: Path) -> None:
    printed = run("train", "-m", "tiny", data.features, data.truth, "--set", "width=12", "--show-config").stdout
    assert tomllib.loads(printed.decode())["model"]["width"] == 12
    config = tmp_path / "config.toml"
    config.write_bytes(printed)
    again = run("train", "--config", config, "--preset", "thumos14", data.features, data.truth, "--show-config")
    assert again.stdout == printed


def test_select_is_short_for_a_setting(run: Run, data: TinyData) -> None:
    shown = run("train", "-m", "tiny", data.features, data.truth, "--select", "map", "--show-config").stdout
    assert tomllib.loads(shown.decode())["training"]["select"] == "map"
    wrong = run("train", "-m", "tiny", data.features, data.truth, "--select", "best", "--show-config")
    assert wrong.returncode == 2
    assert b"training.select: 'best' is none of loss, map, last" in wrong.stderr


def killed(words: list[str], seconds: float) -> bool:
    """Start a training and kill it after so many seconds; whether it was still running then."""
    process = subprocess.Popen(
        words, env=os.environ | ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_a_training_killed_at_random_moments_ends_like_an_undisturbed_one(
    run: Run, data: TinyData, tmp_path: Path
) -> None:
    def words(name: str) -> list[str]:
        options = ["--set", "epochs=400", "--save-every", "0", "--resume", REPRODUCIBLE]
        return ["train", "-m", "tiny", str(data.features), str(data.truth), "-o", str(tmp_path / name), *options]

    assert run(*words("whole.safetensors")).returncode == 0
    moments, kills = random.Random(0), 0
    for _ in range(5):
        command = [sys.executable, "-m", "taltool", *words("killed.safetensors")]
        kills += killed(command, moments.uniform(1.5, 4.0))
    assert run(*words("killed.safetensors")).returncode == 0
    assert kills >= 3
    assert (tmp_path / "killed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
