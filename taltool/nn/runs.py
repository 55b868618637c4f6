"""Runs of activated snippets in many rows at once, without a loop over rows or snippets."""

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


def spans(active: Tensor) -> Runs:
    """The stretch from the first to the last True of each row (R, T) bool that has one."""
    rows = active.any(dim=1).nonzero().squeeze(1)
    found = active[rows].to(torch.int8)
    return Runs(rows, found.argmax(dim=1), active.shape[1] - found.flip(1).argmax(dim=1))


def run_maxima(values: Tensor, found: Runs) -> Tensor:
    """The maximum (N,) of values (R, T) over each stretch; two stretches of a row must not overlap."""
    flags = values.new_zeros(2, values.shape[0], values.shape[1] + 1, dtype=torch.int64)
    flags[0, found.rows, found.starts] = 1
    flags[1, found.rows, found.ends] = 1
    starts, ends = flags[:, :, :-1]
    inside = starts.cumsum(1) > ends.cumsum(1)
    number = starts.flatten().cumsum(0).view_as(starts) - 1
    maxima = values.new_full((len(found.rows),), -torch.inf)
    return maxima.scatter_reduce_(0, number[inside], values[inside], "amax")


def run_means(values: Tensor, found: Runs) -> Tensor:
    """The mean (N, ...) of values (R, T, ...) over each stretch; stretches may overlap."""
    sums = torch.cat([torch.zeros_like(values[:, :1], dtype=torch.float64), values.double().cumsum(1)], dim=1)
    totals = sums[found.rows, found.ends] - sums[found.rows, found.starts]
    lengths = (found.ends - found.starts).view(-1, *[1] * (values.ndim - 2))
    return (totals / lengths).to(values.dtype)


def likely_boundaries(scores: Tensor, mask: Tensor) -> Tensor:
    """Which snippets (B, T) may be a boundary: local maxima of scores (B, T), those above half of the highest, and the
    first and last valid one of mask (B, T) (BSN's rule)."""
    before, after = (F.pad(scores, pad, value=-1.0) for pad in ((1, 0), (0, 1)))
    peaks = (scores > before[:, :-1]) & (scores > after[:, 1:])
    high = scores > 0.5 * scores.amax(1, keepdim=True)
    ends = mask & ~(F.pad(mask, (1, 0))[:, :-1] & F.pad(mask, (0, 1))[:, 1:])
    return (peaks | high | ends) & mask
