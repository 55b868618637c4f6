"""Temporal convolutions with TensorFlow's "same" padding, alone and with norm and activation on a masked axis.

Norms do not see padding: one takes its statistics over the valid positions of each level of a packed pyramid (see
`taltool.nn.pyramid`) or of the one sequence, the other of each position alone.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormKind = Literal["gn", "ln", "none"]


@dataclass(frozen=True)
class Axis:
    """Which of P positions are real: mask (B, 1, P) float of 0 and 1; level (P,) int64 of `num_levels` levels.

    membership (P, num_levels) float32 is 1 where a position is of a level; counts (B, 1, num_levels) float32 are the
    valid positions of each level, at least 1.
    """

    mask: Tensor
    level: Tensor
    num_levels: int
    membership: Tensor
    counts: Tensor

    @classmethod
    def of(cls, mask: Tensor, level: Tensor, num_levels: int) -> "Axis":
        """The axis with that mask and those levels."""
        membership = F.one_hot(level, num_levels).to(torch.float32)
        with torch.autocast(mask.device.type, enabled=False):
            counts = (mask @ membership).clamp(min=1)
        return cls(mask, level, num_levels, membership, counts)

    @classmethod
    def single(cls, mask: Tensor) -> "Axis":
        """The axis of one sequence per sample with validity mask (B, T) bool."""
        return cls.of(mask[:, None].float(), mask.new_zeros(mask.shape[1], dtype=torch.int64), 1)


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
        # What is said of levels (B, G, levels), at each of their positions; that of a single level is spread anyway.
        at = (..., axis.level) if axis.num_levels > 1 else ...
        grouped = features.float().unflatten(1, (self.groups, -1))  # (B, G, C/G, P)
        with torch.autocast(features.device.type, enabled=False):
            means = (grouped.mean(2) * axis.mask) @ axis.membership / axis.counts
            centred = grouped - means[at][:, :, None]
            variances = (centred.square().mean(2) * axis.mask) @ axis.membership / axis.counts
        scales = (variances + self.eps).rsqrt()[at][:, :, None]
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


class SameConv1d(nn.Conv1d):
    """A convolution that gives ceil(T / stride) positions, padded as TensorFlow's "same".

    An odd total of padding has its extra zero on the right: for even T, width 3 and stride 2 nothing is added on the
    left, where `padding=1` would shift the samples by one. Weights are Xavier-uniform, biases zero.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, width, stride)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (B, C_in, T) to (B, C_out, ceil(T / stride))."""
        (width,), (stride,) = self.kernel_size, self.stride
        length = features.shape[-1]
        total = max((-(-length // stride) - 1) * stride + width - length, 0)
        if total % 2 == 0:
            return F.conv1d(features, self.weight, self.bias, stride, total // 2)
        return F.conv1d(F.pad(features, (total // 2, total - total // 2)), self.weight, self.bias, stride)


class ConvBlock(nn.Module):
    """Convolution, norm, ReLU; zero at invalid positions of the output axis.

    norm "gn" is GroupNorm over valid positions of each level, "ln" LayerNorm over the channels of each position, "none"
    leaves it out.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        *,
        stride: int = 1,
        norm: NormKind = "gn",
        groups: int = 32,
    ) -> None:
        super().__init__()
        self.conv = SameConv1d(in_channels, out_channels, width, stride)
        self.norm: MaskedGroupNorm | ChannelNorm | None = None
        if norm != "none":
            self.norm = ChannelNorm(out_channels) if norm == "ln" else MaskedGroupNorm(groups, out_channels)

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Map (B, C_in, T) to (B, C_out, P), where `axis` describes the P positions of the output."""
        features = self.conv(features)
        if self.norm is not None:
            features = self.norm(features, axis)
        return torch.relu(features) * axis.mask


class ConvStack(nn.Module):
    """Blocks of the same output width one after the other, of the given kernel widths, all on one axis."""

    def __init__(
        self, in_channels: int, out_channels: int, widths: tuple[int, ...], norm: NormKind = "gn", groups: int = 32
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = in_channels
        for width in widths:
            self.blocks.append(ConvBlock(channels, out_channels, width, norm=norm, groups=groups))
            channels = out_channels

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Map (B, C_in, P) to (B, C_out, P)."""
        for block in self.blocks:
            features = block(features, axis)
        return features
