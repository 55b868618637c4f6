"""How long work talks to whoever started it: the interface that the command line implements with rich.

Functions below the command line take a `Reporter` and never print. Python users pass nothing and hear nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

# Characters that would move the cursor or colour a terminal: in the names of files they may well stand.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(message: str) -> str:
    """The message with control characters written out: a file's name or content must not act on a terminal."""
    return message.translate(_CONTROLS)


class Task(Protocol):
    """One running piece of work whose progress can be told."""

    def advance(self, amount: float = 1, **status: object) -> None:
        """Tell that `amount` more units are done; `status` holds named values worth showing (loss=0.31)."""


class _SilentTask:
    def advance(self, amount: float = 1, **status: object) -> None:
        """Hear and say nothing."""


class Reporter:
    """A listener that says nothing; the command line's own says it on standard error."""

    def note(self, message: str) -> None:
        """Tell something worth knowing; silent under `-q`."""

    def warn(self, message: str) -> None:
        """Tell something that the user should act on; never silent."""

    def detail(self, message: str) -> None:
        """Tell something for the curious; only under `-v`."""

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "videos", of_round: int = 1) -> Iterator[Task]:
        """Yield a task of `total` units (None = unknown) for a `with` block; of_round: how many are an epoch."""
        yield _SilentTask()


SILENT = Reporter()
