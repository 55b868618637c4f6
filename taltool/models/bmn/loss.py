"""The losses of BMN, of its labels: overlaps with boundary regions, and the tIoU of every proposal."""

import torch
from torch import Tensor

from taltool.models.bmn.config import BMNConfig
from taltool.models.contract import Outputs
from taltool.nn.batch_statistics import batch_count, draw_in_batch_order
from taltool.nn.losses import balanced_bce
from taltool.nn.targets import PaddedTargets, best_tiou, region_labels

# Kinds of proposals by tIoU for the regression, and what classification calls an action.
HIGH, LOW, ACTION = 0.7, 0.3, 0.9


def balanced_l2(values: Tensor, tiou: Tensor, valid: Tensor) -> Tensor:
    """Half the mean of (values - tiou)^2 over drawn cells of the batch; all (B, N), valid bool.

    All cells above 0.7 count, and at random as many of those in (0.3, 0.7] and of those in (0, 0.3]. The mean is over
    the number of cells to be expected, which unlike the number drawn is known before a batch passes in parts.
    """
    high, middle, low = (valid & (tiou > least) & (tiou <= most) for least, most in ((HIGH, 1), (LOW, HIGH), (0, LOW)))
    wanted = expected = batch_count(high.sum())
    chance = draw_in_batch_order(lambda generator: torch.rand(tiou.shape, generator=generator)).to(tiou.device)
    drawn = high
    for cells in (middle, low):
        count = batch_count(cells.sum())
        drawn = drawn | (cells & (chance < wanted / count))
        expected = expected + torch.minimum(wanted, count)
    return torch.where(drawn, (values - tiou).square(), 0).sum() / 2 / expected


def weighted_logistic(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """The weighted binary logistic loss over the whole batch: half the mean of -log p over positives (labels above
    0.5) plus half that of -log(1 - p) over the others; all of one shape."""
    return balanced_bce(logits.flatten(), labels.flatten(), valid.float().flatten(), batch_count)


def proposal_terms(
    config: BMNConfig, outputs: Outputs, targets: PaddedTargets, cells: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """The weighted terms of temporal and proposal evaluation; cells are the first and last snippets (N,)."""
    first, last = cells
    mask = outputs["valid"]
    _, start, end = region_labels(targets, mask.shape[1], config.boundary_half_width).unbind(1)
    tiou, valid = best_tiou(targets, first.float(), last + 1.0), mask[:, last] > 0
    regression = balanced_l2(outputs["regression_logits"].sigmoid(), tiou, valid)
    return {
        "start": weighted_logistic(outputs["start_logits"], start, mask),
        "end": weighted_logistic(outputs["end_logits"], end, mask),
        "regression": config.regression_weight * regression,
        "classification": weighted_logistic(outputs["classification_logits"], tiou > ACTION, valid),
    }
