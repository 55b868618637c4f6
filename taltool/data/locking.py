"""One command at a time writes to one place: locks that the operating system drops when their holder ends, anyhow."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taltool.data.files import NO_LOCKS, lock
from taltool.errors import DataError, UsageError
from taltool.reporting import Reporter

_LOCK = "lock"


@contextmanager
def exclusive_lock(folder: Path, what: str, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of `folder` (made if need be) while the block runs; the block may remove the folder.

    Raises UsageError, naming who holds it, where another process does, DataError where nothing can be written. `what`
    is what both want to write. Where the file system knows no locks this is told, and the block runs.
    """
    try:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise DataError(f"{what}: cannot write there: {error.strerror}") from error
    try:
        try:
            lock(handle, wait=False)
        except BlockingIOError as error:
            holder = os.read(handle, 200).decode("utf-8", "replace").strip() or "another process"
            raise UsageError(
                f"{what} is being written by {holder}: wait for it, or give another name with -o"
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            reporter.warn(f"{folder}: this file system knows no locks; let no second command write {what} meanwhile")
        if not _is_current(handle, folder):
            raise UsageError(f"{what} was being written by another process until now: run the command again")
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        os.close(handle)


def _is_current(handle: int, folder: Path) -> bool:
    """Whether the file that is locked is still the one that the folder shows: its holder may have removed both."""
    try:
        return os.path.samestat(os.fstat(handle), (folder / _LOCK).stat())
    except FileNotFoundError:
        return False
