"""Boundary max pooling against its definition as loops: T = 256, 512 channels, 126 proposals, one thread.

    python tests/benchmarks/bench_boundary_pooling.py

Prints milliseconds and ratios, without and with the backward pass. The first loop is the definition, one range per
channel and proposal; the second takes all channels of a proposal's side at once.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
from boundary_pooling_twin import loop_over_proposals

from taltool.models.afsd.pooling import boundary_max_pool

LENGTH, CHANNELS, PROPOSALS = 256, 512, 126


def loop_over_channels(features: Tensor, regions: Tensor) -> Tensor:
    """One maximum per channel and proposal."""
    half = features.shape[1] // 2
    columns = []
    for s0, s1, e0, e1 in regions[0].clamp(0, features.shape[2] - 1).tolist():
        starts = [row[s0 : max(s0, s1) + 1].max() for row in features[0, :half]]
        ends = [row[e0 : max(e0, e1) + 1].max() for row in features[0, half:]]
        columns.append(torch.stack(starts + ends))
    return torch.stack(columns, dim=1)[None]


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """The best of `repeats` runs."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begin)
    return best * 1e3


def backward(pool: Callable[[Tensor, Tensor], Tensor], features: Tensor, regions: Tensor) -> None:
    """Pool and send a gradient back."""
    pool(features.detach().requires_grad_(), regions).sum().backward()


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    features = torch.randn(1, CHANNELS, LENGTH).relu()
    starts = torch.randint(0, LENGTH, (1, PROPOSALS, 2))
    regions = torch.stack([starts, starts + torch.randint(1, 40, starts.shape)], dim=-1).flatten(2)
    assert torch.equal(boundary_max_pool(features, regions), loop_over_channels(features, regions))
    contestants = {"ours": boundary_max_pool, "per channel": loop_over_channels, "per proposal": loop_over_proposals}
    for title, wrap in (("values", None), ("values and gradient", backward)):
        times = {}
        for name, pool in contestants.items():
            repeats = 2 if name == "per channel" else 30
            times[name] = milliseconds(
                lambda pool=pool, wrap=wrap: wrap(pool, features, regions) if wrap else pool(features, regions), repeats
            )
        for name, spent in times.items():
            print(f"{title:20} {name:13} {spent:9.2f} ms  {spent / times['ours']:8.1f} x")


if __name__ == "__main__":
    main()
