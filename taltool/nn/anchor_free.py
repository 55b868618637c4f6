"""Anchor-free prediction on the locations of a pyramid, the same network at every level."""

import torch
from torch import Tensor, nn

from taltool.nn.conv import ConvStack, NormKind, SameConv1d

# exp(10) frames are 37 minutes at 10 frames/s; beyond it exp overflows in half precision.
MAX_LOG_DISTANCE = 10.0


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
