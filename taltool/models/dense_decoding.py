"""From packed predictions of a pyramid to scored segments: what models with a segment at every location share."""

import torch
from torch import Tensor

from taltool.models.contract import Candidates, Outputs
from taltool.nn.packed_pyramid import PyramidGrid


def flatten_levels(outputs: Outputs, grid: PyramidGrid) -> Outputs:
    """Packed outputs (B, K, P) at the N locations as (B, N, K) float32, with what describes the locations.

    That is centres (N,) in snippets, level (N,), valid (B, N) and the mask (B, T) of snippets.
    """
    at = grid.locations
    named = {name: value.float().index_select(2, at).transpose(1, 2) for name, value in outputs.items()}
    return named | {"centres": grid.centre[at], "level": grid.axis.level[at], "valid": grid.valid, "mask": grid.mask}


def one_candidate_per_class(
    segments: Tensor, scores: Tensor, valid: Tensor, mask: Tensor, *, is_class_agnostic: bool
) -> list[Candidates]:
    """Every valid location of each sample as one candidate per class, clipped to the valid snippets of its sample.

    segments (B, N, 2) in snippets, scores (B, N, K), valid (B, N) bool, mask (B, T) bool.
    """
    ends = mask.sum(1)
    return [
        _candidates(segments[b, valid[b]].clamp(0, float(ends[b])), scores[b, valid[b]], is_class_agnostic)
        for b in range(len(segments))
    ]


def _candidates(segments: Tensor, scores: Tensor, is_class_agnostic: bool) -> Candidates:
    """One candidate per location and class from segments (N, 2) and scores (N, K)."""
    num_classes = scores.shape[1]
    repeated = segments.repeat_interleave(num_classes, dim=0)
    if is_class_agnostic:
        return Candidates(repeated, scores.flatten(), None)
    labels = torch.arange(num_classes, device=scores.device).repeat(len(segments))
    return Candidates(repeated, scores.flatten(), labels)
