"""Clips with background spliced into an action, for boundary contrastive learning (AFSD, section 3.3).

An action A and some background Bg are cut so that Bg lies between two parts of A:

    before   [ .... A A A A A A .... Bg Bg .... ]
    after    [ .... A A A Bg Bg A A A .... .... ]      A1 = the part before, A2 = the part after

The clip keeps its length; the snippets between move aside. With the gap before the action it is the mirror image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Span = tuple[float, float]
# Lengths in snippets come from seconds: by so much may one that is a whole number exceed it.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Splice:
    """order (T,) int64: which old snippet stands at each new position; the three spans in snippets of the new clip."""

    order: Tensor
    before: Span
    background: Span
    after: Span


def plan_splice(
    segments: Tensor, length: int, valid: int, shortest: float, generator: torch.Generator | None = None
) -> Splice | None:
    """A random splice of a clip of `length` snippets, of which the first `valid` are real; None where none fits.

    segments (M, 2) in snippets; shortest is the length of the shortest instance of the whole video, "the minimal action
    length in one video", which the clip need not show. The piece of background is as long as that (whole snippets, at
    least one); the action that takes it must be longer than twice that.
    """
    spans: list[Span] = [(max(s, 0.0), min(e, float(valid))) for s, e in segments.tolist() if e > s]
    if not spans:
        return None
    piece = max(1, math.ceil(shortest - _ROUNDING))
    actions = [span for span in spans if _splits(span, piece)]
    gaps = [gap for gap in _gaps(spans, valid) if gap[1] - gap[0] >= piece]
    if not actions or not gaps:
        return None
    action, gap = actions[_below(len(actions), generator)], gaps[_below(len(gaps), generator)]
    first, last = _splits(action, piece)[0], _splits(action, piece)[-1]
    split = first + _below(last - first + 1, generator)
    source = gap[0] + _below(gap[1] - gap[0] - piece + 1, generator)
    return _spliced(action, split, source, piece, length)


def _spliced(action: Span, split: int, source: int, piece: int, length: int) -> Splice:
    """Move the snippets [source, source + piece) to `split`, which lies inside the action."""
    old = torch.arange(length)
    moved = old[source : source + piece]
    if source >= split:
        order = torch.cat([old[:split], moved, old[split:source], old[source + piece :]])
        start, end = split, split + piece
    else:
        order = torch.cat([old[:source], old[source + piece : split], moved, old[split:]])
        start, end = split - piece, split
    shift_before, shift_after = start - split, end - split
    return Splice(order, (action[0] + shift_before, start), (start, end), (end, action[1] + shift_after))


def _splits(span: Span, piece: int) -> range:
    """The snippets at which an action longer than 2 pieces may be split: a piece away from both ends."""
    if span[1] - span[0] <= 2 * piece:
        return range(0)
    return range(math.ceil(span[0] + piece), math.floor(span[1] - piece) + 1)


def _gaps(spans: list[Span], valid: int) -> list[tuple[int, int]]:
    """The runs of whole snippets that no instance touches, as half-open ranges."""
    gaps, covered = [], 0.0
    for start, end in [*sorted(spans), (float(valid), float(valid))]:
        if start > covered:
            gaps.append((math.ceil(covered), math.floor(start)))
        covered = max(covered, end)
    return [gap for gap in gaps if gap[1] > gap[0]]


def _below(count: int, generator: torch.Generator | None) -> int:
    return int(torch.randint(count, (), generator=generator))
