"""Greedy suppression of many independent rows of candidates at once: the inner loop of all NMS methods.

A block is a few hundred rows of about equal length, padded to one rectangle that fits the processor's cache. Each step
picks the best candidate of every row and lowers the rest of the row; all rows take the step in the same dozen NumPy
calls, so the interpreter's cost is shared and the arithmetic runs vectorised. Rows that are done and candidates that
cannot be kept any more are squeezed out now and then.

Why NumPy: measured on one core it needs 4 ns per (picked, remaining) pair, where the field's C++ extensions (scalar
`exp`, one video at a time) need 20, it installs everywhere and adds nothing to start-up. Importing torch takes 1.5 s,
importing Numba half a second and compiling seconds on a fresh machine: more than the whole work on real input.

Factors are multiplied in the order of the picks, as a plain loop would, so the answer has that loop's digits.

Rows are candidates that cannot suppress each other's. Within one video and class, sorted by start, a candidate that
starts at or after the end of all before it overlaps none of them: a new chain of overlapping neighbours begins.
Suppression never leaves a chain, so chains are the rows; disjoint candidates are chains of one and cost no suppression.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import Floats, Integers
from taltool.ops.nms_settings import Method, Suppression

_GONE = -np.inf
# exp(-1 / sigma) is zero below this sigma, and -inf * 0 would bring a removed candidate back as NaN.
_UNDERFLOW_SIGMA = 1 / 700
_WINDOW_FROM = 4096
# From this step on the block is squeezed at every multiple, before it at the powers of two.
_SQUEEZE_EVERY = 16
RaiseFloors = Callable[[Floats, Integers], Floats]
# Candidates in one block: its arrays about fill a second-level cache, also when rows have been squeezed out of it.
# Measured: 8,000 is a third slower (more calls), 60,000 no faster.
BLOCK_SIZE = 32_000
# A block's rows are at least this part of its longest, so that little of the rectangle is padding.
_LEAST_FILL = 0.7


@dataclass
class Block:
    """Candidates of R rows, padded to L columns, each row in ascending order of (start, end, label).

    start, end, length, score (R, L); origin (R, L) the candidates' numbers; row (R,) numbers of the rows; floor (R,)
    the score below which the row has nothing to keep; duration (R,) of the rows' videos, seconds. Padding has score
    -inf and no extent; its length, like that of empty candidates, is 1, which keeps the union positive.
    """

    start: Floats
    end: Floats
    length: Floats
    score: Floats
    origin: Integers
    row: Integers
    floor: Floats
    duration: Floats

    @classmethod
    def padded(
        cls, segments: Floats, scores: Floats, first: Integers, size: Integers, floor: Floats, duration: Floats
    ) -> "Block":
        """Lay out rows of `size` (R,) candidates that begin at `first` (R,) in sorted segments (N, 2), scores (N,)."""
        columns = np.arange(size.max())
        inside = columns < size[:, None]
        origin = np.where(inside, first[:, None] + columns, first[:, None])
        start = np.where(inside, segments[origin, 0], 0.0)
        end = np.where(inside, segments[origin, 1], 0.0)
        score = np.where(inside, scores[origin], _GONE)
        return cls(start, end, _positive(end - start), score, origin, np.arange(len(size)), floor, duration)

    def squeezed(self) -> "Block":
        """The same rows without finished ones and without candidates below the floor, if that saves much."""
        wanted = (self.score >= self.floor[:, None]) & (self.score > _GONE)
        sizes = wanted.sum(1)
        rows = np.flatnonzero(sizes)
        columns = int(sizes.max(initial=0))
        if len(rows) * columns > 0.7 * self.score.size:
            return self
        at_row, at_column = np.nonzero(wanted)
        to_row = np.repeat(np.arange(len(rows)), sizes[rows])
        to_column = np.arange(len(at_row)) - np.repeat(np.cumsum(sizes[rows]) - sizes[rows], sizes[rows])
        shape = (len(rows), columns)

        def moved(values: NDArray[np.generic], fill: float) -> NDArray[np.generic]:
            target = np.full(shape, fill, values.dtype)
            target[to_row, to_column] = values[at_row, at_column]
            return target

        start, end, score = moved(self.start, 0.0), moved(self.end, 0.0), moved(self.score, _GONE)
        kept = (self.row[rows], self.floor[rows], self.duration[rows])
        return Block(start, end, moved(self.length, 1.0), score, moved(self.origin, 0), *kept)  # type: ignore[arg-type]


def _positive(length: Floats) -> Floats:
    return np.where(length > 0, length, 1.0)


def greedy(
    block: Block, settings: Suppression, limit: int, raise_floors: RaiseFloors
) -> tuple[Integers, Floats, Integers]:
    """Pick at most `limit` candidates of every row. Returns their origins, final scores, and rows, in picking order.

    raise_floors is told, now and then, the scores and rows of the latest picks, in the end of all of them, and
    returns floors (R,) for the rows of the original block that may only rise.
    """
    picked: list[tuple[Integers, Floats, Integers]] = []
    work, told = _BlockState(block), 0
    for step in range(1, limit + 1):
        best = work.corner + block.score.argmax(1)
        values = work.score[best]
        alive = (values >= block.floor) & (values > _GONE)
        if not alive.any():
            break
        picked.append((work.origin[best], np.where(alive, values, _GONE), block.row))
        work.score[best] = _GONE
        work.lower(best, settings)
        if step & (step - 1) == 0 or step % _SQUEEZE_EVERY == 0:
            block.floor = np.maximum(block.floor, raise_floors(*_joined(picked[told:])[1:])[block.row])
            told = len(picked)
            smaller = block.squeezed()
            if smaller is not block:
                if not smaller.score.size:
                    break
                block, work = smaller, _BlockState(smaller)
    raise_floors(*_joined(picked[told:])[1:])
    return _joined(picked)


def _joined(picked: list[tuple[Integers, Floats, Integers]]) -> tuple[Integers, Floats, Integers]:
    """The picks of all steps, without those (score -inf) of rows that had nothing left."""
    if not picked:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    origins, scores, rows = map(np.concatenate, zip(*picked, strict=True))
    real = scores > _GONE
    return origins[real], scores[real], rows[real]


class _BlockState:
    """One block under work: flat views of it, room for intermediate results, and the neighbours in a long row."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.corner = np.arange(len(block.score)) * block.score.shape[1]
        self.start, self.end, self.length = block.start.ravel(), block.end.ravel(), block.length.ravel()
        self.score, self.origin = block.score.reshape(-1), block.origin.ravel()
        self.one, self.two = np.empty_like(block.score), np.empty_like(block.score)
        self.zero = np.zeros_like(block.score)
        alone = len(block.score) == 1 and block.score.size >= _WINDOW_FROM
        self.furthest_end = np.maximum.accumulate(self.end) if alone else None

    def lower(self, best: Integers, settings: Suppression) -> None:
        """Lower the scores of what overlaps the candidates at `best` (R,), flat positions, one in each row."""
        block = self.block
        start, end, length = self.start[best][:, None], self.end[best][:, None], self.length[best][:, None]
        near = self._window(start, end)
        one, two = self.one[:, near], self.two[:, near]
        # tIoU into `one`: overlap / (length + length - overlap). NumPy's loops are faster with two full operands than
        # with a broadcast one, so each picked value is spread out first.
        np.copyto(one, end)
        np.minimum(block.end[:, near], one, out=one)
        np.copyto(two, start)
        np.maximum(block.start[:, near], two, out=two)
        np.subtract(one, two, out=one)
        np.maximum(one, self.zero[:, near], out=one)
        np.copyto(two, length)
        np.add(block.length[:, near], two, out=two)
        np.subtract(two, one, out=two)
        np.divide(one, two, out=one)
        _decay_hard_or_soft(
            block.score[:, near], one, _thresholds(settings, end - start, block.duration[:, None]), settings
        )

    def _window(self, start: Floats, end: Floats) -> slice:
        """The columns that may overlap the picked candidate: all, or the neighbours where the row is long."""
        if self.furthest_end is None:
            return slice(None)
        first = np.searchsorted(self.furthest_end, start[0, 0], side="right")
        return slice(int(first), int(np.searchsorted(self.start, end[0, 0])))


