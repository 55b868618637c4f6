"""Norms of padded sequences (B, C, P): over groups of channels of each level, or over the channels of each position.

Neither sees padding: the first takes its statistics over valid positions only, the second of each position alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.nn.packed_pyramid import Axis


class MaskedGroupNorm(nn.Module):
    """GroupNorm whose statistics are taken per sample, group and level over valid positions only.

    Without padding it equals `torch.nn.GroupNorm` run on each level by itself (Wu and He, "Group Normalization").
    Statistics are computed in float32, also under autocast.
    """

    def __init__(self, groups: int, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Normalise (B, C, P); what stands at invalid positions is finite and without meaning."""
        grouped = features.float().unflatten(1, (self.groups, -1))  # (B, G, C/G, P)
        centred = grouped - axis.spread(axis.level_means(grouped.mean(2)))[:, :, None]
        variances = axis.level_means(centred.square().mean(2))  # (B, G, levels)
        scales = axis.spread((variances + self.eps).rsqrt())[:, :, None]
        return (centred * scales).flatten(1, 2) * self.weight[:, None] + self.bias[:, None]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each position (Ba et al., "Layer Normalization"), in float32 also under autocast.

    A position's statistics are its own, so padding and gaps of the axis need no care.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Normalise features (B, C, P) of any axis."""
        rows = features.float().transpose(1, 2)
        return F.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps).transpose(1, 2)
