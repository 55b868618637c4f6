"""Losses that several models share, in float32: of class scores, of segments, of embeddings, and how they are averaged.

`normalised_sum` and `balanced_bce` divide by what was counted; the others are element by element, and the caller masks,
sums and normalises. What is counted over a batch becomes a divisor by `taltool.nn.whole_batch.WholeBatch`. Segments are
given as distances (..., 2) from a location to the left and to the right, in any unit.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6


def softmax_focal_loss(logits: Tensor, labels: Tensor, background_alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """-alpha (1 - p)^gamma log p of the true class: (...,) for logits (..., K) and labels (...,) int64.

    Class 0 is background with weight `background_alpha`; actions weigh 1 - background_alpha (Lin et al., "Focal Loss
    for Dense Object Detection", Eq. 5, with a softmax as in AFSD).
    """
    log_p = F.log_softmax(logits.float(), dim=-1).gather(-1, labels[..., None]).squeeze(-1)
    alpha = torch.where(labels == 0, background_alpha, 1 - background_alpha)
    return -alpha * (1 - log_p.exp()).clamp(min=0) ** gamma * log_p


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


def normalised_sum(values: Tensor, mask: Tensor, divisor: Tensor) -> Tensor:
    """The scalar sum of values (B, N) under mask (B, N) over a divisor of the batch (), or the mean over samples of
    each one's sum over its own (B,)."""
    sums = torch.where(mask, values, 0).sum(1)
    return (sums / divisor).mean() if divisor.ndim else sums.sum() / divisor


def balanced_bce(
    logits: Tensor, targets: Tensor, mask: Tensor, divisors: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """-(mean of log p over positives + mean of log(1 - p) over negatives) / 2: (...,) for logits and targets (..., T).

    Positive is target > 0.5; mask (..., T) of 0 and 1 takes positions out. A kind that is absent adds nothing (the
    reference code of BSN's line gives inf * 0 there). divisors: what the sums over positives and over negatives are
    divided by in place of the number of each.
    """
    positive = (targets > 0.5).float() * mask
    negative = mask - positive
    if divisors is None:
        divisors = positive.sum(-1, keepdim=True).clamp(min=1), negative.sum(-1, keepdim=True).clamp(min=1)
    lost = positive * F.softplus(-logits.float()) / divisors[0]
    raised = negative * F.softplus(logits.float()) / divisors[1]
    return (lost + raised).sum(-1) / 2


def batch_balanced_bce(
    name: str, logits: Tensor, targets: Tensor, mask: Tensor, divisors: Mapping[str, Tensor]
) -> Tensor:
    """`balanced_bce` over all positions of a batch at once, a scalar; logits, targets and mask are of one shape.

    divisors hold NAME_positives and NAME_negatives, those of `binary_counts`.
    """
    pair = divisors[f"{name}_positives"], divisors[f"{name}_negatives"]
    return balanced_bce(logits.flatten(), targets.flatten(), mask.flatten(), pair)


def binary_counts(name: str, targets: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """What `batch_balanced_bce` of that name divides by: the NAME_positives and NAME_negatives of a batch."""
    positive = (targets > 0.5).float() * mask
    return {f"{name}_positives": positive.sum(), f"{name}_negatives": (mask - positive).sum()}
