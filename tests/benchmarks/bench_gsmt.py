"""GSMT against a BMN-type dense head: parameters, operations, inference and a training step at T = 100, 400 channels.

    python tests/benchmarks/bench_gsmt.py

GSMT's Tables 2 and 3 claim 2.9 M against 5.0 M parameters, 0.6 against 91.2 G operations, and training about 100 times,
inference twice faster. The reference is a dense start x duration map after the description of BMN (Lin et al., ICCV
2019): 32 samples of each of 10,000 proposals, a 3D and four 2D convolutions. Times are of one thread and one video, the
best of some runs; ratios are what to read.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from taltool.models.contract import Targets
from taltool.models.gsmt import GSMT, GSMTConfig

LENGTH, CHANNELS, CLASSES, SAMPLES = 100, 400, 200, 32


class DenseHead(nn.Module):
    """A confidence map (B, 2, T durations, T starts) and boundary probabilities (B, 2, T) of features (B, 400, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(
            nn.Conv1d(CHANNELS, 256, 3, padding=1, groups=4),
            nn.ReLU(),
            nn.Conv1d(256, 256, 3, padding=1, groups=4),
            nn.ReLU(),
        )
        self.boundary = nn.Sequential(
            nn.Conv1d(256, 512, 3, padding=1, groups=4), nn.ReLU(), nn.Conv1d(512, 2, 1, groups=2), nn.Sigmoid()
        )
        self.reduce = nn.Sequential(nn.Conv1d(256, 256, 3, padding=1), nn.ReLU())
        self.collapse = nn.Sequential(nn.Conv3d(256, 512, (SAMPLES, 1, 1)), nn.ReLU())
        self.map = nn.Sequential(
            nn.Conv2d(512, 128, 1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(),
            nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 2, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.register_buffer("sampler", sampling_weights(), persistent=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        base = self.base(features)
        sampled = (self.reduce(base) @ self.sampler).view(len(features), 256, SAMPLES, LENGTH, LENGTH)
        return self.map(self.collapse(sampled).squeeze(2)), self.boundary(base)


def sampling_weights() -> Tensor:
    """Linear interpolation of 32 points in each proposal, widened by half its length to both sides: (T, 32 * T * T)."""
    durations, starts = torch.meshgrid(torch.arange(1, LENGTH + 1.0), torch.arange(LENGTH * 1.0), indexing="ij")
    share = torch.linspace(-0.5, 1.5, SAMPLES)[:, None, None]
    points = starts + share * durations  # (32, T, T)
    weights = (1 - (points.flatten() - torch.arange(LENGTH)[:, None]).abs()).clamp(min=0)
    return weights * (starts + durations <= LENGTH).flatten().repeat(SAMPLES)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The best of `repeats` runs."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begin)
    return best


def trainer(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """One update of the network."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def operations(run: Callable[[], object]) -> float:
    """Giga operations, two for each multiplication with addition."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    features, mask = torch.randn(1, CHANNELS, LENGTH), torch.ones(1, LENGTH, dtype=torch.bool)
    gsmt = GSMT(GSMTConfig(segments="span"), CHANNELS, CLASSES, LENGTH)
    dense, wanted = DenseHead(), torch.rand(1, 2, LENGTH, LENGTH)
    targets = Targets([torch.tensor([[10.0, 40.0], [60.0, 90.0]])], [torch.tensor([3, 7])])

    def gsmt_loss() -> Tensor:
        return torch.stack(list(gsmt.loss(gsmt(features, mask), targets).values())).sum()

    def dense_loss() -> Tensor:
        confidence, boundary = dense(features)
        maps = F.binary_cross_entropy(confidence[:, :1], (wanted[:, :1] > 0.5).float()) + 10 * F.mse_loss(
            confidence, wanted
        )
        return maps + F.binary_cross_entropy(boundary, boundary.detach().round())

    def gsmt_inference() -> None:
        with torch.inference_mode():
            gsmt.decode(gsmt(features, mask), mask)

    def dense_inference() -> None:
        with torch.inference_mode():
            dense(features)

    training = seconds(trainer(gsmt, gsmt_loss), 10), seconds(trainer(dense, dense_loss), 2)
    gsmt.eval(), dense.eval()
    rows = {
        "parameters (M)": tuple(sum(p.numel() for p in n.parameters()) / 1e6 for n in (gsmt, dense)),
        "operations (G)": (operations(lambda: gsmt(features, mask)), operations(lambda: dense(features))),
        "training step (ms)": tuple(1e3 * t for t in training),
        "inference (ms)": (1e3 * seconds(gsmt_inference, 10), 1e3 * seconds(dense_inference, 2)),
    }
    print(f"{'':20} {'GSMT':>10} {'dense head':>12} {'ratio':>8}")
    for title, (ours, theirs) in rows.items():
        print(f"{title:20} {ours:10.2f} {theirs:12.2f} {theirs / ours:7.1f}x")
    print("GSMT's inference includes decoding, that of the dense head does not.")


if __name__ == "__main__":
    main()
