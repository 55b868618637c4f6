"""Commands that are killed at any moment leave no half of a file, and the same command ends as if nothing had been."""

import os
import subprocess
import sys

import pytest
from kills import FORMS
from project import PROJECT

# Where processes start anew for every kill, each takes seconds; `run.sh` kills those as often as the others.
KILLS = {"extract-processes": 10, "train": 10, "train-workers": 4}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_killed_command_goes_on_to_the_same_bytes(form: str) -> None:
    words = [sys.executable, PROJECT / "tests/kills/kills.py", "--form", form, "--kills", str(KILLS.get(form, 30))]
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
