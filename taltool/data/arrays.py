"""Records of many videos as flat arrays: what evaluation, diagnosis and the fitting of weights compute on.

Videos become numbers (known ones in the order of their ids, unknown ones after them), classes become numbers, and what
cannot count is left out and counted, so that every number can say what it is about. A detection takes 30 bytes: its
segment 16, its score 8, its video 4, its class 2 (4 from 32,768 classes on).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.near_ids import renaming
from taltool.data.records import (
    Booleans,
    Floats,
    GroundTruth,
    Integers,
    Lateness,
    VideoAnnotations,
    VideoProposals,
)
from taltool.errors import DataError
from taltool.registry import did_you_mean

UNKNOWN_LABEL = -1
Numbers = NDArray[np.integer[Any]]
# The vocabulary of detections without a label, in which all have number 0.
_NO_LABEL: tuple[str | None, ...] = (None,)


@dataclass(frozen=True, eq=False)
class Instances:
    """Annotated instances of many videos.

    videos (M,) numbers below num_videos; labels (M,) numbers below num_classes; segments (M, 2) seconds.
    """

    videos: Integers
    labels: Integers
    segments: Floats
    num_videos: int
    num_classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, which: Numbers) -> "Instances":
        """The instances at the indices `which`, in that order."""
        return replace(self, videos=self.videos[which], labels=self.labels[which], segments=self.segments[which])


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of many videos.

    videos (N,) numbers, those from num_videos of the ground truth on are videos that it does not know; labels (N,)
    class numbers, -1 = a label that no instance has; segments (N, 2) seconds; scores (N,). Numbers are integers of
    any size: small ones hold more in less memory, and must be widened before they are multiplied.

    places (V,): which each video is in the order of the ids of all; None where their numbers tell.
    """

    videos: Numbers
    labels: Numbers
    segments: Floats
    scores: Floats
    places: Numbers | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def num_videos(self) -> int:
        """One more than the largest video number."""
        return int(self.videos.max(initial=-1)) + 1

    def take(self, which: Numbers) -> "Detections":
        """The detections at the indices `which`, in that order."""
        return Detections(self.videos[which], self.labels[which], self.segments[which], self.scores[which], self.places)


@dataclass(frozen=True, eq=False)
class Scope:
    """The videos and classes that a number is about.

    video_ids are sorted, position = number; class_names in order of first appearance in the ground truth; excused
    holds the segments in whose reach false positives are forgiven (label `excused` of the protocol), labels 0.
    left_out says for each video id of the same ground truth that does not count, why. only_known: other videos do not
    count either, instead of holding false positives alone. durations: seconds by video id, where they are known.
    """

    video_ids: list[str]
    class_names: list[str]
    truth: Instances
    excused: Instances
    left_out: dict[str, str]
    agnostic: bool = False
    other_classes: frozenset[str] = frozenset()
    only_known: bool = False
    durations: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Amount:
    """So many detections in so many videos."""

    videos: int
    detections: int


@dataclass(frozen=True)
class Contents:
    """What a file of detections held, seen from one ground truth.

    counted: what entered the numbers; left_out: reason -> what did not; unknown_videos and unknown_labels: what
    entered although the ground truth does not know the video, or (recall only) the label; zero_length: detections
    that cannot match; labelled: whether any detection carries a label; unlabelled: how many that counted do not;
    lateness: how many end after their videos; renaming: how the unknown videos would be known, in words, where they are
    by other names.
    """

    counted: Amount
    left_out: dict[str, Amount]
    unknown_videos: Amount
    unknown_labels: dict[str, int] = field(default_factory=dict)
    zero_length: int = 0
    labelled: bool = True
    unlabelled: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    renaming: str = ""


