"""Segments of many videos at a time: which of them make no sense, and what mends them where only one thing can.

On arrays of many videos, since most videos have a few segments and there may be millions of videos.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from taltool.data.records import Booleans, Floats, Integers, LabelVocabulary, VideoAnnotations, VideoProposals
from taltool.inspection.oddities import Oddities

Video = TypeVar("Video")
# Videos, and about how many segments, that are looked at together.
_VIDEOS, _SEGMENTS = 1 << 12, 1 << 17
# Durations and times are rounded, by different programs: what ends later by less is the same end.
ROUNDING = 0.01


def in_batches(videos: Iterable[Video], size: Callable[[Video], int]) -> Iterator[list[Video]]:
    """The videos, as many at a time as are looked at together; size tells how many segments one has."""
    batch: list[Video] = []
    segments = 0
    for video in videos:
        batch.append(video)
        segments += size(video)
        if len(batch) == _VIDEOS or segments >= _SEGMENTS:
            yield batch
            batch, segments = [], 0
    if batch:
        yield batch


@dataclass(frozen=True, eq=False)
class Batch:
    """Segments (N, 2), in seconds, of V videos: rows[n] is the place of segment n in its own video, owners[n]
    the place of that video. labels (N,) are numbers into `names`, -1 without one; durations (V,) in seconds, nan where
    unknown; ranks (N,): of segments that repeat each other, the one with the least rank stays. noun: what a segment is
    called.
    """

    video_ids: list[str]
    durations: Floats
    owners: Integers
    rows: Integers
    segments: Floats
    labels: Integers
    ranks: Floats
    names: LabelVocabulary
    noun: str

    def take(self, which: Booleans) -> "Batch":
        """Only some of the segments (N,)."""
        columns = {name: getattr(self, name)[which] for name in ("owners", "rows", "segments", "labels", "ranks")}
        return replace(self, **columns)

    def place(self, number: int) -> str:
        """A segment in words."""
        start, end = self.segments[number].tolist()
        label = f" '{self.names.names[self.labels[number]]}'" if self.labels[number] >= 0 else ""
        return f"video '{self.video_ids[self.owners[number]]}' [{start:g}, {end:g}]{label}"

    @property
    def ends(self) -> Floats:
        """When the video of each segment (N,) ends, in seconds; nan where nobody knows."""
        return self.durations[self.owners]

    def repeated(self) -> Booleans:
        """Which (N,) have segment, label and video of another one, which is kept."""
        starts, ends = self.segments.T
        order = np.lexsort((self.rows, self.ranks, ends, starts, self.labels, self.owners))
        found = np.zeros(len(order), bool)
        found[order[1:]] = _equal_to_the_next(order, self.owners, self.labels, starts, ends)
        return found


def batch_of(
    videos: Sequence[VideoAnnotations | VideoProposals],
    durations: Sequence[float | None],
    names: LabelVocabulary,
    noun: str,
) -> Batch:
    """One batch of all segments of the videos, whose labels are entered into `names`."""
    counts = [len(video) for video in videos]
    numbers: dict[LabelVocabulary, Integers] = {}  # of the names of each video, in `names`
    labels = [np.empty(0, np.int64)]
    for video in videos:
        if isinstance(video, VideoAnnotations):
            labels.append(video.labels)
        elif video.labels is None:
            labels.append(np.full(len(video), -1))
        else:
            if video.names not in numbers:
                numbers[video.names] = names.numbered(video.names.names)
            labels.append(numbers[video.names][video.labels])
    scores = [-video.scores for video in videos if isinstance(video, VideoProposals)]
    return Batch(
        video_ids=[video.video_id for video in videos],
        durations=np.array([np.nan if each is None else each for each in durations], np.float64),
        owners=np.repeat(np.arange(len(videos)), counts),
        rows=np.concatenate([np.empty(0, np.int64), *map(np.arange, counts)]),
        segments=np.concatenate([np.empty((0, 2)), *(video.segments for video in videos)]),
        labels=np.concatenate(labels),
        ranks=np.concatenate(scores) if scores else np.zeros(sum(counts)),
        names=names,
        noun=noun,
    )


def add_segments(batch: Batch, odd: Oddities) -> None:
    """Count what is odd in the segments of a batch."""
    (starts, ends), noun = batch.segments.T, batch.noun
    _add(odd, f"{noun} of zero length", batch, starts >= ends)
    _add(odd, f"{noun} that start before 0", batch, starts < 0)
    late, outside = ends > batch.ends, (starts > batch.ends) & (ends > batch.ends)
    rounded = late & ~outside & (ends <= batch.ends + ROUNDING)
    _add(odd, f"{noun} that start after the end of their video", batch, outside)
    _add(odd, f"{noun} that end after their video", batch, late & ~outside & ~rounded)
    _add(odd, f"{noun} that end after their video by {ROUNDING} s at most", batch, rounded)
    _add(odd, f"repeated {noun}", batch, batch.repeated())


def add_label_clashes(batch: Batch, odd: Oddities) -> None:
    """Count pairs of segments of one time and two labels, and segments that overlap another one of their label."""
    batch = batch.take(~batch.repeated() & (batch.segments[:, 0] < batch.segments[:, 1]))
    starts, ends = batch.segments.T
    order = np.lexsort((batch.labels, ends, starts, batch.owners))
    pairs = np.column_stack([order[:-1], order[1:]])[_equal_to_the_next(order, batch.owners, starts, ends)]
    names = batch.names.names
    for labels in np.unique(batch.labels[pairs], axis=0):
        one, other = (names[label] for label in labels)
        those = pairs[(batch.labels[pairs] == labels).all(1)]
        odd.add(
            f"{batch.noun} of '{one}' that are there as '{other}' too, with the same times",
            len(those),
            lambda number, those=those: batch.place(those[number, 0]),  # type: ignore[misc]
        )
    order = np.lexsort((ends, starts, batch.labels, batch.owners))
    follows = _equal_to_the_next(order, batch.owners, batch.labels)
    # The latest end so far within one video and label: places in the order of all ends, raised with each such group.
    groups = np.concatenate([[0], np.cumsum(~follows)])[: len(order)]
    every, place = np.unique(ends, return_inverse=True)
    latest = np.maximum.accumulate(place[order] + groups * len(every)) - groups * len(every)
    overlapping = np.zeros(len(order), bool)
    overlapping[order[1:]] = follows & (starts[order[1:]] < every[np.maximum(latest[:-1], 0)])
    _add(odd, f"{batch.noun} that overlap another one of their label", batch, overlapping)


def _equal_to_the_next(order: Integers, *columns: Floats | Integers) -> Booleans:
    """Which (N - 1,) rows of all columns (N,), in that order, are equal to the one behind them."""
    found = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        found &= column[order[1:]] == column[order[:-1]]
    return found


def _add(odd: Oddities, what: str, batch: Batch, which: Booleans) -> None:
    found = np.flatnonzero(which)
    odd.add(what, len(found), lambda number: batch.place(found[number]))


def clipped(batch: Batch, mended: Oddities) -> Batch:
    """The segments as far as they lie in their video; those that lie outside of it are left out."""
    starts, ends = batch.segments.T
    late, early = ends > batch.ends, starts < 0
    outside = (late & (starts >= batch.ends)) | (early & (ends <= 0))
    _add(mended, f"{batch.noun} outside of their video left out", batch, outside)
    _add(mended, f"{batch.noun} cut at the end of their video", batch, late & ~outside)
    _add(mended, f"{batch.noun} that begin at 0 now", batch, early & ~outside)
    last = np.where(late, batch.ends, ends)
    return replace(batch, segments=np.column_stack([np.maximum(starts, 0), last])).take(~outside)


def without_zero_length(batch: Batch, mended: Oddities) -> Batch:
    """The segments that last."""
    empty = batch.segments[:, 0] >= batch.segments[:, 1]
    _add(mended, f"{batch.noun} of zero length left out", batch, empty)
    return batch.take(~empty)


def without_repeated(batch: Batch, mended: Oddities) -> Batch:
    """Each segment once; of proposals that repeat each other the best stays."""
    repeated = batch.repeated()
    _add(mended, f"repeated {batch.noun} left out", batch, repeated)
    return batch.take(~repeated)
