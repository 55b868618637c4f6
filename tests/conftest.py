"""What every test may use: the real data beside the checkout, and the command line as a user runs it.

With --fail-on-skip, as in .ci/run, a run fails that left out a test for want of anything but a GPU, instructions of the
processor or the real data.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import PROJECT, Run

# The reasons that excuse a skip: what no package can install.
EXCUSED = re.compile(r"\bGPU\b|\bprocessor\b|the folder of real data is not here")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip", action="store_true", help="fail when a skip is not for want of a GPU, a processor or of data"
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
def taltool() -> Run:
    """Run `taltool WORDS...` in a process of its own; stdin is empty unless given, output is bytes."""

    def run(
        *words: object, stdin: bytes = b"", env: dict[str, str] | None = None, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "taltool", *map(str, words)]
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | (env or {}),
            timeout=240,
            check=False,
            **options,  # type: ignore[call-overload]
        )

    return run
