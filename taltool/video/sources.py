"""From what the user names (files, folders, lists) to videos with ids."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from taltool.data.files import STANDARD, open_input
from taltool.errors import DataError, UsageError

# What counts as a video inside a folder; a file that is named itself is always tried.
SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".h264", ".hevc", ".m1v", ".m2ts", ".m2v", ".m4v",
    ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob",
    ".webm", ".wmv", ".y4m",
})  # fmt: skip
_LIST_SUFFIXES = frozenset({".txt", ".list", ".lst"})


@dataclass(frozen=True)
class VideoSource:
    """A video file and the id that its features will have."""

    video_id: str
    path: str

    def facts(self) -> dict[str, Any]:
        """Name, size and modification time: by these a changed file is known.

        Raises DataError if it is not there, or has a name that cannot be written down.
        """
        try:
            (self.video_id + self.path).encode()
            found = Path(self.path).stat()
        except UnicodeEncodeError as error:
            raise DataError("its name is not valid UTF-8: rename it") from error
        except OSError as error:
            raise DataError(error.strerror or str(error)) from error
        return {"name": Path(self.path).name, "size": found.st_size, "mtime": found.st_mtime}


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of` parts of the work."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read I/N; raises UsageError."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise UsageError(f"--shard {text}: expected I/N with I from 1 to N, for example 2/8")
        return cls(int(number), int(of))

    def part(self, sources: list[VideoSource]) -> list[VideoSource]:
        """Every N-th source, beginning with the I-th."""
        return sources[self.number - 1 :: self.of]


def find(operands: Iterable[str]) -> tuple[list[VideoSource], list[str]]:
    """The videos that the operands name, sorted by id, and the files of folders that were passed over.

    An operand is a video file (id = its name without suffix), a folder, searched to its depth for files with the suffix
    of a video (id = path inside the folder without suffix, with `/`), a list (.txt, .list, .lst: one path a line), or
    `-`, a list on standard input. Raises UsageError where two videos would have one id, or no video is found.
    """
    ignored: list[str] = []
    sources = [source for operand in operands for source in _expanded(operand, ignored)]
    unique = {(source.video_id, str(Path(source.path).resolve())): source for source in sources}
    found = sorted(unique.values(), key=lambda source: source.video_id)
    _refuse_clashes(found)
    if not found:
        raise UsageError(f"no videos found in {', '.join(operands)}{_known_suffixes(ignored)}")
    return found, ignored


def _expanded(operand: str, ignored: list[str]) -> Iterator[VideoSource]:
    path = Path(operand)
    if operand == STANDARD or path.suffix.lower() in _LIST_SUFFIXES:
        for line in _lines(operand):
            yield VideoSource(Path(line).stem, line)
    elif path.is_dir():
        for inside in sorted(_files(path)):
            if inside.suffix.lower() in SUFFIXES:
                yield VideoSource(str(PurePosixPath(inside.relative_to(path).with_suffix(""))), str(inside))
            else:
                ignored.append(str(inside))
    elif path.exists():
        yield VideoSource(path.stem, operand)
    else:
        raise UsageError(f"{operand}: no such file or folder")


def _lines(operand: str) -> Iterator[str]:
    with open_input(operand) as stream:
        for line in stream:
            if name := os.fsdecode(line).rstrip("\r\n"):
                yield name


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names if not name.startswith("."))


def _refuse_clashes(sources: list[VideoSource]) -> None:
    counts = Counter(source.video_id for source in sources)
    for video_id, count in counts.items():
        if count > 1:
            paths = ", ".join(source.path for source in sources if source.video_id == video_id)
            raise UsageError(
                f"{count} files would have the video id '{video_id}': {paths}; rename them, or name the folder that "
                "holds them instead: ids are paths inside it"
            )
        for folder in map(str, PurePosixPath(video_id).parents):
            if folder in counts:
                raise UsageError(f"the video '{folder}' and the folder of '{video_id}' have one name; rename one")


def _known_suffixes(ignored: list[str]) -> str:
    if not ignored:
        return ""
    return f": {len(ignored)} files, none with the suffix of a video ({', '.join(sorted(SUFFIXES))})"
