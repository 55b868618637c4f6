"""From TSA-TAL's final heads to scored segments: runs of actionness, and what each snippet says by itself.

The text "aggregates" actionness under a mask and takes "softmax operations on the features of each aggregated
dimension"; thresholds, means and the refinement of ends by the regressed distances are our reading.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from taltool.models.contract import Candidates
from taltool.models.tsa_tal.config import TSATALConfig
from taltool.models.tsa_tal.network import Detection, stretched
from taltool.nn.packed_pyramid import Axis
from taltool.nn.runs import Runs, run_means, runs


class Cells(NamedTuple):
    """The final heads at P = T * factor positions: centres (P,) on the grid, actionness (B, P) in [0, 1], 0 in padding;
    probabilities (B, P, K) of the actions; segments (B, P, 2)."""

    centres: Tensor
    actionness: Tensor
    probabilities: Tensor
    segments: Tensor


class Found(NamedTuple):
    """N segments (N, 2) of samples (N,) with a score (N,) and class probabilities (N, K)."""

    samples: Tensor
    segments: Tensor
    scores: Tensor
    probabilities: Tensor


def decode(config: TSATALConfig, final: Detection, mask: Tensor) -> list[Candidates]:
    """The candidates of each sample, as `config.decode` says."""
    cells = at_positions(final, mask, config.decode_upsample)
    parts = []
    if config.decode != "anchor_free":
        parts.append(grouped(config, cells))
    if config.decode != "actionness":
        parts.append(anchor_free(cells, mask))
    samples, segments, scores, probabilities = (torch.cat(part) for part in zip(*parts, strict=True))
    ends = mask.sum(1)[samples].to(segments.dtype)
    segments = torch.minimum(segments.clamp(min=0), ends[:, None])
    chances, labels = probabilities.topk(min(config.top_classes, probabilities.shape[1]), dim=1)
    scores = scores[:, None] * chances
    keep = (segments[:, 1] > segments[:, 0])[:, None] & (scores > 0)
    return [_candidates(segments, scores, labels, keep & (samples == b)[:, None]) for b in range(len(mask))]


def at_positions(final: Detection, mask: Tensor, factor: int) -> Cells:
    """The heads' answers, linearly interpolated to `factor` positions per snippet."""
    said = torch.cat(
        [
            final.actionness.float().sigmoid()[..., None],
            final.distances.float(),
            final.logits.float().softmax(-1)[..., 1:],
        ],
        dim=-1,
    )
    said = stretched(said.transpose(1, 2), Axis.single(mask), factor).transpose(1, 2)  # (B, P, 3 + K)
    centres = (torch.arange(said.shape[1], device=said.device) + 0.5) / factor
    valid = mask.repeat_interleave(factor, dim=1)
    segments = torch.stack([centres - said[..., 1], centres + said[..., 2]], dim=-1)
    return Cells(centres, said[..., 0] * valid, said[..., 3:], segments)


def grouped(config: TSATALConfig, cells: Cells) -> Found:
    """Every run of actionness above any threshold, with means over the run; ends refined by the regressed ones."""
    thresholds = torch.tensor(config.thresholds, device=cells.actionness.device)
    active = cells.actionness[:, None] >= thresholds[:, None]  # (B, thresholds, P)
    found = runs(active.flatten(0, 1))
    # A run that several thresholds find counts once.
    keys = torch.stack([found.rows // len(thresholds), found.starts, found.ends], dim=1).unique(dim=0)
    distinct = Runs(*keys.unbind(1))
    segments = refined_ends(config.refine_boundary, distinct, cells)
    return Found(
        distinct.rows, segments, run_means(cells.actionness, distinct), run_means(cells.probabilities, distinct)
    )


def refined_ends(kind: str, found: Runs, cells: Cells) -> Tensor:
    """The segments (N, 2) of runs: their ends ("none"), those that the first and last snippet of the run regress
    ("regress"), or the mean of both ("mean")."""
    own = found.segments * (2 * cells.centres[0])  # A position is 1 / factor of a snippet long.
    starts = cells.segments[found.rows, found.starts, 0]
    ends = cells.segments[found.rows, found.ends - 1, 1]
    regressed = torch.stack([starts, ends], dim=1)
    return {"none": own, "regress": regressed, "mean": (own + regressed) / 2}[kind]


def anchor_free(cells: Cells, mask: Tensor) -> Found:
    """What each position says: its own segment, actionness and class probabilities."""
    valid = mask.repeat_interleave(cells.actionness.shape[1] // mask.shape[1], dim=1)
    samples = valid.nonzero()[:, 0]
    return Found(samples, cells.segments[valid], cells.actionness[valid], cells.probabilities[valid])


def _candidates(segments: Tensor, scores: Tensor, labels: Tensor, keep: Tensor) -> Candidates:
    rows, _ = keep.nonzero(as_tuple=True)
    return Candidates(segments[rows], scores[keep], labels[keep])
