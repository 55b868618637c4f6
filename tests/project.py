"""Names that tests import: where the project is, and the type of the fixture `taltool`."""

import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[bytes]]
PROJECT = Path(__file__).resolve().parent.parent
