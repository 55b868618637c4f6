"""From AMNet's outputs to scored segments (Eq. 13 and 14)."""

import torch
from torch import Tensor

from taltool.models.amnet.config import AMNetConfig
from taltool.models.contract import Candidates, Outputs
from taltool.models.dense_decoding import one_candidate_per_class


def decode(config: AMNetConfig, outputs: Outputs, mask: Tensor) -> list[Candidates]:
    """Every location as one candidate per class, clipped to the valid part of its sample."""
    centres, distances = outputs["centres"], outputs["distances"]
    segments = torch.stack([centres - distances[..., 0], centres + distances[..., 1]], dim=-1)
    scores = outputs["logits"].sigmoid()
    if "matching" in outputs:
        scores = scores * normalised_matching(outputs["matching"], config).clamp(min=0)[..., None]
    is_class_agnostic = config.classifier == "external"
    return one_candidate_per_class(segments, scores, outputs["valid"], mask, is_class_agnostic=is_class_agnostic)


def normalised_matching(matching: Tensor, config: AMNetConfig) -> Tensor:
    """tanh or sigmoid of matching scores (Table 4)."""
    return matching.tanh() if config.match_act == "tanh" else matching.sigmoid()
