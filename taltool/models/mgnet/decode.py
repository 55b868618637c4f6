"""From MGNet's three maps to scored proposals (section 3.7)."""

import torch
from torch import Tensor

from taltool.models.contract import Candidates, Outputs
from taltool.models.mgnet.config import MGNetConfig
from taltool.nn.active_runs import likely_boundaries
from taltool.nn.proposal_sampling import upper_triangle


def decode(config: MGNetConfig, outputs: Outputs, mask: Tensor) -> list[Candidates]:
    """The proposals [i, j + 1] of each sample, moved by `edge_shift`, with score P^c_ij p^s_i p^e_j (Eq. 24)."""
    length = mask.shape[1]
    first, last = upper_triangle(length, mask.device)
    span = last - first
    counted = mask[:, last] & (span < (config.most_snippets or length))
    start, end, completeness = (
        outputs[f"{name}_logits"].float().sigmoid() for name in ("start", "end", "completeness")
    )
    start_scores = mean_over_cells(start, first, counted, length)
    end_scores = mean_over_cells(end, last, counted, length)
    scores = completeness * start_scores[:, first] * end_scores[:, last]
    kept = counted & (span + 1 >= config.least_snippets)
    if config.candidates == "peaks":
        kept &= likely_boundaries(start_scores, mask)[:, first] & likely_boundaries(end_scores, mask)[:, last]
    segments = torch.stack([first, last + 1], dim=-1).float() + config.edge_shift
    return [Candidates(segments[kept[b]], scores[b, kept[b]], None) for b in range(len(mask))]


def mean_over_cells(cells: Tensor, index: Tensor, counted: Tensor, length: int) -> Tensor:
    """The mean (B, T) of cells (B, N) with equal index (N,), over counted (B, N) ones; 0 where there is none.

    With the first snippet as index these are the means over rows, with the last one those over columns.
    """
    weights = counted.to(cells.dtype)
    sums = cells.new_zeros(len(cells), length).index_add_(1, index, cells * weights)
    counts = cells.new_zeros(len(cells), length).index_add_(1, index, weights)
    return sums / counts.clamp(min=1)
