"""What the trainer costs beside the network: input, bookkeeping, and saving.

Run as `python tests/benchmarks/bench_train.py [--videos 413] [--folder DIR]`. Features are random, THUMOS14-shaped
(2,048 channels of float16, 3,000 snippets a video on average: 413 videos are 5 GB, written to DIR or the folder for
temporary files and removed) and read from the file for every sample, nothing being kept in memory. Ratios are to a
plain loop over batches that lie ready in memory: forward, backward, clip, step. Waiting is the share of the time of
the steps of a training (AFSD on windows of 64 snippets, AMNet on crops of 2,304, one at a time) in which it waits for
its next batch.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from taltool.data.annotations import read_ground_truth
from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.models.contract import Batch
from taltool.reporting import SILENT
from taltool.training.micro_batches import MicroBatch
from taltool.training.setup import Recipe, Subsets, make_trainer, read_data
from taltool.training.trainer import RunOptions, Trainer

CHANNELS, LONGEST, STEPS, ROUNDS = 2048, 12000, 12, 3


def write_data(folder: Path, num_videos: int) -> None:
    """features.h5 and gt.json: an action of 20 snippets in every 100."""
    rng, database = np.random.default_rng(0), {}
    # Random numbers take longer than all the rest; each video has a stretch of the same ones.
    block = rng.standard_normal((2 * LONGEST, CHANNELS), np.float32).astype(np.float16)
    lengths = rng.lognormal(0, 0.7, num_videos)
    lengths = np.clip(lengths / lengths.mean() * 3000, 200, LONGEST).astype(int).tolist()
    with FeatureWriter(str(folder / "features.h5")) as writer:
        for number, length in enumerate(lengths):
            clock = FeatureClock(fps=30, stride=4, window=16, duration=length * 4 / 30 + 1)
            begin = int(rng.integers(LONGEST))
            writer.write(VideoFeatures(f"v{number}", block[begin : begin + length], clock, {}))
            starts = [clock.seconds(float(first)) for first in range(10, length - 50, 100)]
            annotations = [
                {"segment": [start, start + 20 * 4 / 30], "label": f"class {index % 20}"}
                for index, start in enumerate(starts)
            ]
            database[f"v{number}"] = {"duration": clock.duration, "subset": "training", "annotations": annotations}
    (folder / "gt.json").write_text(json.dumps({"database": database}))


def make(folder: Path, file: FeatureFile, *overrides: str, model: str = "afsd", workers: int = 0) -> Trainer:
    """A run of a model as on THUMOS14."""
    recipe = Recipe.of(model, "thumos14", None, overrides)
    subsets = Subsets(training="training", validation=None, test="", skip_missing=False)
    data = read_data(file, read_ground_truth(str(folder / "gt.json")), subsets, SILENT)
    options = RunOptions(cache_bytes=0, workers=workers)
    return make_trainer(recipe, data, str(folder / "x.safetensors"), options, SILENT)


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


def trainer_loop(trainer: Trainer, batches: Iterator[Batch]) -> None:
    """The same updates as the trainer makes them."""
    for step, batch in zip(range(STEPS), batches, strict=False):
        trainer.updater.update([(batch, MicroBatch(range(1)))], step, 1e-4)


def report(folder: Path, file: FeatureFile, batch_size: int) -> None:
    """One line of ratios at this batch size."""
    trainer = make(folder, file, f"training.batch_size={batch_size}")
    ready = [batch for batch, _ in zip(trainer.loader.batches(0), range(STEPS), strict=False)]
    plain_loop(trainer, ready[:2])
    plain = seconds(lambda: plain_loop(trainer, ready))
    trained = seconds(lambda: trainer_loop(trainer, iter(ready)))
    piped = seconds(lambda: trainer_loop(trainer, trainer.loader.batches(1)))
    loader = trainer.loader
    reading = seconds(lambda: [loader.maker.make(1, loader.places(step)) for step in range(STEPS)])
    print(
        f"batch {batch_size}: plain step {plain / STEPS * 1e3:.0f} ms; on ready batches x {trained / plain:.3f}; "
        f"with input from HDF5 x {piped / plain:.3f}; input alone {reading / plain:.1%} of a step"
    )


def report_saving(folder: Path, file: FeatureFile) -> None:
    """What saving the state costs."""
    trainer = make(folder, file)
    (batch,) = (batch for batch, _ in zip(trainer.loader.batches(0), range(1), strict=False))
    trainer.updater.update([(batch, MicroBatch(range(1)))], 0, 1e-4)
    trainer.best = trainer.model.state_dict()
    with trainer.log:
        costs = [seconds(trainer._save) for _ in range(3)]
    size = sum(p.numel() for p in trainer.model.parameters())
    print(f"saving checkpoint and state of {size / 1e6:.1f} M parameters: {statistics.median(costs):.2f} s")


def report_waiting(folder: Path, file: FeatureFile, model: str, workers: int, steps: int) -> None:
    """One line about a training whose batches are made by a thread, or by worker processes."""
    trainer = make(folder, file, "training.batch_size=1", model=model, workers=workers)
    loader, waited = trainer.loader, 0.0
    batches = loader.batches(1)
    trainer.updater.update([(next(batches), MicroBatch(range(1)))], 0, 1e-4)
    started = time.perf_counter()
    for step in range(1, steps + 1):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        trainer.updater.update([(batch, MicroBatch(range(1)))], step, 1e-4)
    whole = time.perf_counter() - started
    making = seconds(lambda: [loader.maker.make(2, loader.places(step)) for step in range(steps)])
    loader.close()
    print(
        f"{model}, {f'{workers} workers' if workers else 'a thread'}: step {whole / steps * 1e3:.0f} ms, of which "
        f"waiting {waited / whole:.2%}; making a batch {making / steps * 1e3:.1f} ms, {making / whole:.1%} of a step",
        flush=True,
    )


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--folder", help="for the feature file; default: that of temporary files")
    parser.add_argument("--only-waiting", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        write_data(folder, asked.videos)
        with FeatureFile(str(folder / "features.h5")) as file:
            for model, steps in (("afsd", 50), ("amnet", 4)):
                for workers in (0, 2):
                    report_waiting(folder, file, model, workers, steps)
            if not asked.only_waiting:
                for batch_size in (1, 4):
                    report(folder, file, batch_size)
                report_saving(folder, file)


if __name__ == "__main__":
    main()
