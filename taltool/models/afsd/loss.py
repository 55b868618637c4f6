"""AFSD's objective (sections 3.3 and 3.4): detection, boundary activations, boundary contrast.

Segments and distances are in frames. Every term comes already weighted, and hangs on the outputs also where a batch
holds no instance.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.afsd.config import AFSDConfig
from taltool.models.afsd.decode import refined_distances
from taltool.models.afsd.network import REGION_DIVISORS, BoundaryFeatures, Refinement
from taltool.models.afsd.pooling import boundary_regions
from taltool.models.afsd.splice import Splice
from taltool.models.contract import Outputs
from taltool.nn.losses import (
    EPSILON,
    distance_tiou,
    normalised_sum,
    softmax_focal_loss,
    tiou_loss,
    triplet_margin_loss,
)
from taltool.nn.targets import Assignment, PaddedTargets, assign_shortest, level_bounds
from taltool.nn.whole_batch import WholeBatch

Terms = dict[str, Tensor]


def offset_targets(distances: Tensor, targets: Tensor) -> Tensor:
    """The offsets (..., 2) that `refined_distances` turns into targets."""
    return (targets - distances) / (0.5 * distances.sum(-1, keepdim=True)).clamp(min=EPSILON)


def assign_locations(locations: Outputs, targets: PaddedTargets, config: AFSDConfig) -> Assignment:
    """What each location (B, N) should find; locations hold centres, level and valid."""
    stride = config.frames_per_snippet * 2.0 ** locations["level"]
    bounds = level_bounds(locations["level"], stride) if config.level_bounds else None
    assigned = assign_shortest(locations["centres"], targets, bounds)
    return assigned._replace(positive=assigned.positive & locations["valid"])


def detection_terms(outputs: Outputs, targets: PaddedTargets, config: AFSDConfig, whole: WholeBatch) -> Terms:
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
        refined = positive & (tious >= _refined_threshold(tious, positive, config))
        over_refined = divisor("refined_positives", refined)
        final = refined_distances(distances, outputs["offsets"])
        wanted = offset_targets(distances.detach(), assigned.distances)
        misses = offset_loss(config.refined_loss)(outputs["offsets"], wanted, reduction="none").sum(-1)
        errors = focal(outputs["refined_logits"], refined)
        terms["refined_class"] = config.class_weight * normalised_sum(errors, valid, over_refined)
        terms["refined_location"] = config.location_weight * normalised_sum(misses, refined, over_refined)
    if "quality" in outputs:
        errors = _quality_errors(outputs["quality"], final.detach(), assigned.distances, config)
        terms["quality"] = config.quality_weight * normalised_sum(errors, positive, over_positives)
    return terms


def _refined_threshold(tious: Tensor, positive: Tensor, config: AFSDConfig) -> Tensor:
    """The tIoU (B, 1) from which a positive location is refined."""
    threshold = torch.full_like(tious[:, :1], config.refined_tiou)
    if not config.refined_best:
        return threshold
    best = torch.where(positive, tious, 0).amax(1, keepdim=True)
    return torch.minimum(threshold, best)


def _quality_errors(logits: Tensor, distances: Tensor, targets: Tensor, config: AFSDConfig) -> Tensor:
    """Eq. 14, elementwise (B, N): cross entropy of quality logits with the tIoU of the final segment, or centerness."""
    wanted = centerness(targets) if config.quality == "centerness" else distance_tiou(distances, targets)
    return F.binary_cross_entropy_with_logits(logits, wanted.clamp(0, 1), reduction="none")


def offset_loss(kind: str) -> Callable[..., Tensor]:
    """The elementwise regression loss of that name: "l1" or "smooth_l1" (Huber with threshold 1)."""
    return {"l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss}[kind]


def centerness(targets: Tensor) -> Tensor:
    """sqrt(min / max) (...,) of the two target distances (..., 2): 1 in the middle of a segment (FCOS, Eq. 3)."""
    targets = targets.clamp(min=0)
    return (targets.amin(-1) / targets.amax(-1).clamp(min=EPSILON)).sqrt()


def activations(features: BoundaryFeatures, kind: str) -> Outputs:
    """Eq. 6: how much each position looks like a start and an end, in [0, 1]: activation_NAME (B, 2, positions).

    kind is the normalisation of Table 2b: tanh, clip to [0, 1], or minmax over time (Eq. 16).
    """
    return {
        f"activation_{name}": _rescaled(source, mask, kind).unflatten(1, (2, -1)).mean(2)
        for name, source, mask in features.sources()
    }


def _rescaled(features: Tensor, mask: Tensor, kind: str) -> Tensor:
    features = features.float()
    if kind == "tanh":
        return features.tanh()
    if kind == "clip":
        return features.clamp(0, 1)
    low = features.masked_fill(~mask[:, None], torch.inf).amin(2, keepdim=True)
    high = features.masked_fill(~mask[:, None], -torch.inf).amax(2, keepdim=True)
    low, high = (torch.where(bound.isfinite(), bound, 0) for bound in (low, high))
    return (features - low) / (high - low).clamp(min=EPSILON)


def activation_terms(outputs: Outputs, targets: PaddedTargets, mask: Tensor, config: AFSDConfig) -> Terms:
    """Eq. 8: cross entropy of start and of end activations; mask (B, T) bool of snippets.

    Labels are made per frame; level 0 sees every `frames_per_snippet`-th of them.
    """
    frames = config.frames_per_snippet
    labels = boundary_labels(targets, mask.shape[1] * frames)
    sides = torch.zeros(2, device=mask.device)
    for name, weight in _source_weights(config).items():
        if f"activation_{name}" not in outputs:
            continue
        own_labels = labels if name == "frame" else labels[..., ::frames]
        own_mask = mask.repeat_interleave(frames, dim=1) if name == "frame" else mask
        errors = probability_bce(outputs[f"activation_{name}"], own_labels)
        sides = sides + weight * torch.stack([masked_mean(errors[:, side], own_mask).mean() for side in (0, 1)])
    sides = config.activation_weight * sides
    return {"start_activation": sides[0], "end_activation": sides[1]}


def boundary_labels(targets: PaddedTargets, length: int, width_div: float = 10.0, min_width: float = 2.0) -> Tensor:
    """1 on the positions near a start and near an end: (B, 2, length) float.

    Near a boundary b of an instance of length w is round(b - d/2) .. round(b + d/2), d = max(w / width_div, min_width)
    (AFSD Eq. 7 and its code; halves round to even).
    """
    widths = targets.segments[..., 1] - targets.segments[..., 0]
    reach = (widths / width_div).clamp(min=min_width)[..., None] / 2  # (B, M, 1)
    first, last = (targets.segments - reach).round(), (targets.segments + reach).round()  # (B, M, 2)
    positions = torch.arange(length, device=widths.device)[:, None, None, None]
    near = (positions >= first) & (positions <= last) & targets.present[..., None]  # (length, B, M, 2)
    return near.any(2).permute(1, 2, 0).float()


def probability_bce(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of probabilities that may reach 0 or 1, elementwise; they are kept 1e-6 away from both."""
    clamped = probabilities.float().clamp(EPSILON, 1 - EPSILON)
    return -(labels * clamped.log() + (1 - labels) * (1 - clamped).log())


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean (B,) of values (B, ...) where the equally shaped mask is true; 0, attached, where it nowhere is."""
    weights = mask.to(values.dtype).flatten(1)
    return (values.flatten(1) * weights).sum(1) / weights.sum(1).clamp(min=1)


def _source_weights(config: AFSDConfig) -> dict[str, float]:
    level = config.level_consistency_weight
    return {"frame": 1.0, "location": level, "class": level}


def triplet_term(features: BoundaryFeatures, plans: list[Splice], refinement: Refinement, config: AFSDConfig) -> Tensor:
    """Boundary contrast on spliced clips: the end of A1 is nearer to the start of A2 than to the background.

    plans hold one splice for each sample of `features`. code: distances, the background's start feature as negative;
    paper (Eq. 9): squared distances, its start and end features in turn.
    """
    regions = _splice_regions(plans, config).to(features.mask.device)  # (B, 3, 4) in frames
    total = features.mask.new_zeros((), dtype=torch.float32)
    pools = (refinement.frame_pool, refinement.location_branch.pool, refinement.class_branch.pool)
    weights = _source_weights(config)
    named_pools = dict(zip(weights, pools, strict=True))
    for name, source, mask in features.sources():
        own = regions if name == "frame" else (regions / config.frames_per_snippet).round().long()
        last = (mask.sum(1) - 1).clamp(min=0)[:, None, None]
        pooled = named_pools[name](source, torch.minimum(own.clamp(min=0), last))  # type: ignore[misc]
        starts, ends = pooled.chunk(2, dim=1)  # (B, C, 3): A1, background, A2
        negatives = [starts[..., 1]] if config.trip == "code" else [starts[..., 1], ends[..., 1]]
        squared = config.trip == "paper"
        losses = [triplet_margin_loss(ends[..., 0], starts[..., 2], n, squared=squared) for n in negatives]
        total = total + weights[name] * torch.stack(losses).mean()
    return config.triplet_weight * total


def _splice_regions(plans: list[Splice], config: AFSDConfig) -> Tensor:
    """Boundary regions (B, 3, 4) in frames of A1, background (one frame narrower on both sides, as the code) and A2."""
    inside, outside = REGION_DIVISORS[config.region]
    inside = config.ssl_inside_div or inside
    spans = torch.tensor([[plan.before, plan.background, plan.after] for plan in plans]) * config.frames_per_snippet
    starts, ends = (spans + torch.tensor([[0.0, 0.0], [1.0, -1.0], [0.0, 0.0]])).unbind(-1)
    return boundary_regions(starts, ends, ends - starts + 1, inside, outside)
