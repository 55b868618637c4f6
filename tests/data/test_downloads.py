"""Published files are fetched once, continued where a connection broke, and used only when their checksum is right."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from taltool.data.downloads import Published, cache_folder, digest, fetched, is_right
from taltool.errors import DataError

CONTENT = bytes(range(256)) * 40
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
# `git hash-object` of a file that holds "hello world" and a line feed.
HELLO, HELLO_GIT = b"hello world\n", "git:3b18e512dba79e4c8300dd08aeb37f8e728b8dad"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TALTOOL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    (tmp_path / "w.pt").write_bytes(CONTENT)
    return (tmp_path / "w.pt").as_uri()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at any path, parts of it on demand; `breaks` cuts the first answer short."""

    breaks = False
    ranges = True
    asked: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        begun = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        self.send_response(206 if begun else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begun))
        self.end_headers()
        short, self.server.breaks = self.server.breaks, False
        self.wfile.write(CONTENT[begun : 3000 if short else None])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.name != ".lock"]


def at(server: Server, checksum: str = SHA256) -> Published:
    return Published(f"http://127.0.0.1:{server.server_port}/w.pt", checksum)


def test_a_git_checksum_is_that_of_git(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(HELLO)
    assert digest(tmp_path / "hello", "git") == HELLO_GIT
    assert is_right(tmp_path / "hello", HELLO_GIT)
    (tmp_path / "hello").write_bytes(HELLO + b"\n")
    assert not is_right(tmp_path / "hello", HELLO_GIT)


def test_the_beginning_of_a_checksum_is_enough_where_no_more_is_published(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(CONTENT)
    assert is_right(tmp_path / "w", SHA256[:15])
    assert not is_right(tmp_path / "w", "sha256:00000000")


def test_a_file_is_fetched_once(tmp_path: Path, cache: Path, file_url: str) -> None:
    path = fetched(Published(file_url, SHA256))
    assert path.parent == cache
    assert path.read_bytes() == CONTENT
    (tmp_path / "w.pt").unlink()
    assert fetched(Published(file_url, SHA256)) == path


def test_a_wrong_file_is_refused_and_not_kept(cache: Path, file_url: str) -> None:
    with pytest.raises(DataError, match=r"not the published file: its checksum is sha256:[0-9a-f]{64}, not sha256:12"):
        fetched(Published(file_url, "sha256:1234"))
    assert kept(cache) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(file_url: str) -> None:
    path = fetched(Published(file_url, SHA256))
    path.write_bytes(CONTENT[:-1])
    assert fetched(Published(file_url, SHA256)).read_bytes() == CONTENT


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.pt cannot be fetched: .*No such file.*name the file"):
        fetched(Published((tmp_path / "gone.pt").as_uri(), SHA256))


def test_a_broken_download_leaves_no_file_and_is_continued(cache: Path, server: Server) -> None:
    server.breaks = True
    with pytest.raises(DataError, match="cannot be fetched"):
        fetched(at(server))
    [part] = kept(cache)
    assert part.suffix == ".part"
    assert fetched(at(server)).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=3000-"]
    assert len(kept(cache)) == 1


def test_a_server_that_cannot_continue_sends_the_whole_file_again(server: Server) -> None:
    server.breaks, server.ranges = True, False
    with pytest.raises(DataError, match="cannot be fetched"):
        fetched(at(server))
    assert fetched(at(server)).read_bytes() == CONTENT


def test_several_that_want_one_file_fetch_it_once(server: Server) -> None:
    threads = [threading.Thread(target=fetched, args=(at(server),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_url: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TALTOOL_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(DataError, match=r"cannot be written: .*TALTOOL_CACHE"):
        fetched(Published(file_url, SHA256))


def test_the_cache_is_where_the_desktop_keeps_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TALTOOL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "taltool"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home/.cache/taltool"
