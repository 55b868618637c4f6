"""Frames of one video, which are too many for the memory: written to a file as they come, and read in slices.

An hour of 112 x 112 pixels in colours and flow, at 10 frames a second, is 2.3 GB. So nothing ever holds more of it than
a slice, and processes hand each other the name of the file.
"""

import hashlib
import os
import shutil
import signal
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from taltool.errors import DataError

Pictures = NDArray[np.uint8]
# Bytes of frames that are read or written at once.
_PIECE = 16 << 20


class Frames(Protocol):
    """The frames of one video, uint8 (T, H, W, C), of which slices along T are read; arrays and HDF5 datasets are such.

    C is 3 for colours (R, G, B), 2 for flow (x, y; 128 is no motion), 5 for both.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, H, W, C)."""

    def __getitem__(self, which: slice, /) -> Any:
        """The frames [first, last) as an array."""


class StorageError(DataError):
    """Frames could not be written, which holds for all videos."""


@dataclass(frozen=True)
class StoredFrames:
    """Frames, uint8 (T, H, W, C), that lie in a file one after the other; checksum is the CRC-32 of all of it."""

    path: Path
    shape: tuple[int, ...]
    checksum: int

    def __getitem__(self, which: slice, /) -> Pictures:
        """The frames [first, last), read from the file; raises DataError where it ends before."""
        first, last, step = which.indices(self.shape[0])
        if step != 1:
            raise ValueError(f"frames are read one after the other, not in steps of {step}")
        count, size = max(0, last - first), prod(self.shape[1:])
        values = np.fromfile(self.path, np.uint8, count * size, offset=first * size)
        if len(values) != count * size:
            raise DataError(f"{self.path}: ends before frame {last} of {self.shape[0]}")
        return values.reshape(count, *self.shape[1:])

    def check(self) -> None:
        """Raise DataError where the file is not what was written."""
        checksum = 0
        for piece in pieces(self):
            checksum = zlib.crc32(piece.data, checksum)
        if checksum != self.checksum or self.path.stat().st_size != prod(self.shape):
            raise DataError(f"{self.path}: was changed since it was written")


def pieces(frames: Frames) -> Iterator[Pictures]:
    """All frames in order, some megabytes at a time: (n, H, W, C)."""
    length, *size = frames.shape
    count = max(1, _PIECE // prod(size))
    for first in range(0, length, count):
        yield frames[first : first + count]


def store_frames(path: Path, pictures: Iterable[Pictures]) -> StoredFrames:
    """Write pictures (H, W, C) of one size to the file `path`, which vanishes where anything is raised.

    Raises StorageError where they cannot be written, DataError where there are none or their size changes.
    """
    shape: tuple[int, ...] | None = None
    count = checksum = 0
    with _telling(path.parent):
        stream = path.open("wb", buffering=_PIECE)
    try:
        for picture in pictures:
            shape = shape or picture.shape
            if picture.shape != shape:
                raise DataError(f"its pictures change their size from {shape} to {picture.shape}")
            content = np.ascontiguousarray(picture, np.uint8).data
            checksum = zlib.crc32(content, checksum)
            count += 1
            with _telling(path.parent):
                stream.write(content)
        if shape is None:
            raise DataError("it has no frames")
        with _telling(path.parent):
            stream.close()
    except BaseException:
        with suppress(OSError):  # It tries once more to write the rest.
            stream.close()
        path.unlink(missing_ok=True)
        raise
    return StoredFrames(path, (count, *shape), checksum)


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """Raise StorageError, saying what to do, for an OSError of the block."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot write there: {error.strerror or error}; frames of videos that are being read lie there: "
            "make room and run the command again"
        ) from error


def path_of(folder: Path, video_id: str, suffix: str) -> Path:
    """Where a file on a video lies in a folder: its id may hold what file names may not."""
    name = hashlib.sha256(video_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return folder / (name + suffix)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the files of this process; it vanishes when the block ends, and where SIGTERM ends the process.

    It is made where the environment's TMPDIR says.
    """
    with tempfile.TemporaryDirectory(prefix="taltool-", ignore_cleanup_errors=True) as folder:
        # Where somebody cares for the signal already it is left to them; only the main thread may care.
        in_main_thread = threading.current_thread() is threading.main_thread()
        if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield Path(folder)
            return

        def end(number: int, frame: FrameType | None) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        signal.signal(signal.SIGTERM, end)
        try:
            yield Path(folder)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
