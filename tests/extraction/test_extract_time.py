"""A snippet shows what happens at the time that is recorded for it, whatever the rate of the video.

The frames of the videos carry their number as a picture; a backbone reads these numbers, they go through the whole
extraction into a file, and are compared with what a viewer sees at the moments that the file's clock tells.
"""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from project import PROJECT
from short_videos import use

from taltool.backbones.contract import Backbone
from taltool.data.hdf5_features import FeatureFile
from taltool.extraction.extract import extract
from taltool.video.frames import FrameFormat
from taltool.video.sources import VideoSource

sys.path.append(str(PROJECT / "tests" / "video"))
from numbered_videos import number, picture, turn_clockwise, write

FRAMES = 110
UNEVEN = [0.0, *np.cumsum(np.random.default_rng(3).choice([0.031, 0.04, 0.055, 0.11], FRAMES - 1)).tolist()]
MOMENTS: dict[str, list[float]] = {
    "25": [n / 25 for n in range(FRAMES)],
    "29.97": [n * 1001 / 30000 for n in range(FRAMES)],
    "59.94": [n * 1001 / 60000 for n in range(FRAMES)],
    "variable": UNEVEN,
}


class Numbers(Backbone):
    """Reads the number of every frame of a snippet, of which there are 16 at most; the rest of its channels are 0."""

    frame_format = FrameFormat("gray", short_side=48)
    streams: ClassVar = {"rgb": (0, 16)}
    inputs = ("rgb",)

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        numbers = [[number(frame) for frame in snippet] for snippet in snippets]
        return np.pad(np.array(numbers, np.float32), ((0, 0), (0, 16 - snippets.shape[1])))


def seen_at(moments: list[float], seconds: float) -> int:
    """The frame that a viewer sees: the last one whose time has come."""
    return max(n for n, begins in enumerate(moments) if begins <= seconds + 1.2e-5)


def check(path: Path, moments: list[float], output: Path, *, window: int, stride: int, **words: Any) -> None:
    """Extract, and compare the middle frame of each snippet with the frame seen at its recorded time."""
    extract(VideoSource("v", str(path)), output=output, jobs=1, window=window, stride=stride, **words)
    with FeatureFile(str(output)) as file:
        rows, clock = file.read("v"), file.clock("v")
    centres = clock.seconds(np.arange(len(rows)) + 0.5)
    # The centre of an odd window is the middle of a frame's time, which begins half a frame before.
    begins = centres - window % 2 / (2 * clock.fps)
    assert rows[:, window // 2].tolist() == [seen_at(moments, each) for each in begins]
    assert len(rows) > 5
    assert np.diff(centres) == pytest.approx(stride / clock.fps)
    reach = (stride + window / 2) / clock.fps
    assert centres[-1] <= moments[-1] + max(np.diff(moments)), "no snippet lies after the end"
    assert centres[-1] + reach >= moments[-1], "the end is in a snippet"


@pytest.mark.parametrize("fps", ["own", 10.0, 60.0, 7.3])
@pytest.mark.parametrize("rate", MOMENTS)
def test_the_middle_of_a_snippet_is_what_is_seen_at_its_time(
    rate: str, fps: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Numbers(None))
    path = write(tmp_path / "v.mp4", MOMENTS[rate])
    window = 4 if fps == 7.3 or (rate, fps) == ("59.94", 10.0) else 16
    check(path, MOMENTS[rate], tmp_path / "f.h5", window=window, stride=2, fps=fps)


@pytest.mark.parametrize("window", [1, 5, 16])
@pytest.mark.parametrize("offset", [0, 3])
def test_times_are_right_for_any_window_and_offset(
    window: int, offset: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Numbers(None))
    path = write(tmp_path / "v.mp4", MOMENTS["29.97"])
    check(path, MOMENTS["29.97"], tmp_path / "f.h5", window=window, stride=3, offset=offset, fps=20.0)


@pytest.mark.parametrize("right_angles", [1, 2, 3])
def test_times_of_turned_videos_are_right(right_angles: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Numbers(None))
    path, moments = tmp_path / "v.mp4", MOMENTS["29.97"][:60]
    with av.open(str(path), "w") as container:
        stored = [np.ascontiguousarray(np.rot90(picture(n), right_angles)) for n in range(len(moments))]
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.height, stream.width = stored[0].shape
        stream.pix_fmt = "yuv420p"
        for each in stored:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(each, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    turn_clockwise(path, right_angles)
    check(path, moments, tmp_path / "f.h5", window=16, stride=4)


class Motion(Backbone):
    """Reads how far (pixels) each flow picture of a snippet moves to the right."""

    frame_format = FrameFormat("gray")
    streams: ClassVar = {"flow": (0, 8)}
    inputs = ("rgb", "flow")

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        middle = snippets[:, :, 24:-24, 24:-24, 0].reshape(*snippets.shape[:2], -1)
        return np.median(middle, axis=2).astype(np.float32) / 255 * 40 - 20


class Positions(Backbone):
    """Reads where the left edge of the bright half is in each frame of a snippet."""

    frame_format = FrameFormat("gray")
    streams: ClassVar = {"rgb": (0, 8)}

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        return (snippets[:, :, 0, :] < 128).sum(-1).astype(np.float32)


@pytest.mark.parametrize("fps", ["own", 50.0, 12.5])
def test_flow_and_colours_of_a_snippet_are_of_the_same_frames(
    fps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Positions(None), Motion(None, "flow"), batch=3)
    steps = np.array([0, 0, 3, 0, 0, 0, 2, 2, 0, 4] * 4)
    lefts = np.cumsum(steps)
    path = write_moving(tmp_path / "v.mp4", lefts)
    extract(VideoSource("v", str(path)), output=tmp_path / "f.h5", jobs=1, window=8, stride=3, fps=fps)
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert file.streams == {"rgb": (0, 8), "flow": (8, 16)}
        rows = file.read("v")
    positions, motions = rows[:, :8], rows[:, 8:]
    moments = 3 * np.arange(len(rows))[:, None] + np.arange(8)
    shown = (moments * 25 // (25 if fps == "own" else fps)).astype(int)
    np.testing.assert_array_equal(positions, 40 + lefts[shown])
    # At any rate a field is the motion from the frame that is shown to the next one of the video; the last has none.
    before = np.minimum(shown, len(lefts) - 2)
    np.testing.assert_allclose(motions, lefts[before + 1] - lefts[before], atol=0.5)
    assert (np.abs(motions) > 1).any()


def write_moving(path: Path, lefts: NDArray[np.int64]) -> Path:
    """A texture that stands at these columns, frame by frame, at 25 frames/s; its top row tells the column."""
    coarse = np.random.default_rng(1).integers(0, 255, (16, 40))
    texture = np.kron(coarse, np.ones((8, 8)))
    smooth = sum(np.roll(texture, (y, x), (0, 1)) for y in range(-3, 4) for x in range(-3, 4)) / 49
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for left in lefts:
            shown = np.roll(smooth, left, 1)[:, 80:240].astype(np.uint8)
            shown[:2] = np.where(np.arange(160) < 40 + left, 16, 235)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path
