"""Labels of the cells of a grid and of a dense start x end map by how much they overlap with instances.

Everything is in snippets: snippet i is the cell [i, i + 1), the proposal (i, j) is [i, j + 1].
"""

import torch
from torch import Tensor

from taltool.nn.targets import PaddedTargets


def cell_overlaps(starts: Tensor, ends: Tensor, present: Tensor, length: int) -> Tensor:
    """How much of each cell lies in the region that covers it most: (B, T) in [0, 1] (the papers' IoA, IoR).

    starts, ends (B, M) of regions, present (B, M) bool.
    """
    cells = torch.arange(length, device=starts.device)
    overlap = torch.minimum(ends[..., None], cells + 1.0) - torch.maximum(starts[..., None], cells.to(starts.dtype))
    return (overlap.clamp(0, 1) * present[..., None]).amax(1)


def region_labels(targets: PaddedTargets, length: int, half_width: float) -> Tensor:
    """Overlaps (B, 3, T) of each cell with an instance, with the region around a start, and around an end.

    A region reaches half_width snippets to both sides of its boundary.
    """
    starts, ends = targets.segments.unbind(-1)
    regions = [(starts, ends), *((edge - half_width, edge + half_width) for edge in (starts, ends))]
    return torch.stack([cell_overlaps(*region, targets.present, length) for region in regions], dim=1)


def best_tiou(targets: PaddedTargets, starts: Tensor, ends: Tensor) -> Tensor:
    """The highest tIoU (B, N) of proposals starts, ends (N,) with an instance of each sample; 0 where it has none."""
    own_starts, own_ends = targets.segments[..., None].unbind(2)  # (B, M, 1)
    overlap = (torch.minimum(ends, own_ends) - torch.maximum(starts, own_starts)).clamp(min=0)
    union = (ends - starts) + (own_ends - own_starts) - overlap
    tiou = torch.where(union > 0, overlap / union.clamp(min=1e-9), 0) * targets.present[..., None]
    return tiou.amax(1)
