"""Losses, element by element in float32; the caller masks, sums and normalises.

Segments are told as distances (..., 2) from a location to the left and to the right, in any unit.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.nn.batch_statistics import batch_count

EPSILON = 1e-6


def softmax_focal_loss(logits: Tensor, labels: Tensor, background_alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """-alpha (1 - p)^gamma log p of the true class: (...,) for logits (..., K) and labels (...,) int64.

    Class 0 is background with weight `background_alpha`; actions weigh 1 - background_alpha (Lin et al., "Focal Loss
    for Dense Object Detection", Eq. 5, with a softmax as in AFSD).
    """
    log_p = F.log_softmax(logits.float(), dim=-1).gather(-1, labels[..., None]).squeeze(-1)
    alpha = torch.where(labels == 0, background_alpha, 1 - background_alpha)
    return -alpha * (1 - log_p.exp()).clamp(min=0) ** gamma * log_p


def sigmoid_focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """alpha_t (1 - p_t)^gamma times the binary cross entropy, elementwise for logits and targets (...) in [0, 1].

    p_t = p t + (1 - p)(1 - t), alpha_t likewise, which for t of 0 or 1 is Lin et al.'s Eq. 5 and goes on between
    (smoothed labels).
    """
    logits = logits.float()
    p = logits.sigmoid()
    missed = (p + targets - 2 * p * targets).clamp(min=0)  # 1 - p_t
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * missed**gamma * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def distance_tiou(distances: Tensor, targets: Tensor) -> Tensor:
    """Temporal IoU (...,) in [0, 1] of the segments that distances and targets (..., 2) span around one location.

    Distances may be negative as long as the segments do not turn round; where they do, the overlap is 0.
    """
    overlap = torch.minimum(distances, targets).sum(-1).clamp(min=0)
    union = distances.sum(-1) + targets.sum(-1) - overlap
    return overlap / union.clamp(min=EPSILON)


def tiou_loss(distances: Tensor, targets: Tensor) -> Tensor:
    """1 - tIoU (...,); equal to the generalised IoU loss, since segments around one location always touch."""
    return 1 - distance_tiou(distances.float(), targets.float())


def offset_loss(kind: str) -> Callable[..., Tensor]:
    """The elementwise regression loss of that name: "l1" or "smooth_l1" (Huber with threshold 1)."""
    return {"l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss}[kind]


def probability_bce(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of probabilities that may reach 0 or 1, elementwise; they are kept 1e-6 away from both."""
    clamped = probabilities.float().clamp(EPSILON, 1 - EPSILON)
    return -(labels * clamped.log() + (1 - labels) * (1 - clamped).log())


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, squared: bool = False, margin: float = 1.0
) -> Tensor:
    """max(d(anchor, positive) - d(anchor, negative) + margin, 0): (...,) for vectors (..., C).

    d is the Euclidean distance, or its square (AFSD Eq. 9, AMNet Eq. 2).
    """
    near, far = anchor.float() - positive.float(), anchor.float() - negative.float()
    if squared:
        return (near.square().sum(-1) - far.square().sum(-1) + margin).clamp(min=0)
    # The root's gradient at 0 is infinite; PyTorch's own triplet loss adds the same epsilon to the difference.
    return ((near + EPSILON).norm(dim=-1) - (far + EPSILON).norm(dim=-1) + margin).clamp(min=0)


def centerness(targets: Tensor) -> Tensor:
    """sqrt(min / max) (...,) of the two target distances (..., 2): 1 in the middle of a segment (FCOS, Eq. 3)."""
    targets = targets.clamp(min=0)
    return (targets.amin(-1) / targets.amax(-1).clamp(min=EPSILON)).sqrt()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean (B,) of values (B, ...) where the equally shaped mask is true; 0, attached, where it nowhere is."""
    weights = mask.to(values.dtype).flatten(1)
    return (values.flatten(1) * weights).sum(1) / weights.sum(1).clamp(min=1)


def normalised_sum(values: Tensor, mask: Tensor, count: Tensor, *, per_sample: bool) -> Tensor:
    """The scalar sum of values (B, N) under mask (B, N) over max(count, 1), count (B,).

    per_sample: every sample by its own count, then the mean over samples; otherwise all samples by the common count.
    """
    sums = torch.where(mask, values, 0).sum(1)
    if per_sample:
        return (sums / count.clamp(min=1)).mean()
    return sums.sum() / batch_count(count.sum())


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
