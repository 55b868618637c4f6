"""MGNet's dense heads (T = 100, 128 channels, 32 points, batches of 2): sampling everything first against algebra.

    python tests/benchmarks/bench_mgnet.py

A training step, forwards, backwards and Adam, of the convolution over the points alone, and of both heads. The plain
ones do what the paper writes: sample every point of every proposal by one product with a matrix of weights (as DBG and
MGNet do), (B, 128, 32, T, T) numbers, then a Conv3d of size (32, 1, 1), in the heads followed by Conv2d of kernel 1,
ReLU and dropout over the whole T x T map. Weights are equal; the heads' outputs without dropout are compared first.
Each row is a process of its own; memory is what the peak adds.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "models"), str(TESTS.parent)]

from mgnet_heads_twin import PlainHeads  # noqa: E402
from mgnet_points_twin import sampling_weights  # noqa: E402

from taltool.models.mgnet.heads import POINTS, BoundaryHead, CompletenessHead, ProposalGrid  # noqa: E402  # noqa: E402
from taltool.nn.proposal_sampling import sum_of_points  # noqa: E402

SAMPLES, LENGTH, CHANNELS, PROPOSAL_WIDTH, WIDTH, DROPOUT = 2, 100, 128, 512, 256, 0.3


class FastHeads(nn.Module):
    """Both heads of the model."""

    def __init__(self, completeness: CompletenessHead, boundary: BoundaryHead, length: int) -> None:
        super().__init__()
        self.completeness, self.boundary = completeness, boundary
        self.grid = ProposalGrid.of(length, torch.device("cpu"))

    def forward(self, action: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cells (B, N) of completeness, start and end."""
        return self.completeness(action, self.grid), *self.boundary(features, self.grid)


class Convolution(nn.Module):
    """The first layer of the boundary head alone, 128 channels x 32 points to 256, in either way."""

    def __init__(self, kind: str, length: int) -> None:
        super().__init__()
        self.kind, self.length, self.grid = kind, length, ProposalGrid.of(length, torch.device("cpu"))
        self.points = nn.Conv3d(CHANNELS, WIDTH, (POINTS, 1, 1))
        self.register_buffer("sampled", sampling_weights(length, torch.float32).flatten(1) if kind == "plain" else None)

    def forward(self, action: Tensor, features: Tensor) -> tuple[Tensor]:
        """What the convolution gives for every cell."""
        if self.kind == "fast":
            assert self.points.bias is not None
            point_bias = self.points.bias / POINTS
            return (sum_of_points(features, self.points.weight.flatten(2), self.grid.bags, point_bias),)
        return (self.points((features @ self.sampled).unflatten(2, (POINTS, self.length, self.length))),)


def convolution(kind: str, length: int = LENGTH) -> nn.Module:
    """The convolution over the points, in that way."""
    return Convolution(kind, length)


def heads(kind: str, length: int = LENGTH) -> nn.Module:
    """The heads of that kind, with the same weights for both."""
    torch.manual_seed(0)
    completeness = CompletenessHead(WIDTH, DROPOUT)
    boundary = BoundaryHead(CHANNELS, PROPOSAL_WIDTH, WIDTH, DROPOUT)
    return (FastHeads if kind == "fast" else PlainHeads)(completeness, boundary, length)


def inputs(length: int = LENGTH) -> tuple[Tensor, Tensor]:
    """Action probabilities (B, T) and features (B, C, T)."""
    generator = torch.Generator().manual_seed(1)
    action = torch.rand(SAMPLES, length, generator=generator, requires_grad=True)
    return action, torch.randn(SAMPLES, CHANNELS, length, generator=generator, requires_grad=True)


def peak() -> float:
    """The largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def said(kind: str) -> list[NDArray[np.float32]]:
    """What the heads of that kind say, on the upper triangle; arrays, which outlive the process that made them."""
    model = heads(kind).eval()
    with torch.inference_mode():
        maps = model(*inputs())
    first, last = torch.triu_indices(LENGTH, LENGTH)
    return [(each if each.ndim == 2 else each[:, first, last]).numpy() for each in maps]


def step(model: nn.Module, given: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer) -> float:
    """Seconds of a training step."""
    begin = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    terms = [F.softplus(each).mean() for each in model(*given)]
    torch.stack(terms).sum().backward()
    optimizer.step()
    return time.perf_counter() - begin


def training_step(part: Callable[..., nn.Module], kind: str, threads: int) -> tuple[float, float]:
    """Seconds (the best of five) and MiB of a step; what PyTorch itself loads for its first step is not counted."""
    torch.set_num_threads(threads)
    small = part(kind, 4)
    step(small, inputs(4), torch.optim.Adam(small.parameters()))
    model, given = part(kind), inputs()
    optimizer, before = torch.optim.Adam(model.parameters(), 1e-3), peak()
    return min(step(model, given, optimizer) for _ in range(5)), peak() - before


def main() -> None:
    """Print the comparison."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        fast, plain = (pool.apply(said, (kind,)) for kind in ("fast", "plain"))
        apart = max(float(abs(one - other).max()) for one, other in zip(fast, plain, strict=True))
        print(f"largest difference of the logits: {apart:.1e}")
        for part, threads in product((convolution, heads), (1, 2)):
            rows = {kind: pool.apply(training_step, (part, kind, threads)) for kind in ("fast", "plain")}
            for kind, (seconds, memory) in rows.items():
                print(f"{part.__name__:11} threads {threads} {kind:6} {seconds:.3f} s {memory:5.0f} MiB")
            time_ratio, memory_ratio = (rows["plain"][n] / rows["fast"][n] for n in range(2))
            print(f"{part.__name__:11} plain / fast: {time_ratio:.1f}x time, {memory_ratio:.1f}x memory")


if __name__ == "__main__":
    main()
