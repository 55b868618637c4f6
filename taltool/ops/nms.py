"""Non-maximum suppression of candidates: hard, soft (linear, Gaussian, width-adaptive), class-wise or agnostic.

`suppress` treats one video, `suppress_batch` many at once with the same answer and less time. See `Method` for the
formulas and `Suppression` for the settings. Ties are broken by the total order (-score, start, end, label); the last
candidate of a video is kept like any other (the field's loops lose it).

How a batch is suppressed. Within one group (a video, or a class of it), sorted by start, a candidate that starts at or
after the end of all before it overlaps none of them: a new chain of overlapping neighbours begins. Suppression never
leaves a chain, so chains are independent rows; disjoint candidates are chains of one and cost no suppression. A few
hundred rows of about equal length, padded to one rectangle that fits the processor's cache, are a block. Each step
picks the best candidate of every row and lowers the rest of the row; all rows take the step in the same dozen NumPy
calls, so the interpreter's cost is shared and the arithmetic runs vectorised.

Why NumPy: measured on one core it needs 4 ns per (picked, remaining) pair, where the field's C++ extensions (scalar
`exp`, one video at a time) need 20, it installs everywhere and adds nothing to start-up. Importing torch takes 1.5 s,
importing Numba half a second and compiling seconds on a fresh machine: more than the whole work on real input.

Factors are multiplied in the order of the picks, as a plain loop would, so the answer has that loop's digits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import Floats, Integers
from taltool.errors import DataError
from taltool.ops.nms_settings import Method, Suppression

_GONE = -np.inf
# exp(-1 / sigma) is zero below this sigma, and -inf * 0 would bring a removed candidate back as NaN.
_UNDERFLOW_SIGMA = 1 / 700
# A row that is alone in its block and as long as this looks only at the neighbours of its pick.
_WINDOW_FROM = 4096
# From this step on the block is squeezed at every multiple, before it at the powers of two.
_SQUEEZE_EVERY = 16
# Candidates in one block: its arrays about fill a second-level cache, also when rows have been squeezed out of it.
# Measured: 8,000 is a third slower (more calls), 60,000 no faster.
_BLOCK_SIZE = 32_000
# A block's rows are at least this part of its longest, so that little of the rectangle is padding.
_LEAST_FILL = 0.7


@dataclass(frozen=True)
class ProposalBatch:
    """Candidates of V videos, those of a video side by side.

    segments (N, 2) seconds; scores (N,); videos (N,) ascending numbers below V; classes (N,) numbers whose order is
    that of the labels' names, None where there are no labels; durations (V,) seconds, NaN where unknown; video_ids (V)
    for messages, may be left out.
    """

    segments: Floats
    scores: Floats
    videos: Integers
    classes: Integers | None
    durations: Floats
    video_ids: Sequence[str] = ()

    def take(self, which: Integers) -> "ProposalBatch":
        """The candidates at `which`, in that order."""
        if len(which) == len(self.scores) and np.array_equal(which, np.arange(len(which))):
            return self
        segments, scores, videos = self.segments[which], self.scores[which], self.videos[which]
        classes = None if self.classes is None else self.classes[which]
        return replace(self, segments=segments, scores=scores, videos=videos, classes=classes)

    def groups(self, by_class: bool) -> Integers:
        """Numbers (N,) of the video, or of video and class, of each candidate."""
        if self.classes is None or not by_class:
            return self.videos
        return self.videos * (int(self.classes.max(initial=0)) + 1) + self.classes

    def best(self, groups: Integers, limit: int | None = None) -> Integers:
        """Positions by group (N,), within it in the total order: all, or the first `limit` of each group."""
        ranking = _ordered(groups, -self.scores, *self.segments.T, self.classes)
        return ranking if limit is None else ranking[_places(groups[ranking]) < limit]


def suppress(
    segments: Floats, scores: Floats, classes: Integers | None, settings: Suppression, duration: float | None = None
) -> tuple[Integers, Floats]:
    """The kept candidates of one video: their positions (K,) in segments (N, 2), best first, and new scores (K,).

    classes (N,) compare in ties by number. Raises DataError as `suppress_batch` does.
    """
    durations = np.array([np.nan if duration is None else duration])
    videos = np.zeros(len(scores), np.int64)
    return suppress_batch(ProposalBatch(segments, scores, videos, classes, durations), settings)


def suppress_batch(candidates: ProposalBatch, settings: Suppression) -> tuple[Integers, Floats]:
    """The kept candidates of all videos: positions (K,), by video and best first, and their new scores (K,).

    Boundaries are not moved: `settings.voting` is for `taltool.ops.nms_voting`. Raises DataError, naming the video,
    where soft-width lacks a duration or a soft method meets a negative score.
    """
    _refuse_what_has_no_answer(candidates, settings)
    entered = _entering(candidates, settings)
    entrants = candidates.take(entered)
    groups = entrants.groups(by_class=not settings.agnostic)
    order = _ordered(groups, *entrants.segments.T, entrants.classes)
    entrants, entered = entrants.take(order), entered[order]
    # The chains: those of one candidate keep it as it is, the others are suppressed block by block.
    first = _chains(entrants.segments, groups[order])
    size = np.diff(first, append=len(order))
    best, alone = _BestSoFar(entrants, settings), first[size == 1]
    picked = [(alone, entrants.scores[alone])]
    best.add(entrants.scores[alone], best.scope[alone])
    first, size = first[size > 1], size[size > 1]
    for rows in _blocks(size):
        block = _Block.padded(entrants, first[rows], size[rows], best.scope)
        picked.append(_greedy(block, settings, best))
    positions, scores = map(np.concatenate, zip(*picked, strict=True))
    # The limits, which so far have only spared work.
    kept = entered[positions]
    survivors = replace(candidates.take(kept), scores=scores)
    if settings.top_k_per_class is not None:
        chosen = survivors.best(survivors.groups(by_class=True), settings.top_k_per_class)
        survivors, kept = survivors.take(chosen), kept[chosen]
    chosen = survivors.best(survivors.videos, settings.top_k)
    return kept[chosen], survivors.scores[chosen]


def _refuse_what_has_no_answer(candidates: ProposalBatch, settings: Suppression) -> None:
    faulty = np.zeros(len(candidates.scores), bool)
    if settings.method is Method.soft_width:
        faulty = np.isnan(candidates.durations)[candidates.videos]
    if settings.method is not Method.hard:
        faulty |= candidates.scores < 0
    if not faulty.any():
        return
    video = int(candidates.videos[np.argmax(faulty)])
    name = f"video '{candidates.video_ids[video]}'" if candidates.video_ids else "a video"
    if settings.method is Method.soft_width and np.isnan(candidates.durations[video]):
        raise DataError(
            f"{name} has no duration, and soft-width measures lengths in parts of it; "
            "add durations with taltool convert --durations GT, or choose another --method"
        )
    worst = float(candidates.scores[candidates.videos == video].min())
    raise DataError(
        f"{name}: score {worst!r} is negative, and {settings.method.value} would raise it; "
        "use --method hard, or scores from 0 on"
    )


def _entering(candidates: ProposalBatch, settings: Suppression) -> Integers:
    """Positions, ascending, of what is left of the candidates by dedup, pre-top-k and the least score."""
    chosen = np.arange(len(candidates.scores))
    if settings.dedup:
        ranking = candidates.best(candidates.videos)
        labels = np.zeros(len(ranking)) if candidates.classes is None else candidates.classes
        facts = np.column_stack([candidates.videos, labels, candidates.segments])[ranking]
        chosen = np.sort(ranking[np.unique(facts, axis=0, return_index=True)[1]])
    if settings.pre_top_k is not None:
        some = candidates.take(chosen)
        chosen = np.sort(chosen[some.best(some.videos, settings.pre_top_k)])
    return chosen[candidates.scores[chosen] >= settings.floor]


class _BestSoFar:
    """The best scores found in each scope of a limit: whoever is below the last of them need not be looked at.

    A scope is a class of a video, or a video; scope (N,) numbers that of each candidate. No limit: none is remembered.
    """

    def __init__(self, candidates: ProposalBatch, settings: Suppression) -> None:
        by_class = settings.top_k_per_class is not None
        self.limit = settings.top_k_per_class if by_class else settings.top_k
        if by_class and settings.agnostic:
            self.limit = None  # A chain mixes classes then, and what one has no room for may suppress another.
        self.scope = candidates.groups(by_class)
        self._least = settings.floor
        self._scores, self._scopes = np.empty(0), np.empty(0, np.int64)

    def add(self, scores: Floats, scopes: Integers) -> None:
        """Enter scores (P,) of scopes (P,)."""
        if self.limit is None or not len(scores):
            return
        scores, scopes = np.concatenate([self._scores, scores]), np.concatenate([self._scopes, scopes])
        order = _ordered(scopes, -scores)
        order = order[_places(scopes[order]) < self.limit]
        self._scores, self._scopes = scores[order], scopes[order]

    def floors(self, scopes: Integers) -> Floats:
        """For each of `scopes` (R,) the score below which nothing is kept; it only ever rises."""
        if self.limit is None or not len(self._scores):
            return np.full(len(scopes), self._least)
        after = np.searchsorted(self._scopes, scopes, side="right")
        full = after - np.searchsorted(self._scopes, scopes) >= self.limit
        return np.where(full, np.maximum(self._scores[after - 1], self._least), self._least)


def _chains(segments: Floats, groups: Integers) -> Integers:
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


def _blocks(sizes: Integers) -> Iterator[Integers]:
    """Numbers of rows that go together into a block; sizes (R,) are the rows' lengths."""
    # Short rows first, because they are cheap and their scores may spare work on the long ones.
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    first = 0
    while first < len(order):
        longest = max(int(ordered[first] / _LEAST_FILL), 4)
        last = int(np.searchsorted(ordered, longest, side="right"))
        rows = max(1, _BLOCK_SIZE // int(ordered[last - 1]))
        last = min(last, first + rows)
        yield order[first:last]
        first = last


@dataclass
class _Block:
    """Candidates of R rows, padded to L columns, each row in ascending order of (start, end, label).

    start, end, length, score (R, L); origin (R, L) the candidates' positions; scope (R,) of the rows; duration (R,)
    of the rows' videos, seconds. Padding has score -inf and no extent; its length, like that of empty candidates, is 1,
    which keeps the union positive.
    """

    start: Floats
    end: Floats
    length: Floats
    score: Floats
    origin: Integers
    scope: Integers
    duration: Floats

    def __post_init__(self) -> None:
        self.corner = np.arange(len(self.score)) * self.score.shape[1]  # (R,) flat positions where the rows begin
        # Room for intermediate results, kept from step to step.
        self._one, self._two = np.empty_like(self.score), np.empty_like(self.score)
        self._zero = np.zeros_like(self.score)
        alone = len(self.score) == 1 and self.score.size >= _WINDOW_FROM
        self._furthest_end = np.maximum.accumulate(self.end[0]) if alone else None

    @classmethod
    def padded(cls, candidates: ProposalBatch, first: Integers, size: Integers, scope: Integers) -> "_Block":
        """Lay out rows of `size` (R,) candidates that begin at `first` (R,); scope (N,) is that of each candidate."""
        columns = np.arange(size.max())
        inside = columns < size[:, None]
        origin = np.where(inside, first[:, None] + columns, first[:, None])
        start, end = (np.where(inside, side[origin], 0.0) for side in candidates.segments.T)
        return cls(
            start=start,
            end=end,
            length=np.where(end > start, end - start, 1.0),
            score=np.where(inside, candidates.scores[origin], _GONE),
            origin=origin,
            scope=scope[first],
            duration=candidates.durations[candidates.videos[first]],
        )

    def squeezed(self, floor: Floats) -> tuple["_Block", Floats]:
        """The same rows, with their floor (R,), without finished ones and candidates below it, if that saves much."""
        wanted = (self.score >= floor[:, None]) & (self.score > _GONE)
        sizes = wanted.sum(1)
        rows = np.flatnonzero(sizes)
        columns = int(sizes.max(initial=0))
        if len(rows) * columns > 0.7 * self.score.size:
            return self, floor
        at_row, at_column = np.nonzero(wanted)
        to_row = np.repeat(np.arange(len(rows)), sizes[rows])
        to_column = np.arange(len(at_row)) - np.repeat(np.cumsum(sizes[rows]) - sizes[rows], sizes[rows])

        def moved(values: NDArray[Any], fill: float) -> NDArray[Any]:
            target = np.full((len(rows), columns), fill, values.dtype)
            target[to_row, to_column] = values[at_row, at_column]
            return target

        left = _Block(
            start=moved(self.start, 0.0),
            end=moved(self.end, 0.0),
            length=moved(self.length, 1.0),
            score=moved(self.score, _GONE),
            origin=moved(self.origin, 0),
            scope=self.scope[rows],
            duration=self.duration[rows],
        )
        return left, floor[rows]

    def overlapping(self, picks: Integers) -> tuple[slice, Floats]:
        """The W columns that may overlap the picks (R,), flat positions, one in each row, and their tIoU (R, W).

        The tIoU, overlap / (length + length - overlap), may be overwritten. Where one row is long only the neighbours
        of its pick are looked at.
        """
        start, end, near = self.start.take(picks), self.end.take(picks), slice(None)
        if self._furthest_end is not None:
            first = np.searchsorted(self._furthest_end, start[0], side="right")
            near = slice(int(first), int(np.searchsorted(self.start[0], end[0])))
        one, two = self._one[:, near], self._two[:, near]
        # NumPy's loops are faster with two full operands than with a broadcast one, so each picked value is spread out.
        np.copyto(one, end[:, None])
        np.minimum(self.end[:, near], one, out=one)
        np.copyto(two, start[:, None])
        np.maximum(self.start[:, near], two, out=two)
        np.subtract(one, two, out=one)
        np.maximum(one, self._zero[:, near], out=one)
        np.copyto(two, self.length.take(picks)[:, None])
        np.add(self.length[:, near], two, out=two)
        np.subtract(two, one, out=two)
        return near, np.divide(one, two, out=one)


def _greedy(block: _Block, settings: Suppression, best: _BestSoFar) -> tuple[Integers, Floats]:
    """Pick candidates of every row, best first, until none is left that may be kept: their origins and final scores.

    `best` hears of the picks now and then, and of all of them in the end; what it knows raises the rows' floors.
    """
    picked: list[tuple[Integers, Floats, Integers]] = []
    told = 0
    columns = block.score.shape[1]
    floor = best.floors(block.scope)
    for step in range(1, (columns if best.limit is None else min(columns, best.limit)) + 1):
        picks = block.corner + block.score.argmax(1)
        scores = block.score.take(picks)
        alive = (scores >= floor) & (scores > _GONE)
        if not alive.any():
            break
        picked.append((block.origin.take(picks), np.where(alive, scores, _GONE), block.scope))
        block.score.put(picks, _GONE)
        near, tiou = block.overlapping(picks)
        threshold: Floats | float = settings.threshold
        if settings.method is Method.soft_width:
            widths = (block.end.take(picks) - block.start.take(picks)) / block.duration  # (R,) parts of the video
            threshold = threshold + (settings.wide_threshold - threshold) * widths[:, None]
        _lower(block.score[:, near], tiou, threshold, settings)
        if step & (step - 1) == 0 or step % _SQUEEZE_EVERY == 0:
            best.add(*_joined(picked[told:])[1:])
            told = len(picked)
            block, floor = block.squeezed(best.floors(block.scope))
            if not block.score.size:
                break
    best.add(*_joined(picked[told:])[1:])
    return _joined(picked)[:2]


def _joined(picked: list[tuple[Integers, Floats, Integers]]) -> tuple[Integers, Floats, Integers]:
    """The picks of all steps, without those (score -inf) of rows that had nothing left."""
    if not picked:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    origins, scores, scopes = map(np.concatenate, zip(*picked, strict=True))
    real = scores > _GONE
    return origins[real], scores[real], scopes[real]


def _lower(scores: Floats, tiou: Floats, threshold: Floats | float, settings: Suppression) -> None:
    """Lower scores (R, W) in place by their tiou (R, W) with the picks of the rows; `tiou` is overwritten."""
    if settings.method is Method.hard:
        scores[tiou > threshold] = _GONE
        return
    # Over a threshold of 0 a factor exp(0) = 1 costs less than to ask.
    everywhere = settings.method is Method.soft_gaussian and threshold == 0 and settings.width > _UNDERFLOW_SIGMA
    above: Any = True if everywhere else (tiou > threshold) & (scores > _GONE)
    if settings.method is Method.soft_linear:
        np.subtract(1.0, tiou, out=tiou)
    else:
        np.multiply(tiou, tiou, out=tiou)
        np.divide(tiou, -settings.width, out=tiou)
        np.exp(tiou, out=tiou)
    np.multiply(scores, tiou, out=scores, where=above)


def _places(groups: Integers) -> Integers:
    """The place (N,), from 0, of each element among those of its group; groups (N,) ascending."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


def _ordered(groups: Integers, values: Floats, *ties: NDArray[Any] | None) -> Integers:
    """The order (N,) by group, then value, then each of the tie-breaking arrays (None is none), then input order.

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
        keys = [key[members] for key in (*reversed(ties), values, groups) if key is not None]
        order[tied] = members[np.lexsort(keys)]
    return order
