"""Kills commands at random moments; then the same command must end as if nothing had been: with the same bytes.

After a kill there is no half of a file under a name that was asked for. After the command that goes on, the folder is
that of an undisturbed run, byte for byte, without locks or hidden files. After SIGTERM hidden files are gone at once,
and the exit status is 143. Each kill has a number, by which it is repeated:

    python tests/kills/kills.py --form nms --first 17 --kills 1

The process that tries forks for every command, after it has imported what that needs: the moments fall into the time
in which files are written, not into the start of Python.
"""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# Of so many kills one is right before a write, and one is a scheduler's, which can be heard.
EVERY = 4
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MOVES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "shutil.rmtree"}

# What a folder holds, by name.
Folder = Mapping[str, bytes]


def _videos(inputs: Path) -> None:
    import av
    import numpy as np

    (inputs / "videos").mkdir()
    for number in range(6):
        with av.open(str(inputs / "videos" / f"v{number}.mp4"), "w") as file:
            stream = file.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for shade in range(40):
                picture = np.full((48, 64, 3), 5 * shade + number, np.uint8)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            file.mux(stream.encode())


def _features(inputs: Path) -> None:
    from plugin.tiny_data import write_tiny_data

    write_tiny_data(inputs)


def _many_features(inputs: Path) -> None:
    from plugin.tiny_data import write_tiny_data

    write_tiny_data(inputs, num_videos=40)


