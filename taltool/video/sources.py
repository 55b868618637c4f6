"""From what the user names (files, folders, lists) to videos with ids."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from taltool.data.containers import VIDEO_SUFFIXES, folder_of_features
from taltool.data.files import STANDARD, open_input, refuse_live_input
from taltool.errors import DataError, UsageError

# What is a frame inside a folder of frames, one image each.
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
WILD = frozenset("*?[")
LIST_SUFFIXES = frozenset({".txt", ".list", ".lst"})
_HDF5 = b"\x89HDF\r\n\x1a\n"
# Bytes of a line of a list, longer than any path, and those that no path in a list has.
_LONGEST_PATH = 1 << 16
_NOT_IN_PATHS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class VideoSource:
    """A video file, or a folder of frames, and the id that its features will have."""

    video_id: str
    path: str

    @property
    def is_frame_folder(self) -> bool:
        """Whether its frames are images in a folder."""
        return Path(self.path).is_dir()

    def identity(self) -> dict[str, Any]:
        """Name, size and modification time, by which a changed file is known.

        Of a folder of frames, their number, the sum of their sizes and the latest time.

        Raises DataError if it is not there, is no file, or has a name that cannot be written down.
        """
        try:
            (self.video_id + self.path).encode()
            found = Path(self.path).stat()
            if stat.S_ISDIR(found.st_mode):
                states = [path.stat() for path in image_files(Path(self.path))]
                size, mtime = sum(each.st_size for each in states), max((each.st_mtime for each in states), default=0.0)
                return {"name": Path(self.path).name, "frames": len(states), "size": size, "mtime": mtime}
            if stat.S_ISREG(found.st_mode):
                with Path(self.path).open("rb") as stream:
                    head = stream.read(len(_HDF5))
        except UnicodeEncodeError as error:
            raise DataError("its name is not valid UTF-8: rename it") from error
        except OSError as error:
            raise DataError(error.strerror or str(error)) from error
        if not stat.S_ISREG(found.st_mode):
            raise DataError("is a pipe or a device: a video is read twice, so it must be a file")
        if head == _HDF5:
            raise DataError("is HDF5, as features are, and no video: `taltool info` shows what is in it")
        return {"name": Path(self.path).name, "size": found.st_size, "mtime": found.st_mtime}


def image_files(folder: Path) -> list[Path]:
    """The images that lie in a folder, unordered; hidden files are none."""
    return [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]


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


def find(operands: Iterable[str | VideoSource]) -> tuple[list[VideoSource], list[str]]:
    """The videos that the operands name, sorted by id, and the files of folders that were passed over.

    An operand is a video file (id = its name without suffix), a folder, searched to its depth for files with the suffix
    of a video (id = path inside the folder without suffix, with `/`), a pattern (`v/**/*.mp4`; id = path inside the
    folder before the first wild card), a list (.txt, .list, .lst: one path a line), or `-`, a list on standard input. A
    folder that holds images and no videos is a video itself (id = its name, or its path inside the folder that was
    searched). A VideoSource stands for itself. Raises UsageError where two videos would have one id, or none is found,
    and for addresses and devices; DataError for a list that is no text, or itself a video.
    """
    ignored: list[str] = []
    operands = list(operands)
    sources = [source for operand in operands for source in _expanded(operand, ignored)]
    unique = {(source.video_id, str(Path(source.path).resolve())): source for source in sources}
    found = sorted(unique.values(), key=lambda source: source.video_id)
    _refuse_clashes(found)
    if not found:
        hints = [hint for each in operands if isinstance(each, str) and (hint := folder_of_features(each))]
        if hints:
            raise UsageError(f"{operands[0]}: no videos, but {hints[0]}")
        known = f": {len(ignored)} files, none with the suffix of a video ({', '.join(sorted(VIDEO_SUFFIXES))})"
        raise UsageError(f"no videos found in {', '.join(map(str, operands))}{known if ignored else ''}")
    return found, ignored


def _expanded(operand: str | VideoSource, ignored: list[str]) -> Iterator[VideoSource]:
    if isinstance(operand, VideoSource):
        yield operand
        return
    refuse_live_input(operand)
    path = Path(operand)
    if operand == STANDARD or (path.suffix.lower() in LIST_SUFFIXES and not path.is_dir()):
        for line in _lines(operand):
            yield from _listed(Path(line), ignored)
    elif path.is_dir():
        yield from _inside(path, path, ignored)
    elif path.exists():
        yield VideoSource(path.stem, operand)
    elif WILD & set(operand):
        yield from _matching(operand, ignored)
    else:
        raise UsageError(f"{operand}: no such file or folder")


def _listed(path: Path, ignored: list[str]) -> list[VideoSource]:
    """What a line of a list names; a file that is not there is a video that fails."""
    if not path.is_dir():
        return [VideoSource(path.stem, str(path))]
    found = list(_inside(path, path, ignored))
    if not found:
        raise UsageError(f"{path}: a list names this folder, which holds no videos")
    return found


def _inside(folder: Path, base: Path, ignored: list[str]) -> Iterator[VideoSource]:
    """The videos of a folder to its depth, folders of frames among them; ids are paths inside `base`."""
    for parent, deeper, names in os.walk(folder):
        deeper.sort()
        files = [Path(parent) / name for name in sorted(names) if not name.startswith(".")]
        videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
        frames = not videos and any(file.suffix.lower() in IMAGE_SUFFIXES for file in files)
        if frames:
            yield VideoSource(_id_inside(base, Path(parent)), parent)
        for file in files:
            if file.suffix.lower() in VIDEO_SUFFIXES:
                yield VideoSource(_id_inside(base, file.with_suffix("")), str(file))
            elif not (frames and file.suffix.lower() in IMAGE_SUFFIXES):
                ignored.append(str(file))


def _matching(pattern: str, ignored: list[str]) -> Iterator[VideoSource]:
    parts = Path(pattern).parts
    first = next(n for n, part in enumerate(parts) if WILD & set(part))
    base = Path(*parts[:first])
    found = sorted(base.glob(str(Path(*parts[first:]))))
    if not found:
        raise UsageError(f"{pattern}: nothing matches this pattern")
    for path in found:
        if path.is_dir():
            yield from _inside(path, base, ignored)
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            yield VideoSource(_id_inside(base, path.with_suffix("")), str(path))
        else:
            ignored.append(str(path))


def _id_inside(base: Path, path: Path) -> str:
    """The path inside `base`; the folder's own name for `base` itself."""
    return base.resolve().name if path == base else str(PurePosixPath(path.relative_to(base)))


