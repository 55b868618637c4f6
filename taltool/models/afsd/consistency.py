"""Boundary consistency learning of AFSD (section 3.3): activations of boundary features, and contrast on spliced clips.

Segments and distances are in frames. Every term comes already weighted.

For the contrast an action A and some background Bg are cut so that Bg lies between two parts of A:

    before   [ .... A A A A A A .... Bg Bg .... ]
    after    [ .... A A A Bg Bg A A A .... .... ]      A1 = the part before, A2 = the part after

The clip keeps its length; the snippets between move aside. With the gap before the action it is the mirror image.
"""

import math
import operator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from taltool.models.afsd.config import AFSDConfig, SpliceRule
from taltool.models.afsd.network import REGION_DIVISORS, BoundaryFeatures, Refinement
from taltool.models.afsd.pooling import boundary_regions
from taltool.models.contract import Outputs
from taltool.nn.losses import EPSILON, triplet_margin_loss
from taltool.nn.targets import PaddedTargets

Span = tuple[float, float]
# Lengths in snippets come from seconds: by so much may one that is a whole number exceed it.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Splice:
    """order (T,) int64: which old snippet stands at each new position; the three spans in snippets of the new clip."""

    order: Tensor
    before: Span
    background: Span
    after: Span


def plan_splice(
    segments: Tensor,
    length: int,
    valid: int,
    shortest: float,
    rule: SpliceRule = "code",
    generator: torch.Generator | None = None,
) -> Splice | None:
    """A random splice of a clip of `length` snippets, of which the first `valid` are real; None where none fits.

    segments (M, 2) and shortest, the w_min of the clip's video, are in snippets. The piece of background has that
    length in whole snippets, at least one; the action that takes it is longer than twice the piece.

    paper: w_min is rounded up; background is what no instance touches, at least a piece long. code: the nearest number
    of snippets (the authors round up frames, a smaller error); background is what lies between neighbouring boundaries
    and is longer than a piece, but for instances, so where these overlap or meet the clip's end it may be action.
    code-activitynet13: as code, with pieces of a fourth of w_min, and actions of twice that will do.
    """
    spans: list[Span] = [(max(s, 0.0), min(e, float(valid))) for s, e in segments.tolist() if e > s]
    if not spans:
        return None
    wanted = shortest / 4 if rule == "code-activitynet13" else shortest
    piece = max(1, math.ceil(wanted - _ROUNDING) if rule == "paper" else round(wanted))
    is_long = operator.ge if rule == "code-activitynet13" else operator.gt
    actions = [span for span in spans if is_long(span[1] - span[0], 2 * piece) and _splits(span, piece)]
    if rule == "paper":
        gaps = [gap for gap in _gaps(spans, valid) if gap[1] - gap[0] >= piece]
    else:
        gaps = [gap for gap in _between_boundaries(spans, valid) if gap[1] - gap[0] > piece]
    if not actions or not gaps:
        return None
    action, gap = actions[_below(len(actions), generator)], gaps[_below(len(gaps), generator)]
    first, last = _splits(action, piece)[0], _splits(action, piece)[-1]
    split = first + _below(last - first + 1, generator)
    source = gap[0] + _below(gap[1] - gap[0] - piece + 1, generator)
    # A piece of the action itself (of overlapping instances) does not cross the split.
    source = split if split - piece < source < split else source
    return _spliced(action, split, source, piece, length)


def _spliced(action: Span, split: int, source: int, piece: int, length: int) -> Splice:
    """Move the snippets [source, source + piece) to `split`, which lies inside the action."""
    old = torch.arange(length)
    moved = old[source : source + piece]
    if source >= split:
        order = torch.cat([old[:split], moved, old[split:source], old[source + piece :]])
        start, end = split, split + piece
    else:
        order = torch.cat([old[:source], old[source + piece : split], moved, old[split:]])
        start, end = split - piece, split
    shift_before, shift_after = start - split, end - split
    return Splice(order, (action[0] + shift_before, start), (start, end), (end, action[1] + shift_after))


def _splits(span: Span, piece: int) -> range:
    """The snippets at which an action may be split: a piece away from both ends."""
    return range(math.ceil(span[0] + piece), math.floor(span[1] - piece) + 1)


def _between_boundaries(spans: list[Span], valid: int) -> list[tuple[int, int]]:
    """The whole snippets between each two neighbouring boundaries (as such count the clip's first and last snippet),
    as half-open ranges, but for those of an instance."""
    edges = sorted([0.0, valid - 1.0, *(edge for span in spans for edge in span)])
    return [(math.ceil(a), math.floor(b)) for a, b in pairwise(edges) if (a, b) not in spans]


def _gaps(spans: list[Span], valid: int) -> list[tuple[int, int]]:
    """The runs of whole snippets that no instance touches, as half-open ranges."""
    gaps, covered = [], 0.0
    for start, end in [*sorted(spans), (float(valid), float(valid))]:
        if start > covered:
            gaps.append((math.ceil(covered), math.floor(start)))
        covered = max(covered, end)
    return [gap for gap in gaps if gap[1] > gap[0]]


def _below(count: int, generator: torch.Generator | None) -> int:
    return int(torch.randint(count, (), generator=generator))


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


def activation_terms(outputs: Outputs, targets: PaddedTargets, mask: Tensor, config: AFSDConfig) -> dict[str, Tensor]:
    """Eq. 8: cross entropy of start and of end activations, their mean over clips; mask (B, T) bool of snippets.

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
    paper (Eq. 9): squared distances, its start and end features in turn. At level 0 a region ends in the position that
    holds its bounds, rounded to frames before, as the authors' kernel cuts them.
    """
    regions = _splice_regions(plans, config).to(features.mask.device)  # (B, 3, 4) in frames
    total = features.mask.new_zeros((), dtype=torch.float32)
    pools = (refinement.frame_pool, refinement.location_branch.pool, refinement.class_branch.pool)
    weights = _source_weights(config)
    named_pools = dict(zip(weights, pools, strict=True))
    for name, source, mask in features.sources():
        own = regions if name == "frame" else (regions / config.frames_per_snippet).trunc().long()
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
    inside, outside = config.ssl_inside_div or inside, config.ssl_outside_div or outside
    spans = torch.tensor([[plan.before, plan.background, plan.after] for plan in plans]) * config.frames_per_unit
    starts, ends = (spans + torch.tensor([[0.0, 0.0], [1.0, -1.0], [0.0, 0.0]])).unbind(-1)
    return boundary_regions(starts, ends, ends - starts + 1, inside, outside)
