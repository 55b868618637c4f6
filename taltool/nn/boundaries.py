"""Which snippets may be boundaries of a proposal."""

import torch.nn.functional as F
from torch import Tensor


def likely_boundaries(scores: Tensor, mask: Tensor) -> Tensor:
    """Which snippets (B, T) may be a boundary: local maxima of scores (B, T), those above half of the highest, and the
    first and last valid one of mask (B, T) (BSN's rule)."""
    before, after = (F.pad(scores, pad, value=-1.0) for pad in ((1, 0), (0, 1)))
    peaks = (scores > before[:, :-1]) & (scores > after[:, 1:])
    high = scores > 0.5 * scores.amax(1, keepdim=True)
    ends = mask & ~(F.pad(mask, (1, 0))[:, :-1] & F.pad(mask, (0, 1))[:, 1:])
    return (peaks | high | ends) & mask
