"""Opening what the user names, writing so that a killed run leaves nothing half-written, and locks.

Locks on files are dropped by the operating system when their holder ends, however that happens.
"""

import codecs
import contextlib
import errno
import functools
import glob
import gzip
import hashlib
import io
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from taltool.data.containers import refuse_folder, refuse_pickle, refuse_pictures
from taltool.errors import DataError, UsageError

STANDARD = "-"
_GZIP_MAGIC = b"\x1f\x8b"
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# The names of what is open already.
_DESCRIPTOR = re.compile(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)")
# Bytes that are read at once: a line of a video is far longer than the usual buffer.
_BUFFER = 1 << 20
# Bytes of a beginning that tell a video from a text.
_TELLING = 1 << 12
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# Devices from which text may well come: nothing at all, and what a caller has open.
_READABLE_DEVICE = re.compile(r"/dev/(null|tty.*|pts/.*|std(in|out|err)|fd/.*)|/proc/.*")
_CAMERA = re.compile(r"/dev/(video|v4l|media|dri|dv).*")
# Of a name of at most 255 bytes, what a temporary file beside its file keeps, and what it keeps of the machine's name.
_LONGEST_NAME, _LONGEST_HOST = 160, 60
# What they answer where there is no room left.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What file systems answer that know no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP)


