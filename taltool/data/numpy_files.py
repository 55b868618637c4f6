"""What NumPy reads of files of anybody: broken ones raise errors of many kinds, and headers of old ones warn."""

import contextlib
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator

from taltool.errors import DataError

# A header is parsed as Python; an archive may be encrypted, or packed by what is not there (RuntimeError).
_BROKEN = (
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def numpy_reads(where: str, fault: str) -> Iterator[None]:
    """Raise a DataError, `where: fault (reason)`, for whatever NumPy raises in this block on what it cannot read."""
    try:
        # It warns of headers that Python 2 wrote, which are read all the same.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            yield
    except _BROKEN as error:
        raise DataError(f"{where}: {fault} ({error})") from error
