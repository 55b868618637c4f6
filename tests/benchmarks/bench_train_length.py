"""Time and memory of a training step over the length of a sample, T = 256 ... 8,192.

Run as `python tests/benchmarks/bench_train_length.py [--device cuda] [--precision bfloat16] [MODEL ...]`, without a
MODEL for afsd. Random features of 2,048 channels, batch 1, an action in every 100 snippets, the model's own defaults.
Each length runs in a process of its own; its memory is the peak above what the process held before the model (on a
GPU: what torch allocated). Ratios are to the length before: 2.0 is linear in T.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from taltool.experiment.settings import TrainingSettings
from taltool.models import MODELS
from taltool.models.contract import Batch, Targets
from taltool.training.distributed import ProcessGroup
from taltool.training.micro_batches import MicroBatch
from taltool.training.updater import Updater
from taltool.training.validation import batch_to_device

CHANNELS, CLASSES, STEPS = 2048, 20, 3
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
MIB = 1 << 20


def batch_of(length: int) -> Batch:
    """One sample of `length` snippets."""
    generator = torch.Generator().manual_seed(0)
    starts = torch.arange(10.0, length - 40, 100)
    segments = torch.stack([starts, starts + 20 + 10 * torch.rand(len(starts), generator=generator)], 1)
    labels = torch.randint(CLASSES, (len(starts),), generator=generator)
    features = torch.randn(1, CHANNELS, length, generator=generator)
    shortest = [float(segments.diff(dim=1).min())]
    return Batch(features, torch.ones(1, length, dtype=torch.bool), Targets([segments], [labels]), ["v"], shortest)


def peak(device: str) -> float:
    """The most memory so far, MiB."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(name: str, length: int, device: str, precision: str) -> dict[str, float]:
    """Best time of a step in seconds, and memory in MiB."""
    torch.manual_seed(0)
    batch = batch_to_device(batch_of(length), device)
    before = peak(device)
    model_class = MODELS.load(name)
    model = model_class(model_class.Config(), CHANNELS, CLASSES, length).to(device).train()
    settings = TrainingSettings(precision=precision)  # type: ignore[arg-type]
    updater, work = Updater(model, settings, ProcessGroup(), device), [(batch, MicroBatch(range(1)))]
    seconds = []
    for step in range(STEPS):
        started = time.perf_counter()
        updater.update(work, step, 1e-5)  # ends by reading the losses, so a GPU is waited for
        seconds.append(time.perf_counter() - started)
    return {"seconds": min(seconds), "mib": peak(device) - before}


def main() -> None:
    """Print a table for each model, or the measurement of one length as JSON (`--length`)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=["afsd"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--length", type=int)
    asked = parser.parse_args()
    if asked.length:
        print(json.dumps(measured(asked.models[0], asked.length, asked.device, asked.precision)))
        return
    for name in asked.models:
        last = None
        for length in LENGTHS:
            words = [sys.executable, __file__, name, "--length", str(length), "--device", asked.device]
            done = subprocess.run([*words, "--precision", asked.precision], capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}: T {length}: {done.stderr.splitlines()[-1]}")
                break
            found = json.loads(done.stdout)
            times = f" x {found['seconds'] / last:.2f}" if last else ""
            last = found["seconds"]
            print(f"{name}: T {length:5d}: {last * 1e3:7.0f} ms a step{times}; {found['mib']:6.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
