"""Drawing which videos of a ground truth are for training and which for validation."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from taltool.errors import DataError, UsageError

TRAINING, VALIDATION = "training", "validation"


@dataclass(frozen=True)
class Side:
    """One side of a split: how many videos and instances it has, and the classes of the whole that it lacks."""

    videos: int
    instances: int
    lacking: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RandomSplit:
    """The subset of each video id, and both sides by the name of the subset."""

    subset_of: dict[str, str]
    sides: dict[str, Side]

    def __repr__(self) -> str:
        """`RandomSplit(training 6 videos, 40 instances; validation 2 videos, 11 instances)`."""
        told = (f"{name} {side.videos} videos, {side.instances} instances" for name, side in self.sides.items())
        return f"RandomSplit({'; '.join(told)})"


def random_split(
    labels_of: Mapping[str, Iterable[str]], share: float, seed: int = 0, by: str | None = None
) -> RandomSplit:
    """Draw about `share` of the videos for training; the others are for validation.

    labels_of: the labels of the instances of each video id. Groups of videos stay together: those in whose ids the
    first group of the regular expression `by` finds the same; without it, or where it finds nothing, a video is alone.
    Groups come in an order that depends on the seed and their names only. Each goes to validation if no class loses its
    last training instance by it and the share is not missed; those that bring validation a class come first. Where
    every group holds the only instances of a class, one that holds fewest such classes goes.

    Raises UsageError for a share that is not between 0 and 1 and for a pattern without a group, DataError where there
    are fewer than two groups.
    """
    if not 0 < share < 1:
        raise UsageError(f"--random-split {share:g}: expected a share of the videos between 0 and 1, such as 0.8")
    groups: defaultdict[str, list[str]] = defaultdict(list)
    pattern = _pattern(by)
    for video_id in sorted(labels_of):
        found = pattern.search(video_id) if pattern else None
        # What belongs to no group must not meet a group of its name.
        groups[f"={found[1]}" if found and found[1] is not None else f"-{video_id}"].append(video_id)
    if len(groups) < 2:
        raise DataError(f"--random-split: {len(labels_of)} videos in {len(groups)} group cannot be parted")
    counts = {name: Counter(label for each in videos for label in labels_of[each]) for name, videos in groups.items()}
    names = list(groups)
    drawn = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    held_out = _held_out(drawn, {name: len(groups[name]) for name in names}, counts, (1 - share) * len(labels_of))
    subset_of = {
        video_id: VALIDATION if name in held_out else TRAINING for name, videos in groups.items() for video_id in videos
    }
    return RandomSplit(
        {video_id: subset_of[video_id] for video_id in labels_of},
        {TRAINING: _side(set(names) - held_out, groups, counts), VALIDATION: _side(held_out, groups, counts)},
    )


def _pattern(by: str | None) -> re.Pattern[str] | None:
    if by is None:
        return None
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise UsageError(f"--by {by}: not a regular expression: {error}") from error
    if not pattern.groups:
        raise UsageError(f"--by {by}: no group in it; put what names the group into parentheses: (.*)_clip")
    return pattern


def _held_out(
    drawn: list[str], sizes: Mapping[str, int], counts: Mapping[str, Counter[str]], wanted: float
) -> set[str]:
    """The groups of videos that are for validation, about `wanted` videos in all."""
    left = sum(counts.values(), Counter[str]())  # instances of each class that training has still
    held_out: set[str] = set()
    shown: set[str] = set()
    num_videos = 0

    def take(name: str) -> None:
        nonlocal num_videos
        held_out.add(name)
        left.subtract(counts[name])
        shown.update(counts[name])
        num_videos += sizes[name]

    def lost(name: str) -> int:
        return sum(left[label] == count for label, count in counts[name].items())

    for may_add_nothing in (False, True):
        for name in drawn:
            is_useful = may_add_nothing or bool(set(counts[name]) - shown)
            # The group is taken where that brings the number of videos nearer to what is wanted.
            is_nearer = abs(num_videos + sizes[name] - wanted) < abs(num_videos - wanted)
            if name not in held_out and is_useful and is_nearer and not lost(name):
                take(name)
    if not held_out:
        take(min(drawn, key=lambda name: (lost(name), sizes[name])))
    return held_out


def _side(names: set[str], groups: Mapping[str, list[str]], counts: Mapping[str, Counter[str]]) -> Side:
    own = sum((counts[name] for name in names), Counter[str]())
    classes = {label for each in counts.values() for label in each}
    return Side(sum(len(groups[name]) for name in names), own.total(), tuple(sorted(classes - own.keys())))
