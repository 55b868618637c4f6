"""Points sampled from every proposal of a dense start x end map, without ever holding them all.

A cell (i, j), i <= j, is the proposal of snippets i to j. MGNet, DBG and BSN describe it by N points: some around its
start, some inside, some around its end, linearly interpolated between snippets. A convolution over these points,

    out[i, j] = sum_n W_n f(position_n(i, j)),

needs T x T x N x C numbers when done in this order. But interpolation is linear: W_n may be applied to the T snippets
first, g_n = W_n f, and the sum becomes 2N weighted rows of the N * T rows of g for each cell. That is one sparse
product (`sum_of_points`), done with embedding bags, which were the fastest on a CPU: for two samples of T = 100,
256 channels and N = 32 they take 16 ms forwards and backwards, compressed sparse rows 45 ms.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

START_POINTS, CENTRE_POINTS, END_POINTS = 8, 16, 8
POINTS = START_POINTS + CENTRE_POINTS + END_POINTS
# The regions around start and end reach this share of the proposal's length to both sides.
REGION = 1 / 5


def upper_triangle(length: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """First and last snippet (N,) int64 of the N = T (T + 1) / 2 cells, in rows of equal start."""
    first, last = torch.triu_indices(length, length, device=device)
    return first, last


def point_positions(first: Tensor, last: Tensor) -> Tensor:
    """Where the points of proposals lie, in snippets and not clamped: (N, 32) float64 for first and last (N,) int64.

    DBG's sampler: 8 points over start +- length / 5, 16 from first to last, 8 over end +- length / 5, where length
    is last - first + 1.
    """
    first, last = first.double()[:, None], last.double()[:, None]
    reach = (last - first + 1) * REGION
    steps = [
        torch.arange(n, device=first.device, dtype=first.dtype) / (n - 1)
        for n in (START_POINTS, CENTRE_POINTS, END_POINTS)
    ]
    around_start = first - reach + steps[0] * 2 * reach
    inside = first + steps[1] * (last - first)
    around_end = last - reach + steps[2] * 2 * reach
    return torch.cat([around_start, inside, around_end], dim=1)


@dataclass(frozen=True)
class Bags:
    """Weighted sums of rows: sum number k takes the rows index[offset[k]], ... index[offset[k + 1] - 1].

    The weights are float64 and take the precision of the rows.
    """

    index: Tensor
    weight: Tensor
    offset: Tensor

    def sums(self, rows: Tensor) -> Tensor:
        """The sums (K, D) of rows (R, D)."""
        weight = self.weight.to(rows.dtype)
        return F.embedding_bag(self.index, rows, self.offset, mode="sum", per_sample_weights=weight)


@dataclass(frozen=True)
class PointBags:
    """Weighted points of N cells of any kind over `length` snippets: forwards sums rows (point, snippet) to cells,
    backwards is its transpose."""

    points: int
    length: int
    forwards: Bags
    backwards: Bags

    @classmethod
    def at(cls, positions: Tensor, length: int) -> "PointBags":
        """Points of cells that are the means of S samples each, at positions (N, P, S) float64 in snippets.

        A sample is interpolated linearly between the snippets beside it; snippets beyond both ends are 0 (BMN).
        """
        cells, points, samples = positions.shape
        left = positions.floor()
        share = positions - left
        snippet = torch.stack([left, left + 1], dim=-1).long()  # (N, P, S, 2)
        weight = torch.stack([1 - share, share], dim=-1) / samples
        inside = (snippet >= 0) & (snippet < length) & (weight > 0)
        point = torch.arange(cells * points, device=positions.device).view(cells, points, 1, 1)
        # Samples of a point that fall between the same snippets become one entry.
        entry, where = (point * length + snippet)[inside].unique(return_inverse=True)
        weights = weight.new_zeros(len(entry)).index_add_(0, where, weight[inside])
        size = points * length
        cell, row = entry // size, entry % size
        order = row.argsort(stable=True)
        forwards = Bags(row, weights, _offsets(torch.bincount(cell, minlength=cells)))
        backwards = Bags(cell[order], weights[order], _offsets(torch.bincount(row, minlength=size)))
        return cls(points, length, forwards, backwards)


@dataclass(frozen=True)
class ProposalGrid:
    """The cells of a map over T snippets and how their points are interpolated.

    first, last (N,) are the cells; left, right (N, 32) the snippets beside each point and share (N, 32) float64 the
    weight of the right one. forwards sums rows (point, snippet) to cells, backwards is its transpose.
    """

    length: int
    first: Tensor
    last: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    forwards: Bags
    backwards: Bags

    @classmethod
    def of(cls, length: int, device: torch.device) -> "ProposalGrid":
        """The grid over `length` snippets; points outside are moved to the first or last snippet."""
        first, last = upper_triangle(length, device)
        positions = point_positions(first, last).clamp(0, length - 1)
        left = positions.floor().clamp(max=max(length - 2, 0)).long()
        right = (left + 1).clamp(max=length - 1)
        share = positions - left
        rows = torch.stack([left, right], dim=-1) + torch.arange(POINTS, device=device)[:, None] * length
        weights = torch.stack([1 - share, share], dim=-1)
        forwards = Bags(rows.flatten(), weights.flatten(), _offsets(rows.new_full((len(rows),), 2 * POINTS)))
        return cls(length, first, last, left, right, share, forwards, _transposed(rows, weights, POINTS * length))

    def valid(self, mask: Tensor) -> Tensor:
        """Which cells (B, N) end before the padding of mask (B, T) bool."""
        return mask[:, self.last]

    def points(self, values: Tensor) -> Tensor:
        """Values (B, T) at the points of each cell: (B, N, 32)."""
        left, right = values[:, self.left], values[:, self.right]
        return torch.lerp(left, right, self.share.to(values.dtype))

    def as_map(self, cells: Tensor, empty: float = 0.0) -> Tensor:
        """Cells (..., N) as maps (..., T, T), row = first, column = last snippet, `empty` below the diagonal."""
        found = cells.new_full((*cells.shape[:-1], self.length, self.length), empty)
        found[..., self.first, self.last] = cells
        return found


def _offsets(counts: Tensor) -> Tensor:
    return counts.cumsum(0) - counts


def _transposed(rows: Tensor, weights: Tensor, size: int) -> Bags:
    """The bags that send a gradient of cells back to `size` rows, for rows and weights (N, ...) of the cells."""
    flat, order = rows.flatten().sort(stable=True)
    cells = order // rows[0].numel()
    return Bags(cells, weights.flatten()[order], _offsets(torch.bincount(flat, minlength=size)))


class _PointSums(torch.autograd.Function):
    """`Bags.sums` of rows (R, B, D): (N, B, D); its gradient is the sum over the transposed bags.

    PyTorch's own gradient is twice as slow.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, grid: ProposalGrid | PointBags) -> Tensor:
        ctx.grid = grid
        return grid.forwards.sums(rows.flatten(1)).unflatten(1, rows.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        return ctx.grid.backwards.sums(gradient.flatten(1).contiguous()).unflatten(1, gradient.shape[1:]), None


def sum_of_points(features: Tensor, weight: Tensor, grid: ProposalGrid, bias: Tensor) -> Tensor:
    """What a convolution over the points of each cell gives: (N, B, D).

    features (B, C, T), bias (D,), weight (D, C, 32): the kernel of a Conv3d of size (32, 1, 1), its unit axes left out.
    Computed in float32 (float64 for float64 features), also under autocast.
    """
    with torch.autocast(features.device.type, enabled=False):
        kind = torch.float64 if features.dtype == torch.float64 else torch.float32
        snippets = features.to(kind).transpose(1, 2)  # (B, T, C)
        # Each point's two weights sum to 1, so every cell gets the whole bias.
        mixed = torch.einsum("btc,dcn->ntbd", snippets, weight.to(kind)).add_(bias.to(kind) / POINTS)
        return _PointSums.apply(mixed.flatten(0, 1), grid)


def sum_of_bags(features: Tensor, weight: Tensor, bags: PointBags, bias: Tensor) -> Tensor:
    """The same, (N, B, D), for points of any kind: weight (D, C, P). Cells without any snippet get the bias."""
    with torch.autocast(features.device.type, enabled=False):
        kind = torch.float64 if features.dtype == torch.float64 else torch.float32
        mixed = torch.einsum("bct,dcn->ntbd", features.to(kind), weight.to(kind))
        return _PointSums.apply(mixed.flatten(0, 1), bags) + bias.to(kind)


def extended(features: Tensor, mask: Tensor) -> Tensor:
    """Features (B, C, T) with the last valid snippet of each sample repeated over its padding.

    Points beyond the end of a padded sample are then those of the sample alone. mask (B, T) bool, padding at the end.
    """
    last = (mask.sum(1) - 1).clamp(min=0)[:, None]
    index = torch.minimum(torch.arange(mask.shape[1], device=mask.device), last)
    return features.gather(2, index[:, None].expand_as(features))
