"""Residual networks over clips: ResNet-50 as I3D and as TSN, and R(2+1)D-18.

ResNet-50 is that of He and others, "Deep Residual Learning for Image Recognition", CVPR 2016, its tensors with the
names of MMAction's checkpoints; 2,048 features. R(2+1)D-18 is that of Tran and others, "A Closer Look at Spatiotemporal
Convolutions", CVPR 2018, its tensors with the names of torchvision's r2plus1d_18; 512 features.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from taltool.nn.clips.fine_tuning import recomputed
from taltool.nn.clips.layers import Conv3d, Triple
from taltool.nn.clips.overlapping import OverlappingClips

# Channels of a bottleneck's output, in multiples of its inner ones.
_EXPANSION = 4
# For each of the 3, 4, 6, 3 blocks of the four layers: 1 where it sees three frames, 0 where it sees one.
Inflation = tuple[tuple[int, ...], ...]
_NOWHERE: Inflation = ((0,) * 3, (0,) * 4, (0,) * 6, (0,) * 3)
_IN_TURN: Inflation = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))
# Whose checkpoints of I3D on ResNet-50: MMAction2's ResNet3d, or video-nonlocal-net's of Caffe2.
Family = Literal["mmaction", "caffe2"]


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


class ResNet50(nn.Module):
    """ResNet-50 (He and others, CVPR 2016) over clips; classes None leaves the classifier out.

    conv1 and pool1 are the stem, inflate tells which blocks see three frames, pool2 halves the time after the first
    layer. By default, with a stem of one frame, it is the network on pictures, each step in time by itself. Volumes
    (B, 2048, T', H / 32, W / 32) are averaged over all of space and time after the last layer, and the classifier sees
    the mean. 2,048 are 32 times the channels of conv1, which has 64. With `checkpointing`, a training keeps only the
    volumes between blocks.
    """

    def __init__(
        self,
        conv1: ConvNorm,
        pool1: nn.Module,
        inflate: Inflation = _NOWHERE,
        pool2: bool = False,
        classes: int | None = None,
        *,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.conv1, self.pool1, self.checkpointing = conv1, pool1, checkpointing
        stem = conv1.conv.out_channels
        channels, layers = stem, []
        for number, inflated in enumerate(inflate):
            width, stride = stem << number, 1 if number == 0 else 2
            blocks = []
            for position, each in enumerate(inflated):
                blocks.append(Bottleneck(channels, width, 1 if position else stride, each))
                channels = width * _EXPANSION
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.pool2 = nn.MaxPool3d((2, 1, 1)) if pool2 else None
        self.channels = channels
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
        features: Tensor = self._last_volume(volume).float().mean((2, 3, 4))
        return features if self.classifier is None else self.classifier(features.to(self.classifier.weight.dtype))

    def steps(self, volume: Tensor) -> Tensor:
        """Features (B, 2048, T') of pixels (B, C, T, H, W) at every step in time: the mean over space alone."""
        features: Tensor = self._last_volume(self.first(volume)).float().mean((3, 4))
        return features

    def _last_volume(self, volume: Tensor) -> Tensor:
        """What the last layer gives, (B, 2048, T', H / 32, W / 32), of what the first convolution gave."""
        volume = self.pool1(torch.relu_(self.conv1.bn(volume)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            if self.checkpointing:
                for block in layer:
                    volume = recomputed(block, volume)
            else:
                volume = layer(volume)
            if layer is self.layer1 and self.pool2 is not None:
                volume = self.pool2(volume)
        return volume


class ResNet50I3D(ResNet50, OverlappingClips):
    """ResNet-50 inflated as in Wang and others, "Non-local Neural Networks", CVPR 2018, without non-local blocks.

    Pixels (B, in_channels, T, H, W) become volumes (B, 2048, T / 8, H / 32, W / 32), which are averaged over all of
    space and time at the end: features (B, 2048), or logits (B, classes) where classes are given. The families of
    public checkpoints differ in the first pooling, which has no tensors: over one frame with zeros around, or over two
    without.

    All channels are divided by `divisor`. Without `temporal_pooling`, which no tensor depends on either, only the first
    convolution has a stride in time: volumes (B, 2048, T / 2, H / 32, W / 32), rounded up.
    """

    def __init__(
        self,
        in_channels: int,
        family: Family = "mmaction",
        classes: int | None = None,
        *,
        divisor: int = 1,
        temporal_pooling: bool = True,
        checkpointing: bool = False,
    ) -> None:
        conv1 = ConvNorm(in_channels, max(1, 64 // divisor), (5, 7, 7), (2, 2, 2))
        step = 2 if temporal_pooling else 1
        if family == "mmaction":
            pool1 = nn.MaxPool3d((1, 3, 3), (step, 2, 2), (0, 1, 1))
        else:
            pool1 = nn.MaxPool3d((step, 3, 3), (step, 2, 2))
        super().__init__(conv1, pool1, _IN_TURN, pool2=temporal_pooling, classes=classes, checkpointing=checkpointing)


class TemporalSegmentNetwork(ResNet50):
    """ResNet-50 on `stacked` frames in the middle of each segment, averaged over the segments.

    Wang and others, "Temporal Segment Networks", ECCV 2016. A clip (B, in_channels, T, H, W) is divided into `segments`
    equal parts. The frames of a stack are channels of one picture, of which features (B, 2048), or logits (B, classes)
    where classes are given, are averaged over space.
    """

    def __init__(self, in_channels: int, stacked: int = 1, segments: int = 1, classes: int | None = None) -> None:
        conv1 = ConvNorm(in_channels * stacked, 64, (1, 7, 7), (1, 2, 2))
        super().__init__(conv1, nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)), classes=classes)
        self.stacked, self.segments = stacked, segments

    def forward(self, volume: Tensor) -> Tensor:
        """Features (B, 2048) or logits of pixels (B, C, T, H, W), T being at least `stacked`."""
        starts = segment_starts(volume.shape[2], self.segments, self.stacked)
        stacks = torch.stack([volume[:, :, start : start + self.stacked] for start in starts], dim=1)
        # (B, S, C, stacked, H, W): the channels of a field stay together, field after field.
        pictures = stacks.transpose(2, 3).flatten(2, 3).flatten(0, 1)[:, :, None]  # (B * S, stacked * C, 1, H, W)
        return super().forward(pictures).unflatten(0, (-1, self.segments)).mean(1)


def segment_starts(length: int, segments: int, stacked: int) -> list[int]:
    """The first of `stacked` frames about the middle of each of `segments` equal parts of `length` frames."""
    middles = ((2 * part + 1) * length / (2 * segments) for part in range(segments))
    return [min(max(int(middle - (stacked - 1) / 2), 0), length - stacked) for middle in middles]


class R2Plus1D18(nn.Module):
    """R(2+1)D-18 (Tran and others, CVPR 2018) over RGB clips; classes None leaves the classifier out.

    Volumes (B, 512, T / 8, H / 16, W / 16), rounded up, are averaged over all of space and time after the last layer.
    """

    def __init__(self, classes: int | None = None) -> None:
        super().__init__()
        # The formula of section 3.5, as in `_BasicBlock`, would give 83 channels; the checkpoint has 45.
        self.stem = nn.Sequential(*_Conv2Plus1D(3, 64, 45, 7, 2, 1), nn.BatchNorm3d(64), nn.ReLU(inplace=True))
        self.layer1 = nn.Sequential(_BasicBlock(64, 64, 1), _BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(_BasicBlock(64, 128, 2), _BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(_BasicBlock(128, 256, 2), _BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(_BasicBlock(256, 512, 2), _BasicBlock(512, 512, 1))
        self.fc = nn.Linear(512, classes) if classes else None

    def forward(self, volume: Tensor) -> Tensor:
        """Features (B, 512) or logits (B, classes) of pixels (B, 3, T, H, W)."""
        volume = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(volume)))))
        features: Tensor = volume.float().mean((2, 3, 4))
        return features if self.fc is None else self.fc(features.to(self.fc.weight.dtype))


class _BasicBlock(nn.Module):
    """A residual block of two (2+1)D convolutions; stride is that of the first, in space and in time."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        # As many parameters as a whole 3 x 3 x 3 convolution has (section 3.5); the checkpoint takes the number of the
        # first convolution for the second too.
        mid_channels = in_channels * channels * 27 // (in_channels * 9 + 3 * channels)
        first = _Conv2Plus1D(in_channels, channels, mid_channels, 3, stride, stride)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))
        second = _Conv2Plus1D(channels, channels, mid_channels, 3, 1, 1)
        self.conv2 = nn.Sequential(second, nn.BatchNorm3d(channels))
        self.downsample = None
        if stride > 1:
            shortcut = Conv3d(in_channels, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(channels))

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        kept = volume if self.downsample is None else self.downsample(volume)
        return torch.relu_(self.conv2(self.conv1(volume)).add_(kept))


class _Conv2Plus1D(nn.Sequential):
    """A convolution over side x side pixels, batch norm, ReLU, a convolution over three steps in time.

    Maps (B, in_channels, T, H, W) over mid_channels channels to (B, out_channels, T', H', W').
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        side: int,
        spatial_stride: int,
        temporal_stride: int,
    ) -> None:
        kernel, stride, zeros = (1, side, side), (1, spatial_stride, spatial_stride), (0, side // 2, side // 2)
        super().__init__(
            Conv3d(in_channels, mid_channels, kernel, stride, zeros, bias=False),
            nn.BatchNorm3d(mid_channels),
            nn.ReLU(inplace=True),
            Conv3d(mid_channels, out_channels, (3, 1, 1), (temporal_stride, 1, 1), (1, 0, 0), bias=False),
        )