def scope(
    whole: GroundTruth,
    subset: str | None = None,
    *,
    excluded: Collection[str] = (),
    classes: Sequence[str] | None = None,
    excused: str | None = None,
    agnostic: bool = False,
) -> Scope:
    """What to evaluate on: the videos of `subset` without the `excluded` ids, and the classes that occur in them.

    classes restricts the classes; excused is the label whose segments forgive false positives and is no class;
    agnostic makes one class of all. Raises DataError for a subset or class that is not there.
    """
    excluded = set(excluded)
    subset_videos = whole.subset(subset).videos
    videos = [subset_videos[key] for key in sorted(subset_videos) if key not in excluded]
    names = whole.names.names
    labels = [video.labels for key, video in subset_videos.items() if key not in excluded]
    present = dict.fromkeys(np.concatenate(labels).tolist()) if labels else {}  # in order of first appearance
    chosen = [names[number] for number in present if names[number] != excused]
    others: frozenset[str] = frozenset()
    if classes is not None:
        for name in classes:
            if name not in chosen:
                where = "these videos" if name in whole.names else "it"
                raise DataError(f"{whole.file}: no instance of class '{name}' in {where}{did_you_mean(name, chosen)}")
        others = frozenset(chosen) - frozenset(classes)
        chosen = [name for name in chosen if name in set(classes)]
    left_out = {key: "other subsets" for key in whole.videos if key not in subset_videos}
    left_out |= dict.fromkeys(excluded, "excluded videos")
    number_of = {name: number for number, name in enumerate(chosen)}
    to_class = np.array([number_of.get(name, UNKNOWN_LABEL) for name in names], np.int64)
    truth = _instances(videos, to_class, len(chosen))
    if agnostic:
        truth = replace(truth, labels=np.zeros_like(truth.labels), num_classes=1)
    to_excused = np.array([0 if name == excused else UNKNOWN_LABEL for name in names], np.int64)
    ids = [video.video_id for video in videos]
    return Scope(
        video_ids=ids,
        class_names=chosen,
        truth=truth,
        excused=_instances(videos, to_excused, 1),
        left_out=left_out,
        agnostic=agnostic,
        other_classes=others,
        durations={video.video_id: video.duration for video in videos if video.duration is not None},
    )


def _instances(videos: list[VideoAnnotations], to_class: Integers, num_classes: int) -> Instances:
    """The annotated instances of `videos`, numbered as they stand, whose class number is not UNKNOWN_LABEL."""
    numbers = np.repeat(np.arange(len(videos)), [len(video) for video in videos])
    labels = to_class[np.concatenate([np.empty(0, np.int64), *(video.labels for video in videos)])]
    segments = np.concatenate([np.empty((0, 2)), *(video.segments for video in videos)])
    kept = labels != UNKNOWN_LABEL
    return Instances(
        videos=numbers[kept],
        labels=labels[kept],
        segments=segments[kept],
        num_videos=len(videos),
        num_classes=num_classes,
    )


def flatten(proposals: Iterable[VideoProposals], within: Scope) -> tuple[Detections, Contents]:
    """The detections of `proposals` that count within a scope, as arrays in their order, and what the rest was.

    Left out: videos of the same ground truth that are not in the scope, and detections of classes that were not
    chosen. Kept: videos that the ground truth does not know, and labels that it does not know (as label -1).
    """
    columns = DetectionColumns(within)
    for video in proposals:
        columns.add(video)
    return columns.finish()


