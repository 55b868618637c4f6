"""Features and ground truth joined: which videos are meant, which can be used, and their usable instances.

Nothing is left out silently: what cannot be used is an error with a count, or told through the reporter.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from taltool.data.annotations import read_split
from taltool.data.hdf5_features import FeatureFile
from taltool.data.memory_features import MemoryFeatures
from taltool.data.records import Floats, GroundTruth, Integers
from taltool.data.statistics import DatasetStatistics
from taltool.errors import DataError, UsageError
from taltool.experiment.sampling import visible_span
from taltool.experiment.settings import SamplingSettings
from taltool.reporting import Reporter

_NAMED = 3


@dataclass(frozen=True, eq=False)
class LabelledVideo:
    """One video to learn from: segments (M, 2) in seconds, inside what its features cover; labels (M,) into the
    classes of the training."""

    video_id: str
    segments: Floats
    labels: Integers


def list_some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def videos_with_features(truth: GroundTruth, file: FeatureFile, skip_missing: bool, reporter: Reporter) -> GroundTruth:
    """The annotated videos that have features.

    Raises DataError where some have none, unless `skip_missing`; where none has any; or where the subset is empty.
    """
    return truth.only(_present(truth.videos, truth.file, file, skip_missing, reporter))


def _present(
    wanted: Collection[str], source: str, file: FeatureFile | MemoryFeatures, skip_missing: bool, reporter: Reporter
) -> set[str]:
    """Those of the videos wanted, which `source` names, that are there; raises as `videos_with_features` does."""
    if not wanted:
        raise DataError(f"{source}: no videos in this subset; choose another with --subset")
    there = set(file.ids)
    missing = [video_id for video_id in wanted if video_id not in there]
    found = len(wanted) - len(missing)
    if missing and (not skip_missing or not found):
        mend = "use --skip-missing to go on without them" if found else "do the two files belong together?"
        if not found and isinstance(file, FeatureFile):
            mend = "; ".join(file.hints()) or mend
        raise DataError(
            f"{file.path} has {found} of the {len(wanted)} videos wanted from {source}; "
            f"missing: {list_some(missing)}; {mend}"
        )
    if missing:
        reporter.warn(f"{len(missing)} of {len(wanted)} videos have no features, skipped: {list_some(missing)}")
    return there.intersection(wanted)


def usable_instances(truth: GroundTruth, file: FeatureFile, reporter: Reporter) -> dict[str, tuple[Floats, Integers]]:
    """Per video, the segments (M, 2) seconds that its features cover, clipped to them, and the label numbers of truth.

    Instances of zero length and those wholly outside the features are dropped, others clipped; both are counted aloud.
    """
    found: dict[str, tuple[Floats, Integers]] = {}
    dropped = clipped = 0
    for video in truth.videos.values():
        clock, (length, _) = file.clock(video.video_id), file.shape(video.video_id)
        inside = np.clip(video.segments, *visible_span(length, clock))
        keep = inside[:, 1] > inside[:, 0]
        past_end = video.segments[:, 1] > clock.duration + clock.seconds_per_snippet
        found[video.video_id] = inside[keep], video.labels[keep]
        dropped += int((~keep).sum())
        clipped += int((past_end & keep).sum())
    if dropped:
        reporter.warn(f"{truth.file}: {dropped} instances are empty or lie outside their video's features; dropped")
    if clipped:
        reporter.warn(f"{truth.file}: {clipped} instances run past the end of their video; clipped")
    return found


def class_names(truth: GroundTruth, instances: dict[str, tuple[Floats, Integers]], reporter: Reporter) -> list[str]:
    """The classes to learn, by name: those with a usable instance.

    Others are told: those that the videos mention without a usable instance, and those that only other subsets have.
    """
    names = truth.names.names
    used = {int(label) for _, labels in instances.values() for label in labels}
    mentioned = {int(label) for video in truth.videos.values() for label in video.labels}
    if not used:
        raise DataError(f"{truth.file}: no usable instance in {len(truth.videos)} training videos; nothing to learn")
    useless = sorted(names[label] for label in mentioned - used)
    if useless:
        reporter.warn(f"no usable training instance of {list_some(useless)}; the model will not know such classes")
    elsewhere = sorted(name for label, name in enumerate(names) if label not in mentioned)
    if elsewhere:
        reporter.warn(
            f"only other subsets of {truth.file} have {list_some(elsewhere)}; the model will not know such classes"
        )
    return sorted(names[label] for label in used)


def label_videos(
    truth: GroundTruth,
    instances: dict[str, tuple[Floats, Integers]],
    classes: Sequence[str],
    reporter: Reporter,
    purpose: str = "the validation loss",
) -> list[LabelledVideo]:
    """The videos with labels numbered by `classes`; instances of other classes are left out of `purpose`, aloud."""
    number = np.full(len(truth.names) + 1, -1, np.int64)
    for name, old in truth.names.numbers.items():
        number[old] = classes.index(name) if name in classes else -1
    videos, unknown = [], Counter[str]()
    for video_id, (segments, labels) in instances.items():
        new = number[labels]
        videos.append(LabelledVideo(video_id, segments[new >= 0], new[new >= 0]))
        unknown.update(truth.names.names[label] for label in labels[new < 0])
    if unknown:
        reporter.warn(
            f"{unknown.total()} instances of classes without training instances, left out of {purpose}: "
            f"{list_some(sorted(unknown))}"
        )
    return videos


def dataset_statistics(
    file: FeatureFile, videos: Sequence[LabelledVideo], num_classes: int, channels: int
) -> DatasetStatistics:
    """The sizes by which a model fits its settings, in snippets of the feature file."""
    clocks = {video.video_id: file.clock(video.video_id) for video in videos}
    lengths = [file.shape(video.video_id)[0] for video in videos]
    spans = [np.diff(clocks[v.video_id].grid(v.segments), axis=1).ravel() for v in videos]
    per_snippet = float(np.median([clock.seconds_per_snippet for clock in clocks.values()]))
    instance_lengths = np.sort(np.concatenate(spans))
    return DatasetStatistics(
        num_videos=len(videos),
        num_classes=num_classes,
        channels=channels,
        seconds_per_snippet=per_snippet,
        video_lengths=tuple(sorted(lengths)),
        instance_lengths=tuple(instance_lengths.tolist()),
        frame_size=file.frame_size(videos[0].video_id),
    )


def select_by_coverage(
    videos: Sequence[LabelledVideo], file: FeatureFile, sampling: SamplingSettings, reporter: Reporter
) -> list[LabelledVideo]:
    """The videos of an epoch: without those of a coverage of at least `drop_coverage`, and those below
    `repeat_coverage` twice (again at the end). A video without instances is there once.

    The rules of DBG, whose loader MGNet has. Raises UsageError where no video is left.
    """
    limit = sampling.drop_coverage or math.inf
    covered = [mean_coverage(video, file.clock(video.video_id).duration) for video in videos]
    kept = [(video, share) for video, share in zip(videos, covered, strict=True) if share is None or share < limit]
    if not kept:
        raise UsageError(f"sampling.drop_coverage = {limit}: every training video is covered that much")
    if len(kept) < len(videos):
        reporter.note(f"{len(videos) - len(kept)} training videos have a coverage of {limit:g} or more; left out")
    return [video for video, _ in kept] + [
        video for video, share in kept if share is not None and share < sampling.repeat_coverage
    ]


def mean_coverage(video: LabelledVideo, duration: float) -> float | None:
    """The share of a video of `duration` seconds that an instance covers on average; None without instances."""
    return float(np.diff(video.segments, axis=1).mean() / duration) if len(video.segments) else None


def hold_out(
    videos: Sequence[LabelledVideo], share: float, seed: int
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Split by video into those to train on and about `share` (one at least) to choose the epoch by.

    Drawn by `seed`; a video is not taken if a class would lose its last training instance. Both lists keep the order.
    """
    left = Counter(int(label) for video in videos for label in video.labels)
    wanted = min(max(1, round(share * len(videos))), len(videos) - 1) if share else 0
    taken: set[int] = set()
    for index in np.random.default_rng([seed, len(videos)]).permutation(len(videos)).tolist():
        own = Counter(videos[index].labels.tolist())
        if len(taken) < wanted and own and all(left[label] > count for label, count in own.items()):
            left -= own
            taken.add(index)
    train = [video for index, video in enumerate(videos) if index not in taken]
    return train, [video for index, video in enumerate(videos) if index in taken]


