"""Ground truth as labels of what a network predicts for: locations of a pyramid, cells of the grid, dense proposals.

Locations. Each gets the shortest instance that contains its centre, both ends included (`assign_shortest`).

Cells. Instances are rasterised to snippets: which cells [i, i + 1) of the grid an instance holds (`cells_of`). A cell
belongs to an instance when its centre i + 0.5 lies in [start, end); an instance that misses every centre holds the cell
of its own midpoint, so that none is lost. Where instances overlap the shortest is the owner of the cell.

Overlaps. The labels of cells (`region_labels`) and of a dense start x end map (`best_tiou`) by how much they overlap
with instances. Everything is in snippets: snippet i is the cell [i, i + 1), the proposal (i, j) is [i, j + 1].
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class PaddedTargets(NamedTuple):
    """Ground truth of B samples as tensors: segments (B, M, 2), labels (B, M) int64, present (B, M) bool; M >= 1."""

    segments: Tensor
    labels: Tensor
    present: Tensor


def padded_targets(segments: Sequence[Tensor], labels: Sequence[Tensor], device: torch.device) -> PaddedTargets:
    """Put segments (M_b, 2) and labels (M_b,) of B samples into tensors on `device`."""
    width = max(1, *(len(own) for own in labels))
    padded = torch.zeros(len(labels), width, 2)
    padded_labels = torch.zeros(len(labels), width, dtype=torch.int64)
    present = torch.zeros(len(labels), width, dtype=torch.bool)
    for row, (own, own_labels) in enumerate(zip(segments, labels, strict=True)):
        padded[row, : len(own)], padded_labels[row, : len(own)], present[row, : len(own)] = own, own_labels, True
    return PaddedTargets(padded.to(device), padded_labels.to(device), present.to(device))


class Assignment(NamedTuple):
    """For each of N locations: positive (B, N) bool, distances (B, N, 2) to both ends of its instance, its label
    (B, N) int64. Distances and labels are 0 where a location is not positive."""

    positive: Tensor
    distances: Tensor
    labels: Tensor


def assign_shortest(centres: Tensor, targets: PaddedTargets, bounds: Tensor | None = None) -> Assignment:
    """Give each location the shortest instance that contains it, both ends included.

    centres (N,) in the unit of the targets. bounds (N, 2), if given: an instance counts only if the larger of its two
    distances lies in (lower, upper] (FCOS's regression ranges).
    """
    starts, ends = targets.segments.unbind(-1)  # (B, M)
    left, right = centres - starts[..., None], ends[..., None] - centres  # (B, M, N)
    eligible = (left >= 0) & (right >= 0) & targets.present[..., None]
    if bounds is not None:
        reach = torch.maximum(left, right)
        eligible &= (reach > bounds[:, 0]) & (reach <= bounds[:, 1])
    lengths = (ends - starts)[..., None].expand_as(left)
    best = torch.where(eligible, lengths, torch.inf).argmin(1, keepdim=True)  # (B, 1, N)
    positive = eligible.any(1)
    distances = torch.stack([left.gather(1, best), right.gather(1, best)], dim=-1).squeeze(1)
    labels = targets.labels.gather(1, best.squeeze(1))
    return Assignment(positive, distances * positive[..., None], labels * positive)


def level_bounds(level: Tensor, stride: Tensor) -> Tensor:
    """Bounds (N, 2), lower exclusive and upper inclusive, on the larger distance that a location may have to cover.

    level (N,) int64 and the level's stride (N,), in whose unit the bounds are. About one to four strides; the two
    highest levels take everything that is longer. Six levels over 96 snippets of 8 frames have thus the bounds of the
    ActivityNet code of AFSD's authors, in frames (0, 30], (15, 60], (30, 120], (60, 240], (96, 768], (256, 768].
    """
    top = int(level.max())
    lower = torch.where(level == top - 1, 0.75, torch.where(level == top, 1.0, 0.9375))
    upper = torch.where(level >= top - 1, torch.inf, 3.75)
    return torch.stack([torch.where(level == 0, 0.0, lower) * stride, upper * stride], dim=-1)


class CellTargets(NamedTuple):
    """owner (B, T) int64: the instance that each cell belongs to, -1 for background; inside (B, M, T) bool: all the
    cells of each instance, whoever owns them."""

    owner: Tensor
    inside: Tensor

    @property
    def is_action(self) -> Tensor:
        """Which cells (B, T) belong to an instance."""
        return self.owner >= 0

    def of_owner(self, values: Tensor) -> Tensor:
        """The values (B, M, ...) of instances at the cells they own: (B, T, ...); meaningless at background."""
        index = self.owner.clamp(min=0).view(*self.owner.shape, *[1] * (values.ndim - 2))
        return values.gather(1, index.expand(-1, -1, *values.shape[2:]))


def cells_of(targets: PaddedTargets, length: int) -> CellTargets:
    """The cells of the instances on a grid of `length` snippets; absent (padded) instances hold none."""
    starts, ends = targets.segments[..., None].unbind(2)  # (B, M, 1)
    centres = cell_centres(length, starts.device)
    middle = ((starts + ends) / 2).floor().clamp(0, length - 1)
    inside = (centres >= starts) & (centres < ends)
    inside |= ~inside.any(-1, keepdim=True) & (centres.floor() == middle)
    inside &= targets.present[..., None]
    lengths = torch.where(inside, ends - starts, torch.inf)
    owner = torch.where(inside.any(1), lengths.argmin(1), -1)
    return CellTargets(owner, inside)


def cell_centres(length: int, device: torch.device) -> Tensor:
    """0.5, 1.5, ... (length,)."""
    return torch.arange(length, device=device) + 0.5


def region_labels(targets: PaddedTargets, length: int, half_width: float) -> Tensor:
    """Overlaps (B, 3, T) of each cell with an instance, with the region around a start, and around an end.

    A region reaches half_width snippets to both sides of its boundary.
    """
    starts, ends = targets.segments.unbind(-1)
    regions = [(starts, ends), *((edge - half_width, edge + half_width) for edge in (starts, ends))]
    return torch.stack([cell_overlaps(*region, targets.present, length) for region in regions], dim=1)


def cell_overlaps(starts: Tensor, ends: Tensor, present: Tensor, length: int) -> Tensor:
    """`covered` of the cells of the grid: (B, T)."""
    cells = torch.arange(length, device=starts.device, dtype=starts.dtype)
    return covered(cells, 1.0, starts, ends, present)


def covered(places: Tensor, width: float, starts: Tensor, ends: Tensor, present: Tensor) -> Tensor:
    """How much of [place, place + width] lies in the region that covers it most: (B, N) in [0, 1] (papers' IoA, IoR).

    places (N,); starts, ends (B, M) of regions, present (B, M) bool.
    """
    overlap = torch.minimum(ends[..., None], places + width) - torch.maximum(starts[..., None], places)
    return (overlap.clamp(0, width) / width * present[..., None]).amax(1)


def best_tiou(targets: PaddedTargets, starts: Tensor, ends: Tensor) -> Tensor:
    """The highest tIoU (B, N) of proposals starts, ends (N,) with an instance of each sample; 0 where it has none."""
    own_starts, own_ends = targets.segments[..., None].unbind(2)  # (B, M, 1)
    overlap = (torch.minimum(ends, own_ends) - torch.maximum(starts, own_starts)).clamp(min=0)
    union = (ends - starts) + (own_ends - own_starts) - overlap
    tiou = torch.where(union > 0, overlap / union.clamp(min=1e-9), 0) * targets.present[..., None]
    return tiou.amax(1)
