"""Trainings under torchrun, as a user starts them: two processes learn what one learns, and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from plugin.tiny_data import TinyData, write_tiny_data
from project import PROJECT

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.experiment.checkpoint import model_weights

PATHS = os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "plugin")])
ENVIRONMENT = {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
# Batches of 5: over two processes uneven, and the last batch of the 21 samples leaves one process without a sample.
# What the network draws itself is drawn by each process.
WHOLE = ["--set", "batch_size=5", "--set", "epochs=4", "--set", "dropout=0.0", "--set", "ema_decay=0.9"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TinyData:
    return write_tiny_data(tmp_path_factory.mktemp("data"))


def words(data: TinyData, output: Path, processes: int, *options: str) -> list[str]:
    launcher = [sys.executable] if processes == 1 else [*LAUNCHER, str(processes)]
    files = [str(data.features), str(data.truth), "-o", str(output), "--no-provenance"]
    return [*launcher, "-m", "taltool", "train", "-m", "tiny", *files, *options]


def train(data: TinyData, output: Path, processes: int, *options: str) -> subprocess.CompletedProcess[str]:
    output.parent.mkdir(exist_ok=True)
    return subprocess.run(
        words(data, output, processes, *options),
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def log(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_the_same_batches(data: TinyData, tmp_path: Path) -> None:
    alone, together = tmp_path / "1" / "tiny.safetensors", tmp_path / "2" / "tiny.safetensors"
    assert train(data, alone, 1, *WHOLE, "--select", "map").returncode == 0
    done = train(data, together, 2, *WHOLE, "--select", "map")
    assert done.returncode == 0, done.stderr
    expected, found = model_weights(alone), model_weights(together)
    assert all(torch.allclose(found[name], expected[name], rtol=0, atol=1e-5) for name in expected)
    # One process writes and speaks; the measurements are those of all samples and of every video once.
    assert sorted(path.name for path in together.parent.iterdir()) == [
        "tiny.card.md",
        "tiny.metrics.jsonl",
        "tiny.safetensors",
    ]
    assert done.stderr.count("wrote") == 1
    assert read_checkpoint_header(str(together)).training["processes"] == 2
    ours, theirs = (log(path.with_name("tiny.metrics.jsonl")) for path in (together, alone))
    assert ours[-1]["iteration"] == 20
    for our, their in zip(ours, theirs, strict=True):
        assert our["losses"] == pytest.approx(their["losses"], rel=1e-4)
        assert our["validation"]["mAP"] == pytest.approx(their["validation"]["mAP"])  # type: ignore[index]
        assert our["validation"]["losses"] == pytest.approx(their["validation"]["losses"], rel=1e-4)  # type: ignore[index]


@pytest.mark.slow
def test_two_processes_measure_folds_as_one_does(data: TinyData, tmp_path: Path) -> None:
    ids = [f"v{number:02}" for number in range(12)]
    folds = {f"f{k}": {"training": ids[k::2], "validation": ids[1 - k :: 2]} for k in range(2)}
    (tmp_path / "splits.json").write_text(json.dumps(folds))
    options = [*WHOLE, "--set", "epochs=6", "--select", "map", "--folds", str(tmp_path / "splits.json")]
    alone, together = tmp_path / "1", tmp_path / "2"
    whole, done = (train(data, folder, count, *options) for count, folder in ((1, alone), (2, together)))
    assert (whole.returncode, done.returncode) == (0, 0), whole.stderr + done.stderr
    ours, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (together, alone))
    assert min(run["average_mAP"] for run in theirs["runs"]) > 0.05
    for our, their in zip(ours.pop("runs"), theirs.pop("runs"), strict=True):
        assert our == their | {"average_mAP": pytest.approx(their["average_mAP"])}
    assert (ours.pop("mean"), ours.pop("spread")) == pytest.approx((theirs.pop("mean"), theirs.pop("spread")))
    assert ours.pop("fold_means") == pytest.approx(theirs.pop("fold_means"))
    assert ours == theirs
    for name in ("f0-seed0", "f1-seed0"):
        expected, found = (model_weights(folder / name / "tiny.safetensors") for folder in (alone, together))
        assert all(torch.allclose(found[key], expected[key], rtol=0, atol=1e-5) for key in expected)
    # One process speaks.
    assert done.stdout == whole.stdout
    assert done.stderr.count("wrote") == 2
    # What is finished is left as it is, and measured again.
    again = train(data, together, 2, *options, "--resume")
    assert (again.returncode, again.stdout, again.stderr.count("is finished")) == (0, whole.stdout, 2)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_every_process_with_one_message(data: TinyData, tmp_path: Path) -> None:
    output = tmp_path / "tiny.safetensors"
    done = train(data, output, 2, *WHOLE, "--set", "broken_batch=7", "--select", "last")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr.partition("ChildFailedError")[0].partition("torch/distributed/elastic")[0]
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("taltool train: error"))
    assert "epoch 2, batch 2: loss term 'location' is nan (videos: v" in line
    assert f"{output} keeps epoch 1" in line
    assert read_checkpoint_header(str(output)).training["chosen_epoch"] == 1


@pytest.mark.slow
def test_a_batch_smaller_than_the_number_of_processes_is_refused_once(data: TinyData, tmp_path: Path) -> None:
    done = train(data, tmp_path / "x.safetensors", 2, "--set", "batch_size=1")
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("taltool train: error"))
    assert "--set training.batch_size=2" in line
    assert "exitcode  : 2" in done.stderr  # torchrun itself always leaves with 1


def started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=os.environ | ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def changed(path: Path) -> float:
    """When a file, which may be absent or be replaced at this moment, was last written."""
    return max((found.stat().st_mtime for found in path.parent.glob(path.name)), default=0.0)


def killed(command: list[str], state: Path, seconds: float) -> bool:
    """Start a training and kill all of it so many seconds after its first save; whether it was still running then."""
    before, process = changed(state), started(command)
    while process.poll() is None and changed(state) == before:
        time.sleep(0.01)
    time.sleep(seconds)
    if process.poll() is None:
        for pid in (*children(process), process.pid):
            os.kill(pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_processes_end_when_their_launcher_is_killed(data: TinyData, tmp_path: Path) -> None:
    process = started(words(data, tmp_path / "x.safetensors", 2, "--set", "epochs=100000"))
    deadline = time.monotonic() + 60
    while not (tmp_path / "x.metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = children(process)
    process.kill()
    process.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(workers) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_trainings_killed_at_random_moments_end_like_undisturbed_ones(
    data: TinyData, tmp_path: Path, processes: int
) -> None:
    options = ["--set", "epochs=150", "--set", "batch_size=5", "--set", "accumulation=2", "--set", "ema_decay=0.9"]
    options += ["--set", "jitter=3.0", "--set", "feature_noise=0.1", "--save-every", "0", "--resume"]
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    assert train(data, whole, processes, *options).returncode == 0
    moments = (0.3 * torch.rand(3, generator=torch.Generator().manual_seed(0))).tolist()
    command, state = words(data, cut, processes, *options), tmp_path / "cut.resume.pt"
    assert all(killed(command, state, seconds) for seconds in moments)
    assert train(data, cut, processes, *options).returncode == 0
    assert cut.read_bytes() == whole.read_bytes()
