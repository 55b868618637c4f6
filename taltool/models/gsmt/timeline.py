"""What overlapping windows say of a video, averaged where they lie in it, and decoded as one."""

import torch
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

    def candidates(self) -> Candidates:
        """See `Timeline.candidates`."""
        config, parts = self.config, list[Scored]()
        probabilities = (self.classes / self.class_weights)[None]
        mask = torch.ones(1, self.length, dtype=torch.bool, device=probabilities.device)
        if config.mask_branch:
            chosen = best_snippets(config, probabilities, mask)
            for first in range(0, len(chosen.places), ROWS):
                some = chosen.part(slice(first, first + ROWS))
                # Of pairs that no window shows together nothing is known: none of the action.
                masks = self.masks[some.places] / self.mask_weights[some.places].clamp(min=1e-9)
                origins = some.places - self.reach
                parts.append(segments_of_masks(config, probabilities, mask, some, masks, origins))
        if config.class_segments or not config.mask_branch:
            parts.append(segments_of_classes(config, probabilities, mask))
        return distinct_candidates(config, parts, 1)[0]


def edge_weights(count: int, device: torch.device) -> Tensor:
    """How much each of `count` snippets of a window counts: as much as it is far from an end, up to a quarter."""
    places = torch.arange(count, device=device) + 0.5
    return torch.minimum(places, count - places).clamp(max=max(EDGE * count, 0.5))
