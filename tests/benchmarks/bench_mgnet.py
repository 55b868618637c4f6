"""MGNet's dense heads (T = 100, 128 channels, 32 points, batches of 2): sampling everything first against algebra.

    python tests/benchmarks/bench_mgnet.py

A training step of both heads, forwards, backwards and Adam. The plain heads do what the paper writes: sample every
point of every proposal by one product with a matrix of weights (as DBG and MGNet do), (B, 128, 32, T, T) numbers, then
a Conv3d of size (32, 1, 1), Conv2d of kernel 1, ReLU and dropout over the whole T x T map. Weights are equal; the
outputs without dropout are compared first. Two threads; each row in a process of its own; memory is what the peak adds.
"""

import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "nn"), str(Path(__file__).resolve().parents[2])]

from proposal_sampling_twin import sampling_weights  # noqa: E402

from taltool.models._mgnet_heads import BoundaryHead, CompletenessHead  # noqa: E402
from taltool.nn.proposal_sampling import POINTS, ProposalGrid  # noqa: E402

SAMPLES, LENGTH, CHANNELS, PROPOSAL_WIDTH, WIDTH, DROPOUT = 2, 100, 128, 512, 256, 0.3


class PlainHeads(nn.Module):
    """Both heads as the paper writes them, with the weights of ours."""

    def __init__(self, completeness: CompletenessHead, boundary: BoundaryHead, length: int) -> None:
        super().__init__()
        weights = sampling_weights(length, torch.float32)
        self.register_buffer("sampled", weights.flatten(1))
        self.length = length
        self.points = nn.Conv3d(CHANNELS, PROPOSAL_WIDTH, (POINTS, 1, 1))
        self.points.weight.data.copy_(boundary.points.weight.data.view_as(self.points.weight))
        self.points.bias.data.copy_(boundary.points.bias.data)  # type: ignore[union-attr]
        self.completeness = self._perceptron(completeness.enter, completeness.rest)
        self.boundary = self._perceptron(boundary.enter, boundary.rest)

    def _perceptron(self, enter: nn.Linear, rest: nn.Module) -> nn.Sequential:
        convs = []
        for layer in (enter, rest.hidden, rest.output):
            conv = nn.Conv2d(layer.in_features, layer.out_features, 1)  # type: ignore[arg-type, union-attr]
            conv.weight.data.copy_(layer.weight.data[..., None, None])  # type: ignore[index, union-attr]
            conv.bias.data.copy_(layer.bias.data)  # type: ignore[arg-type, union-attr]
            convs.append(conv)
        first, second, third = convs
        return nn.Sequential(first, nn.ReLU(), nn.Dropout(DROPOUT), second, nn.ReLU(), nn.Dropout(DROPOUT), third)

    def sample(self, features: Tensor) -> Tensor:
        """Features (B, C, T) at every point of every proposal: (B, C, 32, T, T)."""
        return (features @ self.sampled).unflatten(2, (POINTS, self.length, self.length))

    def forward(self, action: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps (B, T, T) of completeness, start and end."""
        complete = self.completeness(self.sample(action[:, None]).squeeze(1)).squeeze(1)
        start, end = self.boundary(self.points(self.sample(features)).squeeze(2)).unbind(1)
        return complete, start, end


class FastHeads(nn.Module):
    """Both heads of the model."""

    def __init__(self, completeness: CompletenessHead, boundary: BoundaryHead, length: int) -> None:
        super().__init__()
        self.completeness, self.boundary = completeness, boundary
        self.grid = ProposalGrid.of(length, torch.device("cpu"))

    def forward(self, action: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cells (B, N) of completeness, start and end."""
        return self.completeness(action, self.grid), *self.boundary(features, self.grid)


def heads(kind: str) -> nn.Module:
    """The heads of that kind, with the same weights for both."""
    torch.manual_seed(0)
    completeness = CompletenessHead(WIDTH, DROPOUT)
    boundary = BoundaryHead(CHANNELS, PROPOSAL_WIDTH, WIDTH, DROPOUT)
    return (FastHeads if kind == "fast" else PlainHeads)(completeness, boundary, LENGTH)


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    action = torch.rand(SAMPLES, LENGTH, generator=generator, requires_grad=True)
    return action, torch.randn(SAMPLES, CHANNELS, LENGTH, generator=generator, requires_grad=True)


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


def training_step(kind: str) -> tuple[float, float]:
    """Seconds (the best of three) and MiB of a step."""
    torch.set_num_threads(2)
    model, (action, features) = heads(kind), inputs()
    optimizer, best = torch.optim.Adam(model.parameters(), 1e-3), float("inf")
    before = peak()
    for _ in range(3):
        begin = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        terms = [F.softplus(each).mean() for each in model(action, features)]
        torch.stack(terms).sum().backward()
        optimizer.step()
        best = min(best, time.perf_counter() - begin)
    return best, peak() - before


def main() -> None:
    """Print the comparison."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        fast, plain = (pool.apply(said, (kind,)) for kind in ("fast", "plain"))
        apart = max(float(abs(one - other).max()) for one, other in zip(fast, plain, strict=True))
        print(f"largest difference of the logits: {apart:.1e}")
        rows = {kind: pool.apply(training_step, (kind,)) for kind in ("fast", "plain")}
    for kind, (seconds, memory) in rows.items():
        print(f"{kind:6} {seconds:8.3f} s {memory:8.0f} MiB")
    time_ratio, memory_ratio = (rows["plain"][n] / rows["fast"][n] for n in range(2))
    print(f"plain / fast: {time_ratio:.1f}x time, {memory_ratio:.1f}x memory")


if __name__ == "__main__":
    main()
