"""The dense map of MGNet's proposals, start over end, and the 32 points that describe each (DBG's sampler)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taltool.nn.proposal_sampling import PointBags, upper_triangle

START_POINTS, CENTRE_POINTS, END_POINTS = 8, 16, 8
POINTS = START_POINTS + CENTRE_POINTS + END_POINTS
# The regions around start and end reach this share of the proposal's length to both sides.
REGION = 1 / 5


def point_positions(first: Tensor, last: Tensor) -> Tensor:
    """Where the points of proposals lie, in snippets and not clamped: (N, 32) float64 for first and last (N,) int64.

    8 points over start +- length / 5, 16 from first to last, 8 over end +- length / 5, where length is
    last - first + 1.
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
class ProposalGrid:
    """The cells of a map over T snippets and how their points are interpolated.

    first, last (N,) are the cells; left, right (N, 32) the snippets beside each point and share (N, 32) float64 the
    weight of the right one; bags the same as a sparse product.
    """

    length: int
    first: Tensor
    last: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    bags: PointBags

    @classmethod
    def of(cls, length: int, device: torch.device) -> "ProposalGrid":
        """The grid over `length` snippets; points outside are moved to the first or last snippet."""
        first, last = upper_triangle(length, device)
        positions = point_positions(first, last).clamp(0, length - 1)
        left = positions.floor().clamp(max=max(length - 2, 0)).long()
        right = (left + 1).clamp(max=length - 1)
        share = positions - left
        rows = torch.stack([left, right], dim=-1) + torch.arange(POINTS, device=device)[:, None] * length
        weights = torch.stack([1 - share, share], dim=-1)  # (N, 32, 2)
        cells = torch.arange(len(first), device=device).repeat_interleave(2 * POINTS)
        bags = PointBags.of(cells, rows.flatten(), weights.flatten(), len(first), POINTS * length)
        return cls(length, first, last, left, right, share, bags)

    def points(self, values: Tensor) -> Tensor:
        """Values (B, T) at the points of each cell: (B, N, 32)."""
        left, right = values[:, self.left], values[:, self.right]
        return torch.lerp(left, right, self.share.to(values.dtype))


def extended(features: Tensor, mask: Tensor) -> Tensor:
    """Features (B, C, T) with the last valid snippet of each sample repeated over its padding.

    Points beyond the end of a padded sample are then those of the sample alone. mask (B, T) bool, padding at the end.
    """
    last = (mask.sum(1) - 1).clamp(min=0)[:, None]
    index = torch.minimum(torch.arange(mask.shape[1], device=mask.device), last)
    return features.gather(2, index[:, None].expand_as(features))
