"""Frame stores as a user makes them: killed and continued, and of videos that are longer than the memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
from project import PROJECT

ENVIRONMENT = os.environ | {"PYTHONPATH": str(PROJECT)}


def write_video(path: Path, length: int, side: int = 64) -> Path:
    """Pictures that become brighter; quick to encode, however long."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for number in range(length):
            picture = np.full((side * 3 // 2, side), number % 200 + 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())
    return path


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "taltool", *map(str, words), "--no-provenance"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        write_video(folder / f"{number}.mp4", 400 + 100 * number)
    return folder


@pytest.mark.slow
def test_an_extraction_killed_at_any_moment_continues_to_the_same_bytes(videos: Path, tmp_path: Path) -> None:
    words = ["extract", videos, "--backbone", "frames", "-o"]
    subprocess.run(command(*words, tmp_path / "whole.h5"), env=ENVIRONMENT, check=True, capture_output=True)
    output = tmp_path / "f.h5"
    spool = Path(f"{output}.partial")
    killed = []
    for wanted in (".spool", ".frames", ".video"):
        started = subprocess.Popen(
            command(*words, output, "--jobs", 1 if wanted == ".frames" else 2),
            env=ENVIRONMENT,
            stderr=subprocess.DEVNULL,
        )
        while started.poll() is None and not list(spool.glob(f"*{wanted}")):
            time.sleep(0.005)
        started.send_signal(signal.SIGKILL)
        killed.append(started.wait() == -signal.SIGKILL)
        assert not output.exists() or output.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert any(killed)
    subprocess.run(command(*words, output), env=ENVIRONMENT, check=True, capture_output=True)
    assert output.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "whole.h5"]


# Runs a command from a small process, for a process counts what the one had that it was forked from.
MEASURED = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "taltool", *sys.argv[1:]], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak(*words: object) -> int:
    """The memory (in the unit of ru_maxrss) that a command had at most."""
    measured = [sys.executable, "-c", MEASURED, *map(str, words), "--no-provenance"]
    return int(subprocess.run(measured, env=ENVIRONMENT, check=True, capture_output=True).stdout)


@pytest.mark.slow
def test_the_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    size = ["--set", "backbone.height=256", "--set", "backbone.width=256"]
    peaks: dict[str, list[int]] = {"extract": [], "convert": []}
    for length in (100, 1000):
        video, output = write_video(tmp_path / f"{length}.mp4", length), tmp_path / f"{length}.h5"
        peaks["extract"].append(peak("extract", video, "--backbone", "frames", *size, "--jobs", 1, "-o", output))
        peaks["convert"].append(peak("convert", output, "-o", tmp_path / "copy.h5"))
        with h5py.File(output) as file:
            assert file[str(length)].shape == (length, 256, 256, 3)
    # The frames of the longer one take 170 MiB more; a process begins with some 80.
    for command_of, (short, long) in peaks.items():
        assert long < 1.6 * short, command_of
