"""Flow is that of neighbouring frames of the video, however sparsely its moments are sampled."""

from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from short_videos import Mean, write_video

from taltool.backbones.contract import Backbone
from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.errors import UsageError
from taltool.extraction.assemble import refuse_other
from taltool.extraction.encoder import Encoder
from taltool.extraction.extract import extract
from taltool.extraction.pipeline import extract_features
from taltool.extraction.resources import Concurrency
from taltool.extraction.settings import ExtractionSettings
from taltool.video.flow import FlowSettings
from taltool.video.frames import FrameFormat
from taltool.video.sources import VideoSource

# Pixels to the left that everything moves from each frame of the video to the next.
STEP = 2
SIDE, LENGTH = 96, 90
DIS = FlowSettings("dis")
RATES = {"30": Fraction(30), "25": Fraction(25), "29.97": Fraction(30000, 1001)}


def write_moving(path: Path, rate: Fraction) -> str:
    """A video of smooth noise that moves by STEP pixels a frame, and becomes brighter by one step of gray each."""
    coarse = np.random.default_rng(0).random((SIDE // 8 + 2, (SIDE + STEP * LENGTH) // 8 + 2))
    wide = np.kron(coarse, np.ones((8, 8)))
    smooth = sum(np.roll(wide, (i, j), (0, 1)) for i in range(8) for j in range(8)) / 64
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for number in range(LENGTH):
            picture = (30 + 120 * smooth[:SIDE, 8 + STEP * number :][:, :SIDE]).astype(np.uint8)
            shown = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(shown))
        container.mux(stream.encode())
    return str(path)


class Displacement(Backbone):
    """The pixels to the right, and down, by which the middle of each picture of flow moves."""

    inputs = ("rgb", "flow")
    frame_format = FrameFormat("gray")
    streams: ClassVar = {"flow": (0, 2)}

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        middle = snippets[:, :, 24:-24, 24:-24].reshape(len(snippets), -1, 2)
        return np.median(middle, axis=1).astype(np.float32) / 255 * 40 - 20


def displacements(path: str, **words: Any) -> NDArray[np.float32]:
    """Of every frame that is sampled, (N, 2)."""
    settings = ExtractionSettings.of(window=1, stride=1, **words)
    encoder = Encoder([Displacement(None, "flow")], DIS, settings.windows, batch=1)
    [outcome] = extract_features([VideoSource("v", path)], settings, encoder, Concurrency())
    assert outcome.features is not None, outcome.reason
    return outcome.features.values


@pytest.mark.parametrize("fps", ["own", 10.0, 15.0, 60.0, "20/video"])
@pytest.mark.parametrize("rate", RATES)
def test_motion_is_that_from_a_frame_of_the_video_to_its_next(tmp_path: Path, rate: str, fps: Any) -> None:
    moved = displacements(write_moving(tmp_path / "v.mp4", RATES[rate]), fps=fps)
    expected = {"own": LENGTH, "20/video": 20}.get(fps) or LENGTH / float(RATES[rate]) * float(fps)
    assert len(moved) == pytest.approx(expected, abs=1)
    np.testing.assert_allclose(moved, np.tile([-STEP, 0], (len(moved), 1)), atol=0.3)


def test_fields_are_some_of_those_at_the_videos_own_rate(tmp_path: Path) -> None:
    path = write_moving(tmp_path / "v.mp4", Fraction(30))
    np.testing.assert_array_equal(displacements(path, fps=10.0), displacements(path, fps="own")[::3])


def test_a_folder_of_images_moves_at_the_rate_of_its_images(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    with av.open(write_moving(tmp_path / "v.mp4", Fraction(30))) as container:
        for number, frame in enumerate(container.decode(video=0)):
            encoder = av.CodecContext.create("png", "w")
            encoder.width, encoder.height, encoder.pix_fmt = SIDE, SIDE, "gray"
            encoder.time_base = Fraction(1, 30)
            packets = [*encoder.encode(frame.reformat(format="gray")), *encoder.encode()]
            (folder / f"{number:03}.png").write_bytes(b"".join(map(bytes, packets)))
    moved = displacements(str(folder), fps=10.0, images_fps=30.0)
    assert len(moved) == LENGTH / 3
    np.testing.assert_allclose(moved, np.tile([-STEP, 0], (len(moved), 1)), atol=0.3)


def test_flow_beside_colours_changes_neither(tmp_path: Path) -> None:
    path = write_moving(tmp_path / "v.mp4", Fraction(30))
    settings = ExtractionSettings.of(window=2, stride=5, offset=1, fps=10.0)
    backbones: list[list[Backbone]] = [[Mean(None)], [Mean(None), Displacement(None, "flow")]]
    encoders = [Encoder(each, DIS, settings.windows, 2) for each in backbones]
    video = VideoSource("v", path)
    alone, both = (next(extract_features([video], settings, each, Concurrency())) for each in encoders)
    assert alone.features is not None
    assert both.features is not None
    np.testing.assert_array_equal(both.features.values[:, :1], alone.features.values)
    assert both.features.clock == alone.features.clock


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_video_has_the_rate_at_which_it_is_so_many_frames(tmp_path: Path, jobs: int) -> None:
    for length in (20, 40, 60):
        write_video(tmp_path / f"{length}.mp4", length)  # At 20 frames a second.
    made = extract(tmp_path / "20.mp4", output=tmp_path / "f.h5", fps="40/video", stride=4, jobs=1)
    assert (made.videos, made.new) == (1, 1)
    made = extract(tmp_path, output=tmp_path / "f.h5", fps="40/video", stride=4, jobs=jobs)
    assert (made.videos, made.new) == (3, 2)
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert [file.clock(name).fps for name in ("20", "40", "60")] == pytest.approx([20, 20, 40 / 3])
        assert [file.shape(name)[0] for name in ("20", "40", "60")] == [2, 7, 7]
        # The middle of the last snippet: frames 24 to 40, of 40 a video.
        assert file.clock("60").seconds(6.5) == pytest.approx(3 * 32 / 40)
        assert file.clock("60").duration == pytest.approx(3)


def test_a_backbone_that_sees_whole_videos_is_given_flow(tmp_path: Path) -> None:
    class Whole(Displacement):
        encode_snippets = Backbone.encode_snippets

        def encode(self, pictures: Any, windows: Any, threads: Any = None) -> Any:
            yield from (Displacement.encode_snippets(self, snippet[None]) for snippet in windows.cut(pictures))

    settings = ExtractionSettings.of(window=1, stride=4, fps=10.0)
    path = write_moving(tmp_path / "v.mp4", Fraction(30))
    encoder = Encoder([Whole(None, "flow")], DIS, settings.windows, batch=1)
    [outcome] = extract_features([VideoSource("v", path)], settings, encoder, Concurrency())
    assert outcome.features is not None, outcome.reason
    np.testing.assert_array_equal(outcome.features.values, displacements(path, fps=10.0)[::4])


def test_what_was_made_of_flow_between_resampled_frames_is_not_extended(tmp_path: Path) -> None:
    words: dict[str, Any] = {"backbone": "i3d", "stream": "flow", "weights": ("random",)}
    resampled = ExtractionSettings.of(fps=10.0, **words)
    before = resampled.record().replace('"flow_fps":"own",', "")
    assert before != resampled.record()
    # At the own rate all is as it was, and files are extended.
    assert "flow_fps" not in ExtractionSettings.of(fps="own", **words).record()
    assert "flow_fps" not in ExtractionSettings.of("i3d", stream="rgb", weights=("random",), fps=10.0).record()

    with FeatureWriter(str(tmp_path / "f.h5"), {"settings": before}) as writer:
        writer.write(VideoFeatures("v", np.zeros((1, 1), np.float32), FeatureClock(10, 4, 16, duration=1), {}))
    with pytest.raises(UsageError, match=r"made with other settings .now flow_fps own instead of None"):
        refuse_other(str(tmp_path / "f.h5"), resampled)
