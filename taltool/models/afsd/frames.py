"""AFSD from pixels (section 3.1): Inception-I3D, which learns too, and the pyramid over what its blocks give.

The cells of a block's volume, 6 x 6 or 3 x 3 of 96 x 96 pixels, are the channels of one position in time: the authors'
convolutions over the whole of space are a projection of these.
"""

import torch
from torch import Tensor, nn

from taltool.models.afsd.config import AFSDConfig
from taltool.nn.clips.fine_tuning import freeze_norms
from taltool.nn.clips.inception_i3d import InceptionI3D
from taltool.nn.clips.layers import fold_norms, lay_channels_last
from taltool.nn.conv import Axis, ConvBlock
from taltool.nn.pyramid import StridedPyramid, level_masks

# Frames from one step in time of Mixed_5c to the next.
MIXED_5C_STRIDE = 8
# Pixels along each side of a cell of a block's volume.
_CELL_SIDES = {"Mixed_4f": 16, "Mixed_5c": 32}


def scaled(frames: Tensor, mask: Tensor) -> Tensor:
    """Pixels from -1 to 1, float32, of frames (B, C, T, H, W) from 0 to 255; 0 where mask (B, T) bool is False.

    So does the authors' code for ActivityNet; that for THUMOS14 pads with black, -1.
    """
    return frames.to(torch.float32, copy=True).div_(127.5).sub_(1).mul_(mask[:, None, :, None, None])


class FramePyramid(nn.Module):
    """Levels as of `StridedPyramid`, of clips (B, channels, T, crop, crop) from `scaled`.

    A position of level 0 is `frames_per_snippet` frames. 4, the form for THUMOS14: level 1 is a projection of Mixed_5c,
    level 0 one of Mixed_4f plus level 1, each position twice. 8, that for ActivityNet: level 0 is a projection of
    Mixed_5c. Every further level is a convolution of stride 2.

    I3D's batch norms are frozen, and all of it where `backbone_rate` is 0. Its weights begin as He draws them.
    """

    def __init__(self, channels: int, config: AFSDConfig) -> None:
        super().__init__()
        self.is_frozen = config.backbone_rate == 0
        self.backbone = InceptionI3D(
            channels, divisor=config.backbone_divisor, checkpointing=config.checkpointing and not self.is_frozen
        )
        for module in self.backbone.modules():
            if isinstance(module, nn.Conv3d):
                # Frozen norms do not make up for weights that are too small.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        freeze_norms(self.backbone)
        if self.is_frozen:
            self.backbone.requires_grad_(False)
        names = ("Mixed_5c",) if config.frames_per_snippet == MIXED_5C_STRIDE else ("Mixed_4f", "Mixed_5c")
        self.sides = {name: -(-config.crop // _CELL_SIDES[name]) for name in names}
        cells = {name: self.backbone.channels[name] * side**2 for name, side in self.sides.items()}
        width, norm, groups = config.width, config.norm, config.groups
        levels = config.levels - len(names) + 1
        self.coarse = StridedPyramid(cells["Mixed_5c"], width, levels, norm=norm, groups=groups)
        _draw(self.coarse.projection, self.sides["Mixed_5c"])
        self.fine = None
        if "Mixed_4f" in names:
            self.fine = ConvBlock(cells["Mixed_4f"], width, 1, norm=norm, groups=groups)
            _draw(self.fine, self.sides["Mixed_4f"])

    @property
    def projection(self) -> ConvBlock:
        """The block, behind the backbone, that every level depends on."""
        return self.coarse.projection

    def project(self, volume: Tensor, mask: Tensor) -> Tensor:
        """Level 0 alone, (B, width, T / frames_per_snippet), whose valid positions mask (B, ...) bool tells."""
        ends = self._end_points(volume)
        if self.fine is None:
            return self.coarse.project(ends["Mixed_5c"], mask)
        _, half = level_masks(mask, 2)
        return self._merged(ends["Mixed_4f"], self.coarse.project(ends["Mixed_5c"], half), mask)

    def forward(self, volume: Tensor, mask: Tensor) -> list[Tensor]:
        """All levels, zero in padding; see `project`."""
        ends = self._end_points(volume)
        if self.fine is None:
            return self.coarse(ends["Mixed_5c"], mask)
        _, half = level_masks(mask, 2)
        levels = self.coarse(ends["Mixed_5c"], half)
        return [self._merged(ends["Mixed_4f"], levels[0], mask), *levels]

    def prepare_inference(self) -> None:
        """Fold the backbone's norms into its convolutions and lay memory out for them; nothing learns any more."""
        lay_channels_last(fold_norms(self.backbone))

    def _end_points(self, volume: Tensor) -> dict[str, Tensor]:
        """What the pyramid begins with, (B, cells * channels, positions)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_frozen):
            ends = self.backbone.end_points(volume, tuple(self.sides))
        return {name: end.permute(0, 1, 3, 4, 2).flatten(1, 3) for name, end in ends.items()}

    def _merged(self, cells: Tensor, level1: Tensor, mask: Tensor) -> Tensor:
        """Level 0 of the cells of Mixed_4f and of the level above it."""
        assert self.fine is not None
        axis = Axis.single(mask)
        return self.fine(cells, axis) + level1.repeat_interleave(2, dim=2) * axis.mask


def _draw(block: ConvBlock, side: int) -> None:
    """Xavier's weights for a convolution over side x side cells, which is what the projection of them stands for."""
    weight = block.conv.weight  # (C_out, C * side * side, 1)
    nn.init.xavier_uniform_(weight.data.view(len(weight), -1, side, side))
