"""What MGNet should answer with yes or no, and the losses of that (section 3.6), as printed or as in the authors' code.

Labels of the snippets are "action", "start" and "end" (B, T), those of the cells of the maps "cell_start" and
"cell_end" (B, N); cell (i, j) is the proposal [i, j + 1]. A start is there from d_t snippets before that of an instance
to d_t behind it, and so is an end.
"""

from collections.abc import Mapping
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from taltool.models.mgnet.config import MGNetConfig
from taltool.nn.losses import balanced_bce, batch_balanced_bce, binary_counts
from taltool.nn.proposal_sampling import upper_triangle
from taltool.nn.targets import PaddedTargets, covered, region_labels

# What mask heads say of each snippet, in order.
SNIPPET_LABELS = ("action", "start", "end")


class BinaryLabels(Protocol):
    """The labels of a batch with their loss."""

    def counts(self) -> dict[str, Tensor]:
        """What the losses divide by, over the batch."""

    def loss(self, name: str, logits: Tensor, divisors: Mapping[str, Tensor]) -> Tensor:
        """The loss of logits (B, T) or (B, N) under the label of that name; divisors are those of `counts`."""


def binary_labels(config: MGNetConfig, targets: PaddedTargets, mask: Tensor) -> BinaryLabels:
    """The labels that `config.binary_loss` names; mask (B, T) float."""
    kind = TextLabels if config.binary_loss == "text" else CodeLabels
    return kind(config.boundary_half_width, targets, mask)


class TextLabels:
    """As printed, with the sign that both equations lack.

    Snippets say yes where anything of it is there, and have Eq. 19, the sum over a video that weighs yes and no alike;
    one that the video lacks adds nothing. Cells say the share of [e - d_t / 2, e + d_t / 2] where it is, e being the
    start or the end of the proposal, and have Eq. 22, which balances nothing. That is printed as one sum, but divided
    by T^2: it is read as Eq. 21, over the whole map, of which the part below the diagonal is neither predicted nor
    labelled.
    """

    def __init__(self, reach: float, targets: PaddedTargets, mask: Tensor) -> None:
        length = mask.shape[1]
        first, last = upper_triangle(length, mask.device)
        there = (region_labels(targets, length, reach) > 0).float()
        self._snippets = dict(zip(SNIPPET_LABELS, there.unbind(1), strict=True))
        self._mask, self._cell_mask = mask, mask[:, last]
        starts, ends = targets.segments.unbind(-1)
        self._cells = {
            name: covered(own - reach / 2, reach, edges - reach, edges + reach, targets.present)
            for name, own, edges in (("cell_start", first, starts), ("cell_end", last + 1, ends))
        }

    def counts(self) -> dict[str, Tensor]:
        """Nothing: each video has its own divisors."""
        return {}

    def loss(self, name: str, logits: Tensor, divisors: Mapping[str, Tensor]) -> Tensor:
        """Eq. 19 of snippets or Eq. 22 of cells, the mean over videos."""
        length = self._mask.sum(1)
        if name in self._snippets:
            return (2 * length * balanced_bce(logits, self._snippets[name], self._mask)).mean()
        lost = F.binary_cross_entropy_with_logits(logits, self._cells[name], reduction="none") * self._cell_mask
        return (lost.sum(1) / length.square().clamp(min=1)).mean()


class CodeLabels:
    """As in the authors' code: cells (i, j) have the labels of the snippets i and j, and all have one loss.

    Snippets say yes where more than half of it is there. For a batch of one video Eq. 19 is 2 T times the loss.
    """

    def __init__(self, reach: float, targets: PaddedTargets, mask: Tensor) -> None:
        length = mask.shape[1]
        first, last = upper_triangle(length, mask.device)
        labels = region_labels(targets, length, reach)
        self._labels = {name: (own, mask) for name, own in zip(SNIPPET_LABELS, labels.unbind(1), strict=True)}
        self._labels |= {
            "cell_start": (labels[:, 1, first], mask[:, last]),
            "cell_end": (labels[:, 2, last], mask[:, last]),
        }

    def counts(self) -> dict[str, Tensor]:
        """Yes and no of each label in the batch."""
        counts: dict[str, Tensor] = {}
        for name, (labels, counted) in self._labels.items():
            counts |= binary_counts(name, labels, counted)
        return counts

    def loss(self, name: str, logits: Tensor, divisors: Mapping[str, Tensor]) -> Tensor:
        """Half the mean of -log p over yes plus half that of -log(1 - p) over no, of the whole batch."""
        return batch_balanced_bce(name, logits, *self._labels[name], divisors)
