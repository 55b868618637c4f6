"""From BMN's boundary probabilities and confidences to scored proposals."""

import torch
from torch import Tensor

from taltool.models.bmn.config import BMNConfig
from taltool.models.bmn.proposal_map import proposal_cells
from taltool.models.contract import Candidates, Outputs
from taltool.nn.active_runs import likely_boundaries


def decode(config: BMNConfig, outputs: Outputs, mask: Tensor) -> list[Candidates]:
    """The proposals [i, j + 1] of each sample, with score p^s_i p^e_j sqrt(p^class_ij p^regression_ij)."""
    first, last = proposal_cells(mask.shape[1], config.most_snippets, mask.device)
    start, end = (outputs[f"{name}_logits"].float().sigmoid() * mask for name in ("start", "end"))
    confidence = outputs["classification_logits"].float().sigmoid() * outputs["regression_logits"].float().sigmoid()
    scores = start[:, first] * end[:, last] * (confidence.sqrt() if config.confidence == "root" else confidence)
    kept = mask[:, last]
    if config.candidates == "peaks":
        kept = kept & likely_boundaries(start, mask)[:, first] & likely_boundaries(end, mask)[:, last]
    segments = torch.stack([first, last + 1], dim=-1).float()
    return [Candidates(segments[kept[b]], scores[b, kept[b]], None) for b in range(len(mask))]
