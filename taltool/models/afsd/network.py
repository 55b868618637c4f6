"""The parts of AFSD's network (section 3.2): frame-level feature, refinement. The coarse predictor is
`taltool.nn.pyramid`.

Distances, centres and boundary regions are in frames; a level's own positions are `frames * stride` apart.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.models.afsd.config import PoolKind, RefineKind, RegionKind
from taltool.models.afsd.pooling import BoundaryPool, boundary_regions
from taltool.nn.conv import Axis, ConvBlock, ConvStack, NormKind, SameConv1d
from taltool.nn.pyramid import PyramidGrid, level_masks

# The divisors of Eq. 3 inside and outside of a segment. The paper's a = 4, b = 10 make the outside larger as printed,
# and as section 3.3 has it; section 4.3 on Table 2c, and the code, want the inside larger.
REGION_DIVISORS = {"inside": (4.0, 10.0), "outside": (10.0, 4.0), "symmetric": (4.0, 4.0)}


class BoundaryFeatures(NamedTuple):
    """What boundary consistency learning looks at, start-sensitive channels first.

    frame (B, C, F) is the frame-level feature, branches are level 0's features (B, 2C, T) of the location and class
    branch; either may be absent (None, empty). mask (B, T) bool and frame_mask (B, F) bool tell what is valid.
    """

    frame: Tensor | None
    branches: tuple[Tensor, ...]
    mask: Tensor
    frame_mask: Tensor

    def sources(self) -> list[tuple[str, Tensor, Tensor]]:
        """(name, features, mask) of each that is there."""
        named = [] if self.frame is None else [("frame", self.frame, self.frame_mask)]
        names = ("location", "class")
        return named + [(n, f, self.mask) for n, f in zip(names, self.branches, strict=False)]


class RepeatedConv(nn.Module):
    """A convolution of width 3 that takes every position to stand `times` > 1 times in a row.

    Every repetition but the first and the last sees its own position under all three taps, so each tap is multiplied
    once per position, not once per repetition.
    """

    def __init__(self, conv: SameConv1d, times: int) -> None:
        super().__init__()
        self.weight, self.bias, self.times = conv.weight, conv.bias, times

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, T) to (B, C_out, T * times)."""
        taps = self.weight.permute(2, 0, 1).flatten(0, 1)[..., None]  # (3 * C_out, C, 1)
        before, here, after = F.conv1d(features, taps).chunk(3, dim=1)
        here = here if self.bias is None else here + self.bias[:, None]
        first = F.pad(before, (1, 0))[..., :-1] + here + after
        last = before + here + F.pad(after, (0, 1))[..., 1:]
        inner = [before + here + after] * (self.times - 2)
        return torch.stack([first, *inner, last], dim=3).flatten(2)


