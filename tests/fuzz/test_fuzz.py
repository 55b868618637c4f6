"""Whatever a file holds, it is read, or refused with an error that names it: `trials.py` says what else is a fault.

TALTOOL_FUZZ_MUTATIONS=2000 tries more files of each reader than the few of a quick run; `run.sh` goes on for hours.
"""

import os
from pathlib import Path

import pytest
from project import Run
from readers import READERS
from trials import broken_file, trial

MUTATIONS = int(os.environ.get("TALTOOL_FUZZ_MUTATIONS", "20"))
COMMANDS = 5


@pytest.mark.parametrize("name", READERS)
def test_a_broken_file_is_read_or_refused_by_name(name: str, tmp_path: Path) -> None:
    for number in range(max(1, int(MUTATIONS * READERS[name].share))):
        found, _ = trial(READERS[name], number, tmp_path)
        again = f"python tests/fuzz/trials.py --reader '{name}' --first {number}"
        assert found is None, f"{name}, file {number}: {found}\nto repeat: {again}"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if reader.checked])
def test_check_answers_for_a_broken_file_in_a_line(name: str, tmp_path: Path, taltool: Run) -> None:
    for number in range(COMMANDS):
        path = broken_file(READERS[name], number, tmp_path / "seeds", tmp_path / str(number))
        done = taltool("check", path)
        assert done.returncode in (0, 1, 2, 3), done.stderr
        assert b"Traceback" not in done.stderr