def chosen_videos(
    file: FeatureFile | MemoryFeatures,
    subset: str | None,
    split: str | None,
    truth: GroundTruth | None,
    skip_missing: bool,
    reporter: Reporter,
) -> list[str]:
    """The ids to predict, in the file's order: those of `subset` in the split or else in the ground truth, or all.

    A split without a subset means all its videos. Raises DataError as `videos_with_features` does.
    """
    if split is not None:
        subset_of = read_split(split)
        names = set(subset_of.values()) if subset is None else {name.strip() for name in subset.split(",")}
        unknown = sorted(names - set(subset_of.values()))
        if unknown:
            there = ", ".join(dict.fromkeys(subset_of.values()))
            raise DataError(f"{split}: no subset '{unknown[0]}' (there are: {there}); choose with --subset")
        source, wanted = split, [video_id for video_id, name in subset_of.items() if name in names]
    elif subset is None:
        return file.ids
    elif truth is None:
        raise UsageError("--subset needs --ground-truth GT or --split FILE:NAME, which say what is in it")
    else:
        source, wanted = truth.file, list(truth.subset(subset).videos)
    present = _present(wanted, source, file, skip_missing, reporter)
    return [video_id for video_id in file.ids if video_id in present]


def sharded(video_ids: list[str], shard: str | None) -> list[str]:
    """Every N-th id from the I-th on, for a shard "I/N" that counts from 1; all for None."""
    if shard is None:
        return video_ids
    index, slash, count = shard.partition("/")
    if not slash or not index.isdigit() or not count.isdigit() or not 1 <= int(index) <= int(count):
        raise UsageError(f"--shard {shard}: expected I/N with I from 1 to N")
    return video_ids[int(index) - 1 :: int(count)]
