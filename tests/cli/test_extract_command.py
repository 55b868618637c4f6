"""`taltool extract` as a user runs it: killed and continued, cut into shards, with broken videos among the others."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest

CLOCK = ("fps", "stride", "window", "offset", "duration", "num_frames")
TICK = Fraction(1, 25)
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_shards_hold_all_videos_once(data: Path, whole: bytes, tmp_path: Path, taltool: Run) -> None:
    names: list[str] = []
    for number in (1, 2):
        output = tmp_path / f"{number}.h5"
        assert taltool("extract", data / "videos", "--shard", f"{number}/2", "-o", output).returncode == 0
        with h5py.File(output) as file:
            names += list(file)
    assert sorted(names) == [f"motion_{n:03d}" for n in range(3)]


def write_tiny_video(path: Path, frames: int) -> None:
    """Pictures of 32 x 32, each brighter than the one before, 10 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for n in range(frames):
            shown = np.full((32, 32), 240 * n // frames, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())


@pytest.mark.slow
def test_four_shards_joined_are_the_file_of_a_single_run(tmp_path: Path, taltool: Run) -> None:
    for number in range(6):
        (tmp_path / "in" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        write_tiny_video(tmp_path / "in" / str(number % 2) / f"{number}.mp4", 60 + 20 * number)
    words = ["extract", tmp_path / "in", "--no-provenance", "--stride", "16", "-o"]
    assert taltool(*words, tmp_path / "single.h5").returncode == 0
    for number in range(1, 5):
        assert taltool(*words, tmp_path / f"shard-{number}.h5", "--shard", f"{number}/4").returncode == 0
    shards = sorted(tmp_path.glob("shard-*.h5"))
    assert taltool("convert", *shards, "--no-provenance", "-o", tmp_path / "all.h5").returncode == 0
    assert (tmp_path / "all.h5").read_bytes() == (tmp_path / "single.h5").read_bytes()
    assert taltool("convert", *shards, "--link", "--no-provenance", "-o", tmp_path / "links.h5").returncode == 0
    assert taltool("check", tmp_path / "links.h5").returncode == 0
    assert taltool("convert", tmp_path / "links.h5", "--no-provenance", "-o", tmp_path / "copy.h5").returncode == 0
    assert (tmp_path / "copy.h5").read_bytes() == (tmp_path / "single.h5").read_bytes()
    assert taltool(*words, tmp_path / "other.h5", "--shard", "2/4", "--stride", "8").returncode == 0
    refused = taltool("convert", shards[0], tmp_path / "other.h5", "-o", tmp_path / "mixed.h5")
    assert refused.returncode == 3
    assert b"stride is 8, in" in refused.stderr


def test_a_list_on_standard_input_names_videos(data: Path, whole: bytes, tmp_path: Path, taltool: Run) -> None:
    listed = "".join(f"{path}\n" for path in sorted((data / "videos").iterdir()))
    done = taltool("extract", "-", "-o", tmp_path / "f.h5", "--no-provenance", stdin=listed.encode())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f.h5").read_bytes() == whole


@pytest.mark.slow
def test_a_video_that_cannot_be_read_is_named_and_exit_is_1(data: Path, tmp_path: Path, taltool: Run) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    done = taltool("extract", tmp_path / "bad.mp4", data / "videos" / "motion_001.mp4", "-o", tmp_path / "f.h5")
    assert done.returncode == 1
    assert b"video 'bad'" in done.stderr
    assert b"Invalid data" in done.stderr
    assert b"error: 1 of 2 videos failed: bad" in done.stderr
    with h5py.File(tmp_path / "f.h5") as file:
        assert list(file) == ["motion_001"]


@pytest.mark.slow
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
    assert done.returncode == 0, done.stderr
    present = {path.stem for path in (shared / "data" / "videos").iterdir() if path.suffix != ".json"}
    with h5py.File(tmp_path / "f.h5") as file:
        assert set(file) == present
        assert all(dataset.attrs["complete"] for dataset in file.values())
    (warning,) = (line for line in done.stderr.decode().splitlines() if "warning" in line)
    assert "video 'decord__corrupted'" in warning
    assert "cannot be decoded wholly" in warning


def running(*words: object) -> "subprocess.Popen[bytes]":
    """`taltool extract` in the background."""
    command = [sys.executable, "-m", "taltool", "extract", *map(str, words)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(PROJECT)}, stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None and not condition():
        time.sleep(0.01)


@pytest.mark.slow
def test_a_second_extraction_into_one_output_is_refused_and_the_first_goes_on(
    data: Path, whole: bytes, tmp_path: Path, taltool: Run
) -> None:
    output = tmp_path / "f.h5"
    first = running(data / "videos", "-o", output, "--no-provenance", "-j", "1")
    wait_for((tmp_path / "f.h5.partial" / "settings.json").exists, first)
    first.send_signal(signal.SIGSTOP)  # Or it may be done before the second one begins.
    try:
        second = taltool("extract", data / "videos", "-o", output, "--no-provenance")
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"is being written by process {first.pid} on ".encode() in second.stderr
    assert first.wait() == 0
    assert output.read_bytes() == whole


@pytest.mark.slow
def test_networks_over_both_streams_survive_kills(tmp_path: Path, taltool: Run) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        write_tiny_video(tmp_path / "in" / f"{number}.mp4", 200 + number)
    network = [
        "--backbone",
        "i3d",
        "--weights",
        "random",
        "--stream",
        "both",
        "--flow",
        "dis-ultrafast",
        "--fps",
        "own",
    ]
    sizes = ["--set", "backbone.short_side=48", "--set", "backbone.crop=32", "--stride", "32", "--no-provenance"]
    words = [tmp_path / "in", *network, *sizes, "-o"]
    done = taltool("extract", *words, tmp_path / "once.h5", "-j", "1")
    assert done.returncode == 0, done.stderr
    killed = running(*words, tmp_path / "f.h5", "-j", "1")
    wait_for(lambda: any((tmp_path / "f.h5.partial").glob("*.video")), killed)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL  # Or nothing is left to continue.
    assert taltool("extract", *words, tmp_path / "f.h5", "-j", "1").returncode == 0
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "once.h5").read_bytes()
    with h5py.File(tmp_path / "f.h5") as file:
        assert json.loads(file.attrs["streams"]) == {"rgb": [0, 1024], "flow": [1024, 2048]}
        assert file["0"].shape[1] == 2048


@pytest.mark.slow
def test_a_picture_of_one_pixel_is_a_video_too(tmp_path: Path, taltool: Run) -> None:
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 1, 1, "yuv444p"
        for n in range(20):
            shown = np.full((1, 1, 3), 12 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(format="yuv444p")))
        container.mux(stream.encode())
    assert taltool("extract", tmp_path / "v.mkv", "-o", tmp_path / "f.h5").returncode == 0
    network = ["--backbone", "i3d", "--weights", "random", "--stream", "both", "--flow", "dis", "--fps", "own"]
    sizes = ["--set", "backbone.short_side=32", "--set", "backbone.crop=32"]
    done = taltool("extract", tmp_path / "v.mkv", *network, *sizes, "-o", tmp_path / "g.h5")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "g.h5") as file:
        assert file["v"].shape == (2, 2048)


