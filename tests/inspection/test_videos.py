"""`info` and `check` of videos: facts that are known because the video was made so, and those of real ones."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from project import Run
from video.numbered_videos import turn_clockwise, write

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureWriter, VideoFeatures
from taltool.errors import DataError
from taltool.inspection.check import check
from taltool.inspection.info import info, kind_of
from taltool.reporting import Reporter


def at(*frames: int, fps: int = 25) -> list[Fraction]:
    """The times of the frames of these numbers."""
    return [Fraction(frame, fps) for frame in frames]


def test_a_plain_video(tmp_path: Path) -> None:
    found = info(write(tmp_path / "a.mp4", at(*range(10))))
    assert found.kind == "video"
    facts = found.facts
    assert (facts["container"], facts["frames"], facts["fps"], facts["frame_rate"]) == ("MP4", 10, 25.0, "constant")
    assert (facts["size"], facts["pixels"], facts["bytes"]) == (
        "128x64",
        "yuv420p, 8 bits",
        (tmp_path / "a.mp4").stat().st_size,
    )
    assert facts["seconds"] == pytest.approx(10 / 25)
    assert facts["codec"].startswith("h264")
    assert "fps_average" not in facts
    assert (facts["audio"], facts["subtitles"], facts["damage"], facts["oddities"]) == ([], [], [], [])


def test_missing_frames_are_counted_and_the_rate_stays_that_of_the_grid(tmp_path: Path) -> None:
    facts = info(write(tmp_path / "a.mp4", at(*range(10), 13, 14, 15))).facts
    assert (facts["frames"], facts["fps"], facts["frame_rate"]) == (13, 25.0, "constant")
    assert facts["fps_average"] == pytest.approx(12 / (15 / 25))  # 12 distances between frames in 0.6 s
    assert facts["oddities"] == ["gaps: 3 frames are not there; the one before each stands in"]


def test_a_variable_rate_is_told_with_its_shortest_and_longest_frame(tmp_path: Path) -> None:
    times = np.cumsum([0, 0.04, 0.04, 0.1, 0.07, 0.04, 0.06, 0.04]).tolist()
    facts = info(write(tmp_path / "a.mp4", times)).facts
    assert facts["frame_rate"] == "variable"
    assert facts["oddities"] == [
        "a variable frame rate: frames last from 0.04 s to 0.1 s; read on a grid of 25 frames a second"
    ]


def test_a_turned_picture_has_the_size_that_is_seen(tmp_path: Path) -> None:
    turn_clockwise(write(tmp_path / "a.mp4", at(*range(5))), 1)
    facts = info(tmp_path / "a.mp4").facts
    assert (facts["size"], facts["turned_by"]) == ("64x128", "90 degrees clockwise, stored as 128x64")
    assert facts["oddities"] == ["turned pictures: they are set upright"]


def with_sound(path: Path, videos: int = 1) -> Path:
    """A video of 47x33 pixels at 10 frames/s, with sound in German, and as many video streams as asked for."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=10) for _ in range(videos)]
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        sound.metadata["language"] = "ger"
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 47, 33, "yuva420p"
        for _ in range(6):
            for stream in streams:
                container.mux(stream.encode(av.VideoFrame(47, 33, "yuva420p")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        container.mux(sound.encode(frame))
        for stream in (*streams, sound):
            container.mux(stream.encode())
    return path


def test_streams_beside_the_pictures(tmp_path: Path) -> None:
    facts = info(with_sound(tmp_path / "a.mkv", videos=2)).facts
    assert (facts["container"], facts["size"], facts["codec"]) == ("Matroska", "47x33", "ffv1")
    assert facts["audio"] == ["aac, 16000 Hz, 1 channel, ger"]
    assert [each.partition(":")[0] for each in facts["oddities"]] == [
        "an odd number of rows or columns",
        "transparency",
        "other video streams",
    ]


def test_a_packet_of_wrong_parts_is_damage_and_check_refuses_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", at(*range(10)), options={"bf": "0"})
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][5]
    content[place + 3] ^= 0x01  # The length of its first part is one more, or less, than it is.
    path.write_bytes(content)
    damage = "broken packets: 1, the first at 0.20 s"
    assert info(path).facts["damage"] == [damage]
    found = check(path)
    assert (found.is_whole, found.summary) == (False, damage)


def test_a_video_that_ends_too_early_is_not_whole(tmp_path: Path) -> None:
    options = {"bf": "0", "g": "1"}
    whole = write(tmp_path / "whole.mkv", at(*range(50)), options=options).read_bytes()
    (tmp_path / "a.mp4").write_bytes(write(tmp_path / "b.mp4", at(*range(50)), options=options).read_bytes()[:3000])
    with pytest.raises(DataError, match=r"a\.mp4: a video \(MP4\) that cannot be read: .* \(was it cut short\?"):
        info(tmp_path / "a.mp4")
    (tmp_path / "c.mkv").write_bytes(whole[: len(whole) // 2])
    assert not check(tmp_path / "a.mp4").is_whole
    assert info(tmp_path / "c.mkv").facts["frames"] < 50


def test_check_warns_of_oddities_and_passes(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Reporter):
        def warn(self, message: str) -> None:
            said.append(message)

    path = write(tmp_path / "a.mp4", at(*range(10), 12))
    found = check(path, reporter=Listening())
    assert (found.is_whole, found.summary) == (True, "a video, 0.52 s, 11 frames of 128x64, by its packets")
    assert said == [f"{path}: gaps: 2 frames are not there; the one before each stands in"]


def test_a_folder_of_videos_is_summed_up(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", at(*range(10)))
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep/a.mkv", at(*range(10), 12))
    (tmp_path / "c.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(99))
    found = info(tmp_path)
    assert (found.kind, found.facts["videos"], found.facts["frames"]) == ("videos", 3, 21)
    assert found.facts["hours"] == pytest.approx((0.4 + 0.52) / 3600, abs=1e-6)
    assert found.facts["videos_of_container"] == {"MP4": 1, "Matroska": 1}
    assert found.facts["videos_with"] == {"gaps": 1}
    assert len(found.facts["not_read"]) == 1
    assert not check(tmp_path).is_whole


def test_a_folder_of_images_is_a_video_without_a_rate(tmp_path: Path) -> None:
    for number in (1, 2, 5):
        picture = av.VideoFrame.from_ndarray(np.zeros((24, 32, 3), np.uint8), "rgb24").to_image()
        picture.save(tmp_path / f"f_{number:03}.png")
    found = info(tmp_path)
    assert (found.kind, found.facts["frames"], found.facts["size"]) == ("frames", 3, "32x24")
    assert found.facts["oddities"] == ["gaps: 2 images are not there; the one before each stands in"]


def test_a_file_that_is_only_named_like_a_video_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(5000))
    with pytest.raises(DataError, match=r"a\.mp4: named like a video, but it cannot be read: Invalid data"):
        info(tmp_path / "a.mp4")
    (tmp_path / "gt.ts").write_text('{"database": {}}')
    assert kind_of(str(tmp_path / "gt.ts")) == "content"


def test_several_files_are_told_and_those_that_cannot_be_read_named(tmp_path: Path, taltool: Run) -> None:
    write(tmp_path / "a.mp4", at(*range(10)))
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "gt.json").write_text('{"database": {"v": {"duration": 5, "annotations": []}}}')
    done = taltool("info", "a.mp4", "b.png", "gt.json", "--format", "json", cwd=tmp_path)
    assert done.returncode == 3
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["video", "annotations"]
    assert b"warning: b.png: an image (PNG); " in done.stderr
    assert b"error: 1 of 3 cannot be read: b.png" in done.stderr


def test_info_of_a_video_needs_no_torch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", at(*range(5)))
    program = (
        "import sys; from taltool.inspection.info import info; "
        f"info({str(path)!r}); sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_real_videos_are_what_their_list_says(shared: Path) -> None:
    """The list was made with PyAV by decoding every frame."""
    folder = shared / "data/videos"
    for said in json.loads((folder / "videos.json").read_text()):
        facts, name = info(folder / said["file"]).facts, said["file"]
        stored = facts["turned_by"].rpartition(" ")[2] if "turned_by" in facts else facts["size"]
        assert (stored, facts["bytes"]) == (f"{said['width']}x{said['height']}", said["bytes"]), name
        assert len(facts["audio"]) == said["n_audio"], name
        # Decoding stops at the broken packet of one of them.
        assert facts["frames"] == (50 if "corrupted" in name else said["decoded_frames"]), name
        assert facts["seconds"] == pytest.approx(said["container_duration"], abs=0.05), name
        assert bool(facts["damage"]) == ("corrupted" in name), name


def test_what_was_mended_of_videos_is_told_of_their_features(tmp_path: Path) -> None:
    clock = FeatureClock(25.0, 4.0, 16.0, duration=2.0)
    with FeatureWriter(str(tmp_path / "f.h5"), {}) as writer:
        for name, flaws in (("a", {}), ("b", {"mended": "has a clock"}), ("c", {"mended": "x", "problem": "was cut"})):
            writer.write(VideoFeatures(name, np.ones((9, 2), np.float32), clock, flaws))
    assert [each for each in info(tmp_path / "f.h5").facts["oddities"] if "videos" in each] == [
        "2 videos that were mended; 'b' has a clock",
        "1 videos that could not be read wholly; 'c' was cut",
    ]
