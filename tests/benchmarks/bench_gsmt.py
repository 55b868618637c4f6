"""GSMT and BMN against a BMN-type dense head: parameters, operations, inference and a training step.

    python tests/benchmarks/bench_gsmt.py

GSMT's Tables 2 and 3 claim 2.9 M against 5.0 M parameters, 0.6 against 91.2 G operations, and training about 100 times,
inference twice faster. The reference is a dense start x duration map after the description of BMN (Lin et al., ICCV
2019): 32 samples of each of 10,000 proposals, a 3D and four 2D convolutions. The model `bmn` has such layers too, but
computes the 3D convolution by algebra. Times are of one thread and one video of 100 snippets with 400 channels, the
best of some runs; ratios to the dense head are what to read.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from taltool.models.bmn.model import BMN, BMNConfig
from taltool.models.contract import Model, Targets
from taltool.models.gsmt.model import GSMT, GSMTConfig

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


def inputs() -> tuple[Tensor, Tensor]:
    """Features and mask of one video."""
    return torch.randn(1, CHANNELS, LENGTH), torch.ones(1, LENGTH, dtype=torch.bool)


def costs_of_model(model: Model) -> tuple[float, ...]:
    """Millions of parameters, giga operations, and milliseconds of a training step and of inference with decoding."""
    features, mask = inputs()
    targets = Targets([torch.tensor([[10.0, 40.0], [60.0, 90.0]])], [torch.tensor([3, 7])])

    def loss() -> Tensor:
        return torch.stack(list(model.loss(model(features, mask), targets).values())).sum()

    def infer() -> None:
        with torch.inference_mode():
            model.decode(model(features, mask), mask)

    training = seconds(trainer(model, loss), 10)
    model.eval()
    return parameters(model), operations(lambda: model(features, mask)), 1e3 * training, 1e3 * seconds(infer, 10)


def costs_of_dense_head() -> tuple[float, ...]:
    """The same of the reference, whose inference does not decode."""
    features, _ = inputs()
    dense, wanted = DenseHead(), torch.rand(1, 2, LENGTH, LENGTH)

    def loss() -> Tensor:
        confidence, boundary = dense(features)
        maps = F.binary_cross_entropy(confidence[:, :1], (wanted[:, :1] > 0.5).float()) + 10 * F.mse_loss(
            confidence, wanted
        )
        return maps + F.binary_cross_entropy(boundary, boundary.detach().round())

    def infer() -> None:
        with torch.inference_mode():
            dense(features)

    training = seconds(trainer(dense, loss), 2)
    dense.eval()
    return parameters(dense), operations(lambda: dense(features)), 1e3 * training, 1e3 * seconds(infer, 2)


def parameters(network: nn.Module) -> float:
    """How many, in millions."""
    return sum(p.numel() for p in network.parameters()) / 1e6


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    gsmt = costs_of_model(GSMT(GSMTConfig(segments="span"), CHANNELS, CLASSES, LENGTH))
    bmn = costs_of_model(BMN(BMNConfig(), CHANNELS, CLASSES, LENGTH))
    titles = ("parameters (M)", "operations (G)", "training step (ms)", "inference (ms)")
    print(f"{'':20} {'GSMT':>10} {'BMN':>10} {'dense head':>12} {'dense/GSMT':>12} {'dense/BMN':>12}")
    for title, *row in zip(titles, gsmt, bmn, costs_of_dense_head(), strict=True):
        ratios = "".join(f" {row[2] / own:11.1f}x" for own in row[:2])
        print(f"{title:20} {row[0]:10.2f} {row[1]:10.2f} {row[2]:12.2f}{ratios}")
    print("Inference of the models includes decoding, that of the dense head does not. Embedding bags are not counted.")


if __name__ == "__main__":
    main()
