"""AMNet as in the paper (2,048 channels, width 512): time and memory by T, with fused and with plain attention.

    python tests/benchmarks/bench_amnet.py

Forward passes of one sample of T = 256, 1,024 and 4,096 snippets, the pass without group attention beside them, and one
training step of the THUMOS14 preset (4 samples of 2,304 snippets), which should fit 8 GB. The plain reference makes the
T x T scores of every head. One thread; each row in a process of its own; memory is what the peak adds to the network.
"""

import multiprocessing
import resource
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from taltool.models.amnet.model import AMNet, AMNetConfig
from taltool.models.contract import Batch, Targets

CHANNELS, CLASSES, LENGTHS = 2048, 20, (256, 1024, 4096)
BACKENDS = {"fused": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION], "plain": [SDPBackend.MATH]}


def peak() -> float:
    """The largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def network(**switches: object) -> AMNet:
    """The network of the paper with those switches."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return AMNet(AMNetConfig(**switches), CHANNELS, CLASSES, max(LENGTHS))


def forward(length: int, kind: str) -> tuple[float, float]:
    """Seconds (the best of some) and MiB of a forward pass; kind is "fused", "plain" or "none" (no group attention)."""
    model = network(gam="none" if kind == "none" else "full").eval()
    features, mask, before = torch.randn(1, CHANNELS, length), torch.ones(1, length, dtype=torch.bool), peak()
    best = float("inf")
    with torch.inference_mode(), sdpa_kernel(BACKENDS.get(kind, BACKENDS["fused"])):
        for _ in range(max(2, 2048 // length)):
            begin = time.perf_counter()
            model(features, mask)
            best = min(best, time.perf_counter() - begin)
    return best, peak() - before


def training_step(samples: int, length: int) -> tuple[float, float]:
    """Seconds and MiB of one iteration (both updates, gradients and AdamW's moments included)."""
    model = network()
    mask = torch.ones(samples, length, dtype=torch.bool)
    targets = Targets([torch.tensor([[100.0, 180.0], [700.0, 712.0]])] * samples, [torch.tensor([0, 3])] * samples)
    batch = Batch(torch.randn(samples, CHANNELS, length), mask, targets, ["v"] * samples)
    optimizers = {p: torch.optim.AdamW([v for _, v in model.phase_parameters(p)], 1e-4) for p in model.phases}
    before, begin = peak(), time.perf_counter()
    for phase, optimizer in optimizers.items():
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(model.training_loss(batch, phase).values())).sum().backward()
        optimizer.step()
    return time.perf_counter() - begin, peak() - before


def main() -> None:
    """Print the table."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        print(f"{'T':>6} {'fused s':>9} {'MiB':>7} {'no GAM s':>10} {'plain s':>9} {'MiB':>7} {'plain / fused':>14}")
        for length in LENGTHS:
            rows = {kind: pool.apply(forward, (length, kind)) for kind in ("fused", "none", "plain")}
            (fused, memory), (bare, _), (plain, plain_memory) = rows["fused"], rows["none"], rows["plain"]
            times = f"{length:6} {fused:9.3f} {memory:7.0f} {bare:10.3f} {plain:9.3f} {plain_memory:7.0f}"
            print(f"{times} {plain / fused:8.2f}x time, {plain_memory / max(memory, 1):.1f}x memory")
        seconds, memory = pool.apply(training_step, (4, 2304))
        print(f"training step, 4 x 2304: {seconds:.1f} s, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
