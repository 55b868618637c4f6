"""`taltool extract` as a user runs it: killed and continued, cut into shards, with broken videos among the others."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

PROJECT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    words = [sys.executable, str(PROJECT / "examples" / "make_videos.py"), str(folder), "--videos", "3"]
    subprocess.run(words, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def whole(data: Path, taltool: Run) -> bytes:
    done = taltool("extract", data / "videos", "-o", data / "whole.h5", "--no-provenance")
    assert done.returncode == 0, done.stderr
    return (data / "whole.h5").read_bytes()


def test_the_example_gives_the_same_files_for_the_same_seed(data: Path, tmp_path: Path) -> None:
    words = [
        sys.executable,
        str(PROJECT / "examples" / "make_videos.py"),
        str(tmp_path),
        "--videos",
        "1",
        "--jobs",
        "1",
    ]
    subprocess.run(words, check=True, capture_output=True)
    video = "videos/motion_000.mp4"
    assert (tmp_path / video).read_bytes() == (data / video).read_bytes()
    entry = json.loads((tmp_path / "gt.json").read_text())["database"]["motion_000"]
    assert entry == json.loads((data / "gt.json").read_text())["database"]["motion_000"]
    assert {annotation["label"] for annotation in entry["annotations"]} <= {"swing", "bounce", "orbit", "loom"}
    assert all(0 <= start < end <= entry["duration"] for start, end in (a["segment"] for a in entry["annotations"]))


def test_an_extraction_killed_at_any_moment_continues_to_the_same_bytes(
    data: Path, whole: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "f.h5"
    words = ["extract", str(data / "videos"), "-o", str(output), "--no-provenance", "--jobs", "2"]
    command = [sys.executable, "-m", "taltool", *words]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    for seconds in (0.6, 1.2):
        started = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        started.send_signal(signal.SIGKILL)
        started.wait()
        assert not output.exists() or output.read_bytes() == whole
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert output.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


def test_a_killed_extraction_keeps_what_was_finished(data: Path, whole: bytes, tmp_path: Path, taltool: Run) -> None:
    output = tmp_path / "f.h5"
    command = [sys.executable, "-m", "taltool", "extract", str(data / "videos"), "-o", str(output), "-j", "1"]
    started = subprocess.Popen(
        [*command, "--no-provenance"], env=os.environ | {"PYTHONPATH": str(PROJECT)}, stderr=subprocess.DEVNULL
    )
    spool = Path(f"{output}.partial")
    while started.poll() is None and len(list(spool.glob("*.video"))) < 1:
        time.sleep(0.01)
    started.kill()
    started.wait()
    continued = taltool("extract", data / "videos", "-o", output, "--no-provenance")
    assert continued.returncode == 0
    assert b"of 3 videos are done already" in continued.stderr
    assert output.read_bytes() == whole


def test_shards_hold_all_videos_once(data: Path, whole: bytes, tmp_path: Path, taltool: Run) -> None:
    names: list[str] = []
    for number in (1, 2):
        output = tmp_path / f"{number}.h5"
        assert taltool("extract", data / "videos", "--shard", f"{number}/2", "-o", output).returncode == 0
        with h5py.File(output) as file:
            names += list(file)
    assert sorted(names) == [f"motion_{n:03d}" for n in range(3)]


def test_a_list_on_standard_input_names_videos(data: Path, whole: bytes, tmp_path: Path, taltool: Run) -> None:
    listed = "".join(f"{path}\n" for path in sorted((data / "videos").iterdir()))
    done = taltool("extract", "-", "-o", tmp_path / "f.h5", "--no-provenance", stdin=listed.encode())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f.h5").read_bytes() == whole


def test_a_video_that_cannot_be_read_is_named_and_exit_is_1(data: Path, tmp_path: Path, taltool: Run) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    done = taltool("extract", tmp_path / "bad.mp4", data / "videos" / "motion_001.mp4", "-o", tmp_path / "f.h5")
    assert done.returncode == 1
    assert b"video 'bad'" in done.stderr
    assert b"Invalid data" in done.stderr
    assert b"error: 1 of 2 videos failed: bad" in done.stderr
    with h5py.File(tmp_path / "f.h5") as file:
        assert list(file) == ["motion_001"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_unicode_fails_that_video_alone(data: Path, tmp_path: Path, taltool: Run) -> None:
    (tmp_path / "in").mkdir()
    for name in (b"caf\xe9.mp4", b"-x.mp4"):
        Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name)).write_bytes(
            (data / "videos" / "motion_001.mp4").read_bytes()
        )
    done = taltool("extract", tmp_path / "in", "-o", tmp_path / "f.h5")
    assert done.returncode == 1
    assert b"not valid UTF-8" in done.stderr
    with h5py.File(tmp_path / "f.h5") as file:
        assert list(file) == ["-x"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/nowhere/at/all", "-o", "f.h5"], b"no such file or folder"),
        (["VIDEOS", "-o", "-"], b"cannot go through a pipe"),
        (["VIDEOS", "-o", "f.h5", "--fps", "0"], b"--fps 0.0"),
        (["VIDEOS", "-o", "f.h5", "--stride", "0"], b"--stride 0: must be at least 1"),
        (["VIDEOS", "-o", "f.h5", "--backbone", "hog"], b"did you mean 'hog3d'"),
        (["VIDEOS", "-o", "f.h5", "--shard", "5/5"], b"there are only 3 videos"),
        (["VIDEOS"], b"--output"),
    ],
)
def test_wrong_usage_is_told_and_exits_2(
    data: Path, tmp_path: Path, taltool: Run, words: list[str], message: bytes
) -> None:
    done = taltool("extract", *[str(data / "videos") if word == "VIDEOS" else word for word in words], cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_folder_of_real_videos_is_extracted(shared: Path, tmp_path: Path, taltool: Run) -> None:
    done = taltool("extract", shared / "data" / "videos", "-o", tmp_path / "f.h5")
    assert done.returncode in (0, 1)
    present = {path.stem for path in (shared / "data" / "videos").iterdir() if path.suffix != ".json"}
    with h5py.File(tmp_path / "f.h5") as file:
        missing = present - set(file)
        assert all(dataset.attrs["complete"] for dataset in file.values())
    assert all(name in done.stderr.decode() for name in missing)
    assert (done.returncode == 1) == bool(missing)
    assert b"decord__corrupted" in done.stderr
