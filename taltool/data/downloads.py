"""Published files, fetched once into a cache and never used without their checksum being right.

A file appears in the cache only when it is whole and right; what a broken connection left is continued.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from taltool.data.files import NO_LOCKS, lock
from taltool.errors import DataError
from taltool.reporting import SILENT, Reporter

CACHE_VARIABLE = "TALTOOL_CACHE"
_LOCK = ".lock"
_CHUNK = 1 << 20
_PATIENCE = 60.0
_HTTP_PARTIAL, _HTTP_NO_SUCH_RANGE = 206, 416


@dataclass(frozen=True)
class Published:
    """A file at its publisher's address.

    checksum is `sha256:HEX`, of which publishers sometimes tell the beginning only, or `git:HEX`, the SHA-1 under which
    git knows the file.
    """

    url: str
    checksum: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


def cache_folder() -> Path:
    """Where published files are kept: $TALTOOL_CACHE, else `taltool` in $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taltool"


def fetched(published: Published, reporter: Reporter = SILENT) -> Path:
    """The path of a published file in the cache, where it is put if it is not there or damaged.

    One process fetches at a time, others wait. Raises DataError where it cannot be fetched or
    written, or is not what was published.
    """
    target = cache_folder() / f"{published.checksum.partition(':')[2][:8]}-{published.name}"
    if target.exists() and is_right(target, published.checksum):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.parent, reporter):
            if not (target.exists() and is_right(target, published.checksum)):
                _complete(target, published, reporter)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written: {error.strerror or error} (${CACHE_VARIABLE} moves it)"
        ) from error
    return target


def _complete(target: Path, published: Published, reporter: Reporter) -> None:
    """Download what is missing of `target` beside it, and put it there; a wrong file is removed."""
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("a+b") as stream:
            _download(published.url, stream, reporter)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, EOFError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{published.url} cannot be fetched: {reason}; run the command again to continue, or fetch it by other "
            "means and name the file"
        ) from error
    if not is_right(part, published.checksum):
        found = digest(part, published.checksum.partition(":")[0])
        part.unlink()
        raise DataError(f"{published.url} is not the published file: its checksum is {found}, not {published.checksum}")
    part.replace(target)


def _download(url: str, part: IO[bytes], reporter: Reporter) -> None:
    """Append to `part` what it lacks of the file at `url`; raises EOFError where the connection ends too early."""
    reporter.note(f"fetching {url}")
    with _answer(url, part) as answer:
        length = answer.headers.get("Content-Length")
        expected = part.tell() + int(length) if length else None
        with reporter.track("fetch", total=expected, unit="bytes") as task:
            task.advance(part.tell())
            while chunk := answer.read(_CHUNK):
                part.write(chunk)
                task.advance(len(chunk))
    if expected is not None and part.tell() < expected:
        raise EOFError(f"the connection ended after {part.tell()} of {expected} bytes")


@contextmanager
def _answer(url: str, part: IO[bytes]) -> Iterator[Any]:
    """The answer of the server from the end of `part` on, which is emptied where the server cannot continue."""
    begun = part.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != _HTTP_NO_SUCH_RANGE:
            raise
        answer = urllib.request.urlopen(url, timeout=_PATIENCE)
    with answer:
        if getattr(answer, "status", None) != _HTTP_PARTIAL:
            part.seek(0)
            part.truncate()
        yield answer


def is_right(path: Path, checksum: str) -> bool:
    """Whether the file has this checksum (see Published)."""
    algorithm, _, expected = checksum.partition(":")
    return digest(path, algorithm).partition(":")[2].startswith(expected)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """`ALGORITHM:HEX` of the file; algorithm is sha256 or git."""
    hashed = hashlib.sha256()
    if algorithm == "git":
        hashed = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            hashed.update(chunk)
    return f"{algorithm}:{hashed.hexdigest()}"


@contextmanager
def _alone(folder: Path, reporter: Reporter) -> Iterator[None]:
    """A block that no other process runs meanwhile for the same folder."""
    with (folder / _LOCK).open("ab") as stream:
        try:
            lock(stream.fileno(), wait=True)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            reporter.warn(f"{folder}: this file system knows no locks; let no second process fetch files meanwhile")
        yield