def _thresholds(settings: Suppression, lengths: Floats, durations: Floats) -> Floats | float:
    if settings.method is not Method.soft_width:
        return settings.threshold
    return settings.threshold + (settings.wide_threshold - settings.threshold) * (lengths / durations)


def _decay_hard_or_soft(scores: Floats, tiou: Floats, thresholds: Floats | float, settings: Suppression) -> None:
    """Lower scores (R, L) in place by their tiou (R, L) with the picked candidates; `tiou` is overwritten."""
    if settings.method is Method.hard:
        scores[tiou > thresholds] = _GONE
        return
    gaussian = settings.method is not Method.soft_linear
    if gaussian and settings.width > _UNDERFLOW_SIGMA and isinstance(thresholds, float) and thresholds == 0:
        np.multiply(scores, _gaussian(tiou, settings.width), out=scores)
        return
    above = (tiou > thresholds) & (scores > _GONE)
    factors = _gaussian(tiou, settings.width) if gaussian else np.subtract(1.0, tiou, out=tiou)
    np.multiply(scores, factors, out=scores, where=above)


def _gaussian(tiou: Floats, sigma: float) -> Floats:
    np.multiply(tiou, tiou, out=tiou)
    np.divide(tiou, -sigma, out=tiou)
    return np.exp(tiou, out=tiou)


