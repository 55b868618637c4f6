"""Non-maximum suppression of candidates: hard, soft (linear, Gaussian, width-adaptive), class-wise or agnostic.

`suppress` treats one video, `suppress_batch` many at once with the same answer and less time. See `Method` for the
formulas and `Suppression` for the settings. Ties are broken by the total order (-score, start, end, label); the last
candidate of a video is kept like any other (the field's loops lose it).
"""

from dataclasses import dataclass

import numpy as np

from taltool.data.records import Floats, Integers
from taltool.errors import DataError
from taltool.ops.nms_hard_and_soft import Block, blocks, chains, greedy, ordered
from taltool.ops.nms_settings import Method, Suppression


@dataclass(frozen=True)
class ProposalBatch:
    """Candidates of V videos, those of a video side by side.

    segments (N, 2) seconds; scores (N,); videos (N,) ascending numbers below V; classes (N,) numbers whose order is
    that of the labels' names, None where there are no labels; durations (V,) seconds, NaN where unknown.
    """

    segments: Floats
    scores: Floats
    videos: Integers
    classes: Integers | None
    durations: Floats

    def take(self, which: Integers) -> "ProposalBatch":
        """The candidates at `which`, in that order."""
        if len(which) == len(self.scores) and np.array_equal(which, np.arange(len(which))):
            return self
        classes = None if self.classes is None else self.classes[which]
        return ProposalBatch(self.segments[which], self.scores[which], self.videos[which], classes, self.durations)

    def groups(self, by_class: bool) -> Integers:
        """Numbers (N,) of the video, or of video and class, of each candidate."""
        if self.classes is None or not by_class:
            return self.videos
        return self.videos * (int(self.classes.max(initial=0)) + 1) + self.classes

    def ranking(self, groups: Integers) -> Integers:
        """Positions (N,) by group, then in the total order."""
        return ordered(groups, -self.scores, *self.segments.T, *self._ranks())

    def timeline(self, groups: Integers) -> Integers:
        """Positions (N,) by group, then by start, end and label."""
        return ordered(groups, *self.segments.T, *self._ranks())

    def _ranks(self) -> tuple[Integers, ...]:
        return () if self.classes is None else (self.classes,)


def suppress(
    segments: Floats,
    scores: Floats,
    classes: Integers | None,
    settings: Suppression,
    duration: float | None = None,
) -> tuple[Integers, Floats]:
    """The kept candidates of one video: their positions (K,) in segments (N, 2), best first, and new scores (K,).

    classes (N,) compare in ties by number. Raises DataError as `suppress_batch` does.
    """
    durations = np.array([np.nan if duration is None else duration])
    videos = np.zeros(len(scores), np.int64)
    return suppress_batch(ProposalBatch(segments, scores, videos, classes, durations), settings)


def suppress_batch(candidates: ProposalBatch, settings: Suppression) -> tuple[Integers, Floats]:
    """The kept candidates of all videos: positions (K,), by video and best first, and their new scores (K,).

    Raises DataError where soft-width lacks a duration or a soft method meets a negative score.
    """
    _check(candidates, settings)
    entered = _entering(candidates, settings)
    entrants = candidates.take(entered)
    groups = entrants.groups(by_class=not settings.agnostic)
    order = entrants.timeline(groups)
    kept, scores = _Suppressor(entrants.take(order), groups[order], settings).result()
    kept = entered[order[kept]]
    survivors = candidates.take(kept)
    ranking = _best(
        ProposalBatch(survivors.segments, scores, survivors.videos, survivors.classes, survivors.durations), settings
    )
    return kept[ranking], scores[ranking]


def _check(candidates: ProposalBatch, settings: Suppression) -> None:
    if settings.method is Method.soft_width and np.isnan(candidates.durations[candidates.videos]).any():
        raise DataError(
            "soft-width measures lengths in parts of the video, but a video has no duration; "
            "add them with taltool convert --durations GT, or use another --method"
        )
    if settings.method is not Method.hard and candidates.scores.min(initial=0.0) < 0:
        worst = float(candidates.scores.min())
        raise DataError(f"score {worst} is negative, and a soft method would raise it; use --method hard")


