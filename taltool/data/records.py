"""The records that every command passes on: the proposals of a video, and its annotations. All times are seconds."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
FeatureArray = NDArray[np.float32]
# Times (seconds, or frames) and scores beyond these are none: lengths and sums of them would become infinite.
LARGEST, LARGEST_SCORE = 1e15, 1e100
# By so much may a segment end after its video before it counts: rounding, and durations of containers.
_SHARE, _SECONDS = 0.05, 1.0
# So many segments, in videos of so many seconds, hardly lie all within the first second.
_FEW, _LONG = 3, 5.0


class LabelVocabulary:
    """The label names of one stream or file, numbered in order of first appearance.

    Records carry numbers. complete says that the names are all that can come, as where a header lists them; otherwise
    the list grows as videos are read. Raises DataError for a name that is no text.
    """

    def __init__(self, names: Iterable[str] = (), *, complete: bool = False) -> None:
        self.numbers: dict[str, int] = {}
        self.complete = complete
        self._ranks = np.empty(0, np.int64)
        self.numbered(names)

    def numbered(self, names: Iterable[str]) -> Integers:
        """The numbers (N,) of N names; new ones are entered."""
        names = names if isinstance(names, list) else list(names)
        try:
            return np.fromiter(map(self.numbers.__getitem__, names), np.int64, len(names))
        except (KeyError, TypeError):  # Some are new, or no names at all.
            for name in names:
                if not isinstance(name, str):
                    raise DataError(f"label {name!r} is not a name") from None
                self.numbers.setdefault(name, len(self.numbers))
        return np.fromiter(map(self.numbers.__getitem__, names), np.int64, len(names))

    @property
    def names(self) -> list[str]:
        """All names; position = number."""
        return list(self.numbers)

    def alphabetical_ranks(self) -> Integers:
        """For each number, its position (K,) in alphabetical order: labels compare by name, not by arrival."""
        if len(self._ranks) != len(self.numbers):
            ranks = np.empty(len(self.numbers), np.int64)
            ranks[np.argsort(np.array(self.names, dtype=object), kind="stable")] = np.arange(len(self.numbers))
            self._ranks = ranks
        return self._ranks

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __contains__(self, name: object) -> bool:
        return name in self.numbers


@dataclass(frozen=True, eq=False)
class VideoProposals:
    """Proposals or detections of one video.

    segments (N, 2) start and end in seconds, float64; scores (N,) float64; labels (N,) numbers into `names`, or None
    for class-agnostic proposals; duration in seconds, or None where nobody said.

    Raises DataError, naming video and proposal, unless all numbers are finite, no segment ends before it starts, every
    label has a name, and the duration is positive.
    """

    video_id: str
    segments: Floats
    scores: Floats
    labels: Integers | None = None
    names: LabelVocabulary = field(default_factory=LabelVocabulary)
    duration: float | None = None

    def __post_init__(self) -> None:
        count, labels = len(self.scores), np.empty(0, np.int64) if self.labels is None else self.labels
        together = self.segments.shape == (count, 2) and self.scores.shape == (count,)
        if not together or (self.labels is not None and labels.shape != (count,)):
            raise DataError(
                f"video '{self.video_id}': {self.segments.shape} segments, {self.scores.shape} scores and "
                f"{labels.shape} labels do not belong together"
            )
        if not isinstance(self.video_id, str):
            raise DataError(f"video id {self.video_id!r} is not a text")
        _check_duration(self.video_id, self.duration)
        if not count:
            return
        wrong = broken(self.segments, self.scores)
        # Seen as a number without sign, a negative one is larger than any.
        if wrong.any() or (len(labels) and int(labels.view(f"u{labels.itemsize}").max()) >= len(self.names)):
            self._refuse(wrong, labels)

    def _refuse(self, wrong: Booleans, labels: Integers) -> None:
        """Raise DataError for the first proposal that is `wrong` (N,), or else has a label without a name."""
        if wrong.any():
            number = int(np.argmax(wrong))
            segment, score = self.segments[number].tolist(), float(self.scores[number])
            fault = f"segment {segment} of proposal {number + 1} ends before it starts"
            if not (np.abs(segment) < LARGEST).all():
                fault = f"segment {segment} of proposal {number + 1} is not [start, end] in seconds"
            if not abs(score) < LARGEST_SCORE:
                kind = "below 1e100 in size" if math.isfinite(score) else "finite"
                fault = f"score {score!r} of proposal {number + 1} is not a {kind} number"
            raise DataError(f"video '{self.video_id}': {fault}")
        number = int(np.argmax((labels < 0) | (labels >= len(self.names))))
        raise DataError(
            f"video '{self.video_id}': label {labels[number]} of proposal {number + 1} is the number of no class "
            f"(there are {len(self.names)})"
        )

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, which: NDArray[np.generic], scores: Floats | None = None) -> "VideoProposals":
        """The proposals at `which` (indices or a boolean mask), in that order, with new `scores` if given."""
        labels = None if self.labels is None else self.labels[which]
        taken = self._part(segments=self.segments[which], scores=self.scores[which], labels=labels)
        return taken if scores is None else replace(taken, scores=scores)

    def split(self, counts: dict[str, int], durations: Mapping[str, float]) -> "list[VideoProposals]":
        """The videos that these proposals (N) are of, one after the other.

        counts: how many each video has, N together; durations in seconds by video id, which may lack some. Raises
        DataError for a duration that is not positive and finite.
        """
        parts, end = [], 0
        for video_id, count in counts.items():
            duration, own = durations.get(video_id), slice(end, end := end + count)
            _check_duration(video_id, duration)
            labels = None if self.labels is None or not count else self.labels[own]
            columns = {"segments": self.segments[own], "scores": self.scores[own], "labels": labels}
            parts.append(self._part(video_id=video_id, duration=duration, **columns))
        return parts

    def _part(self, **changes: Any) -> "VideoProposals":
        """The same with changes that need no check: rows of the columns that were checked."""
        part: VideoProposals = object.__new__(VideoProposals)
        part.__dict__.update(self.__dict__, **changes)
        return part

    def ranking(self) -> Integers:
        """The total order of proposals: score down, then start, end and label name up."""
        ranks = np.zeros(len(self), np.int64) if self.labels is None else self.names.alphabetical_ranks()[self.labels]
        return np.lexsort((ranks, self.segments[:, 1], self.segments[:, 0], -self.scores))

    def ranked(self) -> "VideoProposals":
        """The same proposals in the total order."""
        return self.take(self.ranking())


def _check_duration(video_id: str, duration: float | None) -> None:
    # To Python, true is a number too.
    is_number = isinstance(duration, int | float) and not isinstance(duration, bool)
    if duration is not None and not (is_number and 0 < duration < LARGEST):
        raise DataError(f"video '{video_id}': duration {duration!r} is not a positive number of seconds")


def broken(segments: Floats, scores: Floats) -> Booleans:
    """Which (N,) of the segments (N, 2) with scores (N,) are not finite, or too large, or end before they start."""
    starts, ends = segments.T
    # Numbers in order, and neither end too large: that leaves no room for nan either.
    return ~((starts > -LARGEST) & (starts <= ends) & (ends < LARGEST) & (np.abs(scores) < LARGEST_SCORE))


@dataclass(frozen=True, eq=False)
class VideoAnnotations:
    """Ground truth of one video: segments (M, 2) seconds, labels (M,) numbers into the ground truth's `names`; duration
    in seconds, or None where nobody said.

    judged holds what annotators said of the instances besides, by name (M,), nan where they said nothing.
    """

    video_id: str
    duration: float | None
    subset: str | None
    segments: Floats
    labels: Integers
    annotator_attributes: dict[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Annotated videos by id, in file order. `file` and `sha256` say which file, for every printed number.

    split says where subsets are from, FILE:NAME, if not from that file.
    """

    videos: dict[str, VideoAnnotations]
    names: LabelVocabulary
    file: str = "-"
    sha256: str = ""
    split: str = ""

    @property
    def subsets(self) -> list[str]:
        """The subset names present, in order of first appearance."""
        return list(dict.fromkeys(v.subset for v in self.videos.values() if v.subset is not None))

    @property
    def num_instances(self) -> int:
        """Annotated instances of all videos."""
        return sum(len(video) for video in self.videos.values())

    @property
    def durations(self) -> dict[str, float]:
        """Seconds by video id, of the videos of which they are known."""
        return {key: video.duration for key, video in self.videos.items() if video.duration is not None}

    def subset(self, names: str | None) -> "GroundTruth":
        """The videos of the subsets in the comma-separated `names`; None means all.

        A ground truth without subsets means all its videos. Raises DataError, listing what is there, for a subset
        that is not there.
        """
        if names is None or not self.subsets:
            return self
        wanted = [name.strip() for name in names.split(",")]
        missing = [name for name in wanted if name not in self.subsets]
        if missing:
            where, there = self.split or self.file, ", ".join(self.subsets)
            raise DataError(f"{where}: no subset '{missing[0]}' (there are: {there}); choose with --subset")
        return self.only([v.video_id for v in self.videos.values() if v.subset in wanted])

    def only(self, video_ids: Iterable[str]) -> "GroundTruth":
        """The listed videos, in this file's order; ids that it does not know are ignored."""
        wanted = set(video_ids)
        return replace(self, videos={k: v for k, v in self.videos.items() if k in wanted})

    def with_split(self, subset_of: dict[str, str], split: str = "") -> "GroundTruth":
        """The same videos with subsets of their own (by video id), from `split`; unlisted videos belong to none."""
        videos = {k: replace(v, subset=subset_of.get(k)) for k, v in self.videos.items()}
        return replace(self, videos=videos, split=split)


