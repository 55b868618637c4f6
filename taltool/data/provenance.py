"""The chain of steps that made a file: every command appends one to what its inputs carry."""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from taltool import __version__
from taltool.data.files import STANDARD, shown

Step = dict[str, Any]
Chain = list[Step]


@dataclass(frozen=True)
class InputFile:
    """What a step read: its name without the folder, and a hash or (for big files) size and modification time."""

    name: str
    sha256: str | None = None
    size: int | None = None
    mtime: float | None = None

    @classmethod
    def stat(cls, path: str | Path) -> "InputFile":
        """Describe a big file by size and modification time."""
        found = Path(path).stat()
        return cls(Path(path).name, size=found.st_size, mtime=found.st_mtime)

    @classmethod
    def hashed(cls, path: str, sha256: str) -> "InputFile":
        """Describe a file whose SHA-256 is known."""
        return cls(path if path == STANDARD else Path(path).name, sha256=sha256)

    @classmethod
    def named(cls, path: str) -> "InputFile":
        """Describe what a user named: a file as `stat` does, standard input, a folder or nothing by name alone."""
        return cls.stat(path) if Path(path).is_file() else cls(path if path == STANDARD else Path(path).name)

    def record(self) -> dict[str, Any]:
        """Only what is known, ready for JSON."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return known | {"name": shown(self.name)}


def merge_chains(chains: Iterable[Chain | None]) -> Chain:
    """The steps of all chains, each once, in order."""
    steps: Chain = []
    for chain in chains:
        for each in chain or ():
            if each not in steps:
                steps.append(each)
    return steps


def step(inputs: Iterable[InputFile] = (), seed: int | None = None, **extra: Any) -> Step:
    """One link of the chain for the command that runs now."""
    made: Step = {
        "tool": "taltool",
        "version": __version__,
        "command": shown(shlex.join(["taltool", *sys.argv[1:]])),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": [each.record() for each in inputs],
    }
    if seed is not None:
        made["seed"] = seed
    return made | extra
