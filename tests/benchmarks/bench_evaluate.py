"""How long `taltool evaluate` takes, start-up included, against plain loops over the same detections.

    python tests/benchmarks/bench_evaluate.py [--shared FOLDER] [--loops]

Three sizes: THUMOS14 (213 videos x 200 detections, 20 classes, 5 thresholds), ActivityNet validation (47,280
detections, 200 classes, 10 thresholds), and 472,800 proposals (AR@AN). Detections are the ground truth with jittered
boundaries, so FOLDER must hold the two ground truths. Prints seconds, the share that reading the JSON takes, peak
memory, and with --loops the ratio to the plain loops of the tests.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests/ops")]

from taltool.ops.protocols import parse_thresholds  # noqa: E402


def jittered(truth: Path, subset: str, total: int, labelled: bool, seed: int = 0) -> dict[str, list[dict]]:
    """Detections per video: its instances with jittered boundaries, and strays, `total` in all."""
    rng = np.random.default_rng(seed)
    database = json.loads(truth.read_bytes())["database"]
    videos = {key: entry for key, entry in database.items() if entry["subset"] == subset}
    names = sorted({a["label"] for entry in videos.values() for a in entry["annotations"]})
    counts = np.full(len(videos), total // len(videos))
    counts[: total - counts.sum()] += 1
    results = {}
    for (key, entry), count in zip(videos.items(), counts, strict=True):
        annotations = entry["annotations"] or [{"segment": [0, entry["duration"]], "label": names[0]}]
        chosen = rng.integers(len(annotations), size=count)
        segments = np.array([annotations[n]["segment"] for n in chosen])
        lengths = segments[:, 1:] - segments[:, :1] + 0.1
        segments = np.sort(segments + rng.normal(0, 0.3, (count, 2)) * lengths, axis=1)
        labels = [annotations[n]["label"] if rng.random() < 0.8 else names[rng.integers(len(names))] for n in chosen]
        scores = rng.random(count).tolist()
        results[key] = [
            {"segment": segment, "score": score} | ({"label": label} if labelled else {})
            for segment, score, label in zip(segments.tolist(), scores, labels, strict=True)
        ]
    return results


def measured(words: list[str]) -> tuple[float, float, float]:
    """CPU seconds, seconds and peak MiB of one `taltool` process; CPU seconds bear a busy machine better."""
    started = time.perf_counter()
    # A process inherits the peak of the one that starts it, so a small one starts taltool and measures it.
    code = (
        "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "usage = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "taltool", *words]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    told = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True).stdout
    status, busy, memory = map(float, told.split())
    if status:
        raise SystemExit(f"taltool {' '.join(words)} failed")
    return busy, time.perf_counter() - started, memory


def parsing_time(content: bytes) -> float:
    """CPU seconds of `orjson.loads`."""
    started = time.process_time()
    orjson.loads(content)
    return time.process_time() - started


def report(name: str, truth: Path, subset: str, total: int, options: list[str], loops: bool) -> None:
    """Measure one size three times and print the best."""
    results = jittered(truth, subset, total, labelled="ar" not in options)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "predictions.json"
        file.write_bytes(orjson.dumps({"version": "1.3", "results": results, "external_data": {}}))
        content = file.read_bytes()
        parsing = min(parsing_time(content) for _ in range(3))
        words = ["evaluate", str(truth), str(file), "--subset", subset, *options]
        busy, seconds, memory = min(measured(words) for _ in range(3))
    line = f"{name}: {seconds:.2f} s, CPU {busy:.2f} s ({parsing:.2f} s of it orjson.loads), peak {memory:.0f} MiB"
    if loops:
        from evaluation_twin import timed_twin

        thresholds = list(parse_thresholds(options[1] if options else "0.3:0.7:0.1").values)
        plain = timed_twin(json.loads(truth.read_bytes())["database"], subset, results, thresholds)
        line += f"; plain loops CPU {plain:.1f} s = {plain / busy:.0f} times as much"
    print(line, flush=True)


def main() -> None:
    """Run all three sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=PROJECT.parent / "shared")
    parser.add_argument("--loops", action="store_true", help="also time plain loops (minutes)")
    options = parser.parse_args()
    thumos, activitynet = options.shared / "data/thumos14_gt.json", options.shared / "data/activitynet13_gt.json"
    tenths = ["--tiou", "0.5:0.95:0.05"]
    report("THUMOS14, 42,600 detections, mAP", thumos, "testing", 42_600, [], options.loops)
    report("ActivityNet, 47,280 detections, mAP", activitynet, "validation", 47_280, tenths, options.loops)
    report("ActivityNet, 472,800 proposals, AR@AN", activitynet, "validation", 472_800, ["--metric", "ar"], False)
    report("ActivityNet, 472,800 detections, mAP", activitynet, "validation", 472_800, tenths, False)


if __name__ == "__main__":
    main()
