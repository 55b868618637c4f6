"""Extraction writes every video once, at its true time, and nothing by halves."""

import errno
import json
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from project import PROJECT
from short_videos import SETTINGS, STRIDE, Mean, sources, use, write_video, write_video_of_unknown_codec

from taltool.data.hdf5_features import FeatureFile
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.extraction import extract as stage
from taltool.extraction.extract import Extraction, extract_video
from taltool.extraction.resume import PartialResults
from taltool.extraction.settings import ExtractionSettings
from taltool.extraction.worker_pool import imap_unordered
from taltool.reporting import Reporter
from taltool.video.sources import VideoSource

# One process, snippets as in SETTINGS, no step with the time in it.
extract = partial(stage.extract, stride=STRIDE, jobs=1, provenance=False)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(["b", "deep/c", "日本 1", "a"]):
        write_video(folder / f"{name}.mp4", 30 + 10 * number, seed=number)
    return folder


class Listener(Reporter):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, message: str) -> None:
        self.heard.append(message)

    def warn(self, message: str) -> None:
        self.heard.append(message)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extract with `Mean`."""
    use(monkeypatch, Mean(None))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_the_clock_of_every_real_video_is_right_to_one_frame(shared: Path) -> None:
    described = json.loads((shared / "data" / "videos" / "videos.json").read_text())
    assert len(described) > 30
    for facts in described:
        made = extract_video(VideoSource("v", str(shared / "data" / "videos" / facts["file"])), SETTINGS)
        centres = made.clock.seconds(np.arange(len(made.values)) + 0.5)
        usual, frame = 1 / made.clock.fps, 1 / facts["avg_fps"]
        first, last = facts["first_pts"] - facts["start"], facts["last_pts"] - facts["start"]
        # Where a packet is broken, the frames after it are still there.
        last = facts["header_frames"] * frame - frame if facts["decode_error"] else last
        np.testing.assert_allclose(centres, first + (np.arange(len(centres)) * 8 + 8) * usual, atol=frame)
        assert made.attributes["num_frames"] * usual == pytest.approx(last - first + frame, abs=frame), facts["file"]
        assert made.clock.duration >= last, facts["file"]
        if not facts["vfr"]:
            assert usual == pytest.approx(frame, rel=1e-3), facts["file"]
            assert made.attributes["num_frames"] == round((last - first) / frame) + 1, facts["file"]


def test_a_part_that_cannot_be_decoded_is_told_and_kept_in_the_file(shared: Path, tmp_path: Path) -> None:
    listener = Listener()
    broken = shared / "data" / "videos" / "decord__corrupted.mp4"
    extract(VideoSource("v", str(broken)), output=tmp_path / "f.h5", reporter=listener)
    assert any("'v'" in message and "3.00 s" in message for message in listener.heard)
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert "cannot be decoded wholly" in file.video_attributes("v")["problem"]


def test_the_file_says_all_about_its_features(videos: Path, tmp_path: Path) -> None:
    extract(videos, output=tmp_path / "f.h5", provenance=True)
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert file.ids == ["a", "b", "deep/c", "日本 1"]
        assert file.streams == {"hog3d": (0, 300)}
        assert len(file.provenance) == 1
        clock = file.clock("a")
        assert (clock.fps, clock.stride, clock.window, clock.offset, clock.duration) == (20, 8, 16, 0, 3.0)
        facts = file.video_attributes("a")
        assert facts["num_frames"] == 60
        assert json.loads(facts["source"])["size"] == (videos / "a.mp4").stat().st_size
        assert file.shape("a") == ((60 - 16) // 8 + 1, 300)
    assert not (tmp_path / "f.h5.partial").exists()


def test_every_attribute_that_is_written_is_on_the_manual_page(videos: Path, tmp_path: Path) -> None:
    extract(videos, output=tmp_path / "f.h5", provenance=True)
    page = (PROJECT / "man/man5/taltool-features.5").read_text(encoding="utf-8")
    with h5py.File(tmp_path / "f.h5") as file:
        names = {*file.attrs, *file["a"].attrs}
    assert {"settings", "source", "num_frames"} < names
    assert [name for name in sorted(names) if f"\n.B {name}\n" not in page] == []


@pytest.mark.slow
def test_the_same_bytes_come_out_of_one_process_and_of_two(videos: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        extract(videos, output=tmp_path / f"{jobs}.h5", jobs=jobs)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_extending_a_file_gives_the_bytes_of_a_single_run(videos: Path, tmp_path: Path, dtype: Any) -> None:
    every = sources(videos)
    extract(videos, output=tmp_path / "once.h5", dtype=dtype)
    for part in (every[2:], every[:1], every):
        extract(*part, output=tmp_path / "grown.h5", dtype=dtype)
    assert (tmp_path / "grown.h5").read_bytes() == (tmp_path / "once.h5").read_bytes()
    with h5py.File(tmp_path / "once.h5") as file:
        assert file["a"].dtype == dtype


def test_what_is_done_is_not_done_again(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = str(tmp_path / "f.h5")
    extract(videos, output=output)
    before = (tmp_path / "f.h5").stat().st_mtime_ns
    monkeypatch.setattr("taltool.extraction.extract.extract_features", None)
    extract(videos, output=output)
    assert (tmp_path / "f.h5").stat().st_mtime_ns == before


def test_what_was_done_is_told_back(videos: Path, tmp_path: Path) -> None:
    output, every = tmp_path / "f.h5", sources(videos)
    assert extract(every[0], output=output) == Extraction(str(output), 1, 1)
    made = extract(videos, output=output)
    assert made == Extraction(str(output), 4, 3)
    assert repr(made) == f"Extraction({output}: 4 videos, 3 of them new)"
    with pytest.raises(PartialFailure) as raised:
        extract(videos, VideoSource("gone", "/nowhere/gone.mp4"), output=output)
    result = raised.value.result
    assert isinstance(result, Extraction)
    assert (result.videos, result.new) == (4, 0)
    assert [(each.video_id, each.reason) for each in result.failed] == [("gone", "No such file or directory")]
    assert repr(result) == f"Extraction({output}: 4 videos, 0 of them new; failed: gone)"


def test_a_video_that_changed_is_done_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v" / "a.mp4", 30)
    extract(path.parent, output=tmp_path / "f.h5")
    write_video(path, 50, seed=9)
    extract(path.parent, output=tmp_path / "f.h5")
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert file.video_attributes("a")["num_frames"] == 50


def test_a_damaged_file_in_the_spool_is_not_taken_for_a_video(videos: Path, tmp_path: Path) -> None:
    extract(videos, output=tmp_path / "whole.h5")
    partial_results = PartialResults(str(tmp_path / "f.h5"), SETTINGS.record())
    for source in sources(videos)[:2]:
        partial_results.save(extract_video(source, SETTINGS))
    first, second = sorted(partial_results.folder.glob("*.video"))
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"")
    extract(videos, output=tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_numbers_that_were_damaged_in_the_spool_are_made_anew(videos: Path, tmp_path: Path) -> None:
    extract(videos, output=tmp_path / "whole.h5")
    partial_results = PartialResults(str(tmp_path / "f.h5"), SETTINGS.record())
    partial_results.save(extract_video(sources(videos)[0], SETTINGS))
    [path] = partial_results.folder.glob("*.video")
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="video 'a' were damaged or removed"):
        extract(videos, output=tmp_path / "f.h5")
    extract(videos, output=tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_other_settings_than_before_are_refused(videos: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "f.h5")
    PartialResults(output, SETTINGS.record()).save(extract_video(sources(videos)[0], SETTINGS))
    with pytest.raises(DataError, match=r"f\.h5\.partial: an unfinished extraction with other settings"):
        extract(videos, output=output, stride=2)
    extract(videos, output=output)
    with pytest.raises(UsageError, match="other settings"):
        extract(videos, output=output, stride=2)


def test_an_extraction_that_finished_no_video_binds_no_later_one(videos: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "f.h5")
    PartialResults(output, ExtractionSettings.of(stride=2).record())
    assert extract(videos, output=output).new == 4


def test_a_file_of_another_program_is_not_touched(videos: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["a"] = np.zeros((3, 4))
    before = (tmp_path / "f.h5").read_bytes()
    with pytest.raises(UsageError, match="not made by this command"):
        extract(videos, output=tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == before


def test_a_video_that_fails_is_named_and_the_others_are_written(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    listener = Listener()
    mixed = [*sources(videos), VideoSource("bad", str(tmp_path / "bad.mp4")), VideoSource("gone", "/nowhere/gone.mp4")]
    with pytest.raises(PartialFailure, match="2 of 6 videos failed: bad, gone"):
        extract(*mixed, output=tmp_path / "f.h5", reporter=listener)
    assert any("'bad'" in message and "Invalid data" in message for message in listener.heard)
    assert any("'gone'" in message and "No such file" in message for message in listener.heard)
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert len(file.ids) == 4


def test_a_video_whose_codec_nobody_knows_fails_alone(videos: Path, tmp_path: Path) -> None:
    odd = write_video_of_unknown_codec(tmp_path / "odd.mp4")
    listener = Listener()
    with pytest.raises(PartialFailure, match="1 of 5 videos failed: odd"):
        extract(videos, VideoSource("odd", str(odd)), output=tmp_path / "f.h5", reporter=listener)
    assert any("odd.mp4) failed: FFmpeg does not know its codec; convert it" in each for each in listener.heard)
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert len(file.ids) == 4


def test_a_video_that_cannot_even_be_looked_at_fails_alone(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = VideoSource.identity

    def identity(source: VideoSource) -> dict[str, Any]:
        if source.video_id == "odd":
            raise ValueError("embedded null byte")
        return real(source)

    monkeypatch.setattr(VideoSource, "identity", identity)
    with pytest.raises(PartialFailure, match="1 of 5 videos failed: odd"):
        extract(videos, VideoSource("odd", "odd.mp4"), output=tmp_path / "f.h5")
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert len(file.ids) == 4


def test_where_an_unforeseen_error_was_is_a_detail(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    details: list[str] = []
    listener = Listener()
    monkeypatch.setattr(listener, "detail", details.append)
    monkeypatch.setattr("taltool.extraction.pipeline.FrameSequence", None)
    with pytest.raises(PartialFailure, match="4 of 4 videos failed"):
        extract(videos, output=tmp_path / "f.h5", reporter=listener)
    assert any("failed: TypeError: 'NoneType' object is not callable" in message for message in listener.heard)
    assert len(details) == 4
    assert all("pipeline.py" in each for each in details)


def test_no_file_is_written_when_every_video_fails(tmp_path: Path) -> None:
    with pytest.raises(PartialFailure, match="1 of 1"):
        extract(VideoSource("gone", "/nowhere/gone.mp4"), output=tmp_path / "f.h5")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_said_before_any_work(videos: Path) -> None:
    with pytest.raises(DataError, match="cannot write there"):
        extract(videos, output="/nowhere/f.h5")


def test_a_video_named_like_the_folder_of_another_is_refused(videos: Path, tmp_path: Path) -> None:
    path = str(videos / "a.mp4")
    extract(VideoSource("a", path), output=tmp_path / "f.h5")
    with pytest.raises(DataError, match="'a/b' cannot be beside"):
        extract(VideoSource("a/b", path), output=tmp_path / "f.h5")


def test_a_full_disk_keeps_what_is_finished(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr("taltool.data.hdf5_features.FeatureWriter.write", full)
        with pytest.raises(DataError, match="No space left on device; finished videos wait"):
            extract(videos, output=tmp_path / "f.h5")
    assert not (tmp_path / "f.h5").exists()
    monkeypatch.setattr("taltool.extraction.extract.extract_features", None)
    extract(videos, output=tmp_path / "f.h5")
    assert (tmp_path / "f.h5").exists()


def test_a_video_shorter_than_a_window_gives_one_snippet(tmp_path: Path) -> None:
    made = extract_video(VideoSource("v", str(write_video(tmp_path / "v.mp4", 5))), SETTINGS)
    assert made.values.shape == (1, 300)
    assert made.attributes["num_frames"] == 5


def _die_on_three(numbers: Sequence[int], process: int) -> list[str]:
    if 3 in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    return [str(number) for number in numbers]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_process_that_dies_takes_only_its_own_item_along(size: int) -> None:
    pieces = [range(first, min(first + size, 7)) for first in range(0, 7, size)]
    results = imap_unordered(_die_on_three, pieces, 2, died=lambda number: f"{number} died")
    assert sorted(results) == ["0", "1", "2", "3 died", "4", "5", "6"]


def test_numbers_too_big_for_float16_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Big(Mean):
        def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
            return super().encode_snippets(snippets) * np.float32(1e6)

    use(monkeypatch, Big(None))
    source = VideoSource("v", str(write_video(tmp_path / "v.mp4", 20)))
    assert extract_video(source, ExtractionSettings.of()).values.max() > 1e7
    with pytest.raises(DataError, match="not all finite in float16"):
        extract_video(source, ExtractionSettings.of(dtype="float16"))


def test_what_others_put_into_the_spool_is_no_video(videos: Path, tmp_path: Path) -> None:
    extract(videos, output=tmp_path / "whole.h5")
    folder = PartialResults(str(tmp_path / "f.h5"), SETTINGS.record()).folder
    for number, facts in enumerate([b"[]", b"{}", b'{"video_id": 3}', b"\xff", b'{"video_id": "a", "clock": []}']):
        with (folder / f"{number}.video").open("wb") as stream:
            np.savez(stream, facts=np.frombuffer(facts, np.uint8), values=np.zeros(3))
    (folder / "settings.json").write_bytes(b"\xff{")
    with pytest.raises(DataError, match=r"f\.h5\.partial: an unfinished extraction with other settings"):
        extract(videos, output=tmp_path / "f.h5")
    (folder / "4.video").unlink()
    extract(videos, output=tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
