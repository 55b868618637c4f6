"""Records of many videos as flat arrays: what evaluation, diagnosis and the fitting of weights compute on.

Videos become numbers (known ones in the order of their ids, unknown ones after them), classes become numbers, and what
cannot count is left out and counted, so that every number can say what it is about.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from taltool.data.records import (
    Booleans,
    Floats,
    GroundTruth,
    Integers,
    LabelVocabulary,
    VideoAnnotations,
    VideoProposals,
)
from taltool.errors import DataError
from taltool.registry import did_you_mean

UNKNOWN_LABEL = -1
Array = TypeVar("Array", Floats, Integers)


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


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of many videos.

    videos (N,) numbers, those from num_videos of the ground truth on are videos that it does not know; labels (N,)
    class numbers, -1 = a label that no instance has; segments (N, 2) seconds; scores (N,).
    """

    videos: Integers
    labels: Integers
    segments: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)


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
    """The detections of `proposals` that count within a scope, as arrays, and what the rest was.

    Left out: videos of the same ground truth that are not in the scope, and detections of classes that were not
    chosen. Kept: videos that the ground truth does not know, and labels that it does not know (as label -1).
    """
    read = [video for video in proposals if len(video)]
    number_of = {key: number for number, key in enumerate(within.video_ids)}
    strangers = sorted({v.video_id for v in read if v.video_id not in number_of and v.video_id not in within.left_out})
    number_of |= {key: len(within.video_ids) + position for position, key in enumerate(strangers)}
    inside = [video for video in read if video.video_id not in within.left_out]
    names, labels = _under_one_numbering(inside)
    detections = _detections(inside, labels, number_of)
    left_out = _left_out_videos(read, within)
    numbers, foreign, unknown = _class_numbers(detections.labels, names, within)
    if foreign.any():
        left_out["other classes"] = _amount(detections.videos[foreign])
    kept = ~foreign
    detections = Detections(detections.videos[kept], numbers[kept], detections.segments[kept], detections.scores[kept])
    lengths = detections.segments[:, 1] - detections.segments[:, 0]
    contents = Contents(
        counted=_amount(detections.videos),
        left_out=left_out,
        unknown_videos=_amount(detections.videos[detections.videos >= len(within.video_ids)]),
        unknown_labels=unknown,
        zero_length=int(np.count_nonzero(lengths <= 0)),
        labelled=any(video.labels is not None for video in read),
        unlabelled=sum(len(video) for video in inside if video.labels is None),
    )
    return detections, contents


def _under_one_numbering(videos: list[VideoProposals]) -> tuple[LabelVocabulary, list[Integers]]:
    """Names for all videos and each video's label numbers into them, -1 where there is no label.

    Videos of one file share their names already; those of several sources are renumbered.
    """
    names = LabelVocabulary(videos[0].names.names if videos else ())
    maps: dict[int, Integers] = {}
    labels = []
    for video in videos:
        if video.labels is None:
            labels.append(np.full(len(video), UNKNOWN_LABEL))
        elif video.names is videos[0].names:
            labels.append(video.labels)
        else:
            if id(video.names) not in maps:
                maps[id(video.names)] = names.numbered(video.names.names)
            labels.append(maps[id(video.names)][video.labels])
    return names, labels


def _detections(videos: list[VideoProposals], labels: list[Integers], number_of: dict[str, int]) -> Detections:
    counts = [len(video) for video in videos]
    return Detections(
        np.repeat(np.array([number_of[video.video_id] for video in videos], np.int64), counts),
        _joined(labels, np.empty(0, np.int64)),
        _joined([video.segments for video in videos], np.empty((0, 2))),
        _joined([video.scores for video in videos], np.empty(0)),
    )


def _left_out_videos(read: list[VideoProposals], within: Scope) -> dict[str, Amount]:
    reasons: dict[str, list[int]] = {}
    for video in read:
        reason = within.left_out.get(video.video_id)
        if reason is not None:
            reasons.setdefault(reason, []).append(len(video))
    return {reason: Amount(len(counts), sum(counts)) for reason, counts in reasons.items()}


def _class_numbers(
    labels: Integers, names: LabelVocabulary, within: Scope
) -> tuple[Integers, Booleans, dict[str, int]]:
    """Class numbers (N,), which detections are of classes not chosen (N,), and the unknown labels' counts."""
    nobody = np.zeros(len(labels), bool)
    if within.agnostic and not within.other_classes:
        return np.zeros_like(labels), nobody, {}
    number_of = {name: 0 if within.agnostic else n for n, name in enumerate(within.class_names)}
    # The last entry serves label -1: no label at all.
    to_class = np.array([number_of.get(name, UNKNOWN_LABEL) for name in names] + [UNKNOWN_LABEL], np.int64)
    foreign = np.array([name in within.other_classes for name in names] + [False])
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    known = set(within.class_names) | within.other_classes
    unknown = {name: int(counts[n]) for n, name in enumerate(names) if name not in known and counts[n]}
    return to_class[labels], foreign[labels], unknown


def _amount(videos: Integers) -> Amount:
    return Amount(len(np.unique(videos)), len(videos))
