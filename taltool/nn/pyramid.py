"""Feature pyramids over time: their levels packed on a single axis, where locations lie, and what predicts there.

A network that shares its weights over the levels of a pyramid is usually run once per level. Here the levels stand in
one sequence with a gap of one position between neighbours,

    level 0 (T), gap, level 1 (T/2), gap, level 2 (T/4) ...

and every convolution of width 3 runs once. Gaps are treated exactly like padding: they are zero after every block, so
a level sees the same zeros beyond its ends as it would alone, and statistics of norms are taken per level, over valid
positions only. Padding stands at the end of a sample. Every packed position that is no gap is a location, at which
anchor-free models predict, with heads that are the same network at every level; its centre is in snippets of the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.nn.conv import Axis, ConvBlock, ConvStack, NormKind, SameConv1d

# exp(10) frames are 37 minutes at 10 frames/s; beyond it exp overflows in half precision.
MAX_LOG_DISTANCE = 10.0


def padded_to_multiple(features: Tensor, mask: Tensor, multiple: int) -> tuple[Tensor, Tensor]:
    """Features (B, C, T) and mask (B, T) with padding added at the end until `multiple` divides T."""
    missing = -mask.shape[1] % multiple
    if not missing:
        return features, mask
    return F.pad(features, (0, missing)), F.pad(mask, (0, missing))


def level_masks(mask: Tensor, levels: int) -> list[Tensor]:
    """Validity (B, T / 2^l) of the positions of each level: a position is valid if its first snippet is.

    mask (B, T) bool with padding at the end and T divisible by 2^(levels - 1).
    """
    return [mask[:, :: 2**level] for level in range(levels)]


@dataclass(frozen=True)
class LevelLayout:
    """Where pyramid levels of the given lengths stand on a packed axis of `size` positions."""

    lengths: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The packed position of the first element of each level."""
        return tuple(sum(self.lengths[:level]) + level for level in range(len(self.lengths)))

    @property
    def size(self) -> int:
        """The number P of packed positions, gaps included."""
        return sum(self.lengths) + len(self.lengths) - 1

    def pack(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels (B, C, T_l) behind one another with gaps of zero: (B, C, P)."""
        padded = [F.pad(level, (0, 1)) for level in levels[:-1]]
        return torch.cat([*padded, levels[-1]], dim=2)

    def unpack(self, packed: Tensor) -> list[Tensor]:
        """The levels (..., T_l) of a packed tensor (..., P)."""
        return [packed[..., s : s + n] for s, n in zip(self.starts, self.lengths, strict=True)]

    def axis(self, masks: Sequence[Tensor]) -> Axis:
        """The packed axis of levels whose validity masks are (B, T_l) bool; a gap belongs to the level before it."""
        packed = self.pack([mask[:, None].float() for mask in masks])
        spans = torch.tensor([*(n + 1 for n in self.lengths[:-1]), self.lengths[-1]], device=packed.device)
        levels = torch.arange(len(self.lengths), device=packed.device)
        return Axis.of(packed, torch.repeat_interleave(levels, spans), len(self.lengths))


@dataclass(frozen=True)
class PyramidGrid:
    """The packed positions (P,) of a pyramid over B samples of T snippets, mask (B, T) bool.

    index (P,) counts within a level; stride (P,) is the level's step and centre (P,) = (index + 0.5) * stride the
    place of the location, both in snippets. A gap continues the level before it. locations (N,) int64 are the positions
    that are locations, not gaps, in order of levels.
    """

    mask: Tensor
    layout: LevelLayout
    axis: Axis
    index: Tensor
    stride: Tensor
    centre: Tensor
    locations: Tensor

    @classmethod
    def of(cls, mask: Tensor, levels: int) -> "PyramidGrid":
        """The grid of `levels` levels over mask (B, T); 2^(levels - 1) divides T."""
        masks = level_masks(mask, levels)
        layout = LevelLayout(tuple(level_mask.shape[1] for level_mask in masks))
        axis = layout.axis(masks)
        places = torch.arange(axis.mask.shape[2], device=mask.device)
        index = places - torch.tensor(layout.starts, device=mask.device)[axis.level]
        stride = 2.0**axis.level
        return cls(
            mask=mask,
            layout=layout,
            axis=axis,
            index=index,
            stride=stride,
            centre=(index + 0.5) * stride,
            locations=torch.cat(layout.unpack(places)),
        )


class StridedPyramid(nn.Module):
    """A projection of snippet features, then one convolution of width 3 and stride 2 for each further level.

    AFSD on features, AMNet and ActionFormer's kind have this shape. projection_width is the kernel of level 0.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        levels: int,
        *,
        projection_width: int = 1,
        norm: NormKind = "gn",
        groups: int = 32,
    ) -> None:
        super().__init__()
        self.projection = ConvBlock(channels, width, projection_width, norm=norm, groups=groups)
        self.reductions = nn.ModuleList(
            ConvBlock(width, width, 3, stride=2, norm=norm, groups=groups) for _ in range(levels - 1)
        )

    def project(self, features: Tensor, mask: Tensor) -> Tensor:
        """Level 0 alone, (B, width, T), of features (B, channels, T) with mask (B, T) bool."""
        return self.projection(features, Axis.single(mask))

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """All levels (B, width, T / 2^l), zero in padding; 2^(levels - 1) must divide T."""
        levels = [self.project(features, mask)]
        masks = level_masks(mask, len(self.reductions) + 1)
        for reduction, reduced_mask in zip(self.reductions, masks[1:], strict=True):
            levels.append(reduction(levels[-1], Axis.single(reduced_mask)))
        return levels


class AnchorFreeHeads(nn.Module):
    """Two towers shared by all levels, with the distances to both ends and the class of each position.

    Each level has a learnable scale of its distances. head_width is the kernel of the last layer of both: 3 in AFSD's
    coarse predictor (section 3.1), 1 in AMNet's heads (Eq. 10).
    """

    def __init__(
        self,
        width: int,
        outputs: int,
        levels: int,
        norm: NormKind,
        groups: int = 32,
        *,
        layers: int = 2,
        head_width: int = 3,
    ) -> None:
        super().__init__()
        kernels = (3,) * layers
        self.location_tower = ConvStack(width, width, kernels, norm, groups)
        self.class_tower = ConvStack(width, width, kernels, norm, groups)
        self.distance_head = SameConv1d(width, 2, head_width)
        self.class_head = SameConv1d(width, outputs, head_width)
        self.scales = nn.Parameter(torch.ones(levels))

    def scaled(self, location: Tensor, level: Tensor) -> Tensor:
        """scale_l * x (B, 2, P) for tower features (B, C, P) whose positions have the given levels (P,)."""
        return self.distance_head(location).float() * self.scales[level]

    def distances(self, location: Tensor, level: Tensor) -> Tensor:
        """exp(scale_l * x) (B, 2, P), positive; see `scaled`."""
        return self.scaled(location, level).clamp(max=MAX_LOG_DISTANCE).exp()
