"""Losses of temporal segmentation masks: soft masks (..., T) in [0, 1] against binary ones, one number per mask.

The boundary of a mask is the band that an erosion takes away (Cheng et al., "Boundary IoU"; the differentiable erosion
is that of Riba et al., "Kornia"): with kernel 3, 0001111000 has the boundary 0001001000. The clip's ends count as
outside, so a mask that touches one has a boundary there. A mask no longer than kernel - 1 is boundary altogether.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def eroded(masks: Tensor, kernel: int) -> Tensor:
    """The minimum (..., T) over each centred window of `kernel` (odd) positions, zero beyond both ends."""
    padded = F.pad(masks, (kernel // 2, kernel // 2))
    return -F.max_pool1d(-padded.reshape(-1, 1, padded.shape[-1]), kernel, stride=1).view(masks.shape)


def boundary_band(masks: Tensor, kernel: int) -> Tensor:
    """What erosion with `kernel` takes from masks (..., T): their boundary, (..., T)."""
    return masks - eroded(masks, kernel)


def boundary_overlap(masks: Tensor, targets: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """Intersection and union (...,) of the boundaries of masks and targets (..., T).

    They are sums of minima and of maxima, so that equal masks, soft ones too, overlap completely.
    """
    bands, target_bands = boundary_band(masks, kernel), boundary_band(targets, kernel)
    return torch.minimum(bands, target_bands).sum(-1), torch.maximum(bands, target_bands).sum(-1)


def length_normalised_distance(masks: Tensor, targets: Tensor) -> Tensor:
    """||m - g||_2 / c (...,), c being the number of positions (at least 1) of the target (GSMT, Eq. 6)."""
    # The root's gradient at 0 is infinite.
    distance = ((masks - targets).square().sum(-1) + 1e-12).sqrt()
    return distance / targets.sum(-1).clamp(min=1)


def dice_loss(masks: Tensor, targets: Tensor, factor: float = 2.0) -> Tensor:
    """1 - factor * m.g / (m.m + g.g) (...,); two empty masks give 1 (Milletari et al., "V-Net": factor 2)."""
    overlap = (masks * targets).sum(-1)
    size = masks.square().sum(-1) + targets.square().sum(-1)
    return 1 - factor * overlap / size.clamp(min=1e-6)


def at_least_one(count: Tensor) -> Tensor:
    """What to divide by where `count` things were summed."""
    return count.clamp(min=1)


def balanced_bce(
    logits: Tensor, targets: Tensor, mask: Tensor, divisor: Callable[[Tensor], Tensor] = at_least_one
) -> Tensor:
    """-(mean of log p over positives + mean of log(1 - p) over negatives) / 2: (...,) for logits and targets (..., T).

    Positive is target > 0.5; mask (..., T) of 0 and 1 takes positions out. A kind that is absent adds nothing (the
    reference code of BSN's line gives inf * 0 there). divisor makes divisors (..., 1) of the counts of each kind.
    """
    positive = (targets > 0.5).float() * mask
    negative = mask - positive
    lost = positive * F.softplus(-logits.float()) / divisor(positive.sum(-1, keepdim=True))
    raised = negative * F.softplus(logits.float()) / divisor(negative.sum(-1, keepdim=True))
    return (lost + raised).sum(-1) / 2
