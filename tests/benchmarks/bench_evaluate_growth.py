"""How the time and the memory of `taltool evaluate` grow with the number of detections.

    python tests/benchmarks/bench_evaluate_growth.py [--largest N] [--json]

Ten thousand detections, then ten times as many until N (default 1,000,000), spread over 2,000 videos with 5 instances
of 100 classes each; mAP at ten thresholds. Prints CPU seconds (start-up included), peak MiB, and against the size
before: the slope (1 = ten times the work for ten times the detections) and bytes for each more detection. --json
measures ActivityNet JSON instead of lines. Ten million detections take a gigabyte on the disk.
"""

import argparse
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
from bench_evaluate import measured

VIDEOS, INSTANCES, CLASSES = 2_000, 5, 100
OPTIONS = ["--tiou", "0.5:0.95:0.05"]


def write_truth(path: Path, rng: np.random.Generator) -> None:
    """Write a ground truth whose instances last 10 s in videos of 300 s."""
    starts, labels = rng.uniform(0, 290, (VIDEOS, INSTANCES)), rng.integers(0, CLASSES, (VIDEOS, INSTANCES))
    database = {
        f"video {n}": {
            "duration": 300.0,
            "subset": "validation",
            "annotations": [
                {"segment": [start, start + 10], "label": f"class {label}"}
                for start, label in zip(starts[n].tolist(), labels[n].tolist(), strict=True)
            ],
        }
        for n in range(VIDEOS)
    }
    path.write_bytes(orjson.dumps({"database": database}))


def drawn_videos(total: int, rng: np.random.Generator) -> Iterator[tuple[str, list[dict]]]:
    """Detections video by video, `total` in all, anywhere and of any class."""
    for n in range(VIDEOS):
        count = (n + 1) * total // VIDEOS - n * total // VIDEOS
        starts = rng.uniform(0, 290, count)
        ends = starts + rng.uniform(5, 15, count)
        columns = starts.tolist(), ends.tolist(), rng.random(count).tolist(), rng.integers(0, CLASSES, count).tolist()
        proposals = [
            {"segment": [start, end], "score": score, "label": f"class {label}"}
            for start, end, score, label in zip(*columns, strict=True)
        ]
        yield f"video {n}", proposals


def write_lines(path: Path, total: int, rng: np.random.Generator) -> None:
    """Write drawn detections as JSON lines."""
    with path.open("wb") as stream:
        for video_id, proposals in drawn_videos(total, rng):
            stream.write(orjson.dumps({"video_id": video_id, "proposals": proposals}) + b"\n")


def write_document(path: Path, total: int, rng: np.random.Generator) -> None:
    """Write drawn detections as one document, without holding it."""
    with path.open("wb") as stream:
        for number, (video_id, proposals) in enumerate(drawn_videos(total, rng)):
            opening = b'{"results": {' if number == 0 else b", "
            stream.write(opening + orjson.dumps(video_id) + b": " + orjson.dumps(proposals))
        stream.write(b"}}")


def main() -> None:
    """Measure each size and print how it compares with the size before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        truth, file = Path(folder) / "truth.json", Path(folder) / ("found.json" if options.json else "found.jsonl")
        write_truth(truth, rng)
        before: tuple[int, float, float] | None = None
        total = 10_000
        while total <= options.largest:
            (write_document if options.json else write_lines)(file, total, rng)
            busy, _, memory = measured(["evaluate", str(truth), str(file), *OPTIONS])
            line = f"{total:>10,} detections: CPU {busy:6.2f} s, peak {memory:5.0f} MiB"
            if before is not None:
                slope = math.log(busy / before[1]) / math.log(total / before[0])
                each = (memory - before[2]) * 2**20 / (total - before[0])
                line += f"; slope {slope:.2f}, {each:.0f} bytes for each more detection"
            print(line, flush=True)
            before, total = (total, busy, memory), total * 10


if __name__ == "__main__":
    main()