class Lateness:
    """Counts the segments that end after their videos, among those of videos whose duration is known.

    Where most do, far behind the end, the times are no seconds; nor where none ends after the first second.
    """

    def __init__(self) -> None:
        self.timed = self.late = 0
        self._latest, self._shortest = 0.0, math.inf

    def add(self, segments: Floats, duration: float | None) -> None:
        """Count the segments (N, 2), in seconds, of one video."""
        if duration is not None and len(segments):
            self._latest = max(self._latest, float(segments[:, 1].max()))
            self._shortest = min(self._shortest, duration)
            self.timed += len(segments)
            self.late += int(np.count_nonzero(segments[:, 1] > duration * (1 + _SHARE) + _SECONDS))

    def remark(self, what: str) -> str | None:
        """What a reader must know, in a line, where more than half of them end after their videos, or all are shares of
        the videos."""
        if self.timed >= _FEW and self._latest <= 1 and self._shortest >= _LONG:
            return (
                f"all {self.timed} {what} end within the first second of videos of {self._shortest:g} s and more: are "
                "these shares of the duration? taltool convert --times shares --durations FILE makes seconds of them"
            )
        if 2 * self.late <= self.timed:
            return None
        return (
            f"{self.late} of {self.timed} {what} end after their videos: are these frames? "
            "taltool convert --times frames --fps N makes seconds of them"
        )
