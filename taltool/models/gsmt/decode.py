"""From GSMT's two branches to scored segments: all snippets, thresholds and samples at once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Candidates, Outputs
from taltool.models.decoding import Runs, run_maxima, run_means, runs, spans
from taltool.models.gsmt.config import GSMTConfig
from taltool.models.gsmt.tags_decode import published_candidates

PADDED = -1.0
# Of a candidate's length: over so much before and behind it a contrast compares.
MARGIN = 0.25


class Scored(NamedTuple):
    """N candidates: segments, whose rows are samples; scores (N,); labels (N,)."""

    segments: Runs
    scores: Tensor
    labels: Tensor


def decode(config: GSMTConfig, outputs: Outputs, mask: Tensor) -> list[Candidates]:
    """One candidate of each sample for each distinct segment and label, with its best score."""
    if config.decoding == "code":
        (segments, scores), classes = published_candidates(config, outputs, mask)
        parts = [Scored(segments, scores, classes[segments.rows])]
    else:
        probabilities = outputs["class_logits"].float().softmax(dim=1)[:, :-1] * mask[:, None]  # (B, K, T)
        parts = []
        if config.mask_branch:
            chosen = best_snippets(config, probabilities, mask)
            masks = pairwise_masks(outputs["mask_logits"], mask, is_symmetric=config.symmetric_masks)
            parts.append(segments_of_masks(config, probabilities, mask, chosen, masks[chosen.samples, chosen.places]))
        if config.class_segments or not config.mask_branch:
            parts.append(segments_of_classes(config, probabilities, mask))
    return distinct_candidates(config, parts, len(mask))


def distinct_candidates(config: GSMTConfig, parts: Sequence[Scored], samples: int) -> list[Candidates]:
    """Of each sample one candidate for each distinct segment and label that scores above 0."""
    segments = Runs(*(torch.cat(each) for each in zip(*(part.segments for part in parts), strict=True)))
    scores, labels = torch.cat([part.scores for part in parts]), torch.cat([part.labels for part in parts])
    is_agnostic = config.classifier == "external"
    return [
        _of_sample(segments, scores, labels, (scores > 0) & (segments.rows == b), is_agnostic) for b in range(samples)
    ]


def pairwise_masks(logits: Tensor, mask: Tensor, *, is_symmetric: bool) -> Tensor:
    """Whose row t is how much each snippet belongs to the action of snippet t, (B, T, T), zero for padding.

    is_symmetric: the geometric mean of what t says of s and s of t.
    """
    masks = logits.float().sigmoid()
    if is_symmetric:
        masks = (masks * masks.transpose(1, 2)).sqrt()
    return masks * mask[:, None]


class ChosenSnippets(NamedTuple):
    """R snippets whose masks become candidates: the sample and the place of each, its best action, and the probability
    of that there, all (R,)."""

    samples: Tensor
    places: Tensor
    labels: Tensor
    peaks: Tensor

    def part(self, rows: slice) -> "ChosenSnippets":
        """Some of them."""
        return ChosenSnippets(*(each[rows] for each in self))


def best_snippets(config: GSMTConfig, probabilities: Tensor, mask: Tensor) -> ChosenSnippets:
    """The best M_1 snippets of each sample, by the probability (B, K, T) of a snippet's best action.

    None of them stands in for a missing snippet (padding).
    """
    best, labels = probabilities.max(dim=1)  # (B, T)
    number = min(config.top_snippets or best.shape[1], best.shape[1])
    peaks, places = best.masked_fill(~mask, PADDED).topk(number, dim=1)  # (B, M_1)
    samples, ranks = (peaks > PADDED).nonzero(as_tuple=True)
    places = places[samples, ranks]
    return ChosenSnippets(samples, places, labels[samples, places], peaks[samples, ranks])


def segments_of_masks(
    config: GSMTConfig,
    probabilities: Tensor,
    mask: Tensor,
    chosen: ChosenSnippets,
    masks: Tensor,
    origins: Tensor | None = None,
) -> Scored:
    """What the masks (R, P) of chosen snippets give; position 0 of each is the snippet `origins` (R,), or 0.

    They weigh as much as that action at the snippet, or as it does where the candidate lies.
    """
    found, scores = threshold_rows(config, masks)
    if origins is not None:
        moved = origins[found.rows]
        found = Runs(found.rows, found.starts + moved, found.ends + moved)
    samples, labels = chosen.samples[found.rows], chosen.labels[found.rows]
    if config.class_score == "snippet":
        weights = chosen.peaks[found.rows]
    else:
        pairs = found._replace(rows=samples * probabilities.shape[1] + labels)
        weights = class_scores(config, probabilities, mask, pairs)
    return Scored(found._replace(rows=samples), scores * weights, labels)


def segments_of_classes(config: GSMTConfig, probabilities: Tensor, mask: Tensor) -> Scored:
    """What class probabilities (B, K, T) give, thresholded like masks."""
    found, scores = threshold_rows(config, probabilities.flatten(0, 1))
    if config.class_score == "contrast":
        scores = class_scores(config, probabilities, mask, found)
    classes = probabilities.shape[1]
    return Scored(found._replace(rows=found.rows // classes), scores, found.rows % classes)


def class_scores(config: GSMTConfig, probabilities: Tensor, mask: Tensor, found: Runs) -> Tensor:
    """How much of its class (B, K, T) each stretch of rows (B * K) holds: the mean, or its contrast, at least 0."""
    rows = probabilities.flatten(0, 1)
    if config.class_score == "segment":
        return run_means(rows, found)
    return contrast(rows, found, mask.sum(1)[found.rows // probabilities.shape[1]])


def contrast(values: Tensor, stretches: Runs, ends: Tensor) -> Tensor:
    """The mean (N,) of values (R, T) over each stretch less the mean over its margins, at least 0.

    The margins are `MARGIN` of its length before and behind it, as far as the sample of `ends` (N,) valid snippets
    goes; parts of a snippet count as much as they are. Nothing is taken off a stretch that is the whole sample.
    """
    sums = F.pad(values.double().cumsum(1), (1, 0))  # (R, T + 1)
    starts, stops = stretches.starts.double(), stretches.ends.double()
    margin = MARGIN * (stops - starts)
    before, behind = (starts - margin).clamp(min=0), torch.minimum(stops + margin, ends.double())

    def integral(place: Tensor) -> Tensor:
        low = place.floor().long()
        left, right = sums[stretches.rows, low], sums[stretches.rows, (low + 1).clamp(max=values.shape[1])]
        return torch.lerp(left, right, place - low)

    inside = integral(stops) - integral(starts)
    outside = integral(starts) - integral(before) + integral(behind) - integral(stops)
    around = (starts - before + behind - stops).clamp(min=torch.finfo(torch.float64).tiny)
    return (inside / (stops - starts) - outside / around).clamp(min=0).to(values.dtype)


def threshold_rows(config: GSMTConfig, rows: Tensor) -> tuple[Runs, Tensor]:
    """Where rows (R, T) reach each threshold, as `config.segments` says, and the score (N,) of the row there."""
    thresholds = torch.tensor(config.thresholds, device=rows.device, dtype=rows.dtype)
    active = rows[:, None] >= thresholds[:, None]  # (R, thresholds, T)
    repeated = rows[:, None].expand_as(active).flatten(0, 1)
    segments = (runs if config.segments == "runs" else spans)(active.flatten(0, 1))
    scores = (run_maxima if config.mask_score == "max" else run_means)(repeated, segments)
    return segments._replace(rows=segments.rows // len(thresholds)), scores


def _of_sample(segments: Runs, scores: Tensor, labels: Tensor, kept: Tensor, is_class_agnostic: bool) -> Candidates:
    """The candidates where `kept` (N,): one for each distinct segment and label, with the best score."""
    keys = torch.stack([segments.starts[kept], segments.ends[kept], labels[kept]], dim=1)
    distinct, index = keys.unique(dim=0, return_inverse=True)
    best = scores.new_zeros(len(distinct)).scatter_reduce_(0, index, scores[kept], "amax")
    return Candidates(distinct[:, :2].to(scores.dtype), best, None if is_class_agnostic else distinct[:, 2])
