"""Worker processes: the same batches, the same errors, and nothing left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from plugin.tiny_data import TinyData
from project import PROJECT
from training_runs import MakeTrainer, killed_after

from taltool.errors import DataError, PartialFailure, UsageError
from taltool.models.contract import Batch
from taltool.training.loader import TrainingLoader, _shared

RANDOM = ("jitter=3.0", "feature_dropout=0.1", "feature_noise=0.1", "mixup=1.5", "time_dropout=0.1", "batch_size=5")
PATHS = os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "plugin")])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def plain(batch: Batch) -> list[object]:
    targets = zip(batch.targets.segments, batch.targets.labels, strict=True)
    shown = [(segments.tolist(), labels.tolist()) for segments, labels in targets]
    return [
        batch.features.tolist(),
        batch.mask.tolist(),
        shown,
        batch.video_ids,
        batch.shortest_instances,
        batch.shortest_shown,
    ]


@pytest.mark.slow
def test_workers_make_the_same_batches_in_shared_memory(trainer: MakeTrainer) -> None:
    alone = trainer(*RANDOM, "accumulation=2").loader
    shared = trainer(*RANDOM, "accumulation=2", workers=2, cache_bytes=1000).loader
    abandoned = shared.batches(3)
    next(abandoned)
    for epoch, first in ((0, 0), (1, 3), (2, 5)):
        made = list(shared.batches(epoch, first))
        assert [plain(batch) for batch in made] == [plain(batch) for batch in alone.batches(epoch, first)]
        assert all(batch.features.is_shared() for batch in made)
    shared.close()


@pytest.mark.slow
def test_a_run_with_workers_killed_inside_an_epoch_resumes_without_them_to_the_same_bytes(
    trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer(*RANDOM, output=str(tmp_path / "whole.safetensors")).run()
    torch.manual_seed(99)
    wishes = {"output": str(tmp_path / "cut.safetensors"), "save_seconds": 0.0}
    killed_after(trainer(*RANDOM, workers=1, **wishes), 7)
    trainer(*RANDOM, **wishes).run(resume=True)
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def failure(loader: TrainingLoader) -> Exception:
    """What reading an epoch raises."""
    with pytest.raises(DataError) as caught:
        list(loader.batches(0))
    loader.close()
    return caught.value


@pytest.mark.slow
def test_what_is_wrong_with_the_features_is_told_in_the_same_words(trainer: MakeTrainer, tiny: TinyData) -> None:
    with h5py.File(tiny.features, "r+") as file:
        file["v01"][3, 2] = np.nan
    alone, shared = (failure(trainer(workers=workers).loader) for workers in (0, 1))
    assert "video 'v01': snippet 3, channel 2 is nan" in str(alone)
    assert (type(shared), str(shared)) == (type(alone), str(alone))


@pytest.mark.slow
def test_a_file_that_is_gone_is_named(trainer: MakeTrainer, tiny: TinyData) -> None:
    loader = trainer(workers=1).loader
    tiny.features.unlink()
    assert str(failure(loader)) == f"{tiny.features}: no such file"


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_training_with_advice(trainer: MakeTrainer) -> None:
    run = trainer(*RANDOM, "epochs=10000", workers=1)
    whole, updates = run.updater.update, []

    def update(*arguments: object) -> object:
        updates.append(arguments)
        if len(updates) == 7:
            (worker,) = multiprocessing.active_children()
            os.kill(worker.pid or 0, signal.SIGKILL)
        return whole(*arguments)  # type: ignore[arg-type]

    run.updater.update = update  # type: ignore[method-assign, assignment]
    with pytest.raises(PartialFailure, match="--workers 0 none; --resume continues"):
        run.run()


def test_where_shared_memory_ends_the_way_out_is_told(trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    batch = next(trainer().loader.batches(0))
    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(UsageError, match=r"docker run --shm-size.*--workers 0 none"):
        _shared(batch.features)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and they in turn."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    found = [int(word) for thread in threads for word in (thread / "children").read_text().split()]
    return [each for child in found for each in (child, *descendants(child))]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_workers_end_with_the_training(tiny: TinyData, tmp_path: Path, number: int, status: int) -> None:
    files = [str(tiny.features), str(tiny.truth), "-o", str(tmp_path / "x.safetensors")]
    command = [sys.executable, "-m", "taltool", "train", "-m", "tiny", *files, "--workers", "2"]
    environment = os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--set", "epochs=1000000"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Not ignored, as it is in what a shell script starts in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    log = tmp_path / "x.metrics.jsonl"
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = descendants(process.pid)
    assert len(workers) >= 2
    # As a terminal does, Ctrl-C interrupts all of them.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in told
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))
