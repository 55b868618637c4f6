"""A folder of images is read as the video that it was."""

import io
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_videos import number, picture

from taltool.errors import DataError
from taltool.video.frames import FrameFormat, FrameSequence
from taltool.video.images import series

GRAY = FrameFormat("gray", short_side=48)


def write_images(folder: Path, names: list[str]) -> Path:
    """Image n of the list shows the number n."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names):
        codec = {"png": "png", "jpg": "mjpeg"}[name.rpartition(".")[2]]
        encoder = av.CodecContext.create(codec, "w")
        encoder.width, encoder.height = picture(n).shape[::-1]
        encoder.pix_fmt, encoder.time_base = {"png": "gray", "mjpeg": "yuvj444p"}[codec], Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(picture(n), format="gray").reformat(format=encoder.pix_fmt)
        (folder / name).write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode()]))
    return folder


def shown(folder: Path, fps: float | None = None, images_fps: float = 20.0) -> list[int]:
    return [number(each) for each in FrameSequence(str(folder), GRAY, fps, images_fps)]


@pytest.mark.parametrize("name", ["img_{:05d}.png", "{}.jpg", "100%_{}.jpg", "a{}b.png"])
def test_images_are_taken_by_number_not_by_letter(tmp_path: Path, name: str) -> None:
    names = [name.format(n) for n in (range(1, 13) if "{}b" not in name else range(10, 22))]
    assert shown(write_images(tmp_path / "v", names)) == list(range(12))


def test_images_of_a_video_lie_at_its_rate(tmp_path: Path) -> None:
    frames = FrameSequence(str(write_images(tmp_path / "v", [f"{n}.png" for n in range(40)])), GRAY, None, 20.0)
    assert (frames.timeline.fps, frames.timeline.first, frames.duration) == (20.0, 0.0, 2.0)


def test_another_rate_takes_the_image_seen_at_each_moment(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "v", [f"{n}.png" for n in range(40)])
    assert shown(folder, fps=5.0) == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]
    assert shown(folder, fps=40.0)[:6] == [0, 0, 1, 1, 2, 2]


def test_a_missing_number_is_filled_with_the_image_before(tmp_path: Path) -> None:
    assert shown(write_images(tmp_path / "v", ["3.png", "4.png", "6.png", "7.png"])) == [0, 1, 1, 2, 3]


def test_numbers_in_equal_steps_are_neighbours(tmp_path: Path) -> None:
    assert shown(write_images(tmp_path / "v", ["00000.png", "00005.png", "00010.png"])) == [0, 1, 2]


def sound() -> bytes:
    with wave.open(file := io.BytesIO(), "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(bytes(1000))
    return file.getvalue()


@pytest.mark.parametrize("content", [b"no image", b"", sound()], ids=["text", "empty", "sound"])
def test_an_image_that_is_none_is_lost_alone_and_told(content: bytes, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "v", [f"{n}.png" for n in range(6)])
    (folder / "3.png").write_bytes(content)
    frames = FrameSequence(str(folder), GRAY, None, 10.0)
    assert [number(each) for each in frames] == [0, 1, 2, 2, 4, 5]
    assert "0.30 s" in str(frames.losses.summary())


def test_images_of_two_sizes_are_brought_to_the_first_ones(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "v", ["0.png"])
    wide = np.tile(picture(1), (2, 1))
    frame = av.VideoFrame.from_ndarray(wide, format="gray")
    with av.open(str(folder / "1.png"), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = wide.shape[1], wide.shape[0], "gray"
        container.mux([*stream.encode(frame), *stream.encode()])
    assert [each.shape for each in FrameSequence(str(folder), GRAY, None, 10.0)] == [(48, 96)] * 2


@pytest.mark.parametrize(
    ("names", "message"),
    [([], "no images"), (["img_1.jpg", "flow_x_1.jpg"], "2 series"), (["1.jpg", "01.jpg"], "two images of one number")],
)
def test_folders_that_are_no_series_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=message):
        series(tmp_path)


def test_a_folder_of_images_without_a_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give --fps"):
        FrameSequence(str(write_images(tmp_path / "v", ["1.png"])), GRAY)