def ordered(groups: Integers, values: Floats, *ties: NDArray[np.generic]) -> Integers:
    """The order (N,) by group, then value, then each of the tie-breaking arrays, then input order.

    The same as a lexsort of all keys, but ties are looked at only where they are, and groups (N,), numbers from 0,
    go through the radix sort that NumPy has for 16 bits.
    """
    order = np.argsort(values)
    narrow = groups.astype(np.uint16) if groups.max(initial=0) < 1 << 16 else groups
    order = order[np.argsort(narrow[order], kind="stable")]
    same = (np.diff(values[order]) == 0) & (np.diff(groups[order]) == 0)
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        members = np.sort(order[tied])
        keys = [key[members] for key in (*reversed(ties), values, groups)]
        order[tied] = members[np.lexsort(keys)]
    return order


def chains(segments: Floats, groups: Integers) -> Integers:
    """The first positions (R,) of the chains of overlapping neighbours in sorted segments (N, 2), groups (N,)."""
    if not len(groups):
        return np.empty(0, np.int64)
    start, end = segments.T
    by_end = np.argsort(end)
    place = np.empty(len(end), np.int64)
    place[by_end] = np.arange(len(end))
    # The furthest end so far within the group: a later group's places are shifted above all of an earlier one's.
    shift = groups * len(end)
    furthest = end[by_end[np.maximum.accumulate(place + shift) - shift]]
    begins = (groups[1:] > groups[:-1]) | (start[1:] >= furthest[:-1])
    return np.concatenate([[0], 1 + np.flatnonzero(begins)])


def blocks(sizes: Integers) -> Iterator[Integers]:
    """Numbers of rows that go together into a block, short rows first; sizes (R,) are the rows' lengths.

    Short rows first, because they are cheap and their scores may spare work on the long ones.
    """
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    first = 0
    while first < len(order):
        longest = max(int(ordered[first] / _LEAST_FILL), 4)
        last = int(np.searchsorted(ordered, longest, side="right"))
        rows = max(1, BLOCK_SIZE // int(ordered[last - 1]))
        last = min(last, first + rows)
        yield order[first:last]
        first = last
