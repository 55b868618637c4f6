"""Locks on files, which the operating system drops when their holder ends, however that happens."""

import errno
import sys

# What file systems answer that know no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP)

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
