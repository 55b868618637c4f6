"""Feature pyramids over time."""

from torch import Tensor, nn

from taltool.nn.conv import ConvBlock, NormKind
from taltool.nn.packed_pyramid import Axis, level_masks


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
