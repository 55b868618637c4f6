"""Records of many videos as flat arrays: what evaluation, diagnosis and the fitting of weights compute on.

Videos become numbers (known ones in the order of their ids, unknown ones after them), classes become numbers, and what
cannot count is left out and counted, so that every number can say what it is about. A detection takes 30 bytes: its
segment 16, its score 8, its video 4, its class 2 (4 from 32,768 classes on).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import (
    Booleans,
    Floats,
    GroundTruth,
    Integers,
    VideoAnnotations,
    VideoProposals,
)
from taltool.errors import DataError
from taltool.registry import did_you_mean

UNKNOWN_LABEL = -1
Numbers = NDArray[np.integer[Any]]
Array = TypeVar("Array", Floats, Integers)
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
    """

    videos: Numbers
    labels: Numbers
    segments: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def num_videos(self) -> int:
        """One more than the largest video number."""
        return int(self.videos.max(initial=-1)) + 1

    def take(self, which: Numbers) -> "Detections":
        """The detections at the indices `which`, in that order."""
        return Detections(self.videos[which], self.labels[which], self.segments[which], self.scores[which])


@dataclass(frozen=True, eq=False)
class Scope:
    """The videos and classes that a number is about.

    video_ids are sorted, position = number; class_names in order of first appearance in the ground truth; excused
    holds the segments in whose reach false positives are forgiven (label `excused` of the protocol), labels 0.
    left_out says for each video id of the same ground truth that does not count, why.
    """

    video_ids: list[str]
    class_names: list[str]
    truth: Instances
    excused: Instances
    left_out: dict[str, str]
    agnostic: bool = False
    other_classes: frozenset[str] = frozenset()


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
    that cannot match; labelled: whether any detection carries a label; unlabelled: how many that counted do not.
    """

    counted: Amount
    left_out: dict[str, Amount]
    unknown_videos: Amount
    unknown_labels: dict[str, int] = field(default_factory=dict)
    zero_length: int = 0
    labelled: bool = True
    unlabelled: int = 0


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
    present = _in_order_of_appearance(subset_videos, excluded)
    chosen = [names[number] for number in present if names[number] != excused]
    others: frozenset[str] = frozenset()
    if classes is not None:
        others = frozenset(chosen) - frozenset(classes)
        chosen = _chosen_classes(whole, chosen, classes)
    left_out = {key: "other subsets" for key in whole.videos if key not in subset_videos}
    left_out |= dict.fromkeys(excluded, "excluded videos")
    number_of = {name: number for number, name in enumerate(chosen)}
    to_class = np.array([number_of.get(name, UNKNOWN_LABEL) for name in names], np.int64)
    truth = _instances(videos, to_class, len(chosen))
    if agnostic:
        truth = Instances(truth.videos, np.zeros_like(truth.labels), truth.segments, truth.num_videos, 1)
    to_excused = np.array([0 if name == excused else UNKNOWN_LABEL for name in names], np.int64)
    ids = [video.video_id for video in videos]
    return Scope(ids, chosen, truth, _instances(videos, to_excused, 1), left_out, agnostic, others)


def _in_order_of_appearance(videos: dict[str, VideoAnnotations], excluded: Collection[str]) -> list[int]:
    labels = [video.labels for key, video in videos.items() if key not in excluded]
    return list(dict.fromkeys(np.concatenate(labels).tolist())) if labels else []


def _chosen_classes(whole: GroundTruth, present: list[str], classes: Sequence[str]) -> list[str]:
    for name in classes:
        if name not in present:
            where = "these videos" if name in whole.names else "it"
            raise DataError(f"{whole.file}: no instance of class '{name}' in {where}{did_you_mean(name, present)}")
    return [name for name in present if name in set(classes)]


def _instances(videos: list[VideoAnnotations], to_class: Integers, num_classes: int) -> Instances:
    counts = [len(video) for video in videos]
    numbers = np.repeat(np.arange(len(videos)), counts)
    labels = to_class[_joined([video.labels for video in videos], np.empty(0, np.int64))]
    segments = _joined([video.segments for video in videos], np.empty((0, 2)))
    kept = labels != UNKNOWN_LABEL
    return Instances(numbers[kept], labels[kept], segments[kept], len(videos), num_classes)


def _joined(parts: list[Array], empty: Array) -> Array:
    return np.concatenate(parts) if parts else empty


def flatten(proposals: Iterable[VideoProposals], within: Scope) -> tuple[Detections, Contents]:
    """The detections of `proposals` that count within a scope, as arrays in their order, and what the rest was.

    Left out: videos of the same ground truth that are not in the scope, and detections of classes that were not
    chosen. Kept: videos that the ground truth does not know, and labels that it does not know (as label -1).
    Detections are stored as they come; of each video nothing else stays.
    """
    columns, left_out, labelled = _Columns(), dict[str, Amount](), False
    for video in proposals:
        if not len(video):
            continue
        labelled = labelled or video.labels is not None
        reason = within.left_out.get(video.video_id)
        if reason is None:
            columns.add(video)
        else:
            before = left_out.get(reason, Amount(0, 0))
            left_out[reason] = Amount(before.videos + 1, before.detections + len(video))
    numbers, counts = _video_numbers(columns.video_ids, within), np.array(columns.counts, np.int64)
    labels, foreign, unknown = _class_numbers(columns, within)
    segments, scores = columns.segments.take().reshape(-1, 2), columns.scores.take()
    videos = np.repeat(numbers, counts)
    if foreign.any():
        foreign_counts = np.add.reduceat(foreign, np.cumsum(counts) - counts, dtype=np.int64)
        left_out["other classes"] = _amount(numbers, foreign_counts)
        counts -= foreign_counts
        # One column after the other, so that only one of them is there twice at a time.
        kept = ~foreign
        segments = segments[kept]
        scores, labels, videos = scores[kept], labels[kept], videos[kept]
    strange = numbers >= len(within.video_ids)
    contents = Contents(
        counted=_amount(numbers, counts),
        left_out=left_out,
        unknown_videos=_amount(numbers[strange], counts[strange]),
        unknown_labels=unknown,
        zero_length=int(np.count_nonzero(segments[:, 1] <= segments[:, 0])),
        labelled=labelled,
        unlabelled=columns.unlabelled,
    )
    return Detections(videos, labels, segments, scores), contents


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


class _Columns:
    """The detections of many videos, 28 bytes each, and of each video its id and how many it has.

    labels are numbers into the vocabulary of their video, which may still grow: vocabularies[vocabulary_of[video]].
    """

    def __init__(self) -> None:
        self.segments, self.scores, self.labels = _Column(np.float64), _Column(np.float64), _Column(np.int32)
        self.video_ids: list[str] = []
        self.counts: list[int] = []
        self.vocabulary_of: list[int] = []
        self.vocabularies: list[Collection[str | None]] = []
        self.unlabelled = 0
        self._number_of: dict[int, int] = {}

    def add(self, video: VideoProposals) -> None:
        """Append a video."""
        self.video_ids.append(video.video_id)
        self.counts.append(len(video))
        self.segments.add(video.segments)
        self.scores.add(video.scores)
        if video.labels is None:
            self.unlabelled += len(video)
            self._add_labels(np.zeros(len(video), np.int32), _NO_LABEL)
        else:
            self._add_labels(video.labels, video.names)

    def _add_labels(self, labels: Numbers, names: Collection[str | None]) -> None:
        number = self._number_of.setdefault(id(names), len(self.vocabularies))
        if number == len(self.vocabularies):
            self.vocabularies.append(names)
        self.vocabulary_of.append(number)
        self.labels.add(labels)


def _video_numbers(video_ids: list[str], within: Scope) -> NDArray[np.int32]:
    """The number of each video: of those in the scope by id, then of strangers by id."""
    number_of = {key: number for number, key in enumerate(within.video_ids)}
    strangers = sorted({key for key in video_ids if key not in number_of})
    number_of |= {key: len(within.video_ids) + position for position, key in enumerate(strangers)}
    return np.array([number_of[key] for key in video_ids], np.int32)


def _class_numbers(columns: _Columns, within: Scope) -> tuple[Numbers, Booleans, dict[str, int]]:
    """Class numbers (N,), which detections are of classes not chosen (N,), and the unknown labels' counts."""
    labels = columns.labels.take()
    sizes = [len(names) for names in columns.vocabularies]
    if len(sizes) > 1:
        # One vocabulary after the other makes one numbering of all.
        offsets = np.cumsum([0, *sizes[:-1]], dtype=np.int32)
        labels = labels + np.repeat(offsets[columns.vocabulary_of], columns.counts)
    names = list(chain.from_iterable(columns.vocabularies))
    if within.agnostic and not within.other_classes:
        return np.zeros(len(labels), np.int16), np.zeros(len(labels), bool), {}
    number_of: dict[str | None, int] = {name: 0 if within.agnostic else n for n, name in enumerate(within.class_names)}
    smallest = np.int16 if len(number_of) < 1 << 15 else np.int32
    to_class = np.array([number_of.get(name, UNKNOWN_LABEL) for name in names], smallest)
    is_foreign = np.array([name in within.other_classes for name in names], bool)
    unknown: dict[str, int] = {}
    for name, count in zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True):
        if count and name is not None and name not in number_of and name not in within.other_classes:
            unknown[name] = unknown.get(name, 0) + count
    return to_class[labels], is_foreign[labels], unknown


def _amount(videos: Numbers, counts: Integers) -> Amount:
    """How many detections: counts (V,) of videos (V,), which may come twice."""
    return Amount(len(np.unique(videos[counts > 0])), int(counts.sum()))
