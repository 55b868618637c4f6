"""AFSD's objective (section 3.4) for detection; see `consistency.py` for that of boundaries.

Segments and distances are in frames. Every term comes already weighted, and hangs on the outputs also where a batch
holds no instance.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.afsd.config import AFSDConfig
from taltool.models.contract import Outputs
from taltool.nn.losses import (
    EPSILON,
    distance_tiou,
    normalised_sum,
    softmax_focal_loss,
    tiou_loss,
)
from taltool.nn.targets import Assignment, PaddedTargets, assign_shortest, level_bounds
from taltool.nn.whole_batch import WholeBatch


def refined_distances(distances: Tensor, offsets: Tensor) -> Tensor:
    """Eq. 15: coarse distances (..., 2) moved by offsets (..., 2) in halves of the coarse length."""
    return distances + 0.5 * distances.sum(-1, keepdim=True) * offsets


def offset_targets(distances: Tensor, targets: Tensor) -> Tensor:
    """The offsets (..., 2) that `refined_distances` turns into targets."""
    return (targets - distances) / (0.5 * distances.sum(-1, keepdim=True)).clamp(min=EPSILON)


def assign_locations(locations: Outputs, targets: PaddedTargets, config: AFSDConfig) -> Assignment:
    """What each location (B, N) should find; locations hold centres, level and valid."""
    stride = config.frames_per_snippet * 2.0 ** locations["level"]
    bounds = level_bounds(locations["level"], stride) if config.level_bounds else None
    assigned = assign_shortest(locations["centres"], targets, bounds)
    return assigned._replace(positive=assigned.positive & locations["valid"])


def detection_terms(
    outputs: Outputs, targets: PaddedTargets, config: AFSDConfig, whole: WholeBatch
) -> dict[str, Tensor]:
    """Eq. 11: focal classification, tIoU and offset regression, quality, of a batch."""
    distances, valid = outputs["distances"], outputs["valid"]
    assigned = assign_locations(outputs, targets, config)
    positive = assigned.positive
    classes = assigned.labels + 1 if config.classifier == "own" else torch.ones_like(assigned.labels)

    def divisor(name: str, counted: Tensor) -> Tensor:
        counts = counted.sum(1)
        return counts.clamp(min=1) if config.normaliser == "clip" else whole.divisor(name, counts.sum())

    def focal(logits: Tensor, mask: Tensor) -> Tensor:
        labels = torch.where(mask, classes, 0)
        return softmax_focal_loss(logits, labels, config.background_alpha, config.focal_gamma)

    over_positives = divisor("positives", positive)
    coarse = focal(outputs["logits"], positive)
    misses = tiou_loss(distances, assigned.distances)
    terms = {
        "class": config.class_weight * normalised_sum(coarse, valid, over_positives),
        "location": config.location_weight * normalised_sum(misses, positive, over_positives),
    }
    final = distances
    if "offsets" in outputs:
        tious = distance_tiou(distances.detach(), assigned.distances)
        threshold = torch.full_like(tious[:, :1], config.refined_tiou)
        if config.refined_best:
            threshold = torch.minimum(threshold, torch.where(positive, tious, 0).amax(1, keepdim=True))
        refined = positive & (tious >= threshold)
        over_refined = divisor("refined_positives", refined)
        final = refined_distances(distances, outputs["offsets"])
        wanted = offset_targets(distances.detach(), assigned.distances)
        misses = offset_loss(config.refined_loss)(outputs["offsets"], wanted, reduction="none").sum(-1)
        errors = focal(outputs["refined_logits"], refined)
        terms["refined_class"] = config.class_weight * normalised_sum(errors, valid, over_refined)
        terms["refined_location"] = config.location_weight * normalised_sum(misses, refined, over_refined)
    if "quality" in outputs:
        # Eq. 14: cross entropy with the tIoU of the final segment, or with the centerness.
        tious = distance_tiou(final.detach(), assigned.distances)
        wanted = centerness(assigned.distances) if config.quality == "centerness" else tious
        errors = F.binary_cross_entropy_with_logits(outputs["quality"], wanted.clamp(0, 1), reduction="none")
        over_quality = over_refined if config.quality_divisor == "refined" and "offsets" in outputs else over_positives
        terms["quality"] = config.quality_weight * normalised_sum(errors, positive, over_quality)
    return terms


def offset_loss(kind: str) -> Callable[..., Tensor]:
    """The elementwise regression loss of that name: "l1" or "smooth_l1" (Huber with threshold 1)."""
    return {"l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss}[kind]


def centerness(targets: Tensor) -> Tensor:
    """sqrt(min / max) (...,) of the two target distances (..., 2): 1 in the middle of a segment (FCOS, Eq. 3)."""
    targets = targets.clamp(min=0)
    return (targets.amin(-1) / targets.amax(-1).clamp(min=EPSILON)).sqrt()
