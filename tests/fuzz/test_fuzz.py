"""Whatever a file holds, it is read, or refused with an error that names it: `trials.py` says what else is a fault.

TALTOOL_FUZZ_MUTATIONS=2000 tries more files of each reader than the few of a quick run; `run.sh` goes on for hours.
"""

import os
import shutil
from pathlib import Path

import pytest
from readers import READERS
from trials import Judge, command_fault, fault, seed_of, trial

MUTATIONS = int(os.environ.get("TALTOOL_FUZZ_MUTATIONS", "20"))
COMMANDS = 3


def no_faults(name: str, count: int, place: Path, judge: Judge = fault) -> None:
    for number in range(count):
        found = trial(READERS[name], number, place, judge)
        again = f"python tests/fuzz/trials.py --reader '{name}' --first {number}{' --commands' * (judge is not fault)}"
        assert found is None, f"{name}, file {number}: {found}\nto repeat: {again}"


@pytest.mark.parametrize("name", READERS)
def test_a_broken_file_is_read_or_refused_by_name(name: str, tmp_path: Path) -> None:
    whole = seed_of(READERS[name], tmp_path / "seeds" / name.replace(" ", "_"))
    target = tmp_path / "whole" / whole.name
    (shutil.copytree if whole.is_dir() else shutil.copy)(whole, target.parent.mkdir() or target)
    READERS[name].read(str(target))
    no_faults(name, MUTATIONS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if reader.words])
def test_a_command_answers_for_a_broken_file_in_a_line(name: str, tmp_path: Path) -> None:
    no_faults(name, COMMANDS, tmp_path, command_fault)
