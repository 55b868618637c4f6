"""From AFSD's outputs to scored segments (section 3.2, Eq. 15)."""

import torch
from torch import Tensor

from taltool.models.afsd.config import AFSDConfig
from taltool.models.contract import Candidates, Outputs
from taltool.models.dense_decoding import one_candidate_per_class


def decode(config: AFSDConfig, outputs: Outputs, mask: Tensor) -> list[Candidates]:
    """Every location as one candidate per class, clipped to the valid part of its sample."""
    distances = outputs["distances"]
    if "offsets" in outputs:
        distances = refined_distances(distances, outputs["offsets"])
    ends = torch.stack([outputs["centres"] - distances[..., 0], outputs["centres"] + distances[..., 1]], dim=-1)
    segments = torch.cummax(ends, dim=-1).values / config.frames_per_snippet  # None ends before it starts.
    is_class_agnostic = config.classifier == "external"
    return one_candidate_per_class(
        segments, action_scores(outputs), outputs["valid"], mask, is_class_agnostic=is_class_agnostic
    )


def refined_distances(distances: Tensor, offsets: Tensor) -> Tensor:
    """Eq. 15: coarse distances (..., 2) moved by offsets (..., 2) in halves of the coarse length."""
    return distances + 0.5 * distances.sum(-1, keepdim=True) * offsets


def action_scores(outputs: Outputs) -> Tensor:
    """Probability of each action (B, N, classes): mean of coarse and refined, times the quality."""
    scores = outputs["logits"].softmax(-1)
    if "refined_logits" in outputs:
        scores = (scores + outputs["refined_logits"].softmax(-1)) / 2
    if "quality" in outputs:
        scores = scores * outputs["quality"].sigmoid()[..., None]
    return scores[..., 1:]
