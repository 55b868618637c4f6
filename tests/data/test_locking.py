"""Two commands never write to one place at once, and a lock never outlives its holder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from project import PROJECT

from taltool.data.locking import exclusive_lock
from taltool.errors import DataError, UsageError
from taltool.reporting import SILENT

HOLDER = """
import sys, time
from pathlib import Path
from taltool.data.locking import exclusive_lock
from taltool.reporting import SILENT
with exclusive_lock(Path(sys.argv[1]), "f.h5", SILENT):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> "subprocess.Popen[bytes]":
    """Another process that holds the lock."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    started = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, env=environment)
    assert started.stdout is not None
    assert started.stdout.readline() == b"held\n"
    return started


def test_a_second_holder_is_told_who_the_first_is_until_that_is_killed(tmp_path: Path) -> None:
    first = holder(tmp_path / "f")
    with pytest.raises(UsageError, match=rf"f\.h5 is being written by process {first.pid} on "), hold(tmp_path / "f"):
        pass
    first.send_signal(signal.SIGKILL)
    first.wait()
    with hold(tmp_path / "f"):
        pass


def hold(folder: Path):  # type: ignore[no-untyped-def]
    return exclusive_lock(folder, "f.h5", SILENT)


def test_a_lock_may_be_removed_with_its_folder_by_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with hold(tmp_path / "f"):
            (tmp_path / "f" / "lock").unlink()
            (tmp_path / "f").rmdir()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_folder_that_its_holder_removed_is_worth_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taltool.data import locking

    real = locking.lock

    def removed_meanwhile(handle: int, wait: bool) -> None:
        real(handle, wait)
        (tmp_path / "f" / "lock").unlink()

    monkeypatch.setattr(locking, "lock", removed_meanwhile)
    with pytest.raises(UsageError, match="until now: run the command again"), hold(tmp_path / "f"):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write there: No such file"), hold(tmp_path / "no" / "f"):
        pass


def test_a_file_system_without_locks_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from taltool.data import locking
    from taltool.reporting import Reporter

    def none(handle: int, wait: bool) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    heard: list[str] = []

    class Listener(Reporter):
        def warn(self, message: str) -> None:
            heard.append(message)

    monkeypatch.setattr(locking, "lock", none)
    with exclusive_lock(tmp_path / "f", "f.h5", Listener()):
        assert "knows no locks" in heard[0]
