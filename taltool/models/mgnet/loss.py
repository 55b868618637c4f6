"""The losses of MGNet (section 3.6), and of its code where that teaches every head by itself."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Outputs
from taltool.models.mgnet.config import MGNetConfig
from taltool.nn.losses import batch_balanced_bce, binary_counts
from taltool.nn.proposal_sampling import upper_triangle
from taltool.nn.targets import PaddedTargets, best_tiou, region_labels
from taltool.nn.whole_batch import ALONE, WholeBatch

# What mask heads say of each snippet, in order.
SNIPPET_LABELS = ("action", "start", "end")
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


class BinaryLabels:
    """What the network should say of a batch, yes (above 0.5) or no, and how its losses balance the two.

    "action", "start" and "end" (B, T) are the overlaps of snippets with an instance and with the regions around its
    ends; "cell_start" and "cell_end" (B, N) those of the first and the last snippet of each cell.
    """

    def __init__(self, config: MGNetConfig, targets: PaddedTargets, mask: Tensor) -> None:
        length = mask.shape[1]
        first, last = upper_triangle(length, mask.device)
        action, start, end = region_labels(targets, length, config.boundary_half_width).unbind(1)
        self.cells = mask[:, last] > 0
        snippets, cells = mask.float(), self.cells.float()
        self._labels = {
            "action": (action, snippets),
            "start": (start, snippets),
            "end": (end, snippets),
            "cell_start": (start[:, first], cells),
            "cell_end": (end[:, last], cells),
        }

    def counts(self) -> dict[str, Tensor]:
        """What the losses divide by, over the batch."""
        counts: dict[str, Tensor] = {}
        for name, (labels, counted) in self._labels.items():
            counts |= binary_counts(name, labels, counted)
        return counts

    def loss(self, name: str, logits: Tensor, divisors: Mapping[str, Tensor]) -> Tensor:
        """Eq. 19 over the whole batch: half the mean of -log p over positives plus half that of -log(1 - p) elsewhere.

        Eq. 19, a sum over one video without the halves and without the sign, is 2 T times this for a batch of one.
        divisors are those of `counts`.
        """
        return batch_balanced_bce(name, logits, *self._labels[name], divisors)


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


def completeness_loss(
    config: MGNetConfig, outputs: Outputs, targets: PaddedTargets, valid: Tensor, whole: WholeBatch
) -> Tensor:
    """The smooth L1 term of Eq. 21 over valid cells (B, N): drawn cells, or as printed a mean over T^2."""
    first, last = upper_triangle(outputs["valid"].shape[1], valid.device)
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
    labels = BinaryLabels(config, targets, outputs["valid"])
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
    terms["completeness"] = config.iou_weight * completeness_loss(config, outputs, targets, labels.cells, whole)
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