@pytest.mark.slow
def test_a_folder_of_frames_needs_its_rate_and_gives_the_features_of_its_video(
    data: Path, tmp_path: Path, taltool: Run
) -> None:
    frames = tmp_path / "frames" / "motion_000"
    frames.mkdir(parents=True)
    with av.open(str(data / "videos" / "motion_000.mp4")) as container:
        rate = float(container.streams.video[0].average_rate or 0)
        for number, frame in enumerate(container.decode(video=0), 1):
            encoder = av.CodecContext.create("pgm", "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = frame.width, frame.height, "gray", TICK
            gray = av.VideoFrame.from_ndarray(frame.reformat(format="gray").to_ndarray(), format="gray")
            (frames / f"img_{number:05d}.pgm").write_bytes(b"".join(map(bytes, encoder.encode(gray))))
    refused = taltool("extract", tmp_path / "frames", "-o", tmp_path / "f.h5")
    assert refused.returncode == 2
    assert (
        b"is a folder of images, which do not tell when they were taken: give their rate with --images-fps"
        in refused.stderr
    )
    assert taltool("extract", tmp_path / "frames", "--fps", rate, "-o", tmp_path / "f.h5").returncode == 0
    assert taltool("extract", data / "videos", "--fps", rate, "-o", tmp_path / "v.h5").returncode == 0
    with h5py.File(tmp_path / "f.h5") as images, h5py.File(tmp_path / "v.h5") as videos:
        ours, theirs = images["motion_000"], videos["motion_000"]
        assert {name: ours.attrs[name] for name in CLOCK} == {name: theirs.attrs[name] for name in CLOCK}
        np.testing.assert_allclose(ours[:], theirs[:], atol=0.1)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_and_the_next_run_completes_the_same_file(
    data: Path, whole: bytes, tmp_path: Path, taltool: Run
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # Room for two of the three videos, but not for the file that is made of them.
    room = len(whole) * 2 // 3 + 40_000
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        words = ["extract", data / "videos", "-o", disk / "f.h5", "--no-provenance"]
        full = taltool(*words, "-j", "1")
        assert full.returncode == 3
        assert b"No space left on device" in full.stderr
        assert b"make room and run the command again" in full.stderr
        assert b"Traceback" not in full.stderr
        assert not (disk / "f.h5").exists()
        subprocess.run(["mount", "-o", f"remount,size={len(whole) * 4}", disk], check=True)
        again = taltool(*words, "-j", "1")
        assert again.returncode == 0, again.stderr
        assert b"of 3 videos are done already" in again.stderr
        assert (disk / "f.h5").read_bytes() == whole
        assert [path.name for path in disk.iterdir()] == ["f.h5"]
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
@pytest.mark.parametrize("limit", [2_000, 150_000, 400_000])
def test_a_limit_on_files_is_told_at_whatever_file_it_strikes(
    data: Path, whole: bytes, tmp_path: Path, taltool: Run, limit: int
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    words = ["extract", data / "videos", "-o", tmp_path / "f.h5", "--no-provenance", "-j", "1"]
    full = taltool(*words, preexec_fn=limited)
    assert limit < len(whole)
    assert full.returncode == 3
    assert b"File too large" in full.stderr
    assert b"Traceback" not in full.stderr
    assert taltool(*words).returncode == 0
    assert (tmp_path / "f.h5").read_bytes() == whole


@pytest.mark.slow
def test_a_pipe_in_place_of_a_video_is_refused_at_once(data: Path, tmp_path: Path, taltool: Run) -> None:
    os.mkfifo(tmp_path / "v.mp4")
    done = taltool("extract", tmp_path / "v.mp4", data / "videos" / "motion_001.mp4", "-o", tmp_path / "f.h5")
    assert done.returncode == 1
    assert b"video 'v'" in done.stderr
    assert b"is a pipe or a device" in done.stderr


@pytest.mark.parametrize("size", [1_000, 30_000])
def test_a_file_whose_last_packet_never_ends_gives_what_is_whole(
    data: Path, tmp_path: Path, taltool: Run, size: int
) -> None:
    """A stream of packets (MPEG-TS) in which the last one is announced and not delivered."""
    with av.open(str(tmp_path / "whole.ts"), "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        random = np.random.default_rng(0)
        for _ in range(40):
            shown = random.integers(0, 256, (128, 160), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    content = (tmp_path / "whole.ts").read_bytes()
    assert len(content) > size + 1_000
    (tmp_path / "v.ts").write_bytes(content[:-size])
    done = taltool("extract", tmp_path / "v.ts", "-o", tmp_path / "f.h5")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "f.h5") as file:
        assert 20 < file["v"].attrs["num_frames"] <= 40


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_thousand_tiny_videos_become_one_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_tiny_video(tmp_path / "tiny.mp4", 8)
    for number in range(3_000):
        os.link(tmp_path / "tiny.mp4", tmp_path / "in" / f"{number:05d}.mp4")
    words = [tmp_path / "in", "-o", tmp_path / "f.h5", "--no-provenance", "--window", "8"]
    killed = running(*words)
    wait_for(lambda: len(list((tmp_path / "f.h5.partial").glob("*.video"))) > 1_000, killed)
    killed.kill()
    killed.wait()
    left = len(list((tmp_path / "f.h5.partial").glob("*.video")))
    begun = time.monotonic()
    again = running(*words)
    assert again.wait() == 0
    taken = time.monotonic() - begun
    undisturbed = running(tmp_path / "in", "-o", tmp_path / "g.h5", "--no-provenance", "--window", "8")
    assert undisturbed.wait() == 0
    assert (tmp_path / "g.h5").read_bytes() == (tmp_path / "f.h5").read_bytes()
    with h5py.File(tmp_path / "f.h5") as file:
        assert len(file) == 3_000
    print(f"{3_000 - left} videos, and {left} that were done, in {taken:.0f} s: {(3_000 - left) / taken:.0f} a second")


BACKBONE = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone
from taltool.video.frames import FrameFormat


@dataclass(frozen=True)
class BrightnessConfig:
    scale: float = 1.0


@BACKBONES.register("brightness")
class Brightness(Backbone):
    Config = BrightnessConfig
    window, stride = 8, 8
    frame_format = FrameFormat("gray", short_side=16)
    streams: ClassVar = {"brightness": (0, 1)}

    def encode_snippets(self, snippets):
        return self.config.scale * snippets.reshape(len(snippets), -1).mean(1, dtype=np.float32)[:, None]
"""


@pytest.mark.slow
def test_a_backbone_of_ones_own_is_a_file(data: Path, tmp_path: Path, taltool: Run) -> None:
    (tmp_path / "b.py").write_text(BACKBONE)
    words = ["extract", data / "videos", "--backbone", "./b.py", "--no-provenance", "--set", "backbone.scale=2"]
    for jobs in ("1", "2"):
        done = taltool(*words, "-j", jobs, "-o", f"{jobs}.h5", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()
    with h5py.File(tmp_path / "1.h5") as file:
        assert file.attrs["backbone"] == "brightness"
        assert json.loads(file.attrs["settings"])["backbone"] == "brightness"
        assert "b.py" not in file.attrs["settings"]
        assert file["motion_000"].shape[1] == 1
        assert 0 < file["motion_000"][:].mean() < 510
    # What it is recorded as does not depend on how the file is named.
    again = taltool("extract", data / "videos", "--backbone", tmp_path / "b.py", *words[4:], "-o", tmp_path / "1.h5")
    assert b"3 of 3 videos are done already" in again.stderr
    unknown = taltool("extract", data / "videos", "--backbone", "brightness", "-o", tmp_path / "3.h5")
    assert unknown.returncode == 2
    assert b"no backbone is named 'brightness'" in unknown.stderr


@pytest.mark.slow
def test_a_backbone_whose_file_was_edited_makes_other_features(data: Path, tmp_path: Path, taltool: Run) -> None:
    path = tmp_path / "b.py"
    words = ["extract", data / "videos", "--backbone", path, "-j", "1", "-o"]
    path.write_text(BACKBONE.replace("(0, 1)", "(0, 168)"))
    wrong = taltool(*words, tmp_path / "f.h5")
    assert (wrong.returncode, (tmp_path / "f.h5").exists()) == (2, False)
    assert b"backbone 'brightness', stream rgb: gave features of shape (" in wrong.stderr
    assert b"Traceback" not in wrong.stderr
    path.write_text(BACKBONE)
    assert taltool(*words, tmp_path / "f.h5").returncode == 0
    before = (tmp_path / "f.h5").read_bytes()
    path.write_text(BACKBONE.replace("return self", "return 2 * self"))
    edited = taltool(*words, tmp_path / "f.h5")
    assert (edited.returncode, (tmp_path / "f.h5").read_bytes()) == (2, before)
    assert b"f.h5 was made with other settings (the file of the backbone has changed); give another" in edited.stderr
    both = taltool(*words, tmp_path / "f.h5", "--stride", "4")
    assert b"(the file of the backbone has changed; now stride 4 instead of 8)" in both.stderr
    path.write_text(BACKBONE)
    assert b"3 of 3 videos are done already" in taltool(*words, tmp_path / "f.h5").stderr
