"""From predictions to where segments may lie: what the decoders of several models share.

A segment at every location of a pyramid; runs of activated snippets; snippets that may be boundaries. Many rows at
once, without a loop over rows or snippets.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Candidates, Outputs
from taltool.nn.pyramid import PyramidGrid


def flatten_levels(outputs: Outputs, grid: PyramidGrid) -> Outputs:
    """Packed outputs (B, K, P) at the N locations as (B, N, K) float32, with what describes the locations.

    That is centres (N,) in snippets, level (N,), valid (B, N) and the mask (B, T) of snippets.
    """
    at = grid.locations
    named = {name: value.float().index_select(2, at).transpose(1, 2) for name, value in outputs.items()}
    valid = grid.axis.mask[:, 0, at] > 0
    return named | {"centres": grid.centre[at], "level": grid.axis.level[at], "valid": valid, "mask": grid.mask}


def one_candidate_per_class(
    segments: Tensor, scores: Tensor, valid: Tensor, mask: Tensor, *, is_class_agnostic: bool
) -> list[Candidates]:
    """Every valid location of each sample as one candidate per class, clipped to the valid snippets of its sample.

    segments (B, N, 2) in snippets, scores (B, N, K), valid (B, N) bool, mask (B, T) bool.
    """
    ends, num_classes, found = mask.sum(1), scores.shape[2], []
    for b in range(len(segments)):
        own = segments[b, valid[b]].clamp(0, float(ends[b]))
        labels = None
        if not is_class_agnostic:
            labels = torch.arange(num_classes, device=scores.device).repeat(len(own))
        found.append(Candidates(own.repeat_interleave(num_classes, dim=0), scores[b, valid[b]].flatten(), labels))
    return found


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


def spans(active: Tensor) -> Runs:
    """The stretch from the first to the last True of each row (R, T) bool that has one."""
    rows = active.any(dim=1).nonzero().squeeze(1)
    chosen = active[rows].to(torch.int8)
    return Runs(rows, chosen.argmax(dim=1), active.shape[1] - chosen.flip(1).argmax(dim=1))


def run_maxima(values: Tensor, stretches: Runs) -> Tensor:
    """The maximum (N,) of values (R, T) over each stretch; two stretches of a row must not overlap."""
    flags = values.new_zeros(2, values.shape[0], values.shape[1] + 1, dtype=torch.int64)
    flags[0, stretches.rows, stretches.starts] = 1
    flags[1, stretches.rows, stretches.ends] = 1
    starts, ends = flags[:, :, :-1]
    inside = starts.cumsum(1) > ends.cumsum(1)
    number = starts.flatten().cumsum(0).view_as(starts) - 1
    maxima = values.new_full((len(stretches.rows),), -torch.inf)
    return maxima.scatter_reduce_(0, number[inside], values[inside], "amax")


def likely_boundaries(scores: Tensor, mask: Tensor) -> Tensor:
    """Which snippets (B, T) may be a boundary: local maxima of scores (B, T), those above half of the highest, and the
    first and last valid one of mask (B, T) (BSN's rule)."""
    before, after = (F.pad(scores, pad, value=-1.0) for pad in ((1, 0), (0, 1)))
    peaks = (scores > before[:, :-1]) & (scores > after[:, 1:])
    high = scores > 0.5 * scores.amax(1, keepdim=True)
    ends = mask & ~(F.pad(mask, (1, 0))[:, :-1] & F.pad(mask, (0, 1))[:, 1:])
    return (peaks | high | ends) & mask
