"""The losses of GSMT: focal and balanced logistic regression for classes (Eq. 5), boundary overlap and dice for masks
(Eq. 6).

Masks are soft ones (..., T) in [0, 1] against binary ones. The boundary of a mask is the band that an erosion takes
away (Cheng et al., "Boundary IoU"; the differentiable erosion is that of Riba et al., "Kornia"): with kernel 3,
0001111000 has the boundary 0001001000. The clip's ends count as outside, so a mask that touches one has a boundary
there. A mask no longer than kernel - 1 is boundary altogether.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.models.gsmt.config import GSMTConfig
from taltool.models.gsmt.tags_loss import BCE_WEIGHT, DICE_WEIGHT, published_class_terms, published_mask_terms
from taltool.nn.losses import balanced_bce
from taltool.nn.whole_batch import ALONE, WholeBatch

NO_OVERLAP = 1e-6


def class_terms(config: GSMTConfig, outputs: Outputs, labels: Tensor, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
    """The weighted terms "focal" and "lr" of Eq. 5, means over valid snippets.

    The signs of Eq. 5 are repaired: as printed, two of its three logarithms would be maximised. labels (B, T) hold
    background as the last class. The focal weight is that of each snippet (`class_loss = code`: one for the whole
    batch).
    """
    if config.class_loss == "code":
        return published_class_terms(config, outputs, labels, whole)
    valid = outputs["valid"]
    count = whole.divisor("snippets", valid.sum())
    terms = {}
    if config.loss_focal:
        focal = focal_loss(outputs["class_logits"].transpose(1, 2), labels, config.focal_gamma)
        terms["focal"] = config.class_balance * (focal * valid).sum() / count
    if config.loss_lr:
        lr = logistic_loss(outputs["lr_logits"].transpose(1, 2), labels, config.negative_weight, config.hard_neg)
        terms["lr"] = (1 - config.class_balance) * (lr * valid).sum() / count
    return terms


def focal_loss(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """-(1 - p_y)^gamma log p_y (...,) of the true class, for logits (..., K + 1) and labels (...,)."""
    log_p = F.log_softmax(logits.float(), dim=-1).gather(-1, labels[..., None]).squeeze(-1)
    return -((1 - log_p.exp()).clamp(min=0) ** gamma) * log_p


def logistic_loss(logits: Tensor, labels: Tensor, negative_weight: float, share: float) -> Tensor:
    """-log r_y - (alpha / |N|) sum over N of log(1 - r_k): (...,) for logits (..., K + 1), r = sigmoid(logits).

    N are the K * share wrong classes (at least one) with the largest r, background among them.
    """
    logits = logits.float()
    hard = max(1, int((logits.shape[-1] - 1) * share + 1e-6))
    positive = F.softplus(-logits.gather(-1, labels[..., None]).squeeze(-1))
    wrong = logits.scatter(-1, labels[..., None], -torch.inf)
    return positive + negative_weight * F.softplus(wrong.topk(hard, dim=-1).values).mean(-1)


def mask_terms(
    config: GSMTConfig, outputs: Outputs, targets: Tensor, is_action: Tensor, whole: WholeBatch = ALONE
) -> dict[str, Tensor]:
    """The weighted terms of Eq. 6, means over the action snippets (B, T) bool of a batch.

    targets (B, T, T) hold in row t the mask of snippet t's instance; background snippets have no mask to learn, but for
    `mask_loss = code`, whose terms are others.
    """
    if config.mask_loss == "code":
        return published_mask_terms(config, outputs, targets, is_action, whole)
    logits = outputs["mask_logits"].float()
    visible = outputs["valid"][:, None].expand_as(logits)[is_action]  # (N, T)
    wanted, count = targets[is_action], whole.divisor("action_snippets", is_action.sum())
    masks = logits[is_action].sigmoid() * visible
    parts = _mask_parts(config, masks, wanted)
    if config.loss_biou and config.mask_loss != "biou":
        parts["bce"] = BCE_WEIGHT * balanced_bce(logits[is_action], wanted, visible)
    # With no action snippet the sum is an attached zero only if it touches the logits.
    attached = logits.sum() * 0
    return {name: part.sum() / count + attached for name, part in parts.items()}


def _mask_parts(config: GSMTConfig, masks: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """The terms of each of N masks (N, T), (N,) each."""
    parts = {}
    if config.loss_biou and config.mask_loss != "bce":
        overlap, union = boundary_overlap(masks, targets, config.biou_k)
        parts["biou"] = 1 - overlap / (union + config.epsilon)
        parts["l2"] = l2_term(masks, targets, overlap, config.l2_mode, config.epsilon)
    if config.loss_dice:
        weight = DICE_WEIGHT if config.mask_loss == "bce" else config.dice_weight
        parts["dice"] = weight * dice_loss(masks, targets, config.dice_factor)
    return parts


def l2_term(masks: Tensor, targets: Tensor, overlap: Tensor, mode: str, epsilon: float) -> Tensor:
    """The L2 term of Eq. 6 for N masks (N, T) whose boundaries overlap by `overlap` (N,).

    formula: ||m - g|| / c / (overlap + epsilon), as printed; fallback: ||m - g|| / c where there is no overlap ("in
    case of no boundary overlap between the predicted and ground-truth masks, we use the normalized L2 loss"), which for
    sigmoids is nowhere.
    """
    distance = length_normalised_distance(masks, targets)
    if mode == "formula":
        return distance / (overlap + epsilon)
    return distance * (overlap < NO_OVERLAP)


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


def boundary_overlap(masks: Tensor, targets: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """Intersection and union (...,) of the boundaries of masks and targets (..., T).

    They are sums of minima and of maxima, so that equal masks, soft ones too, overlap completely.
    """
    bands, target_bands = boundary_band(masks, kernel), boundary_band(targets, kernel)
    return torch.minimum(bands, target_bands).sum(-1), torch.maximum(bands, target_bands).sum(-1)


def boundary_band(masks: Tensor, kernel: int) -> Tensor:
    """What erosion with `kernel` takes from masks (..., T): their boundary, (..., T)."""
    return masks - eroded(masks, kernel)


def eroded(masks: Tensor, kernel: int) -> Tensor:
    """The minimum (..., T) over each centred window of `kernel` (odd) positions, zero beyond both ends."""
    padded = F.pad(masks, (kernel // 2, kernel // 2))
    return -F.max_pool1d(-padded.reshape(-1, 1, padded.shape[-1]), kernel, stride=1).view(masks.shape)
