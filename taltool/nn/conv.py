"""Temporal convolutions with TensorFlow's "same" padding, alone and with norm and activation on a masked axis."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.nn.norm import ChannelNorm, MaskedGroupNorm
from taltool.nn.packed_pyramid import Axis

NormKind = Literal["gn", "ln", "none"]


def make_norm(kind: NormKind, channels: int, groups: int) -> MaskedGroupNorm | ChannelNorm | None:
    """The norm of that name over `channels` channels; it maps features (B, C, P) and their axis."""
    if kind == "none":
        return None
    return ChannelNorm(channels) if kind == "ln" else MaskedGroupNorm(groups, channels)


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
        self.norm = make_norm(norm, out_channels, groups)

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Map (B, C_in, T) to (B, C_out, P), where `axis` describes the P positions of the output."""
        return self.activate(self.conv(features), axis)

    def activate(self, convolved: Tensor, axis: Axis) -> Tensor:
        """Norm and ReLU of what the convolution gave, (B, C_out, P)."""
        if self.norm is not None:
            convolved = self.norm(convolved, axis)
        return torch.relu(convolved) * axis.mask


class ConvStack(nn.Module):
    """Blocks of the same output width one after the other, of the given kernel widths, all on one axis."""

    def __init__(
        self, in_channels: int, out_channels: int, widths: tuple[int, ...], norm: NormKind = "gn", groups: int = 32
    ) -> None:
        super().__init__()
        inputs = [in_channels, *[out_channels] * (len(widths) - 1)]
        self.blocks = nn.ModuleList(
            ConvBlock(channels, out_channels, width, norm=norm, groups=groups)
            for channels, width in zip(inputs, widths, strict=True)
        )

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Map (B, C_in, P) to (B, C_out, P)."""
        for block in self.blocks:
            features = block(features, axis)
        return features
