"""R(2+1)D-18: Tran and others, "A Closer Look at Spatiotemporal Convolutions", CVPR 2018; 512 features, RGB.

The checkpoint is torchvision's r2plus1d_18 on Kinetics (r2plus1d_18-91a641e6.pth, tensors `stem.0.weight`,
`layer1.0.conv1.0.0.weight` ...). It saw 16 frames at 15 a second, squeezed to 128 x 171 pixels, of which 112 x 112 are
seen, normalised by the mean and deviation of Kinetics.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import NetworkBackbone, Normalisation
from taltool.data.downloads import Published
from taltool.errors import UsageError
from taltool.nn.clips.conv3d import Conv3d
from taltool.video.frames import FrameFormat

_ADDRESS = "https://download.pytorch.org/models/r2plus1d_18-91a641e6.pth"
_MEAN, _DEVIATION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
_LEAST = 32


@dataclass(frozen=True)
class R2Plus1DConfig:
    """height, width: pixels to which pictures are squeezed; crop: side of the middle square that is seen; output: what
    stands before the classifier, or the scores of its `classes` before any softmax."""

    height: int = 128
    width: int = 171
    crop: int = 112
    output: Literal["features", "logits"] = "features"
    classes: int = 400

    def __post_init__(self) -> None:
        if not _LEAST <= self.crop <= min(self.height, self.width):
            raise UsageError(f"crop = {self.crop}: must be {_LEAST} to {min(self.height, self.width)} (pixels)")


@BACKBONES.register("r2plus1d")
class R2Plus1D(NetworkBackbone):
    """R(2+1)D-18; see the module."""

    Config = R2Plus1DConfig
    window, stride, fps = 16, 8, 15.0
    published: ClassVar = {"rgb": Published(_ADDRESS, "sha256:91a641e6")}
    width, classifier = 512, "fc."
    normalisation: ClassVar = {
        "rgb": Normalisation([255 * mean for mean in _MEAN], [255 * each for each in _DEVIATION])
    }

    @property
    def frame_format(self) -> FrameFormat:
        """Colours, squeezed to one size."""
        return FrameFormat("rgb", exact=(self.config.height, self.config.width))

    def build(self) -> nn.Module:
        """The network; with the classifier only where its logits are asked for."""
        return R2Plus1D18(self.classes)


def factorised(in_channels: int, out_channels: int, between: int, side: int, stride: int, step: int) -> nn.Sequential:
    """A convolution over space, batch norm, ReLU, a convolution over three steps in time."""
    return nn.Sequential(
        Conv3d(in_channels, between, (1, side, side), (1, stride, stride), (0, side // 2, side // 2), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(inplace=True),
        Conv3d(between, out_channels, (3, 1, 1), (step, 1, 1), (1, 0, 0), bias=False),
    )


class Block(nn.Module):
    """A residual block of two factorised convolutions."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        # As many parameters as a whole 3 x 3 x 3 convolution has (section 3.5); the checkpoint takes the number of the
        # first convolution for the second too.
        between = in_channels * channels * 27 // (in_channels * 9 + 3 * channels)
        first = factorised(in_channels, channels, between, 3, stride, stride)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))
        second = factorised(channels, channels, between, 3, 1, 1)
        self.conv2 = nn.Sequential(second, nn.BatchNorm3d(channels))
        self.downsample = None
        if stride > 1:
            shortcut = Conv3d(in_channels, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(channels))

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        kept = volume if self.downsample is None else self.downsample(volume)
        return torch.relu_(self.conv2(self.conv1(volume)).add_(kept))


class R2Plus1D18(nn.Module):
    """The network; classes None leaves the classifier out."""

    def __init__(self, classes: int | None) -> None:
        super().__init__()
        self.stem = factorised(3, 64, 45, 7, 2, 1).extend([nn.BatchNorm3d(64), nn.ReLU(inplace=True)])
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = nn.Linear(512, classes) if classes else None

    def forward(self, volume: Tensor) -> Tensor:
        """Features (B, 512) or logits (B, classes) of pixels (B, 3, T, H, W)."""
        volume = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(volume)))))
        features: Tensor = volume.float().mean((2, 3, 4))
        return features if self.fc is None else self.fc(features.to(self.fc.weight.dtype))
