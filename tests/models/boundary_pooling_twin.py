"""Boundary max pooling by its definition: a loop over samples, channels and proposals."""

import torch
from torch import Tensor


def brute_force_pool(features: Tensor, regions: Tensor) -> Tensor:
    """(B, C, N): per channel the maximum over its region, whose bounds are clamped; the first one gets the gradient."""
    batch, channels, length = features.shape
    rows = []
    for b in range(batch):
        for c in range(channels):
            for region in regions[b].tolist():
                first, last = region[:2] if c < channels // 2 else region[2:]
                first, last = min(max(first, 0), length - 1), min(max(last, 0), length - 1)
                best = first
                for t in range(first, max(first, last) + 1):
                    if features[b, c, t] > features[b, c, best]:
                        best = t
                rows.append(features[b, c, best])
    return torch.stack(rows).view(batch, channels, -1)


def loop_over_proposals(features: Tensor, regions: Tensor) -> Tensor:
    """The same with one slice and one maximum per proposal and side."""
    half, length = features.shape[1] // 2, features.shape[2]
    samples = []
    for own, own_regions in zip(features, regions.clamp(0, length - 1).tolist(), strict=True):
        columns = []
        for s0, s1, e0, e1 in own_regions:
            start = own[:half, s0 : max(s0, s1) + 1].max(dim=1).values
            end = own[half:, e0 : max(e0, e1) + 1].max(dim=1).values
            columns.append(torch.cat([start, end]))
        samples.append(torch.stack(columns, dim=1))
    return torch.stack(samples)
