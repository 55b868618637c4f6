"""Inception-I3D: Carreira, Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017; 1,024 features.

Tensors have the names of the PyTorch port github.com/piergiaj/pytorch-i3d.
"""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn

from taltool.nn.clips.fine_tuning import recomputed
from taltool.nn.clips.layers import Conv3d, SameConv3d, SameMaxPool3d, Triple
from taltool.nn.clips.overlapping import OverlappingClips

# Channels of the branches of each block: 1x1x1; reduction and 3x3x3; reduction and 3x3x3; projection after pooling.
_BLOCKS = {
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
# Kernel and stride of the pooling before a block.
_POOLS: dict[str, tuple[Triple, Triple]] = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


class InceptionI3D(OverlappingClips):
    """Inception-I3D (Carreira and Zisserman, CVPR 2017); classes None leaves the classifier out.

    Pixels (B, in_channels, T, H, W) become volumes (B, 1024, T / 8, H / 32, W / 32), rounded up, which are averaged
    over all of space (in the paper over the 7 x 7 cells of 224 x 224 pixels) and over every two neighbouring steps in
    time. The classifier sees each of these T / 8 - 1 steps (at least one); a clip's features or logits are their mean.

    All channels are divided by `divisor`. With `checkpointing`, a training of end points keeps only what lies between
    the blocks.
    """

    def __init__(
        self, in_channels: int, classes: int | None = None, *, divisor: int = 1, checkpointing: bool = False
    ) -> None:
        super().__init__()
        self.checkpointing = checkpointing
        stem, channels = (max(1, width // divisor) for width in (64, 192))
        self.Conv3d_1a_7x7 = _Unit3D(in_channels, stem, (7, 7, 7), (2, 2, 2))
        self.pool_2a = SameMaxPool3d((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = _Unit3D(stem, stem, (1, 1, 1))
        self.Conv3d_2c_3x3 = _Unit3D(stem, channels, (3, 3, 3))
        self.channels: dict[str, int] = {}
        for name, branches in _BLOCKS.items():
            if name in _POOLS:
                self.add_module(f"before_{name}", SameMaxPool3d(*_POOLS[name]))
            block = _InceptionBlock(channels, tuple(max(1, width // divisor) for width in branches))
            self.add_module(name, block)
            self.channels[name] = channels = block.out_channels
        self.logits = _Classifier(channels, classes) if classes else None

    @property
    def first(self) -> Conv3d:
        """The convolution of the stem."""
        return self.Conv3d_1a_7x7.conv3d

    def end_points(self, volume: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """What the blocks `names` give of pixels (B, in_channels, T, H, W), before any mean over space.

        Mixed_4f gives (B, 832, T / 4, H / 16, W / 16), Mixed_5c (B, 1024, T / 8, H / 32, W / 32), all rounded up and
        their channels divided by the divisor.
        """
        found = {}
        for name, module in self._segments(names):
            volume = recomputed(module, volume) if self.checkpointing else module(volume)
            if name in names:
                found[name] = volume
        return found

    def _segments(self, names: Collection[str]) -> Iterator[tuple[str, nn.Module]]:
        """The modules in the order in which they run, a pooling together with the block before it unless that is named.

        What is kept between them is then small.
        """
        segments: list[tuple[str, list[nn.Module]]] = []
        for name, module in self.named_children():
            if isinstance(module, SameMaxPool3d) and segments[-1][0] not in names:
                segments[-1][1].append(module)
            elif name != "logits":
                segments.append((name, [module]))
        return ((name, nn.Sequential(*modules)) for name, modules in segments)

    def rest(self, volume: Tensor) -> Tensor:
        """Features (B, 1024), or logits (B, classes), of what the first convolution gives, (B, 64, T', H', W')."""
        return self.steps(volume).mean(2)

    def steps(self, volume: Tensor) -> Tensor:
        """The same at every step in time, (B, 1024 or classes, T / 8 - 1)."""
        volume = self.Conv3d_1a_7x7.activate(volume)
        for name, module in self.named_children():
            if name not in ("Conv3d_1a_7x7", "logits"):
                volume = module(volume)
        steps = volume.float().mean((3, 4))  # (B, 1024, T / 8)
        if steps.shape[2] > 1:
            steps = (steps[:, :, 1:] + steps[:, :, :-1]) / 2
        return steps if self.logits is None else self.logits(steps)


class _Unit3D(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.conv3d = SameConv3d(in_channels, out_channels, kernel_size, stride)
        self.bn = nn.BatchNorm3d(out_channels, eps=0.001)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C_out, T', H', W')."""
        return self.activate(self.conv3d(volume))

    def activate(self, convolved: Tensor) -> Tensor:
        """What follows the convolution, (B, C_out, T', H', W'); may change its argument."""
        return torch.relu_(self.bn(convolved))


class _InceptionBlock(nn.Module):
    """Four branches side by side; branches has their channels as in `_BLOCKS`."""

    def __init__(self, in_channels: int, branches: tuple[int, ...]) -> None:
        super().__init__()
        one, cube = (1, 1, 1), (3, 3, 3)
        self.out_channels = branches[0] + branches[2] + branches[4] + branches[5]
        self.b0 = _Unit3D(in_channels, branches[0], one)
        self.b1a = _Unit3D(in_channels, branches[1], one)
        self.b1b = _Unit3D(branches[1], branches[2], cube)
        self.b2a = _Unit3D(in_channels, branches[3], one)
        self.b2b = _Unit3D(branches[3], branches[4], cube)
        self.pool = SameMaxPool3d(cube, one)
        self.b3b = _Unit3D(in_channels, branches[5], one)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, out_channels, T, H, W)."""
        branches = self.b0(volume), self.b1b(self.b1a(volume)), self.b2b(self.b2a(volume))
        return torch.cat([*branches, self.b3b(self.pool(volume))], dim=1)


class _Classifier(nn.Module):
    """A linear layer under the name and in the shape that it has in the checkpoint."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, classes, 1)

    def forward(self, steps: Tensor) -> Tensor:
        """Logits (B, classes, T) of features (B, C, T)."""
        scores = self.conv3d(steps[..., None, None].to(self.conv3d.weight.dtype))
        return scores.float()[..., 0, 0]
