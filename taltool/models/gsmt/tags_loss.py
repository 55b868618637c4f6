"""The losses of GSMT as its published code has them (sauradip/TAGS, tags_lib/loss_tags.py); they are not Eq. 5 and 6.

Logarithms are of p + 1e-6, and the counts of positives and negatives are smoothed by 10. The code's consistency of both
branches is left out: its weight there (lambda_3) is 0.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.models.gsmt.config import GSMTConfig
from taltool.nn.whole_batch import WholeBatch

EPSILON, SMOOTHING = 1e-6, 10.0
BCE_WEIGHT, DICE_WEIGHT = 0.4, 0.6


def published_class_terms(config: GSMTConfig, outputs: Outputs, labels: Tensor, whole: WholeBatch) -> dict[str, Tensor]:
    """The weighted terms "focal" and "lr" over valid snippets; labels (B, T) hold background as the last class."""
    valid = outputs["valid"]
    count = whole.divisor("snippets", valid.sum())
    terms = {}
    if config.loss_focal:
        focal = batch_focal(outputs["class_logits"].float(), labels, valid, count, config.focal_gamma, whole)
        terms["focal"] = config.class_balance * focal
    if config.loss_lr:
        logits = outputs["lr_logits"].float().transpose(1, 2)
        terms["lr"] = (1 - config.class_balance) * smoothed_logistic(config, logits, labels, valid, count, whole)
    return terms


def batch_focal(
    logits: Tensor, labels: Tensor, valid: Tensor, count: Tensor, gamma: float, whole: WholeBatch
) -> Tensor:
    """(1 - exp(-c))^gamma c, c being the mean cross entropy of the batch: one weight for all its snippets.

    logits (B, K + 1, T), labels (B, T), valid (B, T); count is the divisor of sums over snippets. A part of a batch
    gives the tangent at the batch's c, so that the parts' mean has the value and the gradient of the whole.
    """
    summed = (F.cross_entropy(logits, labels, reduction="none") * valid).sum()
    mean = whole.total("cross_entropy", summed.detach()) * (whole.share or 1.0) / count
    p = (-mean).exp()
    weight = (1 - p) ** gamma
    slope = weight + gamma * (1 - p) ** (gamma - 1) * p * mean
    return weight * mean + slope * (summed / count - mean)


def smoothed_logistic(
    config: GSMTConfig, logits: Tensor, labels: Tensor, valid: Tensor, count: Tensor, whole: WholeBatch
) -> Tensor:
    """The sum of -log r_y over 10 + the number of snippets, and alpha times the mean -log(1 - r) of hard negatives.

    logits (B, T, K + 1), labels (B, T), valid (B, T); count is the divisor of sums over snippets.
    """
    hard = max(1, int((logits.shape[-1] - 1) * config.hard_neg + 1e-6))
    right = labels[..., None]
    positive = minus_log_sigmoid(logits.gather(-1, right).squeeze(-1))
    wrong = logits.scatter(-1, right, -torch.inf).topk(hard, dim=-1).values
    negative = minus_log_sigmoid(-wrong).mean(-1)
    smoothed = count + SMOOTHING * whole.share
    return (positive * valid).sum() / smoothed + config.negative_weight * (negative * valid).sum() / count


def published_mask_terms(
    config: GSMTConfig, outputs: Outputs, targets: Tensor, is_action: Tensor, whole: WholeBatch
) -> dict[str, Tensor]:
    """The terms of all T x T masks, those of background snippets being empty: cross entropy balanced over the batch,
    the dice of each sample's masks as one, and the square error of masks where actions are.

    targets (B, T, T) hold in row t the mask of snippet t's instance; is_action (B, T) bool.
    """
    logits, valid = outputs["mask_logits"].float(), outputs["valid"]
    visible = valid[:, None] * valid[:, :, None]  # (B, T, T)
    masks = logits.sigmoid() * visible
    terms = {}
    if config.loss_biou:
        terms["bce"] = BCE_WEIGHT * smoothed_bce(logits, targets, visible, whole)
    if config.loss_dice:
        terms["dice"] = DICE_WEIGHT * smoothed_dice(masks, targets, config.dice_factor).mean()
    shown = visible * is_action[:, None]  # The code takes the columns of M that belong to action snippets.
    errors = ((masks - targets).square() * shown).sum((1, 2)) / shown.sum((1, 2)).clamp(min=1)
    return terms | {"mse": errors.mean()}


def smoothed_bce(logits: Tensor, targets: Tensor, visible: Tensor, whole: WholeBatch) -> Tensor:
    """Half the sums of -log p over positives and of -log(1 - p) over negatives, each over 10 + their number."""
    extra = SMOOTHING * whole.share  # Divisors are of the part of the batch that is here, too.
    negative = visible - targets
    lost = (minus_log_sigmoid(logits) * targets).sum() / (whole.divisor("mask_positives", targets.sum()) + extra)
    raised = (minus_log_sigmoid(-logits) * negative).sum() / (whole.divisor("mask_negatives", negative.sum()) + extra)
    return (lost + raised) / 2


def smoothed_dice(masks: Tensor, targets: Tensor, factor: float) -> Tensor:
    """1 - (factor * m.g + 1) / (m.m + g.g + 1) (B,) of the T x T masks (B, T, T) of each sample as one vector."""
    overlap = (masks * targets).sum((1, 2))
    size = (masks.square() + targets.square()).sum((1, 2))
    return 1 - (factor * overlap + 1) / (size + 1)


def minus_log_sigmoid(logits: Tensor) -> Tensor:
    """-log(p + 1e-6) of p = sigmoid(logits), of any shape."""
    return -(logits.sigmoid() + EPSILON).log()
