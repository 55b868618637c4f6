"""Anchor-free prediction: a feature pyramid over time, and heads that are the same network at every level of it."""

import torch
from torch import Tensor, nn

from taltool.nn.conv import ConvBlock, ConvStack, NormKind, SameConv1d
from taltool.nn.packed_pyramid import Axis, level_masks

# exp(10) frames are 37 minutes at 10 frames/s; beyond it exp overflows in half precision.
MAX_LOG_DISTANCE = 10.0


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
