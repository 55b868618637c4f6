"""Stretches of activated snippets as GSMT scores them."""

import torch
from torch import Tensor

from taltool.models.decoding import Runs


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
