"""From scores of snippets to where segments may lie: runs of activated snippets, and snippets that may be boundaries.

Many rows at once, without a loop over rows or snippets.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Runs(NamedTuple):
    """N stretches of snippets: the row each lies in, its first snippet and the one after its last, all (N,) int64.

    They are ordered by row, then by start.
    """

    rows: Tensor
    starts: Tensor
    ends: Tensor

    @property
    def segments(self) -> Tensor:
        """The stretches on the grid, (N, 2) float: snippet i is the cell [i, i + 1)."""
        return torch.stack([self.starts, self.ends], dim=-1).float()


def runs(active: Tensor) -> Runs:
    """Every maximal run of True in rows (R, T) bool."""
    steps = F.pad(active, (1, 1)).to(torch.int8).diff(dim=1)  # (R, T + 1)
    rows, starts = (steps == 1).nonzero(as_tuple=True)
    return Runs(rows, starts, (steps == -1).nonzero(as_tuple=True)[1])


def run_means(values: Tensor, stretches: Runs) -> Tensor:
    """The mean (N, ...) of values (R, T, ...) over each stretch; stretches may overlap."""
    sums = torch.cat([torch.zeros_like(values[:, :1], dtype=torch.float64), values.double().cumsum(1)], dim=1)
    totals = sums[stretches.rows, stretches.ends] - sums[stretches.rows, stretches.starts]
    lengths = (stretches.ends - stretches.starts).view(-1, *[1] * (values.ndim - 2))
    return (totals / lengths).to(values.dtype)


def likely_boundaries(scores: Tensor, mask: Tensor) -> Tensor:
    """Which snippets (B, T) may be a boundary: local maxima of scores (B, T), those above half of the highest, and the
    first and last valid one of mask (B, T) (BSN's rule)."""
    before, after = (F.pad(scores, pad, value=-1.0) for pad in ((1, 0), (0, 1)))
    peaks = (scores > before[:, :-1]) & (scores > after[:, 1:])
    high = scores > 0.5 * scores.amax(1, keepdim=True)
    ends = mask & ~(F.pad(mask, (1, 0))[:, :-1] & F.pad(mask, (0, 1))[:, 1:])
    return (peaks | high | ends) & mask
