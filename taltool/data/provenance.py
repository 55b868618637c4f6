"""The chain of steps that made a file: every command appends one to what its inputs carry."""

import shlex
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from taltool import __version__
from taltool.data.files import STANDARD, shown
from taltool.errors import DataError

# The keys of `CheckpointHeader.seen`, and of the step that `predict` adds to the chain of proposals: lists of ids.
TRAINED_ON, SELECTED_ON = "trained_on", "selected_on"
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


@dataclass(frozen=True)
class SeenVideos:
    """How many of so many videos the models behind a file were trained on, and how many their epochs were chosen by;
    None where its provenance does not say. models: the names of the checkpoints that have seen any."""

    videos: int
    trained_on: int | None
    selected_on: int | None
    models: tuple[str, ...]

    def warnings(self, use: str, harm: str) -> list[str]:
        """What to know before what was made of these videos is believed, one phrase each: `use` says what they are used
        for, `harm` what comes of it."""
        names = f" ({', '.join(self.models)})" if self.models else ""
        told = []
        if self.trained_on:
            told.append(f"{self.trained_on} of {self.videos} {use} videos were trained on{names}: {harm}")
        if self.selected_on:
            told.append(f"{self.selected_on} of {self.videos} {use} videos chose the epoch{names}: {harm}")
        return told


def seen_videos(chain: Chain, video_ids: Collection[str], where: str) -> SeenVideos:
    """What the models of all steps of a chain, together, have seen of some videos.

    Raises DataError, naming `where`, for a step whose list of videos is none.
    """
    wanted = set(video_ids)
    seen: dict[str, set[str] | None] = {TRAINED_ON: None, SELECTED_ON: None}
    models: dict[str, None] = {}
    for each in chain:
        for key in seen:
            if key not in each:
                continue
            ids = each[key]
            if not isinstance(ids, list) or not all(isinstance(video_id, str) for video_id in ids):
                raise DataError(f"{where}: provenance: {key} must be a list of video ids")
            seen[key] = (seen[key] or set()) | wanted.intersection(ids)
            if wanted.intersection(ids):
                names = [str(file.get("name")) for file in each.get("inputs", ()) if isinstance(file, dict)]
                models |= dict.fromkeys(name for name in names if name.endswith(".safetensors"))
    trained, selected = (None if ids is None else len(ids) for ids in seen.values())
    return SeenVideos(len(wanted), trained, selected, tuple(models))


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


# What every record of an extraction says, and of which kind what it may say is.
_SAID = ("backbone", "dtype", "fps", "offset", "stride", "window")
_KINDS = {"backbone": str, "dtype": str, "offset": int, "stride": int, "window": int}
_KINDS |= {"config": dict, "streams": list, "weights": list, "flow": dict}


def checked_extraction(record: Any, where: str) -> dict[str, Any]:
    """A record of how features were made (`ExtractionSettings.record`, read from JSON), or an empty one, as it is.

    Raises DataError, naming the member, where it cannot be such a record.
    """
    if not isinstance(record, dict):
        raise DataError(f"{where}: its record of the extraction is {record!r:.40}; expected a table")
    missing = [name for name in _SAID if name not in record] if record else []
    if missing:
        raise DataError(f"{where}: its record of the extraction does not say '{missing[0]}'")
    for name, value in record.items():
        kind = _KINDS.get(name.rpartition(".")[2])  # What is of one of several backbones has its name before it.
        if kind is not None and not isinstance(value, kind):
            raise DataError(f"{where}: its record of the extraction says {name} {value!r:.40}")
    names = record.get("backbone", "").split(",") if record else []
    for name in names:
        config = f"{name}.config" if len(names) > 1 else "config"
        if config not in record:
            raise DataError(f"{where}: its record of the extraction does not say '{config}'")
    return record
