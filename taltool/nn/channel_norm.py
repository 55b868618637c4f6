"""Layer normalisation of sequences that keep their channels before time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.nn.packed_pyramid import Axis


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each position (Ba et al., "Layer Normalization"), in float32 also under autocast.

    A position's statistics are its own, so padding and gaps of the axis need no care.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Normalise features (B, C, P) of any axis."""
        rows = features.float().transpose(1, 2)
        return F.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps).transpose(1, 2)
