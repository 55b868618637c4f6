"""One broken file for one reader, or for a whole command, and what is not allowed to come of it.

Allowed is that it is read, or a TaltoolError or OSError that names the file by its path; and nothing is left beside it.
A number is enough to have the same file again: `python tests/fuzz/trials.py --reader READER --first NUMBER`; a file
that fails is kept below `fuzz-failures/`.
"""

import argparse
import contextlib
import io
import math
import multiprocessing
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mutations import mutated
from readers import READERS, SIDES, Reader

from taltool.cli.main import main as taltool
from taltool.errors import TaltoolError

# Of the processor, so that a busy machine is no hang.
SECONDS = 10.0
MEGABYTES = 500.0
# Of broken files, those that end as a whole file of another reader does.
_SPLICED = 0.04
_AT_ONCE, _COMMANDS = 40, 50
# What readings leave: what was accepted, written once more.
_LEFT = {"again", "again.json"}
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
    if strange := {each.name for each in path.parent.iterdir()} - {path.name, *_LEFT}:
        found = found or f"left behind: {', '.join(strange)}"
    used = _peak() - before
    return found or (f"took {used:.0f} MB" if used > MEGABYTES else None)


def _outcome(reader: Reader, path: Path) -> str | None:
    try:
        with warnings.catch_warnings():
            for shown in (RuntimeWarning, UserWarning, FutureWarning, SyntaxWarning):
                warnings.simplefilter("error", shown)
            reader.read(str(path))
    except TooLong:
        return f"not done in {SECONDS:g} s"
    except TaltoolError as error:
        return None if str(path) in str(error) else f"names no file: {type(error).__name__}: {error}"
    except OSError as error:
        return None if str(path) in (str(error.filename), str(error)) else f"names no file: {error!r}"
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


def command_fault(reader: Reader, path: Path) -> str | None:
    """What is wrong with how the command of `reader` takes a file, in a process of its own, in the file's folder."""
    for name, content in SIDES.items():
        (path.parent / name).write_text(content)
    words = [word.replace("{}", str(path)) for word in shlex.split(reader.words)]
    told = path.parent / "stderr"
    child = os.fork()
    if child == 0:
        _become(words, path.parent)
    _, status = os.waitpid(child, 0)
    said = told.read_text("utf-8", "replace")
    used = float(memory.read_text()) if (memory := path.parent / "memory").exists() else 0.0
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return f"not done in {SECONDS:g} s"
    if code not in (0, 1, 2, 3) or "Traceback" in said or "Warning" in said:
        return f"exit status {code}: {said[-400:]}"
    # Of two files at odds either may be named, and this one by its option.
    option = re.search(r"(--[\w-]+) {}", reader.words)
    if code and str(path) not in said and not (option and option[1] in said):
        return f"names no file, exit status {code}: {said[-400:]}"
    if seen := (path.parent / "seen").read_text():
        return f"reached outside: {seen}"
    outputs = {each.name for each in path.parent.iterdir() if each.name.startswith(("out.", "."))}
    if outputs - {"out.h5.partial"} and code not in (0, 1):
        return f"left behind, exit status {code}: {', '.join(outputs)}"
    return f"took {used:.0f} MB" if used > MEGABYTES else None


def _warm(reader: Reader) -> None:
    """Import what the command of a reader does, so that those that fork from here need not."""
    sys.argv = ["taltool", shlex.split(reader.words)[0], "--help"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        taltool()


def _become(words: list[str], folder: Path) -> None:
    """Be the command of these words, in a folder; what it says and takes is left there in files."""
    code = 70
    try:
        os.chdir(folder)
        for number, name in enumerate(("/dev/null", "stdout", "stderr")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        # What it takes beyond this ends it, whatever it is doing.
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + SECONDS), resource.RLIM_INFINITY))
        sys.argv, before = ["taltool", *words], _peak(reset=True)
        with WATCH.over(folder) as seen:
            try:
                code = taltool() or 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
        Path("memory").write_text(str(_peak() - before))
        Path("seen").write_text("; ".join(seen))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


Judge = Callable[[Reader, Path], str | None]