def _entering(candidates: ProposalBatch, settings: Suppression) -> Integers:
    """Positions, ascending, of what is left of the candidates by dedup, pre-top-k and the least score."""
    chosen = np.arange(len(candidates.scores))
    if settings.dedup:
        ranking = candidates.ranking(candidates.videos)
        labels = np.zeros(len(ranking)) if candidates.classes is None else candidates.classes
        facts = np.column_stack([candidates.videos, labels, candidates.segments])[ranking]
        chosen = np.sort(ranking[np.unique(facts, axis=0, return_index=True)[1]])
    if settings.pre_top_k is not None:
        some = candidates.take(chosen)
        ranking = some.ranking(some.videos)
        chosen = np.sort(chosen[ranking[_places(some.videos[ranking]) < settings.pre_top_k]])
    return chosen[candidates.scores[chosen] >= settings.floor]


def _best(candidates: ProposalBatch, settings: Suppression) -> Integers:
    """Positions, by video and in the total order, of what the limits per class and per video leave."""
    chosen = np.arange(len(candidates.scores))
    if settings.top_k_per_class is not None:
        groups = candidates.groups(by_class=True)
        ranking = candidates.ranking(groups)
        chosen = ranking[_places(groups[ranking]) < settings.top_k_per_class]
    some = candidates.take(chosen)
    ranking = some.ranking(some.videos)
    if settings.top_k is not None:
        ranking = ranking[_places(some.videos[ranking]) < settings.top_k]
    return chosen[ranking]


def _places(groups: Integers) -> Integers:
    """The place (N,), from 0, of each element among those of its group; groups (N,) ascending."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


class _Suppressor:
    """One suppression under way: sorted candidates, their chains, and what was picked so far."""

    def __init__(self, candidates: ProposalBatch, groups: Integers, settings: Suppression) -> None:
        self.candidates, self.settings = candidates, settings
        self.first = chains(candidates.segments, groups)
        self.size = np.diff(self.first, append=len(groups))
        # The scope of the limit that may end a chain early: a class of a video, or the video.
        by_class = settings.top_k_per_class is not None
        self.limit = settings.top_k_per_class if by_class else settings.top_k
        agnostic_limit = by_class and settings.agnostic  # then a chain mixes scopes: nothing may end early
        self.limit = None if agnostic_limit else self.limit
        self.scope = candidates.groups(by_class)[self.first]
        self.best = _BestOfScopes(self.limit)

    def result(self) -> tuple[Integers, Floats]:
        """Positions among the sorted candidates, and scores, of everything that may be kept."""
        alone = self.size == 1
        positions = self.first[alone]
        scores = self.candidates.scores[positions]
        self.best.add(scores, self.scope[alone])
        picked = [(positions, scores)]
        crowded = np.flatnonzero(~alone)
        picked += [self._suppress(crowded[rows]) for rows in blocks(self.size[crowded])]
        return np.concatenate([each[0] for each in picked]), np.concatenate([each[1] for each in picked])

    def _suppress(self, rows: Integers) -> tuple[Integers, Floats]:
        scope, first, candidates = self.scope[rows], self.first[rows], self.candidates
        floor = np.maximum(self.best.floors(scope), self.settings.floor)
        duration = candidates.durations[candidates.videos[first]]
        block = Block.padded(candidates.segments, candidates.scores, first, self.size[rows], floor, duration)
        longest = int(self.size[rows].max())

        def raise_floors(scores: Floats, at: Integers) -> Floats:
            self.best.add(scores, scope[at])
            return self.best.floors(scope)

        limit = longest if self.limit is None else min(longest, self.limit)
        positions, scores, _ = greedy(block, self.settings, limit, raise_floors)
        return positions, scores


class _BestOfScopes:
    """The best `limit` scores of each scope: whoever is below the last of them need not be looked at."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.scores, self.scopes = np.empty(0), np.empty(0, np.int64)

    def add(self, scores: Floats, scopes: Integers) -> None:
        """Enter scores (P,) of scopes (P,)."""
        if self.limit is None or not len(scores):
            return
        scores, scopes = np.concatenate([self.scores, scores]), np.concatenate([self.scopes, scopes])
        order = ordered(scopes, -scores)
        order = order[_places(scopes[order]) < self.limit]
        self.scores, self.scopes = scores[order], scopes[order]

    def floors(self, scopes: Integers) -> Floats:
        """For each of `scopes` (R,) its last score that counts, or -inf while fewer than `limit` are known."""
        if self.limit is None:
            return np.full(len(scopes), -np.inf)
        after = np.searchsorted(self.scopes, scopes, side="right")
        full = after - np.searchsorted(self.scopes, scopes) >= self.limit
        return np.where(full, self.scores[np.maximum(after - 1, 0)] if len(self.scores) else -np.inf, -np.inf)
