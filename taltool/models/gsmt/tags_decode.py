"""From GSMT's two branches to scored segments as the published code does it (sauradip/TAGS, tags_inference.py).

Every candidate has the class of its video, that of the largest mean logit. The masks of the best snippets give one
candidate per threshold, from the first to the last activated snippet, scored by their longest run; with each such
snippet stand the stretches in which the probability of the likeliest class passes thresholds of its own. A candidate
ends where its last snippet begins. All that the code writes out is here but its suppression (a formula that raises
scores) and its file of video classes from another network, which overrule those of weak candidates.
"""

import torch
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.models.decoding import Runs, run_maxima, run_means, runs, spans
from taltool.models.gsmt.config import CLASS_THRESHOLDS, GSMTConfig

# A candidate's longest run must be longer than this share of the sample.
LEAST_SHARE = 0.02

# Segments [start, end] as the stretches of rows, and their scores (N,).
Scored = tuple[Runs, Tensor]


def published_candidates(config: GSMTConfig, outputs: Outputs, mask: Tensor) -> tuple[Scored, Tensor]:
    """The candidates of B samples, rows being samples, and the class (B,) of each sample."""
    logits = outputs["class_logits"].float()
    actions = logits.softmax(dim=1)[:, :-1] * mask[:, None]  # (B, K, T)
    means = (logits[:, :-1] * mask[:, None]).sum(2) / mask.sum(1, keepdim=True).clamp(min=1)
    labels = means.argmax(1)  # (B,)
    best = actions.amax(1)  # (B, T)
    peaks, chosen = best.topk(min(config.top_snippets or best.shape[1], best.shape[1]), dim=1)  # (B, M_1)
    masks = outputs["mask_logits"].float().sigmoid() * mask[:, None]
    rows = masks.gather(1, chosen[..., None].expand(-1, -1, masks.shape[2])).flatten(0, 1)  # (B * M_1, T)
    of_video = actions[torch.arange(len(labels), device=labels.device), labels]  # (B, T)
    sample = torch.arange(len(labels), device=labels.device).repeat_interleave(chosen.shape[1])  # (B * M_1,)
    masked, scores = mask_candidates(config, rows, of_video[sample], peaks.flatten())
    has_any = torch.zeros_like(sample, dtype=torch.bool).index_fill_(0, masked.rows, value=True)
    stretched, class_scores = class_candidates(rows, best[sample], has_any)
    joined = Runs(*(torch.cat(pair) for pair in zip(masked, stretched, strict=True)))
    return (joined._replace(rows=sample[joined.rows]), torch.cat([scores, class_scores])), labels


def mask_candidates(config: GSMTConfig, rows: Tensor, of_video: Tensor, peaks: Tensor) -> Scored:
    """What R masks (R, T) give at each threshold: first to last activated snippet, if the longest run is long enough.

    The score is the mean of the mask inside of its longest run, times the probability (R,) of the best class at the
    snippet whose mask it is, times the square of the largest probability of the video's class, (R, T), in that run.
    """
    thresholds = torch.tensor(config.thresholds, device=rows.device, dtype=rows.dtype)
    active = (rows[:, None] > thresholds[:, None]).flatten(0, 1)  # (R * thresholds, T)
    whole, longest = spans(active), longest_runs(active)
    # The code's end is the last snippet of a run, and is left out of what it averages.
    last = longest.ends - 1
    long = last - longest.starts > LEAST_SHARE * rows.shape[1]
    whole, run = (Runs(*(part[long] for part in each)) for each in (whole, longest._replace(ends=last)))
    # Of runs that have no inside (where T is below 100) the code's mean is of nothing; here it is that of the run.
    has_inside = run.ends - run.starts > 2
    inside = run._replace(starts=run.starts + has_inside.long(), ends=run.ends - has_inside.long())
    row = run.rows // len(thresholds)
    values, classes = (each.repeat_interleave(len(thresholds), dim=0) for each in (rows, of_video))
    scores = run_means(values, inside) * peaks[row] * run_maxima(classes, run).square()
    return whole._replace(rows=row, ends=whole.ends - 1), scores


def class_candidates(rows: Tensor, best: Tensor, has_any: Tensor) -> Scored:
    """The stretches in which the best class's probability (R, T) passes its thresholds, for rows with candidates (R,).

    The score is the largest probability there times the largest value of the mask there.
    """
    thresholds = torch.tensor(CLASS_THRESHOLDS, device=best.device, dtype=best.dtype)
    active = (best[:, None] > thresholds[:, None]) & has_any[:, None, None]
    stretches = spans(active.flatten(0, 1))
    stretches = stretches._replace(ends=stretches.ends - 1)
    stretches = Runs(*(part[stretches.ends - stretches.starts > 1] for part in stretches))
    values, classes = (each.repeat_interleave(len(thresholds), dim=0) for each in (rows, best))
    scores = run_maxima(values, stretches) * run_maxima(classes, stretches)
    return stretches._replace(rows=stretches.rows // len(thresholds)), scores


def longest_runs(active: Tensor) -> Runs:
    """The longest run of each row (R, T) bool that has one, the first of several."""
    found, width = runs(active), active.shape[1] + 1
    keys = (found.ends - found.starts) * width + width - found.starts
    best = keys.new_zeros(len(active)).scatter_reduce_(0, found.rows, keys, "amax")
    is_longest = keys == best[found.rows]
    return Runs(*(part[is_longest] for part in found))
