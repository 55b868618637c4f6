"""Talk on standard error: notes, warnings, and progress as a bar, plain lines, or JSON."""

import datetime
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taltool.reporting import Reporter, Task, printable

_SECONDS_BETWEEN_LINES = {"json": 1.0, "plain": 10.0}
# In a log, a round (an epoch) is told when it ends; one that lasts gives a sign of life.
_SECONDS_OF_SILENCE = 60.0
_LOG_WIDTH = 100


class TerminalReporter(Reporter):
    """Says things on stderr as `taltool CMD: ...`; `quiet` once silences notes and progress, twice warnings too."""

    def __init__(self, name: str, quiet: int = 0, verbose: bool = False, progress: str = "auto") -> None:
        self.name, self.quiet, self.verbose = name, quiet, verbose
        self.style = _style(progress, quiet)

    def note(self, message: str) -> None:
        """Say `message` unless quiet."""
        if not self.quiet:
            self._say(message)

    def warn(self, message: str) -> None:
        """Say `message` as a warning unless twice quiet."""
        if self.quiet < 2:
            self._say(f"warning: {message}")

    def detail(self, message: str) -> None:
        """Say `message` if verbose."""
        if self.verbose:
            self._say(message)

    def _say(self, message: str) -> None:
        print(f"{self.name}: {printable(message)}", file=sys.stderr, flush=True)

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "videos", of_round: int = 1) -> Iterator[Task]:
        """Show the progress of a `with` block as `style` says."""
        if self.style == "bar":
            with _progress_bar() as progress:
                yield _BarTask(progress, progress.add_task(what, total=total, unit=unit, status={}))
        elif self.style == "none":
            with super().track(what, total, unit, of_round) as task:
                yield task
        else:
            lines = _LineTask(self.name, what, total, unit, of_round, self.style)
            try:
                yield lines
            finally:
                lines.finish()


def _style(progress: str, quiet: int) -> str:
    if progress == "json":
        return "json"
    if quiet or progress == "none":
        return "none"
    return "bar" if sys.stderr.isatty() else "plain"


def _progress_bar() -> Any:
    """A line with bar, count and time left, over one with as many of the named values as the terminal is wide."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class TwoLines(Progress):
        def get_renderables(self) -> Iterator[Any]:
            yield self.make_tasks_table(self.tasks)
            for task in self.tasks:
                if told := _described(task.fields["status"], self.console.width):
                    yield Text(told, style="dim", no_wrap=True)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
    )
    return TwoLines(*columns, console=Console(stderr=True))


class _BarTask:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1, **status: object) -> None:
        """Move the bar."""
        self._progress.update(self._task, advance=amount, status=status)


class _LineTask:
    """Progress as lines: the last, and one every few seconds before it, in a log where a round ends."""

    def __init__(self, name: str, what: str, total: float | None, unit: str, of_round: int, style: str) -> None:
        self._name, self._what, self._total, self._unit, self._style = name, what, total, unit, style
        self._of_round = of_round if style == "plain" else 1
        self._done, self._status = 0.0, dict[str, object]()
        self._started = self._told = time.monotonic()
        self._done_then: float | None = None

    def advance(self, amount: float = 1, **status: object) -> None:
        """Count, and say so if the last line is old enough."""
        self._done += amount
        self._status = status
        silent = time.monotonic() - self._told
        is_round = self._done % self._of_round == 0 or silent >= _SECONDS_OF_SILENCE
        if silent >= _SECONDS_BETWEEN_LINES[self._style] and is_round:
            self._tell()

    def finish(self) -> None:
        """Say how far it came, unless the last line did."""
        if self._done_then != self._done:
            self._tell()

    def _tell(self) -> None:
        left = self._seconds_left()
        self._told, self._done_then = time.monotonic(), self._done
        if self._style == "json":
            record = {"task": self._what, "done": self._done, "total": self._total, "unit": self._unit}
            record |= {"seconds": round(self._told - self._started, 3)} | ({"seconds_left": left} if left else {})
            line = json.dumps(record | self._status, default=str)
        else:
            of = f"/{self._total:g}" if self._total is not None else ""
            command = "" if self._name.endswith(f" {self._what}") else f"{self._what}: "
            line = f"{self._name}: {command}{self._done:g}{of} {self._unit}"
            line += f", {datetime.timedelta(seconds=left)} left" if left else ""
            told = _described(self._status, _LOG_WIDTH - len(line) - 2)
            line += f"; {told}" if told else ""
        print(line, file=sys.stderr, flush=True)

    def _seconds_left(self) -> int | None:
        """At the speed since the last line; None where that, or the total, is not known."""
        done, seconds = self._done - (self._done_then or 0.0), time.monotonic() - self._told
        if self._total is None or not done or seconds < 1:
            return None
        return round((self._total - self._done) * seconds / done)


def _described(status: dict[str, object], width: int) -> str:
    """`epoch 3  loss 0.31`: the first of the values, as many as `width` characters hold."""
    told = ""
    for name, value in status.items():
        more = f"{told}  " if told else ""
        more += f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        if len(more) > width:
            break
        told = more
    return told
