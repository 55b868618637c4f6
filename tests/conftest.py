"""What every test may use: the real data beside the checkout, and the command line as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import PROJECT, Run


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
