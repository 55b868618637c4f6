"""A convolution over points sampled from every proposal of a dense map, without ever holding all of the points.

A cell (i, j), i <= j, is the proposal of snippets i to j. BMN, DBG and MGNet describe it by N points, some around its
start, some inside, some around its end, linearly interpolated between snippets. A convolution over these points,

    out[i, j] = sum_n W_n f(position_n(i, j)),

needs T x T x N x C numbers when done in this order. But interpolation is linear: W_n may be applied to the T snippets
first, g_n = W_n f, and the sum becomes a few (2N, for one sample a point) weighted rows of the N * T rows of g for each
cell. That is one sparse product (`sum_of_points`), done with embedding bags, which were the fastest on a CPU: for two
samples of T = 100, 256 channels and N = 32 they take 16 ms forwards and backwards, compressed sparse rows 45 ms.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def upper_triangle(length: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """First and last snippet (N,) int64 of the N = T (T + 1) / 2 cells, in rows of equal start."""
    first, last = torch.triu_indices(length, length, device=device)
    return first, last


@dataclass(frozen=True)
class Bags:
    """Weighted sums of rows: sum number k takes the rows index[offset[k]], ... index[offset[k + 1] - 1].

    The weights are float64 and take the precision of the rows.
    """

    index: Tensor
    weight: Tensor
    offset: Tensor

    @classmethod
    def of(cls, index: Tensor, weight: Tensor, counts: Tensor) -> "Bags":
        """Bags that hold counts (K,) rows each, one after the other."""
        return cls(index, weight, counts.cumsum(0) - counts)

    def sums(self, rows: Tensor) -> Tensor:
        """The sums (K, D) of rows (R, D)."""
        weight = self.weight.to(rows.dtype)
        return F.embedding_bag(self.index, rows, self.offset, mode="sum", per_sample_weights=weight)


@dataclass(frozen=True)
class PointBags:
    """How the points of cells are made of snippets: forwards sums rows to cells, backwards is its transpose.

    Row point * T + snippet is what a point gives where it falls on a snippet.
    """

    forwards: Bags
    backwards: Bags

    @classmethod
    def of(cls, cell: Tensor, row: Tensor, weight: Tensor, num_cells: int, num_rows: int) -> "PointBags":
        """From the entries (E,) of the sparse matrix of cells x rows, in order of cells; weight is float64."""
        order = row.argsort(stable=True)
        forwards = Bags.of(row, weight, torch.bincount(cell, minlength=num_cells))
        backwards = Bags.of(cell[order], weight[order], torch.bincount(row, minlength=num_rows))
        return cls(forwards, backwards)


class _PointSums(torch.autograd.Function):
    """The sums (N, B, D) of rows (R, B, D) over the cells; the gradient is the sum over the transposed bags.

    PyTorch's own gradient is twice as slow.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, bags: PointBags) -> Tensor:
        ctx.bags = bags
        return bags.forwards.sums(rows.flatten(1)).unflatten(1, rows.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        return ctx.bags.backwards.sums(gradient.flatten(1).contiguous()).unflatten(1, gradient.shape[1:]), None


def sum_of_points(features: Tensor, weight: Tensor, bags: PointBags, point_bias: Tensor | None = None) -> Tensor:
    """What a convolution over the points of each cell gives: (N, B, D).

    features (B, C, T), weight (D, C, P): the kernel of a Conv3d of size (P, 1, 1), its unit axes left out. point_bias
    (D,) is added to what every point gives, so a cell gets it times the sum of its weights. Computed in float32
    (float64 for float64 features), also under autocast.
    """
    with torch.autocast(features.device.type, enabled=False):
        kind = torch.float64 if features.dtype == torch.float64 else torch.float32
        rows = torch.einsum("bct,dcp->ptbd", features.to(kind), weight.to(kind))
        if point_bias is not None:
            rows = rows.add_(point_bias.to(kind))
        return _PointSums.apply(rows.flatten(0, 1), bags)
