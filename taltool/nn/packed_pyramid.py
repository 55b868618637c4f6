"""The time axis of a padded batch, pyramid levels packed on a single axis, and where their locations lie on the input.

A network that shares its weights over the levels of a pyramid is usually run once per level. Here the levels stand in
one sequence with a gap of one position between neighbours,

    level 0 (T), gap, level 1 (T/2), gap, level 2 (T/4) ...

and every convolution of width 3 runs once. Gaps are treated exactly like padding: they are zero after every block, so
a level sees the same zeros beyond its ends as it would alone, and statistics of norms are taken per level, over valid
positions only. Padding stands at the end of a sample. Every packed position that is no gap is a location, at which
anchor-free models predict; its centre is in snippets of the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """Which of P positions are real: mask (B, 1, P) float of 0 and 1; level (P,) int64 of `num_levels` levels."""

    mask: Tensor
    level: Tensor
    num_levels: int

    @cached_property
    def membership(self) -> Tensor:
        """1 where a position is of a level: (P, num_levels) float32."""
        return F.one_hot(self.level, self.num_levels).to(torch.float32)

    @cached_property
    def counts(self) -> Tensor:
        """The number of valid positions of each level, at least 1: (B, 1, num_levels) float32."""
        with torch.autocast(self.mask.device.type, enabled=False):
            return (self.mask @ self.membership).clamp(min=1)

    @classmethod
    def single(cls, mask: Tensor) -> "Axis":
        """The axis of one sequence per sample with validity mask (B, T) bool."""
        return cls(mask[:, None].float(), mask.new_zeros(mask.shape[1], dtype=torch.int64), 1)

    def level_means(self, values: Tensor) -> Tensor:
        """Means of values (B, G, P) over the valid positions of each level: (B, G, num_levels) float32.

        A level without a valid position gives 0.
        """
        with torch.autocast(values.device.type, enabled=False):
            return (values.float() * self.mask) @ self.membership / self.counts

    def spread(self, values: Tensor) -> Tensor:
        """Values (B, G, num_levels) of levels at each of their positions: (B, G, P)."""
        return values if self.num_levels == 1 else values[..., self.level]


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

    def level(self, device: torch.device) -> Tensor:
        """The level (P,) int64 that each packed position belongs to; a gap belongs to the level before it."""
        spans = torch.tensor([*(n + 1 for n in self.lengths[:-1]), self.lengths[-1]], device=device)
        return torch.repeat_interleave(torch.arange(len(self.lengths), device=device), spans)

    def locations(self, device: torch.device) -> Tensor:
        """The packed positions (N,) int64 that are not gaps, in order of levels."""
        return torch.cat(self.unpack(torch.arange(self.size, device=device)))

    def axis(self, masks: Sequence[Tensor]) -> Axis:
        """The packed axis of levels whose validity masks are (B, T_l) bool."""
        packed = self.pack([mask[:, None].float() for mask in masks])
        return Axis(packed, self.level(packed.device), len(self.lengths))


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
