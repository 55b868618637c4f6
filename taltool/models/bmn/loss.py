"""The losses of BMN, of its labels: overlaps with boundary regions, and the tIoU of every proposal."""

from typing import NamedTuple

import torch
from torch import Tensor

from taltool.models.bmn.config import BMNConfig
from taltool.models.contract import Outputs
from taltool.nn.losses import batch_balanced_bce, binary_counts
from taltool.nn.targets import PaddedTargets, best_tiou, region_labels
from taltool.nn.whole_batch import ALONE, WholeBatch

# Kinds of proposals by tIoU for the regression, and what classification calls an action.
HIGH, LOW, ACTION = 0.7, 0.3, 0.9


class ProposalLabels(NamedTuple):
    """What a batch should say: start, end (B, T), overlaps of snippets with boundary regions; tiou (B, N) of the
    proposals; mask (B, T) and valid (B, N) float, which of both are there."""

    start: Tensor
    end: Tensor
    tiou: Tensor
    mask: Tensor
    valid: Tensor

    @classmethod
    def of(
        cls, config: BMNConfig, targets: PaddedTargets, mask: Tensor, cells: tuple[Tensor, Tensor]
    ) -> "ProposalLabels":
        """The labels for mask (B, T) float; cells are the first and last snippets (N,) of the proposals."""
        first, last = cells
        _, start, end = region_labels(targets, mask.shape[1], config.boundary_half_width).unbind(1)
        return cls(start, end, best_tiou(targets, first.float(), last + 1.0), mask, mask[:, last])

    @property
    def binary(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The labels and what is there of them, for each of the losses that tell two kinds apart."""
        is_action = self.tiou > ACTION
        return {
            "start": (self.start, self.mask),
            "end": (self.end, self.mask),
            "classification": (is_action, self.valid),
        }

    def counts(self) -> dict[str, Tensor]:
        """What the losses divide by, over the batch."""
        counts = {f"{kind}_cells": cells.sum() for kind, cells in cells_by_tiou(self.tiou, self.valid > 0).items()}
        for name, (labels, there) in self.binary.items():
            counts |= binary_counts(name, labels, there)
        return counts


def cells_by_tiou(tiou: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """The valid cells above 0.7, in (0.3, 0.7] and in (0, 0.3], by name; all (B, N)."""
    bounds = {"high": (HIGH, 1), "middle": (LOW, HIGH), "low": (0, LOW)}
    return {kind: valid & (tiou > least) & (tiou <= most) for kind, (least, most) in bounds.items()}


def balanced_l2(values: Tensor, tiou: Tensor, valid: Tensor, whole: WholeBatch = ALONE) -> Tensor:
    """Half the mean of (values - tiou)^2 over drawn cells of the batch; all (B, N), valid bool.

    All cells above 0.7 count, and at random as many of those in (0.3, 0.7] and of those in (0, 0.3]. The mean is over
    the number of cells to be expected, which unlike the number drawn is known before a batch passes in parts.
    """
    cells = cells_by_tiou(tiou, valid)
    counts = whole.divisors({f"{kind}_cells": own.sum() for kind, own in cells.items()})
    wanted = expected = counts["high_cells"]
    chance = whole.draw(lambda generator: torch.rand(tiou.shape, generator=generator)).to(tiou.device)
    drawn = cells["high"]
    for kind in ("middle", "low"):
        count = counts[f"{kind}_cells"]
        drawn = drawn | (cells[kind] & (chance < wanted / count))
        expected = expected + torch.minimum(wanted, count)
    return torch.where(drawn, (values - tiou).square(), 0).sum() / 2 / expected


def proposal_terms(config: BMNConfig, outputs: Outputs, labels: ProposalLabels, whole: WholeBatch) -> dict[str, Tensor]:
    """The weighted terms of temporal and proposal evaluation.

    Start, end and classification have the weighted binary logistic loss over the whole batch: half the mean of -log p
    over positives (labels above 0.5) plus half that of -log(1 - p) over the others.
    """
    regression = balanced_l2(outputs["regression_logits"].sigmoid(), labels.tiou, labels.valid > 0, whole)
    logistic = {}
    for name, (own, there) in labels.binary.items():
        divisors = whole.divisors(binary_counts(name, own, there))
        logistic[name] = batch_balanced_bce(name, outputs[f"{name}_logits"], own, there, divisors)
    return {
        "start": logistic["start"],
        "end": logistic["end"],
        "regression": config.regression_weight * regression,
        "classification": logistic["classification"],
    }
