"""ResNet-50 over clips, under the names that MMAction's checkpoints give its tensors.

With every `inflate` 0 and a stem of one frame it is the network on pictures (He and others, CVPR 2016), one per step.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from taltool.nn.clips.conv3d import Conv3d, Triple

_BLOCKS = (3, 4, 6, 3)
_EXPANSION = 4
FLAT = tuple((0,) * blocks for blocks in _BLOCKS)


class Stem(NamedTuple):
    """The beginning of a network: channels of pictures, frames and step in time of its convolution, its pooling."""

    channels: int
    frames: int
    step: int
    pool: nn.Module


class Normed(nn.Module):
    """Convolution and batch norm, with zeros around that keep the size at stride 1."""

    def __init__(self, in_channels: int, out_channels: int, width: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        padding = (width[0] // 2, width[1] // 2, width[2] // 2)
        self.conv = Conv3d(in_channels, out_channels, width, stride, padding, bias=False)
        self.bn = nn.BatchNorm3d(out_channels)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C_out, T', H', W')."""
        normed: Tensor = self.bn(self.conv(volume))
        return normed


class Bottleneck(nn.Module):
    """A residual block; where inflated, its first convolution sees three frames. The 3 x 3 one has the stride."""

    def __init__(self, in_channels: int, channels: int, stride: int, inflated: int) -> None:
        super().__init__()
        out_channels = channels * _EXPANSION
        self.conv1 = Normed(in_channels, channels, (1 + 2 * inflated, 1, 1))
        self.conv2 = Normed(channels, channels, (1, 3, 3), (1, stride, stride))
        self.conv3 = Normed(channels, out_channels, (1, 1, 1))
        self.downsample = None
        if stride > 1 or in_channels != out_channels:
            self.downsample = Normed(in_channels, out_channels, (1, 1, 1), (1, stride, stride))

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, 4 C, T, H', W')."""
        inner = torch.relu_(self.conv2(torch.relu_(self.conv1(volume))))
        kept = volume if self.downsample is None else self.downsample(volume)
        return torch.relu_(self.conv3(inner).add_(kept))


class ResNet50(nn.Module):
    """The network; inflate tells for each block of each layer whether it sees three frames, pool2 halves the time
    after the first layer, classes None leaves the classifier out."""

    def __init__(
        self, stem: Stem, inflate: tuple[tuple[int, ...], ...] = FLAT, pool2: bool = False, classes: int | None = None
    ) -> None:
        super().__init__()
        self.conv1 = Normed(stem.channels, 64, (stem.frames, 7, 7), (stem.step, 2, 2))
        self.pool1 = stem.pool
        channels, layers = 64, []
        for number, inflated in enumerate(inflate):
            width, stride = 64 << number, 1 if number == 0 else 2
            blocks = []
            for position, each in enumerate(inflated):
                blocks.append(Bottleneck(channels, width, 1 if position else stride, each))
                channels = width * _EXPANSION
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.pool2 = nn.MaxPool3d((2, 1, 1)) if pool2 else None
        self.classifier = nn.Linear(channels, classes) if classes else None

    @property
    def first(self) -> Conv3d:
        """The convolution over pixels."""
        return self.conv1.conv

    def forward(self, volume: Tensor) -> Tensor:
        """Features (B, 2048), or logits (B, classes), of pixels (B, C, T, H, W)."""
        return self.rest(self.first(volume))

    def rest(self, volume: Tensor) -> Tensor:
        """The same of what the first convolution gives, (B, 64, T', H', W')."""
        volume = self.layer1(self.pool1(torch.relu_(self.conv1.bn(volume))))
        if self.pool2 is not None:
            volume = self.pool2(volume)
        features: Tensor = self.layer4(self.layer3(self.layer2(volume))).float().mean((2, 3, 4))
        return features if self.classifier is None else self.classifier(features.to(self.classifier.weight.dtype))
