"""Instances rasterised to snippets: which cells [i, i + 1) of the grid an instance holds.

A cell belongs to an instance when its centre i + 0.5 lies in [start, end); an instance that misses every centre holds
the cell of its own midpoint, so that none is lost. Where instances overlap the shortest is the owner of the cell.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from taltool.nn.targets import PaddedTargets


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


def cell_centres(length: int, device: torch.device) -> Tensor:
    """0.5, 1.5, ... (length,)."""
    return torch.arange(length, device=device) + 0.5


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
