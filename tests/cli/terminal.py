"""Running a command with one of its standard streams on a terminal."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def run_on_terminal(words: list[str], stream: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run `taltool WORDS...` with `stream` ("stdin" or "stderr") being a terminal.

    Returns exit status, standard output, and what came on standard error (from the terminal if that is the stream).
    """
    ours, theirs = pty.openpty()
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: theirs}
    command = [sys.executable, "-m", "taltool", *words]
    settings = os.environ | {"PYTHONPATH": str(PROJECT), "TERM": "xterm"} | (env or {})
    with subprocess.Popen(command, env=settings, **streams) as process:  # type: ignore[call-overload]
        os.close(theirs)
        shown = _drained(ours) if stream == "stderr" else ""
        output, errors = process.communicate(timeout=120)
    os.close(ours)
    return process.returncode, output.decode(), shown or (errors or b"").decode()


def _drained(terminal: int) -> str:
    parts = []
    # Linux tells the end of a terminal by an input/output error.
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 65536):
            parts.append(part)
    return b"".join(parts).decode()
