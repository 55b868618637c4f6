"""What the training engine costs beside the network: input, bookkeeping, and saving.

Run as `python tests/benchmarks/bench_train.py [VIDEOS]`. Features are random, THUMOS14-shaped (2,048 channels of
float16, about 3,000 snippets a video) and read from the file for every window. Ratios are to a plain loop over batches
that lie ready in memory: forward, backward, clip, step.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from taltool.data.annotations import read_ground_truth
from taltool.data.clock import FeatureClock
from taltool.data.features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.engine.division import Piece
from taltool.engine.experiment import Choice, Request, make_trainer, read_data
from taltool.engine.training import Trainer
from taltool.models.contract import Batch
from taltool.reporting import SILENT

CHANNELS, STEPS, ROUNDS = 2048, 12, 3


def write_data(folder: Path, num_videos: int) -> None:
    """features.h5 and gt.json: an action of 20 snippets in every 100."""
    rng, database = np.random.default_rng(0), {}
    with FeatureWriter(str(folder / "features.h5")) as writer:
        for number in range(num_videos):
            length = int(rng.integers(2000, 4000))
            clock = FeatureClock(fps=30, stride=4, window=16, duration=length * 4 / 30 + 1)
            values = rng.standard_normal((length, CHANNELS), np.float32).astype(np.float16)
            writer.write(VideoFeatures(f"v{number}", values, clock, {}))
            starts = [clock.seconds(float(first)) for first in range(10, length - 50, 100)]
            annotations = [
                {"segment": [start, start + 20 * 4 / 30], "label": f"class {index % 20}"}
                for index, start in enumerate(starts)
            ]
            database[f"v{number}"] = {"duration": clock.duration, "subset": "training", "annotations": annotations}
    (folder / "gt.json").write_text(json.dumps({"database": database}))


def make(folder: Path, file: FeatureFile, *overrides: str, cache_bytes: int = 0) -> Trainer:
    """A run of AFSD as on THUMOS14: windows of 64 snippets."""
    request = Request(
        "afsd", "thumos14", None, overrides, "training", output=str(folder / "x.safetensors"), cache_bytes=cache_bytes
    )
    choice = Choice.of(request)
    data = read_data(request, file, read_ground_truth(str(folder / "gt.json")), SILENT)
    return make_trainer(request, choice, data, choice.experiment(request.preset, None), SILENT)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of the best of a few rounds."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def plain_loop(trainer: Trainer, batches: list[Batch]) -> None:
    """The network's own cost."""
    parameters, optimizer = trainer.updater.parameters["all"], trainer.updater.optimizers["all"]
    for batch in batches:
        optimizer.zero_grad()
        sum(trainer.model.training_loss(batch, "all").values()).backward()  # type: ignore[union-attr]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def engine_loop(trainer: Trainer, batches: Iterator[Batch]) -> None:
    """The same updates as the engine makes them."""
    for step, batch in zip(range(STEPS), batches, strict=False):
        trainer._update([(batch, Piece(range(1)))], 0, step)


def report(folder: Path, file: FeatureFile, batch_size: int) -> None:
    """One line of ratios at this batch size."""
    trainer = make(folder, file, f"training.batch_size={batch_size}")
    ready = [batch for batch, _ in zip(trainer.loader.batches(0), range(STEPS), strict=False)]
    plain_loop(trainer, ready[:2])
    plain = seconds(lambda: plain_loop(trainer, ready))
    engine = seconds(lambda: engine_loop(trainer, iter(ready)))
    piped = seconds(lambda: engine_loop(trainer, trainer.loader.batches(1)))
    order = np.random.default_rng(0).permutation(len(trainer.loader.samples))
    reading = seconds(lambda: [trainer.loader._batch(1, order, trainer.loader.places(step)) for step in range(STEPS)])
    print(
        f"batch {batch_size}: plain step {plain / STEPS * 1e3:.0f} ms; engine on ready batches x {engine / plain:.3f}; "
        f"engine with input from HDF5 x {piped / plain:.3f}; input alone {reading / plain:.1%} of a step"
    )


def report_saving(folder: Path, file: FeatureFile) -> None:
    """What saving the state costs."""
    trainer = make(folder, file)
    (batch,) = (batch for batch, _ in zip(trainer.loader.batches(0), range(1), strict=False))
    trainer._update([(batch, Piece(range(1)))], 0, 0)
    trainer.best = trainer.model.state_dict()
    with trainer.journal:
        costs = [seconds(trainer._save) for _ in range(3)]
    size = sum(p.numel() for p in trainer.model.parameters())
    print(f"saving checkpoint and state of {size / 1e6:.1f} M parameters: {statistics.median(costs):.2f} s")


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder, int(sys.argv[1]) if len(sys.argv) > 1 else 20)
        with FeatureFile(str(folder / "features.h5")) as file:
            for batch_size in (1, 4):
                report(folder, file, batch_size)
            report_saving(folder, file)


if __name__ == "__main__":
    main()
