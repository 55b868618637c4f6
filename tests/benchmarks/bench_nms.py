"""Speed of suppression against a plain loop in NumPy, in one process and thread, on drawn data of the field's sizes.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_nms.py [--quick]

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_nms.py --command
    options: --thumos GT SUBSET, --activitynet GT SUBSET (ActivityNet layout)

Candidates are the ground truth's segments (drawn ones without a GT) with boundaries jittered by 30 % of the length, or
any segments of the video, with drawn scores. The plain loop (one video and class at a time, vectorised over the
candidates, as the field's Python versions do it) runs on a sample of the videos and is scaled up. --command measures
the whole command against orjson.loads on the same bytes instead, and its memory on a stream ten times as long.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson

from taltool.data.annotations import read_ground_truth
from taltool.data.records import Floats, Integers
from taltool.ops.nms import ProposalBatch, suppress_batch
from taltool.ops.nms_settings import Method, Suppression
from taltool.ops.segments import tiou

BATCH = 1 << 16
THUMOS = Suppression(Method.soft_gaussian, sigma=0.5, min_score=0.001, top_k=200)
ACTIVITYNET = Suppression(Method.soft_gaussian, sigma=0.75, min_score=0.001, top_k=100, agnostic=True)
HARD = Suppression(Method.hard, tiou=0.5, min_score=0.001)
LINEAR = Suppression(Method.soft_linear, tiou=0.3, min_score=0.001)
WIDTH = Suppression(Method.soft_width, tiou=0.5, tiou_wide=0.9, sigma=0.4, min_score=0.001)


def drawn(videos: int, seconds: float, classes: int, seed: int) -> Iterator[tuple[Floats, Integers, float]]:
    """Ground truth (segments, labels, duration) of as many videos."""
    rng = np.random.default_rng(seed)
    for _ in range(videos):
        count = rng.integers(1, 16)
        start = rng.uniform(0, seconds, count)
        label = np.full(count, rng.integers(classes))
        yield np.column_stack([start, start + rng.gamma(2, 0.02, count) * seconds]), label, seconds


def real(path: Path, subset: str) -> Iterator[tuple[Floats, Integers, float]]:
    """Ground truth of the videos of a subset."""
    for video in read_ground_truth(str(path)).subset(subset).videos.values():
        if len(video):
            yield video.segments, video.labels, video.duration


def jittered(
    truth: list[tuple[Floats, Integers, float]], count: int, uniform_classes: int | None, seed: int = 0
) -> list[ProposalBatch]:
    """`count` candidates of each video, in batches; labels of the annotation, or any of `uniform_classes`."""
    rng = np.random.default_rng(seed)
    batches, videos = [], max(1, BATCH // count)
    for first in range(0, len(truth), videos):
        parts, labels = [], []
        for segments, classes, duration in truth[first : first + videos]:
            pick = rng.integers(len(segments), size=count)
            length = np.maximum(segments[pick, 1] - segments[pick, 0], 0.1)
            moved = segments[pick] + rng.normal(0, 0.3, (count, 2)) * length[:, None]
            parts.append(np.sort(np.clip(moved, 0, duration), axis=1))
            labels.append(classes[pick] if uniform_classes is None else rng.integers(uniform_classes, size=count))
        numbers = np.repeat(np.arange(len(parts)), count)
        durations = np.array([duration for _, _, duration in truth[first : first + videos]])
        scores = rng.uniform(0, 1, len(numbers))
        batches.append(ProposalBatch(np.concatenate(parts), scores, numbers, np.concatenate(labels), durations))
    return batches


def plain(candidates: ProposalBatch, settings: Suppression) -> int:
    """Suppress by a loop over videos, classes and picks; the number kept."""
    kept = 0
    groups = candidates.groups(by_class=not settings.agnostic)
    for group in np.unique(groups):
        inside = groups == group
        segments, scores = candidates.segments[inside], candidates.scores[inside].copy()
        duration = candidates.durations[candidates.videos[inside][0]]
        for _ in range(min(len(scores), settings.top_k or len(scores))):
            best = int(scores.argmax())
            if scores[best] < settings.floor:
                break
            kept += 1
            overlap = tiou(segments[best : best + 1], segments)[0]
            threshold = settings.threshold
            if settings.method is Method.soft_width:
                threshold += (settings.wide_threshold - threshold) * np.diff(segments[best])[0] / duration
            if settings.method is Method.hard:
                factors = np.where(overlap > threshold, 0.0, 1.0)
            elif settings.method is Method.soft_linear:
                factors = np.where(overlap > threshold, 1 - overlap, 1.0)
            else:
                factors = np.where(overlap > threshold, np.exp(-(overlap**2) / settings.width), 1.0)
            scores *= factors
            scores[best] = -1.0
            live = scores >= 0.0
            segments, scores = segments[live], scores[live]
            if not len(scores):
                break
    return kept


def fast(batches: list[ProposalBatch], settings: Suppression) -> float:
    """Seconds that suppression of all batches takes."""
    began = time.perf_counter()
    for batch in batches:
        suppress_batch(batch, settings)
    return time.perf_counter() - began


def compare(title: str, batches: list[ProposalBatch], settings: Suppression) -> None:
    """Print one line: seconds, and how many times faster than the plain loop."""
    took = fast(batches, settings)
    sample = batches[len(batches) // 2]
    few = sample.take(np.flatnonzero(sample.videos < 3))
    began = time.perf_counter()
    plain(few, settings)
    count = sum(len(batch.scores) for batch in batches)
    slow = (time.perf_counter() - began) * count / len(few.scores)
    print(f"{title:58s} {took:7.2f} s   plain loop about {slow:7.1f} s   {slow / took:5.0f} x", flush=True)


def growth() -> None:
    """Print the time per candidate for disjoint candidates of one video: it may grow like log N."""
    for count in (10_000, 100_000, 1_000_000):
        start = np.random.default_rng(0).permutation(count).astype(float)
        one = ProposalBatch(
            np.column_stack([start, start + 0.5]),
            np.random.default_rng(1).uniform(size=count),
            np.zeros(count, np.int64),
            None,
            np.array([np.nan]),
        )
        took = min(fast([one], Suppression()) for _ in range(3))
        per = took / count / np.log2(count)
        print(f"{count:9,d} disjoint candidates: {took:.4f} s, {per * 1e9:.1f} ns / (N log N)")


def anywhere(videos: int, count: int, seed: int = 0) -> list[ProposalBatch]:
    """`count` candidates of each video with both boundaries anywhere: few scores ever fall to nothing."""
    rng = np.random.default_rng(seed)
    batches, together = [], max(1, BATCH // count)
    for first in range(0, videos, together):
        size = min(together, videos - first)
        segments = np.sort(rng.uniform(0, 120, (size * count, 2)), axis=1)
        numbers = np.repeat(np.arange(size), count)
        scores = rng.uniform(0, 1, len(numbers))
        batches.append(ProposalBatch(segments, scores, numbers, np.zeros(len(numbers), np.int64), np.full(size, 120.0)))
    return batches


def measure_command(truth: list[tuple[Floats, Integers, float]]) -> None:
    """Print the time of the whole command against orjson.loads, and its memory for 212 and 2,120 videos."""
    with tempfile.TemporaryDirectory() as folder:
        for times in (1, 10):
            path = Path(folder) / f"{times}.jsonl"
            with path.open("wb") as file:
                for number in range(times):
                    for batch in jittered(truth, 2000, None, seed=number):
                        write_lines(batch, f"{number}-{file.tell()}", file)
            content = path.read_bytes()
            began = time.process_time()
            kept = [orjson.loads(line) for line in content.splitlines()]
            loading = time.process_time() - began
            del kept, content
            used, memory = resources_of("nms", "-q", "--top-k", "200", "--min-score", "0.001", path, "-o", "/dev/null")
            print(
                f"{times * len(truth)} x 2000: orjson.loads {loading:.2f} s, command {used:.2f} s of processor = "
                f"1/3 s + {(used - 1 / 3) / loading:.1f} x; memory {memory >> 10} MiB",
                flush=True,
            )


def resources_of(*words: object) -> tuple[float, int]:
    """Processor seconds and peak memory (KiB) of a taltool command.

    Measured by a small process in between: a child's peak begins with the size of the process that it was forked from.
    """
    command = [sys.executable, "-m", "taltool", *map(str, words)]
    measure = (
        f"import resource, subprocess; subprocess.run({command!r}, check=True); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    seconds, memory = subprocess.run([sys.executable, "-c", measure], capture_output=True, check=True).stdout.split()
    return float(seconds), int(memory)


def write_lines(batch: ProposalBatch, name: str, file: BinaryIO) -> None:
    """Append the videos of a batch to a stream without header."""
    for number in range(len(batch.durations)):
        own = batch.videos == number
        rows = zip(batch.segments[own].tolist(), batch.scores[own].tolist(), batch.classes[own].tolist(), strict=True)
        proposals = [{"segment": segment, "score": score, "label": f"class {label}"} for segment, score, label in rows]
        file.write(orjson.dumps({"video_id": f"{name}-{number}", "proposals": proposals}) + b"\n")


def main() -> None:
    """Run everything."""
    options = argparse.ArgumentParser()
    options.add_argument("--command", action="store_true", help="measure the whole command instead")
    options.add_argument("--quick", action="store_true", help="a tenth of the ActivityNet-size set, no 5,000")
    options.add_argument("--thumos", nargs=2, metavar=("GT", "SUBSET"))
    options.add_argument("--activitynet", nargs=2, metavar=("GT", "SUBSET"))
    given = options.parse_args()
    thumos = list(real(*given.thumos) if given.thumos else drawn(212, 217.0, 20, seed=1))[:212]
    activitynet = list(real(*given.activitynet) if given.activitynet else drawn(4728, 117.0, 200, seed=2))
    activitynet = activitynet[: 473 if given.quick else 4728]
    if given.command:
        measure_command(thumos)
        return
    growth()
    for count in (2000,) if given.quick else (200, 2000, 5000):
        for classes, uniform in (("labels of the annotations", None), ("20 classes at random", 20)):
            batches = jittered(thumos, count, uniform)
            for name, settings in (("soft-Gaussian .5", THUMOS), ("hard", HARD), ("linear", LINEAR)):
                limited = replace(settings, top_k=200)
                compare(f"{len(thumos)} x {count}, {classes}, {name}, top 200", batches, limited)
        limited = replace(ACTIVITYNET, top_k=100)
        compare(
            f"{len(activitynet)} x {count} anywhere, soft-Gaussian .75, top 100",
            anywhere(len(activitynet), count),
            limited,
        )
        batches = jittered(activitynet, count, None)
        for name, settings in (
            ("soft-Gaussian .75", ACTIVITYNET),
            ("hard", HARD),
            ("linear", LINEAR),
            ("width", WIDTH),
        ):
            limited = replace(settings, top_k=100, agnostic=True)
            compare(f"{len(activitynet)} x {count}, agnostic, {name}, top 100", batches, limited)


if __name__ == "__main__":
    main()
