"""From GSMT's two branches to scored segments: all snippets, thresholds and samples at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from taltool.models.contract import Candidates, Outputs
from taltool.models.gsmt.config import GSMTConfig
from taltool.nn.runs import Runs, run_maxima, run_means, runs, spans

PADDED = -1.0


class Rows(NamedTuple):
    """R rows of each of B samples, whose runs become candidates: values (B, R, T), that are thresholded; labels (B, R);
    weights (B, R, T), whose mean over a candidate multiplies its score."""

    values: Tensor
    weights: Tensor
    labels: Tensor


def decode(config: GSMTConfig, outputs: Outputs, mask: Tensor, is_class_agnostic: bool) -> list[Candidates]:
    """The candidates of each sample; labels None where `is_class_agnostic`."""
    probabilities = outputs["class_logits"].float().softmax(dim=1)[:, :-1]  # (B, K, T)
    parts = []
    if config.mask_branch:
        masks = outputs["mask_logits"].float().sigmoid() * mask[:, None]
        parts.append(best_snippets(config, probabilities, masks, mask))
    if config.class_segments or not config.mask_branch:
        parts.append(class_rows(probabilities, mask))
    rows = Rows(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))
    found, peaks = activated(config, rows.values.flatten(0, 1))  # Runs in rows (B * R)
    scores = peaks * run_means(rows.weights.flatten(0, 1), found)
    sample, label = found.rows // rows.labels.shape[1], rows.labels.flatten()[found.rows]
    good = scores > 0
    return [_sample(found, scores, label, good & (sample == b), is_class_agnostic) for b in range(len(mask))]


def best_snippets(config: GSMTConfig, probabilities: Tensor, masks: Tensor, mask: Tensor) -> Rows:
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
    return Rows(masks.gather(1, whole), weights, labels)


def class_rows(probabilities: Tensor, mask: Tensor) -> Rows:
    """Class probabilities (B, K, T) as rows to be thresholded like masks, of weight 1."""
    labels = torch.arange(probabilities.shape[1], device=mask.device).expand(probabilities.shape[:2])
    return Rows(probabilities * mask[:, None], torch.ones_like(probabilities), labels)


def activated(config: GSMTConfig, rows: Tensor) -> tuple[Runs, Tensor]:
    """Where rows (R, T) reach each threshold, as `config.segments` says, and the score (N,) of the row there."""
    thresholds = torch.tensor(config.thresholds, device=rows.device, dtype=rows.dtype)
    active = rows[:, None] >= thresholds[:, None]  # (R, thresholds, T)
    repeated = rows[:, None].expand_as(active).flatten(0, 1)
    found = (runs if config.segments == "runs" else spans)(active.flatten(0, 1))
    scores = (run_maxima if config.mask_score == "max" else run_means)(repeated, found)
    return found._replace(rows=found.rows // len(thresholds)), scores


def _sample(found: Runs, scores: Tensor, labels: Tensor, own: Tensor, is_class_agnostic: bool) -> Candidates:
    """The candidates where `own` (N,): one for each distinct segment and label, with the best score."""
    keys = torch.stack([found.starts[own], found.ends[own], labels[own]], dim=1)
    distinct, index = keys.unique(dim=0, return_inverse=True)
    best = scores.new_zeros(len(distinct)).scatter_reduce_(0, index, scores[own], "amax")
    return Candidates(distinct[:, :2].to(scores.dtype), best, None if is_class_agnostic else distinct[:, 2])