class FrameStack(ConvStack):
    """The convolutions of the frame-level feature, of which the first, of width 3, has `frames` positions a snippet.

    Maps (B, C_in, T) to (B, C_out, T * frames), which the axis describes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: tuple[int, ...],
        frames: int,
        norm: NormKind = "gn",
        groups: int = 32,
    ) -> None:
        super().__init__(in_channels, out_channels, widths, norm, groups)
        first = self.blocks[0]
        if frames > 1:
            first.conv = RepeatedConv(first.conv, frames)  # type: ignore[arg-type]


class RefinementBranch(nn.Module):
    """Saliency-based refinement of one tower; AFSD has one for boundaries and one for classes.

    refine names the sources (Table 2d): all = tower, its pooled boundaries, pooled frame-level boundaries; self =
    without the frame level; frame = the frame level alone; naive = two more convolutions, no boundaries.
    """

    def __init__(self, width: int, refine: RefineKind, pool: PoolKind, norm: NormKind, groups: int) -> None:
        super().__init__()
        self.naive = ConvStack(width, width, (3, 3), norm, groups) if refine == "naive" else None
        self.roi = self.current = self.sensitive = self.pool = None
        inputs = 0
        if refine in ("all", "frame"):
            self.roi = ConvBlock(BoundaryPool.widened(pool, width), width, 1, norm=norm, groups=groups)
            inputs += width
        if refine in ("all", "self"):
            self.current = ConvBlock(width, width, 1, norm=norm, groups=groups)
            self.sensitive = ConvBlock(width, 2 * width, 1, norm=norm, groups=groups)
            self.pool = BoundaryPool(pool, 2 * width)
            inputs += width + self.pool.out_channels
        self.merge = ConvBlock(inputs, width, 1, norm=norm, groups=groups) if inputs else None

    def sensitive_features(self, features: Tensor, axis: Axis) -> tuple[Tensor, ...]:
        """Eq. 2: one tensor (B, 2C, P), or nothing if this branch does not look at the boundaries of its level."""
        return () if self.sensitive is None else (self.sensitive(features, axis),)

    def forward(
        self, features: Tensor, sensitive: tuple[Tensor, ...], pooled: Tensor | None, regions: Tensor, axis: Axis
    ) -> Tensor:
        """Eq. 5: refine features (B, C, P). pooled (B, C', P) are frame-level boundaries, regions (B, P, 4) packed."""
        if self.naive is not None:
            return self.naive(features, axis)
        sources = [self.roi(pooled, axis)] if self.roi is not None else []
        for own in sensitive:
            sources += [self.pool(own, regions), self.current(features, axis)]  # type: ignore[misc]
        return self.merge(torch.cat(sources, dim=1), axis)  # type: ignore[misc]


class Refinement(nn.Module):
    """Section 3.2: offsets and classes of every position from the boundaries that the coarse predictor found."""

    def __init__(
        self,
        width: int,
        outputs: int,
        frames: int,
        refine: RefineKind,
        pool: PoolKind,
        region: RegionKind,
        norm: NormKind,
        groups: int,
    ) -> None:
        super().__init__()
        self.frames, self.divisors = frames, REGION_DIVISORS[region]
        self.frame_stack = self.frame_pool = None
        if refine in ("all", "frame"):
            self.frame_stack = FrameStack(width, width, (3, 3, 1), frames, norm, groups)
            self.frame_pool = BoundaryPool(pool, width)
        self.location_branch = RefinementBranch(width, refine, pool, norm, groups)
        self.class_branch = RefinementBranch(width, refine, pool, norm, groups)
        self.offset_head = SameConv1d(width, 2, 1)
        self.class_head = SameConv1d(width, outputs, 1)

    def boundary_features(self, level0: Tensor, location: Tensor, classes: Tensor, mask: Tensor) -> BoundaryFeatures:
        """What consistency learning needs of level 0 and its towers (B, C, T) alone."""
        axis = Axis.single(mask)
        branches = self.location_branch.sensitive_features(location, axis)
        branches += self.class_branch.sensitive_features(classes, axis)
        frame_mask = mask.repeat_interleave(self.frames, dim=1)
        frame = None if self.frame_stack is None else self.frame_stack(level0, Axis.single(frame_mask))
        return BoundaryFeatures(frame, branches, mask, frame_mask)

    def forward(
        self, level0: Tensor, location: Tensor, classes: Tensor, distances: Tensor, grid: PyramidGrid
    ) -> tuple[Tensor, Tensor, BoundaryFeatures]:
        """Refined location and class features (B, C, P), and what consistency learning needs.

        level0 (B, C, T); tower features location, classes (B, C, P); coarse distances (B, 2, P) in frames.
        """
        distances = distances.detach()
        frame_mask = grid.mask.repeat_interleave(self.frames, dim=1)
        frame = pooled = None
        if self.frame_stack is not None and self.frame_pool is not None:
            frame = self.frame_stack(level0, Axis.single(frame_mask))
            pooled = self.frame_pool(frame, self._frame_regions(distances, grid))
        regions = self._level_regions(distances, grid)
        of_location = self.location_branch.sensitive_features(location, grid.axis)
        of_class = self.class_branch.sensitive_features(classes, grid.axis)
        refined_location = self.location_branch(location, of_location, pooled, regions, grid.axis)
        refined_class = self.class_branch(classes, of_class, pooled, regions, grid.axis)
        level0_branches = tuple(grid.layout.unpack(branch)[0] for branch in of_location + of_class)
        return refined_location, refined_class, BoundaryFeatures(frame, level0_branches, grid.mask, frame_mask)

    def _level_regions(self, distances: Tensor, grid: PyramidGrid) -> Tensor:
        """Regions (B, P, 4) in packed positions of each location's own level."""
        left, right = (distances / (self.frames * grid.stride)).unbind(1)  # (B, P) each, in positions of the level
        regions = boundary_regions(grid.index - left, grid.index + right, left + right, *self.divisors)
        return packed_regions(regions, grid)

    def _frame_regions(self, distances: Tensor, grid: PyramidGrid) -> Tensor:
        """Regions (B, P, 4) in frames, clamped to the valid ones."""
        left, right = distances.unbind(1)
        starts, ends = grid.centre * self.frames - left, grid.centre * self.frames + right
        regions = boundary_regions(starts, ends, ends - starts + 1, *self.divisors)
        last = (grid.mask.sum(1) * self.frames - 1).clamp(min=0)[:, None, None]
        return torch.minimum(regions.clamp(min=0), last)


def packed_regions(regions: Tensor, grid: PyramidGrid) -> Tensor:
    """Regions (B, P, 4) of positions in units of their own level, as packed positions.

    They are clamped to the valid positions of the level, so that none reaches into a neighbour or padding.
    """
    level = grid.axis.level
    starts = torch.tensor(grid.layout.starts, device=regions.device)[level]
    valid = torch.stack([mask.sum(1) for mask in level_masks(grid.mask, grid.axis.num_levels)], dim=1)
    last = (valid[:, level] - 1).clamp(min=0)[..., None]  # (B, P, 1)
    return torch.minimum(regions.clamp(min=0), last) + starts[:, None]