class HashingReader:
    """A binary stream that is hashed as it passes; `hexdigest` is that of everything read so far.

    position counts the bytes so far. A byte order mark at the beginning is hashed and passed over. Raises DataError,
    naming `path`, where the stream is a broken gzip file, a video, an image or a pickle.
    """

    def __init__(self, stream: io.BufferedReader | gzip.GzipFile, path: str, hashed: bool = True) -> None:
        self._stream, self._path, self._hash = stream, path, hashlib.sha256() if hashed else None
        self.position = 0
        with _explaining_gzip(path):
            head = stream.peek(_TELLING)[:_TELLING]
        refuse_pictures(path, head)
        refuse_pickle(path, head)
        if head.startswith(codecs.BOM_UTF8):
            self.read(3)

    def __iter__(self) -> Iterator[bytes]:
        with _explaining_gzip(self._path):
            for line in self._stream:
                self._count(line)
                yield line

    def readline(self, limit: int = -1) -> bytes:
        """The next line, or its first `limit` bytes; empty at the end."""
        with _explaining_gzip(self._path):
            line = self._stream.readline(limit)
        self._count(line)
        return line

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; all that is left without it."""
        with _explaining_gzip(self._path):
            found = self._stream.read(size)
        self._count(found)
        return found

    def _count(self, found: bytes) -> None:
        self.position += len(found)
        if self._hash is not None:
            self._hash.update(found)

    @property
    def rereadable(self) -> BinaryIO | None:
        """The stream itself where it is a plain file, in which one can go back; None for pipes and gzip."""
        plain = self._path != STANDARD and self._stream.seekable()
        return self._stream if plain and isinstance(self._stream, io.BufferedReader) else None

    def hexdigest(self) -> str:
        """SHA-256 of all bytes read so far (of the uncompressed content where the file is gzip); `hashed` wants it."""
        if self._hash is None:
            raise ValueError("opened without hashed")
        return self._hash.hexdigest()


@contextlib.contextmanager
def _explaining_gzip(path: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is broken or cut short ({error}); fetch or write it again") from error


@contextlib.contextmanager
def open_input(path: str, hashed: bool = True) -> Iterator[HashingReader]:
    """Open `path` for reading, `-` being standard input; gzip is undone. Without `hashed` there is no hash to ask for.

    Raises UsageError where standard input is a terminal and for addresses and devices, DataError where the file cannot
    be opened, or is a folder, a video or an image.
    """
    if path == STANDARD:
        if sys.stdin.isatty():
            raise UsageError("no input: name a file, or pipe one in")
        yield HashingReader(_unzipped(sys.stdin.buffer), path, hashed)
        return
    with open_file(path) as stream:
        yield HashingReader(_unzipped(stream), path, hashed)


def peek(path: str, size: int = 1 << 20) -> bytes:
    """The first bytes of `path`, gzip and a byte order mark undone, up to `size`; of standard input at least one read,
    none of it used up.
    """
    if path != STANDARD and Path(path).is_fifo():
        raise UsageError(f"{path}: a pipe, where a file is expected, for it is read twice: save it, or pipe it in as -")
    if path == STANDARD:
        if sys.stdin.isatty():
            raise UsageError("no input: name a file, or pipe one in")
        head = cast(io.BufferedReader, sys.stdin.buffer).peek()
    else:
        with open_file(path) as stream:
            head = stream.read(size)
    with _explaining_gzip(path):
        if head[:2] == _GZIP_MAGIC:
            unzipping = zlib.decompressobj(wbits=31)
            head = unzipping.decompress(head, size)
            if not head and not unzipping.eof and path != STANDARD:
                raise EOFError("it ends within its first block")
    return head.removeprefix(codecs.BOM_UTF8)


def open_file(path: str) -> BinaryIO:
    """The file `path`, open for reading as it is.

    Raises UsageError for addresses and devices, DataError for a folder and where it cannot be opened.
    """
    refuse_live_input(path)
    refuse_folder(path)
    try:
        if _DESCRIPTOR.fullmatch(path) and Path(path).is_fifo():
            return Path(_kept(path, Path(path).stat().st_ino).name).open("rb", _BUFFER)
        return Path(path).open("rb", _BUFFER)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


@functools.cache
def _kept(path: str, pipe: int) -> "tempfile._TemporaryFileWrapper[bytes]":
    """A temporary file of what comes out of a pipe that a shell made, `<(COMMAND)`: it can be read but once, and files
    are opened to be told apart before they are read. pipe: which one it is, of all that have had this name."""
    kept = tempfile.NamedTemporaryFile(prefix="taltool-pipe-")  # noqa: SIM115 (open until the end)
    with Path(path).open("rb") as stream:
        shutil.copyfileobj(stream, kept)
    kept.flush()
    return kept


def refuse_live_input(path: str) -> None:
    """Raise UsageError where `path` is empty, an address (http://, rtsp://, ...) or a device, such as a camera."""
    if not path:
        raise UsageError("the name of a file is empty (a variable of the shell that is not set?)")
    if _ADDRESS.match(path) and not Path(path).exists():
        raise UsageError(
            f"{path}: live input and addresses are not read yet: download it, or record it, and name the file"
        )
    is_device = Path(path).is_char_device() and not _READABLE_DEVICE.fullmatch(path)
    if is_device or (_CAMERA.fullmatch(path) and not Path(path).exists()):
        raise UsageError(f"{path}: a device; live input is not read yet: record it, and name the file")


def refuse_foreign(path: str) -> None:
    """Raise the error that `open_input` would, where `path` is no file that a library could have read."""
    if Path(path).is_file():
        refuse_pictures(path, peek(path, _TELLING))
    refuse_live_input(path)
    refuse_folder(path)


def read_bytes(path: str) -> tuple[bytes, str]:
    """The whole content of `path` (`-` = standard input) and its SHA-256."""
    with open_input(path) as stream:
        content = stream.read()
        return content, stream.hexdigest()


def read_text(path: str) -> str:
    """The whole text of `path` (`-` = standard input); see `decode_text`."""
    return decode_text(read_bytes(path)[0], path)


def read_lines(path: str) -> Iterator[tuple[int, str]]:
    """The number, from 1, and the text of each line of `path` (`-` = standard input), as they are read.

    Raises DataError like `decode_text`.
    """
    number = 1
    with open_input(path) as stream:
        for line in stream:
            # A file of an old Mac is one such line, for it ends its lines otherwise.
            for text in decode_text(line, path, number).removesuffix("\n").split("\n"):
                yield number, text
                number += 1


def decode_text(content: bytes, path: str, first: int = 1) -> str:
    """The text in `content` without a byte order mark; every line ends with a newline, whichever line ends it had.

    `first` is the number of its first line. Raises DataError, naming `path` and the line, for what is not UTF-8: read
    leniently, different names become one.
    """
    if first == 1 and content.startswith(UTF_16_MARKS):
        raise DataError(f"{path}:{first}: UTF-16, not UTF-8; convert it: iconv -f utf-16 -t utf-8")
    if first == 1:
        content = content.removeprefix(codecs.BOM_UTF8)
    if (position := content.find(b"\0")) >= 0:
        raise DataError(
            f"{path}:{first - 1 + _line(content, position)}: a NUL byte, which no text has; is this the right file?"
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = first - 1 + _line(content, error.start)
        raise DataError(
            f"{path}:{line}: not UTF-8 (byte 0x{content[error.start]:02x}); convert it: "
            "iconv -f ENCODING -t utf-8, where ENCODING is gb18030, shift_jis, latin1 or whatever it was saved in"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line(content: bytes, position: int) -> int:
    """The number of the line, from 1, in which a byte stands."""
    return len((content[:position] + b".").splitlines())


def _unzipped(stream: BinaryIO) -> io.BufferedReader | gzip.GzipFile:
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))
    if buffered.peek(2)[:2] == _GZIP_MAGIC:
        return gzip.GzipFile(fileobj=buffered)
    return buffered


@contextlib.contextmanager
def _naming_the_full(path: str | Path) -> Iterator[None]:
    """Say of which file it is that a disk, a quota or a limit is full."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a new file beside `path`; it takes the place of `path` when the block ends, and vanishes if it raises.

    Where `path` is a symbolic link, the file that it leads to is replaced. Raises DataError where the folder does not
    exist or cannot be written, and where `path` is no regular file: a device or a pipe must not be replaced.
    """
    target = Path(path).resolve()
    if is_special(target):
        raise DataError(f"{path}: not a regular file; such a file cannot be written there")
    temporary = _temporary_beside(target, path)
    try:
        with _naming_the_full(path):
            yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_beside(target: Path, path: str | Path) -> Path:
    """A new file beside `target`, which messages call `path`; raises DataError where there can be none.

    Its name says which process makes it, see `remove_leftovers`.
    """
    maker = f"{os.getpid()}@{_host()}"
    try:
        handle, name = tempfile.mkstemp(prefix=f"{_beginning(target)}{maker}.", suffix=".tmp", dir=target.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot write there: {error.strerror or error}") from error
    os.close(handle)
    return Path(name)


def remove_leftovers(path: str | Path) -> None:
    """Delete what processes of this machine that were killed left half-written beside `path`."""
    target = Path(path).resolve()
    beginning = _beginning(target)
    for leftover in target.parent.glob(f"{glob.escape(beginning)}*@*.tmp"):
        maker = re.match(r"(\d+)@(.*)\.\w+\.tmp", leftover.name.removeprefix(beginning))
        if maker and maker[2] == _host() and not _is_running(int(maker[1])):
            leftover.unlink(missing_ok=True)


def _beginning(target: Path) -> str:
    """How the names of temporary files beside `target` begin: with its own, as far as there is room."""
    return f".{os.fsdecode(os.fsencode(target.name)[:_LONGEST_NAME])}."


def _host() -> str:
    """The name of this machine; elsewhere than on POSIX nobody asks for it."""
    return re.sub(r"\W", "-", os.uname().nodename)[:_LONGEST_HOST] if os.name == "posix" else "-"


def _is_running(process: int) -> bool:
    """Whether there is such a process; without a way to ask there may be one."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # Somebody else's.
    return True


def refuse_unwritable(path: str) -> None:
    """Raise DataError where `open_output` could not write to `path`: asked before long work for it."""
    target = Path(path).resolve()
    if path != STANDARD and _DESCRIPTOR.fullmatch(path) is None and not (is_special(target) and not target.is_dir()):
        _temporary_beside(target, path).unlink()


@contextlib.contextmanager
def open_output(path: str) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes, `-` being standard output; a file appears only when it is whole.

    Devices and pipes (/dev/null, `>(command)`) are written to as they stand, and so are descriptors (/dev/stdout).
    """
    if (descriptor := _DESCRIPTOR.fullmatch(path)) is not None:
        number = {"stdout": 1, "stderr": 2}.get(descriptor[1]) or int(descriptor[2])
        # Opened anew by its name, the file behind it would be written from its beginning, or replaced.
        with os.fdopen(os.dup(number), "wb") as stream:
            yield stream
        return
    if path == STANDARD:
        with _naming_the_full("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    if is_special(Path(path)) and not Path(path).is_dir():
        with _naming_the_full(path), Path(path).open("wb") as stream:
            yield stream
        return
    remove_leftovers(path)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        yield stream


def shown(path: str) -> str:
    """The name of a file as text that can be written into any file: bytes in it that are not UTF-8 become \\xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_special(path: Path) -> bool:
    """Whether something is there that is no regular file (nor leads to one)."""
    return path.exists() and not path.is_file()


if sys.platform == "win32":
    import msvcrt

    def lock(handle: int, wait: bool) -> None:
        """Lock the open file `handle`; raises BlockingIOError where another process has it and `wait` is not set."""
        try:
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, error.strerror) from error

else:
    import fcntl

    def lock(handle: int, wait: bool) -> None:
        """Lock the open file `handle`; raises BlockingIOError where another process has it and `wait` is not set."""
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
