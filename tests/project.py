"""Names that tests import: where the project is, the type of the fixture `taltool`, and whole scripts of a shell."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[bytes]]
PROJECT = Path(__file__).resolve().parent.parent


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a script of bash in `folder`, where `taltool` is this checkout's."""
    settings = os.environ | {"PYTHONPATH": str(PROJECT)}
    text = f'taltool() {{ {sys.executable} -m taltool "$@"; }}\n{script}'
    return subprocess.run(["bash", "-c", text], cwd=folder, env=settings, capture_output=True, timeout=240, check=False)
