"""How long reading proposals takes, in each layout, against `orjson.loads` of the same text.

    python tests/benchmarks/bench_reading.py [--videos 213] [--proposals 2000]

Prints CPU seconds, the best of five, and how many times as long as parsing alone they are.
"""

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson

from taltool.data.proposal_writer import Layout, ProposalWriter
from taltool.data.proposals import ProposalReader
from taltool.data.records import LabelVocabulary, VideoProposals

NAMES = LabelVocabulary([f"Class {number}" for number in range(20)], complete=True)
LAYOUTS: dict[Layout, str] = {"jsonl": "x.jsonl", "jsonl1": "x1.jsonl", "activitynet": "x.json"}


def drawn(number: int, proposals: int) -> VideoProposals:
    """One video, any segments in it."""
    rng = np.random.default_rng(number)
    segments = np.sort(rng.uniform(0, 200, (proposals, 2)), axis=1)
    labels = rng.integers(len(NAMES), size=proposals)
    return VideoProposals(f"v_{number}", segments, rng.random(proposals), labels, NAMES, 230.5)


def best(work: Callable[[], object]) -> float:
    """CPU seconds of the quickest of five."""
    times = []
    for _ in range(5):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def read(path: str) -> int:
    """Read all proposals; how many they are."""
    with ProposalReader(path) as reader:
        return sum(map(len, reader))


def main() -> None:
    """A line for each layout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=213)
    parser.add_argument("--proposals", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for layout, name in LAYOUTS.items():
            path = Path(folder) / name
            with ProposalWriter(str(path), NAMES, layout=layout) as writer:
                for number in range(options.videos):
                    writer.write(drawn(number, options.proposals))
            lines = path.read_bytes().splitlines()
            parsing = best(lambda lines=lines: deque(map(orjson.loads, lines), maxlen=0))
            reading = best(lambda path=path: read(str(path)))
            megabytes = path.stat().st_size / 1e6
            print(f"{layout}: {megabytes:.0f} MB, {reading:.3f} s, {reading / parsing:.1f} x orjson.loads", flush=True)


if __name__ == "__main__":
    main()
