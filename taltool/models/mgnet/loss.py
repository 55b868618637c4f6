"""The losses of MGNet (section 3.6), and of its code where that teaches every head by itself."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.models.mgnet.config import MGNetConfig
from taltool.models.mgnet.labels import SNIPPET_LABELS, binary_labels
from taltool.nn.proposal_sampling import upper_triangle
from taltool.nn.targets import PaddedTargets, best_tiou
from taltool.nn.whole_batch import ALONE, WholeBatch

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


def sampled_smooth_l1(values: Tensor, targets: Tensor, valid: Tensor, whole: WholeBatch = ALONE) -> Tensor:
    """Smooth L1 between values and targets (B, N) over cells drawn as DBG draws them: the mean over B of means.

    All cells above 0.6 count, as many of those in (0.2, 0.6] at random, and twice as many of the others. valid (B, N).
    """
    high = (targets > HIGH) & valid
    middle = (targets > LOW) & ~high & valid
    low = valid & ~high & ~middle
    wanted = high.sum(1, keepdim=True)
    numbers = whole.draw(lambda generator: torch.rand(targets.shape, generator=generator)).to(targets.device)
    drawn = high.float()
    for cells, ratio in ((middle, MIDDLE_PER_HIGH), (low, LOW_PER_HIGH)):
        share = ratio * wanted / cells.sum(1, keepdim=True).clamp(min=1)
        drawn = drawn + (cells & (numbers < share))
    lost = F.smooth_l1_loss(values, targets, reduction="none") * drawn
    return (lost.sum(1) / drawn.sum(1).clamp(min=1)).mean()


def completeness_loss(config: MGNetConfig, outputs: Outputs, targets: PaddedTargets, whole: WholeBatch) -> Tensor:
    """The smooth L1 term of Eq. 21: over drawn cells, or as printed a mean over T^2."""
    first, last = upper_triangle(outputs["valid"].shape[1], outputs["valid"].device)
    valid = outputs["valid"][:, last] > 0  # (B, N)
    labels = best_tiou(targets, first.float(), last + 1.0)
    values = outputs["completeness_logits"].float().sigmoid()
    if config.iou_loss == "sampled":
        return sampled_smooth_l1(values, labels, valid, whole)
    lost = F.smooth_l1_loss(values, labels, reduction="none") * valid
    # Cells below the diagonal are neither predicted nor labelled; a shorter sample has its own T.
    return (lost.sum(1) / outputs["valid"].sum(1).square().clamp(min=1)).mean()


def detection_terms(
    config: MGNetConfig, outputs: Outputs, targets: PaddedTargets, whole: WholeBatch
) -> dict[str, Tensor]:
    """The weighted terms of Eq. 23, and of the code's further heads where the outputs have them."""
    labels = binary_labels(config, targets, outputs["valid"])
    divisors = whole.divisors(labels.counts())

    def each_head(name: str, logits: Tensor) -> Tensor:
        """The sum of the losses of heads' logits (B, heads, T)."""
        return torch.stack([labels.loss(name, own, divisors) for own in logits.float().unbind(1)]).sum()

    def heads(name: str, logits: Tensor) -> Tensor:
        """The loss of heads' logits (B, heads, T): of their mean probability, or the mean of each one's own (code)."""
        if config.supervision == "mean":
            return labels.loss(name, mean_logits(logits), divisors)
        return each_head(name, logits) / logits.shape[1]

    terms = {}
    if "mask_logits" in outputs:
        action, start, end = (
            heads(name, own) for name, own in zip(SNIPPET_LABELS, outputs["mask_logits"].unbind(2), strict=True)
        )
        terms["mask"] = config.action_weight * action + start + end
    terms["action"] = config.action_weight * heads("action", outputs["action_logits"])
    terms["completeness"] = config.iou_weight * completeness_loss(config, outputs, targets, whole)
    terms["start"] = labels.loss("cell_start", outputs["start_logits"].float(), divisors)
    terms["end"] = labels.loss("cell_end", outputs["end_logits"].float(), divisors)
    # The code's further terms: sequences of boundaries (mean of all), heads on what MGTs and FMG's encoder alone say.
    if "boundary_logits" in outputs:
        logits = outputs["boundary_logits"]  # (B, heads, 2, T)
        losses = [each_head(name, own) for name, own in zip(SNIPPET_LABELS[1:], logits.unbind(2), strict=True)]
        terms["boundary"] = (losses[0] + losses[1]) / math.prod(logits.shape[1:3])
    # The two boundaries of an MGT share one weight.
    for name, said, weight in (
        ("guided_boundary", SNIPPET_LABELS[1:], 0.5),
        ("guided_action", SNIPPET_LABELS[:1], 1.0),
        ("encoder", SNIPPET_LABELS[:1], 1.0),
    ):
        if f"{name}_logits" in outputs:
            logits = outputs[f"{name}_logits"]  # (B, streams, outputs, T)
            losses = [each_head(own, each) for own, each in zip(said, logits.unbind(2), strict=True)]
            terms[name] = weight * torch.stack(losses).sum()
    return terms
