"""Which ground truth a location, or a boundary position, answers for."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class PaddedTargets(NamedTuple):
    """Ground truth of B samples as tensors: segments (B, M, 2), labels (B, M) int64, present (B, M) bool; M >= 1."""

    segments: Tensor
    labels: Tensor
    present: Tensor


class Assignment(NamedTuple):
    """For each of N locations: positive (B, N) bool, distances (B, N, 2) to both ends of its instance, its label
    (B, N) int64. Distances and labels are 0 where a location is not positive."""

    positive: Tensor
    distances: Tensor
    labels: Tensor


def padded_targets(segments: Sequence[Tensor], labels: Sequence[Tensor], device: torch.device) -> PaddedTargets:
    """Put segments (M_b, 2) and labels (M_b,) of B samples into tensors on `device`."""
    width = max(1, *(len(own) for own in labels))
    padded = torch.zeros(len(labels), width, 2)
    padded_labels = torch.zeros(len(labels), width, dtype=torch.int64)
    present = torch.zeros(len(labels), width, dtype=torch.bool)
    for row, (own, own_labels) in enumerate(zip(segments, labels, strict=True)):
        padded[row, : len(own)], padded_labels[row, : len(own)], present[row, : len(own)] = own, own_labels, True
    return PaddedTargets(padded.to(device), padded_labels.to(device), present.to(device))


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


def boundary_labels(targets: PaddedTargets, length: int, width_div: float = 10.0, min_width: float = 2.0) -> Tensor:
    """1 on the positions near a start and near an end: (B, 2, length) float.

    Near a boundary b of an instance of length w is round(b - d/2) .. round(b + d/2), d = max(w / width_div, min_width)
    (AFSD Eq. 7 and its code; halves round to even).
    """
    widths = targets.segments[..., 1] - targets.segments[..., 0]
    reach = (widths / width_div).clamp(min=min_width)[..., None] / 2  # (B, M, 1)
    first, last = (targets.segments - reach).round(), (targets.segments + reach).round()  # (B, M, 2)
    positions = torch.arange(length, device=widths.device)[:, None, None, None]
    near = (positions >= first) & (positions <= last) & targets.present[..., None]  # (length, B, M, 2)
    return near.any(2).permute(1, 2, 0).float()
