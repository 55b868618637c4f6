"""The locations of a temporal pyramid: where on the input each packed position stands."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taltool.nn.packed_pyramid import Axis, LevelLayout, level_masks


@dataclass(frozen=True)
class PyramidGrid:
    """The packed positions (P,) of a pyramid over B samples of T snippets, mask (B, T) bool.

    index (P,) counts within a level; stride (P,) is the level's step and centre (P,) = (index + 0.5) * stride the
    place of the location, both in snippets. A gap continues the level before it.
    """

    mask: Tensor
    layout: LevelLayout
    axis: Axis
    index: Tensor
    stride: Tensor
    centre: Tensor

    @classmethod
    def of(cls, mask: Tensor, levels: int) -> "PyramidGrid":
        """The grid of `levels` levels over mask (B, T); 2^(levels - 1) divides T."""
        masks = level_masks(mask, levels)
        layout = LevelLayout(tuple(level_mask.shape[1] for level_mask in masks))
        axis = layout.axis(masks)
        starts = torch.tensor(layout.starts, device=mask.device)
        index = torch.arange(layout.size, device=mask.device) - starts[axis.level]
        stride = 2.0**axis.level
        return cls(mask, layout, axis, index, stride, (index + 0.5) * stride)

    @property
    def locations(self) -> Tensor:
        """The packed positions (N,) int64 that are locations, not gaps."""
        return self.layout.locations(self.mask.device)

    @property
    def valid(self) -> Tensor:
        """Which of the N locations are not padding: (B, N) bool."""
        return self.axis.mask[:, 0, self.locations] > 0

    def packed_regions(self, regions: Tensor) -> Tensor:
        """Regions (B, P, 4) of positions in units of their own level, as packed positions.

        They are clamped to the valid positions of the level, so that none reaches into a neighbour or padding.
        """
        starts = torch.tensor(self.layout.starts, device=regions.device)[self.axis.level]
        valid = torch.stack([mask.sum(1) for mask in level_masks(self.mask, self.axis.num_levels)], dim=1)
        last = (valid[:, self.axis.level] - 1).clamp(min=0)[..., None]  # (B, P, 1)
        return torch.minimum(regions.clamp(min=0), last) + starts[:, None]