def _detections(inputs: Path) -> None:
    draw, database = random.Random(0), {}
    lines: list[object] = [{"taltool": {"kind": "proposals", "version": 1, "classes": ["a"]}}]
    for number in range(200):
        starts = [draw.uniform(0, 90) for _ in range(40)]
        found = [{"segment": [s, s + 8], "score": draw.random(), "label": "a"} for s in starts]
        lines.append({"video_id": f"v{number}", "duration": 100.0, "proposals": found})
        truth = [{"segment": [s, s + 8], "label": "a"} for s in starts[:3]]
        database[f"v{number}"] = {"subset": "validation", "duration": 100.0, "annotations": truth}
    lines.append({"end": {"videos": 200}})
    (inputs / "found.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (inputs / "gt.json").write_text(json.dumps({"database": database}))


@dataclass(frozen=True)
class Form:
    """A command that is killed; `words` name inputs in ../inputs, and `out.*` in the folder in which it runs."""

    words: str
    make_inputs: Callable[[Path], None]
    needs: str
    stdout: str | None = None


_TRAIN = (
    "train -m tiny ../inputs/features.h5 ../inputs/gt.json --set epochs=4 --save-every 0 --resume -o out.safetensors"
)
_EXTRACT = "extract ../inputs/videos --stride 8 -o out.h5"
FORMS = {
    "extract": Form(f"{_EXTRACT} -j 1", _videos, "taltool.backbones.hog3d"),
    "extract-processes": Form(f"{_EXTRACT} -j 2", _videos, "taltool.backbones.hog3d"),
    "train": Form(_TRAIN, _features, "taltool.training.train"),
    "train-workers": Form(f"{_TRAIN} --workers 2", _features, "taltool.training.train"),
    "convert-hdf5": Form("convert ../inputs/features.h5 -o out.h5", _many_features, "taltool.data.hdf5_features"),
    "convert-json": Form("convert ../inputs/found.jsonl -o out.json", _detections, "taltool.data.convert"),
    "nms": Form("nms ../inputs/found.jsonl -o out.jsonl", _detections, "taltool.postprocessing.nms"),
    "evaluate": Form(
        "evaluate ../inputs/gt.json ../inputs/found.jsonl", _detections, "taltool.evaluation.evaluate", "out.json"
    ),
}


class Trial:
    """The inputs of a form, and how an undisturbed run of it ends, in the folder `place`."""

    def __init__(self, form: Form, place: Path) -> None:
        self.form, self.place = form, place
        (place / "inputs").mkdir(parents=True)
        form.make_inputs(place / "inputs")
        for name in ("taltool.cli.main", f"taltool.cli.commands.{form.words.split()[0]}", form.needs):
            importlib.import_module(name)
        whole = place / "whole"
        whole.mkdir()
        receive, send = Pipe(duplex=False)
        pid, begun = self._started(whole, note=send.send), time.monotonic()
        self.writes: list[float] = [moment - begun for moment in receive.recv()]
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.seconds = time.monotonic() - begun
        if status != 0 or not self.writes:
            raise RuntimeError(f"undisturbed, {form.words} ended with {status}")
        self.expected = content(whole)

    def fault(self, number: int) -> str | None:
        """What is wrong after the kill of this number; None where all is well."""
        folder = self.place / str(number)
        folder.mkdir()
        draw = random.Random(f"{self.form.words} {number}")
        by = signal.SIGTERM if number % EVERY == EVERY - 1 else signal.SIGKILL
        number_of_write = draw.randrange(len(self.writes)) if number % EVERY == 1 else None
        seconds = draw.uniform(self.writes[0], self.seconds)
        pid = self._started(folder, die_at=number_of_write)
        if number_of_write is None:
            time.sleep(seconds)
            os.kill(pid, by)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        found = self._fault_of_killed(content(folder), status, by)
        if found is None:
            status = os.waitstatus_to_exitcode(os.waitpid(self._started(folder), 0)[1])
            found = f"to go on ended with {status}" if status else self._difference(content(folder))
        if found is None:
            shutil.rmtree(folder)
        moment = f"{seconds:.4f} s" if number_of_write is None else f"write {number_of_write}"
        return None if found is None else f"{by.name} at {moment}: {found}; see {folder}"

    def _fault_of_killed(self, left: Folder, status: int, by: signal.Signals) -> str | None:
        """What is wrong with what a killed command left."""
        if status not in (0, -by, 128 + by) or (by is signal.SIGTERM and status == -by):
            return f"ended with {status}"
        for name in left.keys() & {"out.h5", "out.json", "out.jsonl"}:
            if left[name] != self.expected[name] and not (self.form.stdout == name and left[name] == b""):
                return f"{name} is not whole"
        if "out.safetensors" in left:
            from safetensors.torch import load

            load(left["out.safetensors"])  # The best epoch so far.
        hidden = [name for name in left if name.startswith(".")]
        return f"SIGTERM left {hidden}" if by is signal.SIGTERM and hidden else None

    def _difference(self, found: Folder) -> str | None:
        if found.keys() != self.expected.keys():
            return f"there are {sorted(found)}, not {sorted(self.expected)}"
        others = [name for name in found if found[name] != self.expected[name]]
        return f"other bytes in {others}" if others else None

    def _started(
        self,
        folder: Path,
        die_at: int | None = None,
        note: Callable[[list[float]], None] | None = None,
    ) -> int:
        """Start the command in a process of its own; it dies right before the write (from 0) of number `die_at`."""
        pid = os.fork()
        if pid:
            return pid
        status = 70
        try:
            os.chdir(folder)
            output = os.open(self.form.stdout or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(os.open(str(folder) + ".log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            writes = [time.monotonic()] if self.form.stdout else []

            def see(event: str, details: tuple[object, ...]) -> None:
                opened = event == "open" and isinstance(details[2], int) and details[2] & _WRITING
                if (opened or event in _MOVES) and isinstance(details[0], str | bytes | os.PathLike):
                    path = os.path.realpath(os.fsdecode(details[0]))
                    if path.startswith(f"{folder}/"):
                        if len(writes) == die_at:
                            os.kill(os.getpid(), signal.SIGKILL)
                        writes.append(time.monotonic())

            sys.addaudithook(see)
            from taltool.cli.main import main

            extra = [] if self.form.stdout else ["--no-provenance"]
            status = main([*self.form.words.split(), *extra])
            sys.stdout.flush()
            if note is not None:
                note(writes)
        finally:
            os._exit(status)


def content(folder: Path) -> Folder:
    """All files below a folder, hidden ones too; of a training's log not how fast it was."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.name.endswith(".metrics.jsonl"):
                data = b"".join(line.partition(b',"samples_per_second"')[0] for line in data.splitlines())
            found[str(path.relative_to(folder))] = data
        else:
            found[f"{path.relative_to(folder)}/"] = b""
    return found


def rounds(names: list[str], first: int, kills: int, keep: Path) -> int:
    """Kill each form so often, print what came of it; returns the number of faults."""
    print("form\tkills\tfaults\tseconds of a run\twrites of a run", flush=True)
    faults = 0
    for name in names:
        trial = Trial(FORMS[name], keep / name)
        wrong = 0
        for number in range(first, first + kills):
            found = trial.fault(number)
            if found is not None:
                wrong += 1
                print(f"{name}, kill {number}: {found}", flush=True)
        print(f"{name}\t{kills}\t{wrong}\t{trial.seconds:.2f}\t{len(trial.writes)}", flush=True)
        faults += wrong
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill taltool's commands at random moments.")
    parser.add_argument("--form", action="append", choices=FORMS, help="one form; may be repeated; default: all")
    parser.add_argument("--kills", type=int, default=30, help="how many kills of each form")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--keep", type=Path, help="new folder for what is wrong; default: a temporary one")
    given = parser.parse_args()
    sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(PROJECT / "tests" / "plugin")]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])  # Worker processes are started anew.
    kept = Path(given.keep or tempfile.mkdtemp(prefix="taltool-kills-")).resolve()
    wrong = rounds(given.form or list(FORMS), given.first, given.kills, kept)
    if not wrong:
        shutil.rmtree(kept)
    sys.exit(bool(wrong))
