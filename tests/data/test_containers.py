"""What a file of pictures is, by its first bytes."""

import gzip
from pathlib import Path

import av
import numpy as np
import pytest

from taltool.data.containers import container_name, image_name, refuse_folder, refuse_pictures
from taltool.data.files import peek
from taltool.errors import DataError

# Suffix, muxer (None: by the suffix), encoder, and what such a file is called.
WRITTEN = [
    ("mp4", None, "mpeg4", "MP4"),
    ("mov", None, "mpeg4", "QuickTime"),
    ("3gp", None, "mpeg4", "3GP"),
    ("mkv", None, "mpeg4", "Matroska"),
    ("webm", None, "libvpx", "WebM"),
    ("avi", None, "mpeg4", "AVI"),
    ("ts", "mpegts", "mpeg2video", "MPEG-TS"),
    ("mpg", "mpeg", "mpeg1video", "MPEG-PS"),
    ("vob", "vob", "mpeg2video", "MPEG-PS"),
    ("m2v", "mpeg2video", "mpeg2video", "MPEG video"),
    ("m4v", "m4v", "mpeg4", "MPEG-4 video"),
    ("flv", None, "flv", "FLV"),
    ("wmv", None, "wmv2", "ASF/WMV"),
    ("gif", "gif", "gif", "GIF"),
    ("mxf", None, "mpeg2video", "MXF"),
    ("h264", "h264", "libx264", "H.264"),
    ("mjpeg", "mjpeg", "mjpeg", "MJPEG"),
    ("ivf", "ivf", "libvpx", "IVF"),
    ("nut", "nut", "mpeg4", "NUT"),
]
FORMATS_OF_PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p"}


def written(path: Path, muxer: str | None, encoder: str) -> Path:
    """A video of a few grey frames."""
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(encoder, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = FORMATS_OF_PIXELS.get(encoder, "yuv420p")
        for number in range(12):
            picture = np.full((48, 64, 3), 10 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("suffix", "muxer", "encoder", "name"), WRITTEN)
def test_a_video_is_known_by_its_first_bytes(
    tmp_path: Path, suffix: str, muxer: str | None, encoder: str, name: str
) -> None:
    path = written(tmp_path / f"a.{suffix}", muxer, encoder)
    assert container_name(path.read_bytes()[:4096]) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x00\x00\x10\x00moov\x00\x00\x0f\xf8lmvhd", "QuickTime"),  # headers first, from before there was ftyp
        (b"\x00\x00\x00\x08wide\x00\x42\x11\x22mdat", "QuickTime"),
        (b"\x00\x00\x00\x01\x40\x01\x0c\x01\xff\xff", "HEVC"),
        (b"\x00\x00\x01\x67\x64\x00\x1f\xac", "H.264"),
        (b"YUV4MPEG2 W64 H48 F25:1\n", "Y4M"),
        (b"OggS\0\x02" + bytes(22) + b"\x80theora\x03\x02", "Ogg"),
        (b"\x00\x00\x00\x18styp" + b"msdh" + bytes(12), "fragment of MP4"),
        # Of cameras and discs: four bytes of time in front of each packet.
        (b"".join(b"\x00\x00\x00\x00\x47\x40\x00\x10\x00".ljust(192, b"\xff") for _ in range(4)), "MPEG-TS"),
    ],
)
def test_a_video_that_no_test_can_write_is_known(head: bytes, name: str) -> None:
    assert container_name(head) == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"G",
        b'{"database": {"free": {}}}',
        b"the free moov,ftyp,mdat\n",
        b"12.5free,3\n",
        b"".join(b"G".ljust(187, b"o") + b"\n" for _ in range(9)),  # as long as packets, and of G
        b"\x89HDF\r\n\x1a\n" + bytes(88),
        b"PK\x03\x04\x14\x00\x00\x00",
        b"\x80\x02}q\x00(X\x05\x00",
        b"\x93NUMPY\x01\x00v\x00{'descr'",
        b"\x00\x10\x00\x00\x00\x00\x00\x00" + b'{"a":',
        b"\x00\x00\x01\x00\x00\x00\x00\x00" + b'{"a":',  # safetensors with a header of 64 KiB
        b"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00",  # an icon
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"RIFF\x24\x00\x00\x00WEBPVP8 ",
        b"OggS\0\x02" + bytes(22) + b"\x01vorbis",
        b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00",
        b"\x00\x00\x00\x1cftypheic\x00\x00\x00\x00",
        b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200) + b"\xff\xd9",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_nothing_else_is_taken_for_a_video(head: bytes) -> None:
    assert container_name(head) is None


def test_an_image_is_no_video(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mjpeg", "mjpeg", "mjpeg")
    first = path.read_bytes().partition(b"\xff\xd9\xff\xd8")[0]
    assert (image_name(first), image_name(path.read_bytes())) == ("JPEG", None)
    assert image_name(b"\x89PNG\r\n\x1a\n") == "PNG"
    assert image_name(b"BM,3,4\n") is None


def test_every_real_video_is_known_and_no_other_file_of_the_data(shared: Path) -> None:
    known, others = [], []
    for path in (shared / "data").rglob("*"):
        if path.is_file():
            is_video = path.parent.name == "videos" and path.suffix not in (".json", ".md", ".txt")
            (known if is_video else others).append(path)
    assert len(known) >= 33
    assert [path for path in known if container_name(peek(str(path), 4096)) is None] == []
    assert [path for path in others if container_name(peek(str(path))) is not None] == []


def test_what_reads_a_video_is_said() -> None:
    with pytest.raises(DataError, match=r"^m\.gif: a video \(GIF\); `taltool predict --model MODEL m\.gif` finds"):
        refuse_pictures("m.gif", b"GIF89a")
    with pytest.raises(DataError, match=r"^standard input: a video \(GIF\), which cannot come through a pipe"):
        refuse_pictures("-", b"GIF89a")
    with pytest.raises(DataError, match=r"^m\.png: an image \(PNG\); a folder of images"):
        refuse_pictures("m.png", b"\x89PNG\r\n\x1a\n")
    refuse_pictures("gt.json", b'{"database": {}}')


def test_a_folder_of_videos_is_counted(tmp_path: Path) -> None:
    for name in ("a.mp4", "b/c.MKV", "gt.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r": a folder with 2 videos; `taltool predict"):
        refuse_folder(str(tmp_path))
    with pytest.raises(DataError, match=r": a folder with 1 video; "):
        refuse_folder(str(tmp_path / "b"))
    refuse_folder(str(tmp_path / "a.mp4"))


def test_a_zipped_text_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "m.gif.gz").write_bytes(gzip.compress(b"GIF89a"))
    assert container_name(peek(str(tmp_path / "m.gif.gz"))) == "GIF"