def _lines(operand: str) -> Iterator[str]:
    with open_input(operand) as stream:
        for number, line in enumerate(iter(partial(stream.readline, _LONGEST_PATH), b""), start=1):
            strange = _NOT_IN_PATHS.search(line)
            if strange is not None or len(line) == _LONGEST_PATH:
                what = f"a byte 0x{strange[0][0]:02x}" if strange else "a line that is longer than any path"
                raise DataError(f"{operand}:{number}: {what}; expected a list of videos, one path per line")
            # Not `read_text`: the names of files may be any bytes.
            if name := os.fsdecode(line).rstrip("\r\n"):
                refuse_live_input(name)
                yield name


def _refuse_clashes(sources: list[VideoSource]) -> None:
    counts = Counter(source.video_id for source in sources)
    for video_id, count in counts.items():
        if count > 1:
            paths = [source.path for source in sources if source.video_id == video_id]
            mend = "or name the folder that holds them instead: ids are paths inside it"
            if len({Path(path).parent for path in paths}) == 1:
                pattern = Path(paths[0]).with_name(f"*{Path(paths[0]).suffix}")
                mend = f"or name those of one kind, '{pattern}' say: they differ in their suffix alone"
            raise UsageError(
                f"{count} files would have the video id '{video_id}': {', '.join(paths)}; rename them, {mend}"
            )
        for folder in map(str, PurePosixPath(video_id).parents):
            if folder in counts:
                raise UsageError(f"the video '{folder}' and the folder of '{video_id}' have one name; rename one")
