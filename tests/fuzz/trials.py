"""One broken file for one reader, and what is not allowed to come of it.

Allowed is that it is read, or a TaltoolError or OSError that names the file. A number is enough to have the same file
again: `python tests/fuzz/trials.py --reader READER --first NUMBER`; a file that fails is kept below `fuzz-failures/`.
"""

import argparse
import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mutations import mutated
from readers import READERS, Reader

from taltool.errors import TaltoolError

# Of the processor, so that a busy machine is no hang.
SECONDS = 10.0
MEGABYTES = 500.0
_SPLICED = 0.04
_AT_ONCE = 40
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MOVES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree"}
_RUNS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"}


class TooLong(BaseException):
    """Raised by the timer; no reader may catch it."""


class Watch:
    """Notes what is written outside of a folder, and programs and connections, while it is on."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._see)

    @contextlib.contextmanager
    def over(self, folder: Path) -> Iterator[list[str]]:
        """Watch; everything else than in this folder counts."""
        self.folder, self.seen = str(folder), []
        try:
            yield self.seen
        finally:
            self.folder = None

    def _see(self, event: str, details: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event in _RUNS:
            self.seen.append(f"{event}{details!r:.200}")
        elif event in _MOVES or (event == "open" and isinstance(details[2], int) and details[2] & _WRITING):
            path = details[0]
            if isinstance(path, str | bytes | os.PathLike):
                name = os.path.realpath(os.fsdecode(path))
                if not name.startswith((self.folder, "/dev/")) and "__pycache__" not in name:
                    self.seen.append(f"{event} {name}")


WATCH = Watch()


def seed_of(reader: Reader, place: Path) -> Path:
    """The whole file of a reader, made once in a folder."""
    path = place / f"v_1{reader.suffix}"
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        reader.make(path)
    return path


def broken_file(reader: Reader, number: int, seeds: Path, target: Path) -> Path:
    """The broken file (or folder with one) of this number, in the folder `target`."""
    draw = np.random.default_rng([zlib.crc32(reader.name.encode()), number])
    whole = seed_of(reader, seeds / reader.name.replace(" ", "_"))
    target.mkdir(parents=True)
    path = target / whole.name
    if whole.is_dir():
        shutil.copytree(whole, path)
    else:
        shutil.copy(whole, path)
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    file = files[int(draw.integers(len(files)))]
    content = file.read_bytes()
    if draw.random() < _SPLICED:
        other = READERS[sorted(READERS)[int(draw.integers(len(READERS)))]]
        stranger = seed_of(other, seeds / other.name.replace(" ", "_"))
        if stranger.is_file():
            content = content[: int(draw.integers(len(content) + 1))] + stranger.read_bytes()[int(draw.integers(20)) :]
    else:
        content = mutated(content, reader.kind, draw)
    file.write_bytes(content)
    return path


def fault(reader: Reader, path: Path) -> str | None:
    """What is wrong with how `reader` takes a file; None where it is read, or refused as it should be."""
    before = _peak(reset=True)
    with WATCH.over(path.parent) as seen, _limited():
        found = _outcome(reader, path)
    if seen and not found:
        found = f"reached outside: {seen[0]}"
    used = _peak() - before
    return found or (f"took {used:.0f} MB" if used > MEGABYTES else None)


def _outcome(reader: Reader, path: Path) -> str | None:
    try:
        with warnings.catch_warnings(action="error", category=RuntimeWarning):
            reader.read(str(path))
    except TooLong:
        return f"not done in {SECONDS:g} s"
    except TaltoolError as error:
        return None if path.name in str(error) else f"names no file: {type(error).__name__}: {error}"
    except OSError as error:
        named = error.filename and path.name in str(error.filename)
        return None if named or path.name in str(error) else f"names no file: {error!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        inside = [each for each in traceback.extract_tb(error.__traceback__) if "taltool/" in each.filename]
        place = re.sub(r".*/(taltool/)", r"\1", f"{inside[-1].filename}:{inside[-1].lineno}") if inside else "?"
        return f"{type(error).__name__} at {place}: {error!s:.300}"
    return None


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLong

    former = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, 1.0)  # Again and again, for the first may be lost in a callback.
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def _peak(reset: bool = False) -> float:
    """The most memory (MB) that this process had since the last reset; 0 where the system does not tell."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1e3 if found else 0.0


def trial(reader: Reader, number: int, place: Path) -> tuple[str | None, float]:
    """The fault that the file of this number shows (it is then kept), and the memory (MB) that the process had."""
    target = place / "tried" / f"{reader.name.replace(' ', '_')}-{number}"
    path = broken_file(reader, number, place / "seeds", target)
    former, tempfile.tempdir = tempfile.tempdir, str(target)
    try:
        found = fault(reader, path)
    finally:
        tempfile.tempdir = former
    if found is None:
        shutil.rmtree(target)
    return found, _peak()


def turn(name: str, first: int, last: int, place: Path) -> tuple[int, float]:
    """Try the files from one number to another and print each fault; returns how many there were, and the memory."""
    failures, most = 0, 0.0
    for number in range(first, last):
        found, memory = trial(READERS[name], number, place)
        most = max(most, memory)
        if found is not None:
            failures += 1
            print(f"{name}\t{number}\t{found}", flush=True)
    return failures, most


def rounds(minutes: float, first: int, place: Path) -> int:
    """Try all readers, some files of each in turn, for so long; print what came of each; returns the faults."""
    end = time.monotonic() + 60 * minutes
    table = {name: [0, 0, 0.0] for name in READERS}
    while time.monotonic() < end:
        for name, row in table.items():
            count = max(1, int(_AT_ONCE * READERS[name].share))
            if time.monotonic() > end:
                break
            receive, send = multiprocessing.Pipe(duplex=False)
            child = os.fork()  # So that a crash is one file's, and memory is of one reader.
            if child == 0:
                send.send(turn(name, first, first + count, place))
                os._exit(0)
            _, status = os.waitpid(child, 0)
            failures, memory = receive.recv() if status == 0 else (1, 0.0)
            if status:
                print(f"{name}\t{first}-{first + count - 1}\tthe process ended with status {status}", flush=True)
            row[:] = [row[0] + count, row[1] + failures, max(row[2], memory)]
        first += _AT_ONCE
    print("reader\tinputs\tfailures\tmegabytes")
    for name, (inputs, failures, memory) in table.items():
        print(f"{name}\t{inputs}\t{failures}\t{memory:.0f}")
    return sum(row[1] for row in table.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Try broken files on taltool's readers.")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder of the files that fail")
    parser.add_argument("--minutes", type=float, help="all readers for so long")
    parser.add_argument("--first", type=int, default=int(time.time()), help="number of the first file")
    parser.add_argument("--reader", help="one reader: --first, and --count files from there on")
    parser.add_argument("--count", type=int, default=1)
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    keep = given.keep.resolve()
    if given.reader:
        sys.exit(bool(turn(given.reader, given.first, given.first + given.count, keep)[0]))
    sys.exit(bool(rounds(given.minutes, given.first, keep)))
