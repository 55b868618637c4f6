"""A video is read from the file of that name, and from no other, whatever its name or its content asks FFmpeg for."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from taltool.cli.main import main
from taltool.errors import DataError
from taltool.video.decode import Losses, decode_frames, open_container, scan


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "other.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", 25)
        stream.width = stream.height = 64
        for number in range(5):
            picture = np.full((64, 64, 3), 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def frames(path: str) -> int:
    return sum(1 for _ in decode_frames(path, scan(path), Losses()))


@pytest.mark.parametrize("name", ["12:30:00.mp4", "cam:front.mp4", "http:x.mp4", "file:x.mp4", "a%03d.mp4", "-.mp4"])
def test_a_name_is_the_name_of_a_file(name: str, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(video, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert frames(name) == 5


@pytest.mark.parametrize("name", ["concat:other.mp4", "file:other.mp4", "subfile,,start,0,end,0,,:other.mp4"])
def test_a_protocol_leads_to_no_other_file(name: str, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(video.parent)
    with pytest.raises(DataError, match="No such file"):
        frames(name)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server at which nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


ADDRESSES = ["http://{}/x.mp4", "tcp://{}", "rtsp://{}/x", "rtmp://{}/x", "ftp://{}/x.mp4", "hls+http://{}/x.m3u8"]
CHAINED = ["concat:http://{}/x.mp4", "crypto:http://{}/x", "cache:http://{}/x", "subfile,,start,0,end,0,,:http://{}/x"]
OTHERS = ["data:video/mp4;base64,AAAA", "pipe:0", "fd:0", "async:other.mp4", "cache:other.mp4", "crypto:other.mp4"]


@pytest.mark.parametrize("name", [*ADDRESSES, *CHAINED, *OTHERS])
@pytest.mark.parametrize("words", ["info", "check", "extract -o out.h5"])
def test_no_command_calls_a_host_or_opens_what_a_name_wraps(
    name: str, words: str, video: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(video.parent)
    name = name.format("{}:{}".format(*listener.getsockname()))
    assert main([*words.split(), name]) in (1, 2, 3)
    assert not Path("out.h5").exists()


def test_a_folder_called_like_a_protocol_calls_no_host(
    video: Path, listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = "{}:{}".format(*listener.getsockname())
    (tmp_path / "http:" / host).mkdir(parents=True)
    shutil.copy(video, tmp_path / "http:" / host / "x.mp4")
    monkeypatch.chdir(tmp_path)
    assert frames(f"http://{host}/x.mp4") == 5


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.mp4\n#EXT-X-ENDLIST\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
DASH = '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>'


CONCAT = "ffconcat version 1.0\nfile other.mp4\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [(HLS, "HLS"), ("\n  " + HLS, "HLS"), (SDP, "SDP"), (DASH, "DASH"), (CONCAT, "ffconcat")],
)
def test_a_playlist_is_named_and_not_followed(text: str, kind: str, video: Path) -> None:
    path = video.parent / "list.mp4"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"a playlist \(.*{kind}\), which names other files"):
        frames(str(path))


@pytest.mark.parametrize("words", ["info", "check", "extract -o out.h5"])
@pytest.mark.parametrize("text", [HLS, CONCAT, SDP, DASH])
def test_a_playlist_calls_no_host(
    text: str, words: str, video: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = listener.getsockname()
    addressed = text.replace("other.mp4", f"http://{host}:{port}/x.ts").replace("video 5004", f"video {port}")
    monkeypatch.chdir(video.parent)
    Path("list.mp4").write_text(addressed)
    assert main([*words.split(), "list.mp4"]) in (1, 3)
    assert not Path("out.h5").exists()


def test_nothing_is_opened_even_where_a_playlist_is_not_recognised(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taltool.video import decode

    monkeypatch.setattr(decode, "_PLAYLISTS", {})
    path = video.parent / "list.mp4"
    for text in (HLS, CONCAT):
        path.write_text(text)
        with pytest.raises((DataError, av.error.FFmpegError)), open_container(path) as container:
            next(container.decode(video=0))
