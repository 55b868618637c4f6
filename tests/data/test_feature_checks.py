"""Facts on features that are given twice are compared: clocks with durations, and the channels of videos."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from project import Run

from taltool.data.clock import FeatureClock
from taltool.data.convert import convert
from taltool.data.feature_checks import common_channels, compare_clocks, disagreement
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.errors import DataError
from taltool.inspection.check import check
from taltool.inspection.info import info
from taltool.reporting import Reporter


class Videos:
    """Features of videos v0, v1, ... of these shapes at 25 frames/s, of snippets of 16 frames, and these durations."""

    def __init__(self, shapes: list[tuple[int, int]], durations: list[float], offset: float = 0.0) -> None:
        self.ids = [f"v{n}" for n in range(len(shapes))]
        self._shapes = dict(zip(self.ids, shapes, strict=True))
        clocks = [FeatureClock(25.0, 16.0, 16.0, offset, duration=each) for each in durations]
        self._clocks = dict(zip(self.ids, clocks, strict=True))

    def shape(self, video_id: str, /) -> tuple[int, int]:
        return self._shapes[video_id]

    def clock(self, video_id: str, /) -> FeatureClock:
        return self._clocks[video_id]


class Told(Reporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


# 100 snippets of 16 frames end at 1,600 frames: 64 s. 5 % of 67.3 s are 3.37 s; two windows are 1.28 s.
@pytest.mark.parametrize(
    ("duration", "agrees"), [(64.0, True), (61.0, True), (60.9, False), (67.3, True), (67.4, False)]
)
def test_the_last_snippet_ends_near_the_end_of_the_video(duration: float, agrees: bool) -> None:
    assert (disagreement(Videos([(100, 8)], [duration]), ["v0"]) is None) == agrees


# 5 snippets end at 3.2 s; of so short a video 5 % are less than a window.
@pytest.mark.parametrize(("duration", "agrees"), [(1.93, True), (1.91, False), (4.47, True), (4.49, False)])
def test_of_a_short_video_the_windows_count(duration: float, agrees: bool) -> None:
    assert (disagreement(Videos([(5, 8)], [duration]), ["v0"]) is None) == agrees


def test_a_rate_that_would_do_is_named() -> None:
    # At 25 frames/s these end at 64 and 128 s; in 160 and 320 s there are 1,600 and 3,200 frames at 10 frames/s.
    found = disagreement(Videos([(100, 8), (200, 8)], [160.0, 320.0]), ["v0", "v1"])
    assert str(found) == (
        "in 2 of 2 videos the last snippet ends far before the end of the video (first in 'v0': at 64.0 s of 160.0 s); "
        "they would agree at --fps 10"
    )


def test_where_no_rate_would_do_none_is_named() -> None:
    found = disagreement(Videos([(100, 8), (200, 8)], [160.0, 20.0]), ["v0", "v1"])
    assert str(found).endswith("at 64.0 s of 160.0 s)")


def test_channels_that_would_make_the_duration_are_taken_for_snippets() -> None:
    found = disagreement(Videos([(16, 100), (16, 200)], [64.0, 128.0]), ["v0", "v1"])
    assert str(found).endswith(
        "they would agree with the axes exchanged: --channels-first, or without it where it was given"
    )


def test_durations_of_a_ground_truth_win_over_those_of_the_file() -> None:
    videos = Videos([(100, 8)], [64.0])
    assert disagreement(videos, ["v0"], {"v0": 64.5}) is None
    assert disagreement(videos, ["v0"], {"v0": 300.0}) is not None
    assert disagreement(videos, ["v0"], {"other": 300.0}) is None


def test_what_the_user_says_is_refused_where_it_is_wrong_for_half_of_the_videos_and_warned_of_else() -> None:
    few = Videos([(100, 8)] * 3, [64.0, 64.0, 160.0])
    half = Videos([(100, 8)] * 2, [64.0, 160.0])
    told = Told()
    compare_clocks(few, few.ids, "f.h5", told, is_said=True)
    compare_clocks(half, half.ids, "f.h5", told)
    assert [each.split(" videos")[0] for each in told.warnings] == ["f.h5: in 1 of 3", "f.h5: in 1 of 2"]
    with pytest.raises(DataError, match=r"f\.h5: in 1 of 2 videos .* are not those of these features"):
        compare_clocks(half, half.ids, "f.h5", told, is_said=True)


def test_videos_of_other_channels_than_most_are_named() -> None:
    videos = Videos([(10, 3), (11, 3), (12, 5)], [9.0] * 3)
    assert common_channels(videos, ["v0", "v1"], "f.h5") == 3
    with pytest.raises(DataError, match=r"f\.h5: video 'v2' has 5 channels, 2 of 3 videos have 3"):
        common_channels(videos, videos.ids, "f.h5")


def test_where_only_channels_differ_they_may_be_snippets() -> None:
    videos = Videos([(16, 389), (16, 512)], [9.0] * 2)
    with pytest.raises(DataError, match=r"16 snippets, but of 389 and 512 channels: .*--channels-first"):
        common_channels(videos, videos.ids, "f.h5")


def test_no_video_is_refused() -> None:
    with pytest.raises(DataError, match="no video in it"):
        common_channels(Videos([], []), [], "f.h5")


def arrays(folder: Path, *shapes: tuple[int, ...]) -> Path:
    folder.mkdir()
    for number, shape in enumerate(shapes):
        np.save(folder / f"v{number}.npy", np.ones(shape, np.float32))
    return folder


def test_convert_refuses_a_clock_that_cannot_be(tmp_path: Path) -> None:
    folder, output = arrays(tmp_path / "in", (100, 8), (200, 8)), tmp_path / "o.h5"
    durations = {"v0": 64.0, "v1": 128.0}
    with pytest.raises(DataError, match="they would agree at --fps 25"):
        convert(folder, output=output, fps=10, stride=16, window=16, durations=durations)
    assert not output.exists()
    convert(folder, output=output, fps=25, stride=16, window=16, durations=durations)
    assert check(output).oddities == ()


def test_convert_refuses_channels_first_and_takes_them_by_option(tmp_path: Path) -> None:
    folder, output = arrays(tmp_path / "in", (16, 100), (16, 200)), tmp_path / "o.h5"
    durations = {"v0": 64.0, "v1": 128.0}
    with pytest.raises(DataError, match="--channels-first"):
        convert(folder, output=output, fps=25, stride=16, window=16, durations=durations)
    convert(folder, output=output, fps=25, stride=16, window=16, durations=durations, channels_first=True)
    assert info(output).facts["channels"] == [16]


def feature_file(path: Path, *videos: tuple[int, int, float]) -> Path:
    """v0, v1, ... of (snippets, channels, seconds) at 25 frames a second, snippets of 16 frames."""
    with FeatureWriter(str(path)) as writer:
        for number, (length, channels, duration) in enumerate(videos):
            clock = FeatureClock(25.0, 16.0, 16.0, duration=duration)
            writer.write(VideoFeatures(f"v{number}", np.ones((length, channels), np.float32), clock, {}))
    return path


def test_check_and_info_say_the_same(tmp_path: Path) -> None:
    path = feature_file(tmp_path / "f.h5", (100, 8, 64.0), (100, 8, 160.0))
    oddities = check(path).oddities
    assert [each[:16] for each in oddities] == ["in 1 of 2 videos"]
    assert tuple(info(path).facts["oddities"]) == oddities
    path = feature_file(tmp_path / "g.h5", (100, 8, 64.0), (99, 9, 64.0))
    assert not check(path).is_whole
    assert "video 'v1' has 9 channels" in info(path).facts["oddities"][0]


def test_check_compares_with_the_durations_of_a_ground_truth_as_train_does(tmp_path: Path) -> None:
    path = feature_file(tmp_path / "f.h5", (100, 8, 64.0), (100, 8, 64.0))
    entry = {"duration": 160.0, "annotations": []}
    (tmp_path / "gt.json").write_bytes(orjson.dumps({"database": {"v0": entry, "v1": entry}}))
    told = Told()
    with FeatureFile(str(path)) as file:
        compare_clocks(file, file.ids, str(path), told, durations={"v0": 160.0, "v1": 160.0})
    (warning,) = told.warnings
    assert warning.endswith("(first in 'v0': at 64.0 s of 160.0 s); they would agree at --fps 10")
    assert warning.removeprefix(f"{path}: ") in check(path, ground_truth=tmp_path / "gt.json").oddities


def test_train_refuses_a_clock_of_the_command_line_that_cannot_be(taltool: Run, tmp_path: Path) -> None:
    feature_file(tmp_path / "f.h5", (100, 8, 64.0), (100, 8, 64.0))
    entry = {"duration": 160.0, "annotations": [{"segment": [10, 20], "label": "a"}]}
    (tmp_path / "gt.json").write_bytes(orjson.dumps({"database": {"v0": entry, "v1": entry}}))
    words = ("train", "--model", "afsd", tmp_path / "f.h5", tmp_path / "gt.json", "-o", tmp_path / "m.safetensors")
    refused = taltool(*words, "--fps", 20)
    assert refused.returncode == 3
    assert b"in 2 of 2 videos the last snippet ends far before" in refused.stderr
    assert b"at --fps 10" in refused.stderr
