"""The option --fail-on-skip: which skips fail a run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from project import PROJECT

EXCUSED = [
    "needs a GPU",
    "this processor has no bfloat16 instructions",
    "the folder of real data is not here (set TALTOOL_SHARED)",
]


@pytest.mark.slow
@pytest.mark.parametrize(("reasons", "told"), [(EXCUSED, []), ([*EXCUSED, "mandoc is not installed"], ["test_3"])])
def test_a_skip_fails_the_run_unless_hardware_or_the_real_data_are_missing(
    reasons: list[str], told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text((PROJECT / "tests" / "conftest.py").read_text())
    tests = [f"def test_{number}():\n    pytest.skip({why!r})\n" for number, why in enumerate(reasons)]
    (tmp_path / "test_gpu.py").write_text("\n".join(["import pytest", *tests]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n1", "--fail-on-skip", tmp_path],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "tests")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == bool(told), done.stdout + done.stderr
    assert re.findall(r"^test_gpu.py::(\w+): Skipped: ", done.stdout, re.MULTILINE) == told
