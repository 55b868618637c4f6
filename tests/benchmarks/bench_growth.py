"""How time and memory of the light commands grow with the number of videos, whatever the format.

    python tests/benchmarks/bench_growth.py [--most 6] [--commands nms,info] [--formats jsonl,json]

Files of 10^4, 10^5 ... proposals, 20 a video, in each format, through each command. Prints the CPU seconds and the peak
memory of each size, and the largest exponent of growth of time from one size to the next (1 = ten times the work takes
ten times as long).
"""

import argparse
import itertools
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson

PROJECT = Path(__file__).resolve().parents[2]
A_VIDEO = 20
CLASSES = [f"Class {number}" for number in range(20)]
FORMATS = {"jsonl": "jsonl", "jsonl1": "jsonl", "json": "json", "csv": "csv"}
COMMANDS = {
    "nms": "nms {a} -o {out}.jsonl",
    "nms to json": "nms {a} -o {out}.json",
    "convert": "convert {a} -o {out}.jsonl",
    "convert to json": "convert {a} -o {out}.json",
    "convert to csv": "convert {a} -o {out}.csv",
    "convert 2 files": "convert {a} {b} -o {out}.jsonl",
    "label": "label {a} --from {a} --replace -o {out}.jsonl",
    "fuse": "fuse {a} {a} -o {out}.jsonl",
    "fuse in two orders": "fuse {a} {back} -o {out}.jsonl",
    "info": "info {a}",
    "check": "check {a}",
}
# What these read is the stream and ActivityNet JSON only.
STREAMS_ONLY = ("nms", "label", "fuse")


def run(words: list[str]) -> tuple[float, float]:
    """CPU seconds and peak MiB of one `taltool` process."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "taltool", *words, "-q"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"taltool {' '.join(words)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def write_stream(path: Path, proposals: int, first: int = 0, backwards: bool = False) -> None:
    """A stream of version 2."""
    videos = range(first, first + proposals // A_VIDEO)
    with path.open("wb") as stream:
        header = {"kind": "proposals", "version": 2, "classes": CLASSES}
        stream.write(orjson.dumps({"taltool": header}, option=orjson.OPT_APPEND_NEWLINE))
        for number in reversed(videos) if backwards else videos:
            rng = np.random.default_rng(number)
            segments = np.sort(rng.uniform(0, 200, (A_VIDEO, 2)), axis=1)
            record = {
                "video_id": f"v_{number:09}",
                "duration": 230.5,
                "segments": segments,
                "scores": np.sort(rng.random(A_VIDEO))[::-1].copy(),
                "labels": rng.integers(len(CLASSES), size=A_VIDEO),
            }
            stream.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY))
        stream.write(orjson.dumps({"end": {"videos": len(videos)}}, option=orjson.OPT_APPEND_NEWLINE))


def inputs(folder: Path, proposals: int, form: str) -> dict[str, str]:
    """Files of a size in a format: a, b with other videos, and the videos of a backwards."""
    made = {}
    for name, first, backwards in (("a", 0, False), ("b", 10**9, False), ("back", 0, True)):
        stream = folder / f"{name}.jsonl"
        write_stream(stream, proposals, first, backwards)
        if form != "jsonl":
            target = folder / f"{name}-{form}.{FORMATS[form]}"
            run(["convert", str(stream), "-o", str(target), *(["--to", "jsonl1"] if form == "jsonl1" else [])])
            stream.unlink()
            stream = target
        made[name] = str(stream)
    return made


def main() -> None:
    """A line for each format and command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=6, help="the exponent of the largest size")
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--formats", default=",".join(FORMATS))
    options = parser.parse_args()
    for form in options.formats.split(","):
        measured: dict[str, list[tuple[float, float]]] = {}
        for exponent in range(4, options.most + 1):
            with tempfile.TemporaryDirectory() as name:
                files = inputs(Path(name), 10**exponent, form)
                for command in options.commands.split(","):
                    if form == "csv" and command.split()[0] in STREAMS_ONLY:
                        continue
                    words = COMMANDS[command].format(**files, out=f"{name}/out").split()
                    measured.setdefault(command, []).append(run(words))
        for command, sizes in measured.items():
            slopes = [math.log10((after - start) / (before - start)) for start, before, after in _triples(sizes)]
            told = "  ".join(f"{seconds:7.2f} s {memory:4.0f} MiB" for seconds, memory in sizes)
            print(f"{form:7} {command:18} {told}  growth {max(slopes, default=math.nan):.2f}", flush=True)


def _triples(sizes: list[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """The start-up, for which most of the smallest size stands, and the times of two sizes that follow each other."""
    seconds = [each for each, _ in sizes]
    return [(0.9 * seconds[0], before, after) for before, after in itertools.pairwise(seconds[1:])]


if __name__ == "__main__":
    main()