class DetectionColumns:
    """Collects detections video by video, 28 bytes each; of each video nothing else stays. `flatten` tells what counts.

    A video's labels are numbers into its vocabulary, which may still grow while videos come; they become numbers of
    the scope's classes at the end.
    """

    def __init__(self, within: Scope) -> None:
        self._within, self._known = within, frozenset(within.video_ids)
        self._segments, self._scores, self._labels = _Column(np.float64), _Column(np.float64), _Column(np.int32)
        self._video_ids: list[str] = []
        self._counts: list[int] = []
        # The vocabulary of each video, by its position in the list of all, and that position by the vocabulary's id.
        self._vocabulary_of: list[int] = []
        self._vocabularies: list[Collection[str | None]] = []
        self._number_of: dict[int, int] = {}
        self._left_out: dict[str, Amount] = {}
        self._labelled, self._unlabelled = False, 0
        self._lateness = Lateness()

    def add(self, video: VideoProposals) -> None:
        """Append the detections of a video, or count them as left out."""
        if not len(video):
            return
        self._labelled = self._labelled or video.labels is not None
        reason = self._within.left_out.get(video.video_id)
        if reason is None and self._within.only_known and video.video_id not in self._known:
            reason = "unknown videos"
        if reason is not None:
            before = self._left_out.get(reason, Amount(0, 0))
            self._left_out[reason] = Amount(before.videos + 1, before.detections + len(video))
            return
        self._video_ids.append(video.video_id)
        self._counts.append(len(video))
        self._lateness.add(video.segments, self._within.durations.get(video.video_id))
        self._segments.add(video.segments)
        self._scores.add(video.scores)
        names: Collection[str | None] = _NO_LABEL if video.labels is None else video.names
        number = self._number_of.setdefault(id(names), len(self._vocabularies))
        if number == len(self._vocabularies):
            self._vocabularies.append(names)
        self._vocabulary_of.append(number)
        self._labels.add(np.zeros(len(video), np.int32) if video.labels is None else video.labels)
        self._unlabelled += len(video) if video.labels is None else 0

    def finish(self) -> tuple[Detections, Contents]:
        """Everything that was added, as arrays, and what the rest was; nothing can be added after."""
        within = self._within
        # Videos of the scope are numbered by id, then strangers by id.
        number_of = {key: number for number, key in enumerate(within.video_ids)}
        strangers = sorted({key for key in self._video_ids if key not in number_of})
        number_of |= {key: len(within.video_ids) + position for position, key in enumerate(strangers)}
        numbers = np.array([number_of[key] for key in self._video_ids], np.int32)
        counts = np.array(self._counts, np.int64)
        labels, foreign, unknown = self._class_numbers()
        segments, scores = self._segments.take().reshape(-1, 2), self._scores.take()
        videos = np.repeat(numbers, counts)
        if foreign.any():
            foreign_counts = np.add.reduceat(foreign, np.cumsum(counts) - counts, dtype=np.int64)
            self._left_out["other classes"] = _amount(numbers, foreign_counts)
            counts -= foreign_counts
            # One column after the other, so that only one of them is there twice at a time.
            kept = ~foreign
            segments = segments[kept]
            scores, labels, videos = scores[kept], labels[kept], videos[kept]
        strange = numbers >= len(within.video_ids)
        contents = Contents(
            counted=_amount(numbers, counts),
            left_out=self._left_out,
            unknown_videos=_amount(numbers[strange], counts[strange]),
            unknown_labels=unknown,
            zero_length=int(np.count_nonzero(segments[:, 1] <= segments[:, 0])),
            labelled=self._labelled,
            unlabelled=self._unlabelled,
            lateness=self._lateness,
            renaming=renaming(strangers, self._known | within.left_out.keys()) if strangers else "",
        )
        return Detections(videos, labels, segments, scores, _places(list(number_of)) if strangers else None), contents

    def _class_numbers(self) -> tuple[Numbers, Booleans, dict[str, int]]:
        """Class numbers (N,), which detections are of classes not chosen (N,), and the unknown labels' counts."""
        within, labels = self._within, self._labels.take()
        sizes = [len(names) for names in self._vocabularies]
        if len(sizes) > 1:
            # One vocabulary after the other makes one numbering of all.
            offsets = np.cumsum([0, *sizes[:-1]], dtype=np.int32)
            labels = labels + np.repeat(offsets[self._vocabulary_of], self._counts)
        names = list(chain.from_iterable(self._vocabularies))
        if within.agnostic and not within.other_classes:
            return np.zeros(len(labels), np.int16), np.zeros(len(labels), bool), {}
        number_of: dict[str | None, int] = {
            name: 0 if within.agnostic else n for n, name in enumerate(within.class_names)
        }
        smallest = np.int16 if len(number_of) < 1 << 15 else np.int32
        to_class = np.array([number_of.get(name, UNKNOWN_LABEL) for name in names], smallest)
        is_foreign = np.array([name in within.other_classes for name in names], bool)
        unknown: dict[str, int] = {}
        for name, count in zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True):
            if count and name is not None and name not in number_of and name not in within.other_classes:
                unknown[name] = unknown.get(name, 0) + count
        return to_class[labels], is_foreign[labels], unknown


class _Column:
    """Numbers of one type that are added bit by bit to one piece of memory, which grows in place where it can."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._bytes, self._dtype = bytearray(), dtype

    def add(self, values: NDArray[np.generic]) -> None:
        """Append the values, row by row."""
        self._bytes += np.ascontiguousarray(values, self._dtype).data

    def take(self) -> NDArray[Any]:
        """All values (N,), which are the column's no more."""
        taken, self._bytes = self._bytes, bytearray()
        return np.frombuffer(taken, self._dtype)


def _places(ids: list[str]) -> Integers:
    """Which each of the ids (V) is in their order (V,)."""
    places = np.empty(len(ids), np.int64)
    places[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    return places


def _amount(videos: Numbers, counts: Integers) -> Amount:
    """How many detections: counts (V,) of videos (V,), which may come twice."""
    return Amount(len(np.unique(videos[counts > 0])), int(counts.sum()))