def trial(reader: Reader, number: int, place: Path, judge: Judge = fault) -> str | None:
    """The fault that the file of this number shows; it is then kept."""
    target = place / "tried" / f"{reader.name.replace(' ', '_')}-{number}"
    path = broken_file(reader, number, place / "seeds", target)
    former, tempfile.tempdir = tempfile.tempdir, str(target)
    try:
        found = judge(reader, path)
    finally:
        tempfile.tempdir = former
    if found is None:
        shutil.rmtree(target)
    return found


@dataclass
class Tally:
    """What came of the files of one reader; seconds of the processor."""

    name: str
    inputs: int = 0
    failures: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name}\t{self.inputs}\t{self.failures}\t{self.megabytes:.0f}\t{self.seconds:.0f}"

    def turn(self, count: int, first: int, place: Path, judge: Judge = fault) -> None:
        """Try `count` files from a number on in a process of its own, so that a crash is one file's; print faults."""
        receive, send = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if child == 0:
            failures, most, began = 0, 0.0, _seconds()
            if judge is command_fault:
                _warm(READERS[self.name])
            for number in range(first, first + count):
                found = trial(READERS[self.name], number, place, judge)
                most = max(most, _peak())
                if found is not None:
                    failures += 1
                    print(f"{self.name}\t{number}\t{found}", flush=True)
            send.send((failures, most, _seconds() - began))
            os._exit(0)
        send.close()
        _, status = os.waitpid(child, 0)
        failures, most, seconds = receive.recv() if status == 0 else (1, 0.0, 0.0)
        if status:
            print(f"{self.name}\t{first}-{first + count - 1}\tthe process ended with status {status}", flush=True)
        self.inputs, self.failures = self.inputs + count, self.failures + failures
        self.megabytes, self.seconds = max(self.megabytes, most), self.seconds + seconds


def _seconds() -> float:
    """Of the processor, in this process and those that it waited for."""
    return sum(os.times()[:4])


def rounds(minutes: float, first: int, place: Path) -> list[Tally]:
    """Try all readers, some files of each in turn, for so long."""
    end = time.monotonic() + 60 * minutes
    tallies = [Tally(name) for name in READERS]
    while time.monotonic() < end:
        for tally in tallies:
            if time.monotonic() < end:
                tally.turn(_AT_ONCE, first, place)
        first += _AT_ONCE
    return tallies


def full_round(first: int, place: Path, share: float, judge: Judge = fault) -> list[Tally]:
    """Try as many files of each reader as it should get (or a share of them), the quickest readers first; each row is
    printed as soon as it is known. Through commands each gets the same number."""
    tallies = [Tally(name) for name, reader in READERS.items() if reader.words or judge is fault]
    for tally in tallies:
        tally.turn(min(_AT_ONCE, _COMMANDS), first, place, judge)
    inputs = {
        name: _COMMANDS if judge is command_fault else int(reader.inputs * share) for name, reader in READERS.items()
    }
    for tally in sorted(tallies, key=lambda each: each.seconds * inputs[each.name]):
        while (rest := inputs[tally.name] - tally.inputs) > 0:
            tally.turn(min(rest, 500), first + tally.inputs, place, judge)
        print(f"# {tally}", flush=True)
    return tallies


def main() -> bool:
    """Whether there were faults."""
    parser = argparse.ArgumentParser(description="Try broken files on taltool's readers.")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder of the files that fail")
    parser.add_argument("--minutes", type=float, help="all readers for so long")
    parser.add_argument("--share", type=float, default=1.0, help="without --minutes: of a full round")
    parser.add_argument("--first", type=int, default=int(time.time()), help="number of the first file")
    parser.add_argument("--reader", help="one reader: --first, and --count files from there on")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--commands", action="store_true", help="through whole commands")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    place, judge = given.keep.resolve(), command_fault if given.commands else fault
    if given.reader:
        tallies = [Tally(given.reader)]
        tallies[0].turn(given.count, given.first, place, judge)
    elif given.minutes:
        tallies = rounds(given.minutes, given.first, place)
    else:
        tallies = full_round(given.first, place, given.share, judge)
    print("reader\tinputs\tfailures\tmegabytes\tseconds", *tallies, sep="\n")
    return any(tally.failures for tally in tallies)


if __name__ == "__main__":
    sys.exit(main())
