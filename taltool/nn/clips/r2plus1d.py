"""R(2+1)D-18: Tran and others, "A Closer Look at Spatiotemporal Convolutions", CVPR 2018; 512 features.

Tensors have the names of torchvision's r2plus1d_18.
"""

import torch
from torch import Tensor, nn

from taltool.nn.clips.conv3d import Conv3d


class R2Plus1D18(nn.Module):
    """R(2+1)D-18 (Tran and others, CVPR 2018) over RGB clips; classes None leaves the classifier out.

    Volumes (B, 512, T / 8, H / 16, W / 16), rounded up, are averaged over all of space and time after the last layer.
    """

    def __init__(self, classes: int | None = None) -> None:
        super().__init__()
        # The formula of section 3.5, as in `BasicBlock`, would give 83 channels; the checkpoint has 45.
        self.stem = nn.Sequential(*Conv2Plus1D(3, 64, 45, 7, 2, 1), nn.BatchNorm3d(64), nn.ReLU(inplace=True))
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.fc = nn.Linear(512, classes) if classes else None

    def forward(self, volume: Tensor) -> Tensor:
        """Features (B, 512) or logits (B, classes) of pixels (B, 3, T, H, W)."""
        volume = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(volume)))))
        features: Tensor = volume.float().mean((2, 3, 4))
        return features if self.fc is None else self.fc(features.to(self.fc.weight.dtype))


class BasicBlock(nn.Module):
    """A residual block of two (2+1)D convolutions; stride is that of the first, in space and in time."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        # As many parameters as a whole 3 x 3 x 3 convolution has (section 3.5); the checkpoint takes the number of the
        # first convolution for the second too.
        mid_channels = in_channels * channels * 27 // (in_channels * 9 + 3 * channels)
        first = Conv2Plus1D(in_channels, channels, mid_channels, 3, stride, stride)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))
        second = Conv2Plus1D(channels, channels, mid_channels, 3, 1, 1)
        self.conv2 = nn.Sequential(second, nn.BatchNorm3d(channels))
        self.downsample = None
        if stride > 1:
            shortcut = Conv3d(in_channels, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(channels))

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        kept = volume if self.downsample is None else self.downsample(volume)
        return torch.relu_(self.conv2(self.conv1(volume)).add_(kept))


class Conv2Plus1D(nn.Sequential):
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
