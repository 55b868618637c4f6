"""The losses of MGNet (section 3.6), and of its code where that teaches every head by itself."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.models.mgnet.config import MGNetConfig
from taltool.nn.batch_statistics import batch_count, draw_in_batch_order
from taltool.nn.losses import balanced_bce
from taltool.nn.proposal_sampling import upper_triangle
from taltool.nn.targets import PaddedTargets, best_tiou, region_labels

# DBG's kinds of cells, by tIoU, and how many of the lower kinds are drawn for each cell of the highest.
HIGH, LOW = 0.6, 0.2
MIDDLE_PER_HIGH, LOW_PER_HIGH = 1.0, 2.0


def mean_logits(logits: Tensor, dim: int = 1) -> Tensor:
    """The logits of the mean of the probabilities along `dim`, in float32.

    log p - log(1 - p), both by logsumexp, keep the precision that the mean of saturated sigmoids has lost.
    """
    logits = logits.float()
    certain, contrary = (torch.logsumexp(F.logsigmoid(sign * logits), dim) for sign in (1, -1))
    return certain - contrary


def binary_loss(logits: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
    """Eq. 19 over the whole batch: half the mean of -log p over positives plus half that of -log(1 - p) elsewhere.

    logits, labels and counted (...,); a label above 0.5 is positive. Eq. 19, a sum over one video without the halves
    and without the sign, is 2 T times this for a batch of one.
    """
    logits, labels, counted = (each.expand_as(logits).flatten() for each in (logits, labels, counted.float()))
    return balanced_bce(logits, labels, counted, batch_count)


def sampled_smooth_l1(values: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Smooth L1 between values and targets (B, N) over cells drawn as DBG draws them: the mean over B of means.

    All cells above 0.6 count, as many of those in (0.2, 0.6] at random, and twice as many of the others. valid (B, N).
    """
    high = (targets > HIGH) & valid
    middle = (targets > LOW) & ~high & valid
    low = valid & ~high & ~middle
    wanted = high.sum(1, keepdim=True)
    numbers = draw_in_batch_order(lambda generator: torch.rand(targets.shape, generator=generator)).to(targets.device)
    drawn = high.float()
    for cells, ratio in ((middle, MIDDLE_PER_HIGH), (low, LOW_PER_HIGH)):
        share = ratio * wanted / cells.sum(1, keepdim=True).clamp(min=1)
        drawn = drawn + (cells & (numbers < share))
    lost = F.smooth_l1_loss(values, targets, reduction="none") * drawn
    return (lost.sum(1) / drawn.sum(1).clamp(min=1)).mean()


def completeness_loss(config: MGNetConfig, outputs: Outputs, targets: PaddedTargets, valid: Tensor) -> Tensor:
    """The smooth L1 term of Eq. 21 over valid cells (B, N): drawn cells, or as printed a mean over T^2."""
    first, last = upper_triangle(outputs["valid"].shape[1], valid.device)
    labels = best_tiou(targets, first.float(), last + 1.0)
    values = outputs["completeness_logits"].float().sigmoid()
    if config.iou_loss == "sampled":
        return sampled_smooth_l1(values, labels, valid)
    lost = F.smooth_l1_loss(values, labels, reduction="none") * valid
    # Cells below the diagonal are neither predicted nor labelled; a shorter sample has its own T.
    return (lost.sum(1) / outputs["valid"].sum(1).square().clamp(min=1)).mean()


def detection_terms(config: MGNetConfig, outputs: Outputs, targets: PaddedTargets) -> dict[str, Tensor]:
    """The weighted terms of Eq. 23, and of the code's further heads where the outputs have them."""
    mask = outputs["valid"]  # (B, T)
    first, last = upper_triangle(mask.shape[1], mask.device)
    cells = mask[:, last] > 0
    labels = region_labels(targets, mask.shape[1], config.boundary_half_width)
    action, start, end = labels.unbind(1)
    terms = {}
    if "mask_logits" in outputs:
        parts = [_heads_loss(config, outputs["mask_logits"][:, :, n], labels[:, n], mask) for n in range(3)]
        terms["mask"] = config.action_weight * parts[0] + parts[1] + parts[2]
    terms["action"] = config.action_weight * _heads_loss(config, outputs["action_logits"], action, mask)
    terms["completeness"] = config.iou_weight * completeness_loss(config, outputs, targets, cells)
    terms["start"] = binary_loss(outputs["start_logits"].float(), start[:, first], cells)
    terms["end"] = binary_loss(outputs["end_logits"].float(), end[:, last], cells)
    return terms | _auxiliary_terms(outputs, labels, mask)


def _heads_loss(config: MGNetConfig, logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """The loss of heads' logits (B, heads, T): of their mean probability, or the mean of each one's own (the code)."""
    if config.supervision == "mean":
        return binary_loss(mean_logits(logits), labels, mask)
    return _summed_loss(logits, labels, mask) / logits.shape[1]


def _summed_loss(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    return torch.stack([binary_loss(each, labels, mask) for each in logits.float().unbind(1)]).sum()


def _auxiliary_terms(outputs: Outputs, labels: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The code's further terms: sequences of boundaries (mean of all), heads on what MGTs and FMG's encoder alone say.

    The two boundaries of an MGT share one weight.
    """
    terms = {}
    if "boundary_logits" in outputs:
        logits = outputs["boundary_logits"]  # (B, heads, 2, T)
        losses = [_summed_loss(logits[:, :, n], labels[:, n + 1], mask) for n in range(2)]
        terms["boundary"] = (losses[0] + losses[1]) / math.prod(logits.shape[1:3])
    for name, first, weight in (("guided_boundary", 1, 0.5), ("guided_action", 0, 1.0), ("encoder", 0, 1.0)):
        if f"{name}_logits" in outputs:
            logits = outputs[f"{name}_logits"]  # (B, streams, outputs, T)
            losses = [_summed_loss(each, labels[:, first + n], mask) for n, each in enumerate(logits.unbind(2))]
            terms[name] = weight * torch.stack(losses).sum()
    return terms
