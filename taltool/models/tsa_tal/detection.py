"""What TSA-TAL predicts for each snippet, and how that is interpolated to positions between snippets."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.nn.packed_pyramid import Axis
from taltool.nn.targets import cell_centres

# In the order in which the network predicts; all have the same heads' outputs.
STAGES = ("coarse", "refined", "final")


class Detection(NamedTuple):
    """The predictions of one stage: class logits (B, T, K + 1), background first; actionness logits (B, T); distances
    (B, T, 2) in snippets from the centre of each snippet to both ends of its action."""

    logits: Tensor
    actionness: Tensor
    distances: Tensor

    @classmethod
    def of(cls, outputs: Outputs, stage: str) -> "Detection":
        """Those of `stage` among the named outputs of the model."""
        return cls(*(outputs[f"{stage}_{name}"] for name in cls._fields))

    @property
    def intervals(self) -> Tensor:
        """The segments (B, T, 2) around the centres, on the grid, not clipped."""
        centres = cell_centres(self.distances.shape[1], self.distances.device)
        return torch.stack([centres - self.distances[..., 0], centres + self.distances[..., 1]], dim=-1)


def upsampled(features: Tensor, axis: Axis, factor: int) -> Tensor:
    """Features (B, C, T) linearly interpolated to `factor` times their length (align_corners=False).

    Beyond the last valid position its own value continues, so that padding does not leak into the end.
    """
    if factor == 1:
        return features
    last = (axis.mask.sum(-1).long() - 1).clamp(min=0)  # (B, 1)
    index = torch.minimum(torch.arange(features.shape[-1], device=features.device), last)
    filled = features.gather(2, index[:, None].expand_as(features))
    return F.interpolate(filled, scale_factor=factor, mode="linear", align_corners=False)
