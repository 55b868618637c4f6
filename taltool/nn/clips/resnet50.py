"""ResNet-50 over clips (He and others, "Deep Residual Learning for Image Recognition", CVPR 2016); 2,048 features.

Tensors have the names of MMAction's checkpoints. `resnet_i3d` and `tsn` make two networks of it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from taltool.nn.clips.conv3d import Conv3d, Triple

# Channels of a bottleneck's output, in multiples of its inner ones.
_EXPANSION = 4
# For each of the 3, 4, 6, 3 blocks of the four layers: 1 where it sees three frames, 0 where it sees one.
Inflation = tuple[tuple[int, ...], ...]
_NOWHERE: Inflation = ((0,) * 3, (0,) * 4, (0,) * 6, (0,) * 3)


class Stem(NamedTuple):
    """The beginning of a network: channels of pictures, frames and step in time of its convolution, its pooling."""

    in_channels: int
    frames: int
    step: int
    pool: nn.Module


class ResNet50(nn.Module):
    """ResNet-50 (He and others, CVPR 2016) over clips; classes None leaves the classifier out.

    inflate tells which blocks see three frames, pool2 halves the time after the first layer. By default, with a stem of
    one frame, it is the network on pictures, each step in time by itself. Volumes (B, 2048, T', H / 32, W / 32) are
    averaged over all of space and time after the last layer, and the classifier sees the mean.
    """

    def __init__(
        self, stem: Stem, inflate: Inflation = _NOWHERE, pool2: bool = False, classes: int | None = None
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(stem.in_channels, 64, (stem.frames, 7, 7), (stem.step, 2, 2))
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


class Bottleneck(nn.Module):
    """A residual block; where inflated is 1, its first convolution sees three frames. The 3 x 3 one has the stride."""

    def __init__(self, in_channels: int, channels: int, stride: int, inflated: int) -> None:
        super().__init__()
        out_channels = channels * _EXPANSION
        self.conv1 = ConvNorm(in_channels, channels, (3 if inflated else 1, 1, 1))
        self.conv2 = ConvNorm(channels, channels, (1, 3, 3), (1, stride, stride))
        self.conv3 = ConvNorm(channels, out_channels, (1, 1, 1))
        self.downsample = None
        if stride > 1 or in_channels != out_channels:
            self.downsample = ConvNorm(in_channels, out_channels, (1, 1, 1), (1, stride, stride))

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, 4 C, T, H', W')."""
        inner = torch.relu_(self.conv2(torch.relu_(self.conv1(volume))))
        kept = volume if self.downsample is None else self.downsample(volume)
        return torch.relu_(self.conv3(inner).add_(kept))


class ConvNorm(nn.Module):
    """Convolution and batch norm, with zeros around that keep the size at stride 1."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        padding = (kernel_size[0] // 2, kernel_size[1] // 2, kernel_size[2] // 2)
        self.conv = Conv3d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bn = nn.BatchNorm3d(out_channels)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C_out, T', H', W')."""
        normed: Tensor = self.bn(self.conv(volume))
        return normed
