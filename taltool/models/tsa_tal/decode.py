"""From TSA-TAL's final heads to scored segments: runs of actionness, and each snippet's own segment.

The text "aggregates" actionness under a mask and takes "softmax operations on the features of each aggregated
dimension"; thresholds, means and the refinement of ends by the regressed distances are our reading.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from taltool.models.contract import Candidates, Outputs
from taltool.models.decoding import Runs, run_means, runs
from taltool.models.tsa_tal.config import TSATALConfig
from taltool.models.tsa_tal.network import Detection, interpolated, position_mask
from taltool.nn.conv import Axis


class DensePredictions(NamedTuple):
    """The final heads at P = positions * factor places: centres (P,) in positions; actionness (B, P) in [0, 1], 0 in
    padding; probabilities (B, P, K) of the actions; segments (B, P, 2)."""

    centres: Tensor
    actionness: Tensor
    probabilities: Tensor
    segments: Tensor


class ScoredSegments(NamedTuple):
    """N segments (N, 2) of samples (N,) with a score (N,) and class probabilities (N, K)."""

    samples: Tensor
    segments: Tensor
    scores: Tensor
    probabilities: Tensor


def decode(config: TSATALConfig, outputs: Outputs, mask: Tensor) -> list[Candidates]:
    """The candidates of each sample, as `config.decode` says, on the grid of mask (B, T).

    What the heads say is of positions that divide the sample evenly: each snippet is one, of frames `config.positions`.
    """
    final = Detection.of(outputs, "final")
    valid = position_mask(mask, final.actionness.shape[1])
    predictions = interpolate(final, valid, config.decode_upsample)
    parts = []
    if config.decode != "anchor_free":
        parts.append(group_actionness(config, predictions))
    if config.decode != "actionness":
        parts.append(anchor_free_segments(predictions, valid))
    samples, segments, scores, probabilities = (torch.cat(part) for part in zip(*parts, strict=True))
    segments = segments * (mask.shape[1] / valid.shape[1])
    ends = mask.sum(1)[samples].to(segments.dtype)
    segments = torch.minimum(segments.clamp(min=0), ends[:, None])
    class_scores, labels = probabilities.topk(min(config.top_classes, probabilities.shape[1]), dim=1)
    scores = scores[:, None] * class_scores
    keep = (segments[:, 1] > segments[:, 0])[:, None] & (scores > 0)
    return [_candidates(segments, scores, labels, keep & (samples == b)[:, None]) for b in range(len(mask))]


def interpolate(final: Detection, mask: Tensor, factor: int) -> DensePredictions:
    """The final heads' predictions, linearly interpolated to `factor` places per position; mask (B, positions) bool."""
    actionness = final.actionness.float().sigmoid()[..., None]
    probabilities = final.logits.float().softmax(-1)[..., 1:]
    channels = torch.cat([actionness, final.distances.float(), probabilities], dim=-1)
    length = factor * mask.shape[1]
    channels = interpolated(channels.transpose(1, 2), Axis.single(mask), length).transpose(1, 2)  # (B, P, 3 + K)
    centres = (torch.arange(channels.shape[1], device=channels.device) + 0.5) / factor
    valid = mask.repeat_interleave(factor, dim=1)
    segments = torch.stack([centres - channels[..., 1], centres + channels[..., 2]], dim=-1)
    return DensePredictions(centres, channels[..., 0] * valid, channels[..., 3:], segments)


def group_actionness(config: TSATALConfig, predictions: DensePredictions) -> ScoredSegments:
    """Every run of actionness above any threshold, with means over the run; ends refined by the regressed ones."""
    actionness, probabilities = predictions.actionness, predictions.probabilities
    thresholds = torch.tensor(config.thresholds, device=actionness.device)
    active = actionness[:, None] >= thresholds[:, None]  # (B, thresholds, P)
    groups = runs(active.flatten(0, 1))
    # A run that several thresholds find counts once.
    keys = torch.stack([groups.rows // len(thresholds), groups.starts, groups.ends], dim=1).unique(dim=0)
    distinct = Runs(*keys.unbind(1))
    segments = refined_ends(config.refine_boundary, distinct, predictions)
    return ScoredSegments(distinct.rows, segments, run_means(actionness, distinct), run_means(probabilities, distinct))


def refined_ends(kind: str, groups: Runs, predictions: DensePredictions) -> Tensor:
    """The segments (N, 2) of runs: their ends ("none"), those that the first and last snippet of the run regress
    ("regress"), or the mean of both ("mean")."""
    own = groups.segments * (2 * predictions.centres[0])  # A place is 1 / factor of a position long.
    starts = predictions.segments[groups.rows, groups.starts, 0]
    ends = predictions.segments[groups.rows, groups.ends - 1, 1]
    regressed = torch.stack([starts, ends], dim=1)
    return {"none": own, "regress": regressed, "mean": (own + regressed) / 2}[kind]


def anchor_free_segments(predictions: DensePredictions, mask: Tensor) -> ScoredSegments:
    """The segment of each place with its actionness and class probabilities."""
    valid = mask.repeat_interleave(predictions.actionness.shape[1] // mask.shape[1], dim=1)
    _, actionness, probabilities, segments = predictions
    return ScoredSegments(valid.nonzero()[:, 0], segments[valid], actionness[valid], probabilities[valid])


def _candidates(segments: Tensor, scores: Tensor, labels: Tensor, keep: Tensor) -> Candidates:
    rows, _ = keep.nonzero(as_tuple=True)
    return Candidates(segments[rows], scores[keep], labels[keep])
