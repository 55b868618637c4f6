"""From GSMT's two branches to scored segments: all snippets, thresholds and samples at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from taltool.models.contract import Candidates, Outputs
from taltool.models.decoding import Runs, run_maxima, run_means, runs, spans
from taltool.models.gsmt.config import GSMTConfig
from taltool.models.gsmt.tags_decode import published_candidates

PADDED = -1.0


class ActivationRows(NamedTuple):
    """R rows of each of B samples, whose runs become candidates: values (B, R, T), that are thresholded; labels (B, R);
    weights (B, R, T), whose mean over a candidate multiplies its score."""

    values: Tensor
    weights: Tensor
    labels: Tensor


def decode(config: GSMTConfig, outputs: Outputs, mask: Tensor) -> list[Candidates]:
    """One candidate of each sample for each distinct segment and label, with its best score."""
    if config.decoding == "code":
        (segments, scores), classes = published_candidates(config, outputs, mask)
        sample, labels = segments.rows, classes[segments.rows]
    else:
        rows = activation_rows(config, outputs, mask)
        segments, row_scores = threshold_rows(config, rows.values.flatten(0, 1))  # Of rows (B * R)
        scores = row_scores * run_means(rows.weights.flatten(0, 1), segments)
        sample, labels = segments.rows // rows.labels.shape[1], rows.labels.flatten()[segments.rows]
    is_agnostic = config.classifier == "external"
    return [
        _distinct_candidates(segments, scores, labels, (scores > 0) & (sample == b), is_agnostic)
        for b in range(len(mask))
    ]


def activation_rows(config: GSMTConfig, outputs: Outputs, mask: Tensor) -> ActivationRows:
    """The rows that the paper thresholds: masks of the best snippets, and class probabilities where settings say so."""
    probabilities = outputs["class_logits"].float().softmax(dim=1)[:, :-1]  # (B, K, T)
    parts = []
    if config.mask_branch:
        masks = outputs["mask_logits"].float().sigmoid() * mask[:, None]
        parts.append(masks_of_best_snippets(config, probabilities, masks, mask))
    if config.class_segments or not config.mask_branch:
        parts.append(class_activations(probabilities, mask))
    return ActivationRows(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))


def masks_of_best_snippets(config: GSMTConfig, probabilities: Tensor, masks: Tensor, mask: Tensor) -> ActivationRows:
    """The masks of the best M_1 snippets of each sample, by the probability (B, K, T) of a snippet's best action.

    They weigh as much as that action at the snippet, or as it does where the candidate lies. What stands in for missing
    snippets (padding) weighs nothing.
    """
    best, labels = probabilities.max(dim=1)  # (B, T)
    peaks, chosen = best.masked_fill(~mask, PADDED).topk(min(config.top_snippets, best.shape[1]), dim=1)
    labels, whole = labels.gather(1, chosen), chosen[..., None].expand(-1, -1, masks.shape[2])
    weights = peaks[..., None].clamp(min=0).expand_as(whole)
    if config.class_score == "segment":
        weights = probabilities.gather(1, labels[..., None].expand_as(whole)) * (peaks[..., None] > 0)
    return ActivationRows(masks.gather(1, whole), weights, labels)


def class_activations(probabilities: Tensor, mask: Tensor) -> ActivationRows:
    """Class probabilities (B, K, T) as rows to be thresholded like masks, of weight 1."""
    labels = torch.arange(probabilities.shape[1], device=mask.device).expand(probabilities.shape[:2])
    return ActivationRows(probabilities * mask[:, None], torch.ones_like(probabilities), labels)


def threshold_rows(config: GSMTConfig, rows: Tensor) -> tuple[Runs, Tensor]:
    """Where rows (R, T) reach each threshold, as `config.segments` says, and the score (N,) of the row there."""
    thresholds = torch.tensor(config.thresholds, device=rows.device, dtype=rows.dtype)
    active = rows[:, None] >= thresholds[:, None]  # (R, thresholds, T)
    repeated = rows[:, None].expand_as(active).flatten(0, 1)
    segments = (runs if config.segments == "runs" else spans)(active.flatten(0, 1))
    scores = (run_maxima if config.mask_score == "max" else run_means)(repeated, segments)
    return segments._replace(rows=segments.rows // len(thresholds)), scores


def _distinct_candidates(
    segments: Runs, scores: Tensor, labels: Tensor, kept: Tensor, is_class_agnostic: bool
) -> Candidates:
    """The candidates where `kept` (N,): one for each distinct segment and label, with the best score."""
    keys = torch.stack([segments.starts[kept], segments.ends[kept], labels[kept]], dim=1)
    distinct, index = keys.unique(dim=0, return_inverse=True)
    best = scores.new_zeros(len(distinct)).scatter_reduce_(0, index, scores[kept], "amax")
    return Candidates(distinct[:, :2].to(scores.dtype), best, None if is_class_agnostic else distinct[:, 2])
