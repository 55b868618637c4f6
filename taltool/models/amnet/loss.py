"""AMNet's objective: mask representation (Eq. 2 and 3) and detection (Eq. 11), already weighted as in Eq. 12."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.amnet.config import AMNetConfig, TripletPool
from taltool.models.amnet.network import ActionMaskingEncoder
from taltool.models.contract import Outputs
from taltool.nn.losses import EPSILON, distance_tiou, normalised_sum, tiou_loss, triplet_margin_loss
from taltool.nn.targets import Assignment, PaddedTargets, assign_shortest, cells_of, level_bounds
from taltool.nn.whole_batch import ALONE, WholeBatch


class Gathered(NamedTuple):
    """The chosen snippets of each sample, moved together in their order: features (B, C, N), mask (B, N) bool."""

    features: Tensor
    mask: Tensor


def gathered(features: Tensor, chosen: Tensor) -> Gathered:
    """The snippets of features (B, C, T) where chosen (B, T) bool is true, concatenated in time (section 3.2).

    N is the largest number chosen in a sample, at least 1; the rest is padding of zeros.
    """
    counts = chosen.sum(1)
    order = (~chosen).to(torch.uint8).argsort(dim=1, stable=True)[:, : max(1, int(counts.max()))]
    mask = torch.arange(order.shape[1], device=order.device) < counts[:, None]
    return Gathered(features.gather(2, order[:, None].expand(-1, features.shape[1], -1)) * mask[:, None], mask)


def resized(values: Tensor, lengths: Tensor, wanted: Tensor, size: int) -> Tensor:
    """The first lengths (B,) positions of values (B, C, N), each resampled linearly to its wanted (B,) of `size`.

    As `interpolate(align_corners=False)`. Returns (B, C, size), zero behind the wanted positions.
    """
    place = torch.arange(size, device=values.device)
    scale = lengths / wanted.clamp(min=1)
    last = (lengths - 1).clamp(min=0)[:, None]
    at = torch.minimum(((place + 0.5) * scale[:, None] - 0.5).clamp(min=0), last)  # (B, size)
    left = at.floor().long()
    right = torch.minimum(left + 1, last)
    low, high = (values.gather(2, i[:, None].expand(-1, values.shape[1], -1)) for i in (left, right))
    return (low + (at - left)[:, None] * (high - low)) * (place < wanted[:, None])[:, None]


def embedding(encoded: Tensor, mask: Tensor, wanted: Tensor, size: int, pool: TripletPool) -> Tensor:
    """A vector (B, D) of encoded features (B, C, N), valid at mask (B, N): what the triplet loss compares.

    F_mask, F^_pos and F^_neg of Eq. 2 differ in length. mean: the mean over time; mean_norm: that, of unit length;
    interp: everything resized to the wanted (B,) snippets of a sample in a frame of `size`, then of unit length.
    """
    encoded = encoded.float() * mask[:, None]
    if pool == "interp":
        return F.normalize(resized(encoded, mask.sum(1), wanted, size).flatten(1), dim=1, eps=EPSILON)
    mean = encoded.sum(2) / mask.sum(1, keepdim=True).clamp(min=1)
    return mean if pool == "mean" else F.normalize(mean, dim=1, eps=EPSILON)


def inside_and_outside(mask: Tensor, targets: PaddedTargets) -> tuple[Tensor, Tensor, Tensor]:
    """Which valid snippets (B, T) lie in instances, which outside, and which samples (B,) have both."""
    inside = cells_of(targets, mask.shape[1]).is_action & mask
    outside = mask & ~inside
    return inside, outside, inside.any(1) & outside.any(1)


def triplet_term(
    encoder: ActionMaskingEncoder,
    features: Tensor,
    mask: Tensor,
    targets: PaddedTargets,
    config: AMNetConfig,
    whole: WholeBatch = ALONE,
) -> Tensor:
    """lambda_2 times Eq. 3, the mean over the samples that have snippets inside and outside of instances.

    features (B, C, T), mask (B, T) bool, targets in snippets.
    """
    inside, outside, has_both = inside_and_outside(mask, targets)
    positives, negatives = gathered(features, inside), gathered(features, outside)
    wanted, size = mask.sum(1), mask.shape[1]
    anchor, near, far = (
        embedding(encoder(own, own_mask), own_mask, wanted, size, config.triplet_pool)
        for own, own_mask in (Gathered(features, mask), positives, negatives)
    )
    losses = triplet_margin_loss(anchor, near, far, squared=True, margin=config.triplet_margin)
    count = whole.divisor("triplets", has_both.sum())
    return config.lambda2 * torch.where(has_both, losses, 0).sum() / count


def class_targets(assigned: Assignment, positive: Tensor, classes: int, smoothing: float) -> Tensor:
    """One-hot labels (B, N, classes), smoothed at positive (B, N) locations, zero elsewhere.

    Background is a class too without having an output: s / (classes + 1) goes to every action, as in ActionFormer.
    """
    labels = assigned.labels.clamp(max=classes - 1)
    wanted = F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / (classes + 1)
    return wanted * positive[..., None]


def assign_locations(locations: Outputs, targets: PaddedTargets, config: AMNetConfig) -> tuple[Assignment, Tensor]:
    """What each location (B, N) should find, and the count of those that should find something, for the normaliser.

    locations hold centres, level and valid. With normaliser "sum" the count is 0, so that sums stay sums.
    """
    bounds = level_bounds(locations["level"], 2.0 ** locations["level"]) if config.level_bounds else None
    assigned = assign_shortest(locations["centres"], targets, bounds)
    assigned = assigned._replace(positive=assigned.positive & locations["valid"])
    count = assigned.positive.sum()
    return assigned, count if config.normaliser == "positives" else torch.zeros_like(count)


def detection_terms(
    outputs: Outputs, targets: PaddedTargets, config: AMNetConfig, whole: WholeBatch
) -> dict[str, Tensor]:
    """Eq. 11 weighted as in Eq. 12: class (focal), location (1 - tIoU), matching. All in snippets.

    Eq. 11 prints plain sums (normaliser "sum"); AFSD's, over the number of positive locations, keeps lambda_1 = 1
    meaningful.
    """
    distances, valid = outputs["distances"], outputs["valid"]
    assigned, count = assign_locations(outputs, targets, config)
    positive, divisor = assigned.positive, whole.divisor("positives", count)

    def term(values: Tensor, where: Tensor, weight: float) -> Tensor:
        return weight * normalised_sum(values, where, divisor)

    wanted = class_targets(assigned, positive, outputs["logits"].shape[2], config.label_smoothing)
    focal = sigmoid_focal_loss(outputs["logits"], wanted, config.focal_alpha, config.focal_gamma).sum(-1)
    terms = {
        "class": term(focal, valid, 1.0),
        "location": term(tiou_loss(distances, assigned.distances), positive, config.lambda1),
    }
    if "matching" in outputs:
        tious = distance_tiou(distances.detach(), assigned.distances).clamp(0, 1)
        terms["matching"] = term(matching_errors(outputs["matching"], tious, config), positive, config.lambda1)
    return terms


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


def matching_errors(matching: Tensor, tious: Tensor, config: AMNetConfig) -> Tensor:
    """L_mat elementwise, for matching scores and tIoUs of equal shape (Figure 6; BCE of the score as a logit)."""
    if config.match_loss == "bce":
        return F.binary_cross_entropy_with_logits(matching, tious, reduction="none")
    loss = {"l2": F.mse_loss, "l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss}[config.match_loss]
    return loss(normalised_matching(matching, config), tious, reduction="none")


def normalised_matching(matching: Tensor, config: AMNetConfig) -> Tensor:
    """tanh or sigmoid of matching scores (Table 4)."""
    return matching.tanh() if config.match_act == "tanh" else matching.sigmoid()
