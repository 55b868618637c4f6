"""What every test may use: the real data beside the checkout, and the command line as a user runs it.

With --fail-on-skip, as in .ci/run, a run fails that left out a test for want of anything but a GPU, instructions of the
processor or the real data.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked_taltool import serving
from project import PROJECT, Run

# The reasons that excuse a skip: what no package can install.
EXCUSED = re.compile(r"\bGPU\b|\bprocessor\b|the folder of real data is not here")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip", action="store_true", help="fail when a skip is not for want of a GPU, a processor or of data"
    )
    parser.addoption(
        "--own-processes", action="store_true", help="start every command in a Python of its own (many times slower)"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    yield  # What is said is the last word of the run.
    # A worker of xdist has no terminal; the process that has one knows the skips of all.
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or not session.config.getoption("fail_on_skip"):
        return
    skips = [(report.nodeid, report.longrepr[2]) for report in terminal.stats.get("skipped", [])]
    unexcused = [f"{test}: {reason}" for test, reason in skips if not EXCUSED.search(reason)]
    if unexcused:
        terminal.section("skipped without excuse", red=True)
        terminal.write_line("\n".join(unexcused))
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, which is other people's; tests that want it are skipped where it is absent."""
    folder = Path(os.environ.get("TALTOOL_SHARED", PROJECT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the folder of real data is not here (set TALTOOL_SHARED)")
    return folder


@pytest.fixture(scope="session")
def commands(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder with the command `taltool`, which takes milliseconds to start (seconds with --own-processes)."""
    with tempfile.TemporaryDirectory() as folder:
        if request.config.getoption("own_processes"):
            command = Path(folder, "taltool")
            command.write_text(f'#!/bin/sh\nexec {sys.executable} -m taltool "$@"\n')
            command.chmod(0o755)
            yield command.parent
        else:
            with serving(Path(folder)) as place:
                yield place


@pytest.fixture(scope="session")
def taltool(commands: Path) -> Run:
    """Run `taltool WORDS...` as a shell does; stdin is empty unless given, output is bytes."""

    def run(
        *words: object, stdin: bytes = b"", env: dict[str, str] | None = None, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        # A limit that is set for the process that starts would not hold in the one that forks.
        command = [sys.executable, "-m", "taltool"] if "preexec_fn" in options else [commands / "taltool"]
        return subprocess.run(
            [*command, *map(str, words)],
            input=stdin,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | (env or {}),
            timeout=240,
            check=False,
            **options,  # type: ignore[call-overload]
        )

    return run
