"""What overlapping windows say of a video, averaged where they lie in it, and decoded as one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.contract import Candidates, Outputs, Timeline
from taltool.models.gsmt.config import GSMTConfig
from taltool.models.gsmt.decode import (
    Scored,
    best_snippets,
    distinct_candidates,
    pairwise_masks,
    segments_of_classes,
    segments_of_masks,
)

# Over this share of a window, at either end, what it says counts less and less: it sees less around it there.
EDGE = 0.25
# Masks that are thresholded at once.
ROWS = 2048
NOTHING = 1e-9


class GSMTTimeline(Timeline):
    """Sums over windows of `window` snippets of a video of `length`: class probabilities, and the masks of snippets,
    each over the places -(window - 1) ... window - 1 around it, which is as far as any window sees."""

    def __init__(self, config: GSMTConfig, length: int, window: int, classes: int, device: torch.device) -> None:
        self.config, self.length, self.reach = config, length, window - 1
        self.classes, self.class_weights = (
            torch.zeros(classes, length, device=device),
            torch.zeros(length, device=device),
        )
        shape = (length, 2 * window - 1) if config.mask_branch else (0, 0)
        self.masks, self.mask_weights = torch.zeros(shape, device=device), torch.zeros(shape, device=device)

    def add(self, outputs: Outputs, row: int, first: int, count: int) -> None:
        """See `Timeline.add`."""
        weights, here = edge_weights(count, self.classes.device), slice(first, first + count)
        probabilities = outputs["class_logits"][row].float().softmax(dim=0)[:-1, :count]
        self.classes[:, here] += probabilities * weights
        self.class_weights[here] += weights
        if not self.config.mask_branch:
            return
        valid = outputs["valid"][row : row + 1] > 0
        logits = outputs["mask_logits"][row : row + 1]
        (masks,) = pairwise_masks(logits, valid, is_symmetric=self.config.symmetric_masks)
        pairs, places = weights[:, None] * weights, torch.arange(count, device=weights.device)
        relative = places - places[:, None] + self.reach  # (count snippets, count places)
        self.masks[here].scatter_add_(1, relative, masks[:count, :count] * pairs)
        self.mask_weights[here].scatter_add_(1, relative, pairs)

    def candidates(self, others: Sequence["GSMTTimeline"] = ()) -> Candidates:
        """See `Timeline.candidates`."""
        config, every, parts = self.config, (self, *others), list[Scored]()
        probabilities = torch.stack([each.probabilities(self.length) for each in every]).mean(0)[None]
        mask = torch.ones(1, self.length, dtype=torch.bool, device=probabilities.device)
        if config.mask_branch:
            chosen = best_snippets(config, probabilities, mask)
            for first in range(0, len(chosen.places), ROWS):
                some = chosen.part(slice(first, first + ROWS))
                sums, votes = (sum(each) for each in zip(*(e.masks_of(some.places, self) for e in every), strict=True))
                # Of pairs that no window shows together nothing is known: none of the action.
                masks, origins = sums / votes.clamp(min=NOTHING), some.places - self.reach
                parts.append(segments_of_masks(config, probabilities, mask, some, masks, origins))
        if config.class_segments or not config.mask_branch:
            parts.append(segments_of_classes(config, probabilities, mask))
        return distinct_candidates(config, parts, 1)[0]

    def probabilities(self, length: int) -> Tensor:
        """The mean class probabilities (K, length) over a grid of `length` snippets of the video."""
        means = self.classes / self.class_weights
        return means if length == self.length else F.interpolate(means[None], length, mode="linear")[0]

    def masks_of(self, places: Tensor, grid: "GSMTTimeline") -> tuple[Tensor, Tensor]:
        """The masks (R, P) of the snippets `places` (R,) of another grid over the video, 0 where not known,
        and how much they are known (R, P), 0 to 1.
        """
        if grid.length == self.length:
            known = (self.mask_weights[places] > 0).float()
            return self.masks[places] / self.mask_weights[places].clamp(min=NOTHING), known
        around = places[:, None] + torch.arange(-grid.reach, grid.reach + 1, device=places.device)
        inside = (around >= 0) & (around < grid.length)
        rows, columns = (self._neighbours(each, grid.length) for each in (places[:, None], around))
        sums = votes = torch.zeros(around.shape, device=places.device)
        for row, row_weight in rows:
            for column, column_weight in columns:
                relative = column - row + self.reach
                within = inside & (relative >= 0) & (relative <= 2 * self.reach)
                index = row.expand_as(relative), relative.clamp(0, 2 * self.reach)
                weights = self.mask_weights[index]
                share = row_weight * column_weight * (within & (weights > 0))
                sums, votes = sums + share * self.masks[index] / weights.clamp(min=NOTHING), votes + share
        return sums, votes

    def _neighbours(self, places: Tensor, length: int) -> list[tuple[Tensor, Tensor]]:
        """Between which two snippets the middles of others lie, of a grid of `length`, and the weight of each."""
        middles = ((places + 0.5) * (self.length / length) - 0.5).clamp(0, self.length - 1)
        left = middles.floor()
        right = (left + 1).clamp(max=self.length - 1)
        return [(left.long(), 1 - (middles - left)), (right.long(), middles - left)]


def edge_weights(count: int, device: torch.device) -> Tensor:
    """How much each of `count` snippets of a window counts: as much as it is far from an end, up to a quarter."""
    places = torch.arange(count, device=device) + 0.5
    return torch.minimum(places, count - places).clamp(max=max(EDGE * count, 0.5))
