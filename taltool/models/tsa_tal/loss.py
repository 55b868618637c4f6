"""TSA-TAL's objective: class, location and actionness of every snippet, at each stage of prediction.

The paper's section on training is empty, so the terms are our choice.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.models.tsa_tal.config import TSATALConfig
from taltool.models.tsa_tal.network import STAGES, Detection
from taltool.nn.losses import balanced_bce, softmax_focal_loss, tiou_loss
from taltool.nn.targets import PaddedTargets, cell_centres, cells_of
from taltool.nn.whole_batch import WholeBatch


def detection_terms(
    config: TSATALConfig, outputs: Outputs, targets: PaddedTargets, whole: WholeBatch
) -> dict[str, Tensor]:
    """For each stage the weighted terms STAGE_class, STAGE_location and STAGE_actionness."""
    valid = outputs["valid"]
    truth = SnippetTargets.of(targets, valid)
    count = whole.divisor("positives", truth.positive.sum())
    return {
        f"{stage}_{name}": weight * term
        for stage, weight in zip(STAGES, config.stage_weights, strict=True)
        for name, term in stage_terms(config, Detection.of(outputs, stage), truth, valid, count).items()
    }


def stage_terms(
    config: TSATALConfig, detection: Detection, truth: "SnippetTargets", valid: Tensor, count: Tensor
) -> dict[str, Tensor]:
    """Focal loss of classes and 1 - tIoU over the positive snippets of the batch, balanced cross entropy of actionness.

    valid (B, T) float; count is the divisor of sums over the batch's positive snippets.
    """
    focal = softmax_focal_loss(detection.logits, truth.labels, config.background_alpha, config.focal_gamma)
    location = tiou_loss(detection.distances, truth.distances)
    return {
        "class": (focal * valid).sum() / count,
        "location": (location * truth.positive).sum() / count,
        "actionness": balanced_bce(detection.actionness, truth.positive, valid).mean(),
    }


@dataclass(frozen=True)
class SnippetTargets:
    """What each snippet should say: labels (B, T) int64, 0 = background; distances (B, T, 2) to its instance's ends."""

    labels: Tensor
    distances: Tensor

    @classmethod
    def of(cls, targets: PaddedTargets, valid: Tensor) -> "SnippetTargets":
        """Each snippet belongs to the shortest instance that holds its cell (see `taltool.nn.targets`)."""
        cells = cells_of(targets, valid.shape[1])
        labels = (cells.of_owner(targets.labels) + 1) * cells.is_action * (valid > 0)
        starts, ends = cells.of_owner(targets.segments).unbind(-1)
        centres = cell_centres(valid.shape[1], valid.device)
        return cls(labels, torch.stack([centres - starts, ends - centres], dim=-1).clamp(min=0))

    @property
    def positive(self) -> Tensor:
        """1 where a snippet belongs to an instance: (B, T) float."""
        return (self.labels > 0).float()
