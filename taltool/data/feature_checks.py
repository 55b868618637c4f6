"""Facts on features that are given twice: whether the videos of a file agree in channels, and clocks with durations;
and what ids tell that are more than ids."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from taltool.data.clock import FeatureClock, UnknownClockError
from taltool.errors import DataError
from taltool.reporting import Reporter

# How far the last snippet may end from the end of its video: so many windows (or strides, where these are longer), or
# this share of the duration. Windows may reach past the end, or leave out what is no whole one; durations are those of
# another encoding of the video; and both are rounded.
_WINDOWS = 2
_SHARE = 0.05

# What parts of names that are often those of streams or layers look like.
_USUAL = re.compile(r"rgb|flow|opt(ical)?_?flow|audio|.*feat(ure)?s?|.*_?(c3d|i3d|tsn|fc\d)_?.*", re.IGNORECASE)


class Sequences(Protocol):
    """Features of many videos, by id: of a file that is open, or of a content that is converted."""

    def shape(self, video_id: str, /) -> tuple[int, int]:
        """(T, C)."""

    def clock(self, video_id: str, /) -> FeatureClock:
        """The clock."""


@dataclass(frozen=True)
class Disagreement:
    """Where clocks and durations disagree: in so many of so many videos, in the first of them so (seconds); mend: with
    what all would agree, empty where nothing does it."""

    videos: int
    of: int
    video_id: str
    end: float
    duration: float
    mend: str

    def __str__(self) -> str:
        side = "after" if self.end > self.duration else "before"
        told = (
            f"in {self.videos} of {self.of} videos the last snippet ends far {side} the end of the video (first in "
            f"'{self.video_id}': at {self.end:.1f} s of {self.duration:.1f} s)"
        )
        return f"{told}; they would agree {self.mend}" if self.mend else told

    @property
    def is_usual(self) -> bool:
        """Whether it is so in half of the videos or more, so that no duration is to blame, but the clock."""
        return self.videos * 2 >= self.of


def disagreement(
    features: Sequences, video_ids: Iterable[str], durations: Mapping[str, float] | None = None
) -> Disagreement | None:
    """How the clocks disagree with what they say the durations are, or with these (video id -> seconds); None where
    they do not, or are not known."""
    of, rates, swapped, first = 0, [], 0, None
    for video_id in video_ids:
        try:
            clock = features.clock(video_id)
        except UnknownClockError:
            continue
        of += 1
        length, channels = features.shape(video_id)
        duration = (durations or {}).get(video_id, clock.duration)
        if _agrees(clock, length, duration):
            continue
        end = _end(clock, length)
        rates.append(clock.fps * end / duration)
        swapped += _agrees(clock, channels, duration)
        first = first or (video_id, end, duration)
    if first is None:
        return None
    mend = f"at --fps {median(rates):.4g}" if max(rates) <= min(rates) * (1 + _SHARE) ** 2 else ""
    if swapped == len(rates):
        mend = "with the axes exchanged: --channels-first, or without it where it was given"
    return Disagreement(len(rates), of, *first, mend)


def _end(clock: FeatureClock, length: int) -> float:
    """The end (s) of the last snippet."""
    return (clock.offset + (length - 1) * clock.stride + clock.window) / clock.fps


def _agrees(clock: FeatureClock, length: int, duration: float) -> bool:
    tolerance = max(_WINDOWS * max(clock.window, clock.stride) / clock.fps, _SHARE * duration)
    return abs(_end(clock, length) - duration) <= tolerance


def compare_clocks(
    features: Sequences,
    video_ids: Iterable[str],
    path: str,
    reporter: Reporter,
    *,
    durations: Mapping[str, float] | None = None,
    is_said: bool = False,
) -> None:
    """Warn where clocks and durations disagree; raise DataError where they do in most videos and the user just said
    what the clock is."""
    found = disagreement(features, video_ids, durations)
    if found is None:
        return
    if is_said and found.is_usual:
        raise DataError(f"{path}: {found}; --fps, --stride, --window or --offset are not those of these features")
    reporter.warn(f"{path}: {found}")


def common_channels(features: Sequences, video_ids: Iterable[str], path: str) -> int:
    """The number of channels that all these videos have; raises DataError where they differ, or there is no video."""
    shapes = {video_id: features.shape(video_id) for video_id in video_ids}
    if not shapes:
        raise DataError(f"{path}: no video in it")
    channels = Counter(width for _, width in shapes.values())
    common, count = channels.most_common(1)[0]
    if len(channels) == 1:
        return common
    lengths = {length for length, _ in shapes.values()}
    if len(lengths) == 1:
        (length,) = lengths
        several = " and ".join(str(width) for width in sorted(channels)[:3]) + (", ..." if len(channels) > 3 else "")
        raise DataError(
            f"{path}: every video has {length} snippets, but of {several} channels: are the channels first? convert "
            "them with --channels-first, or without it where it was given"
        )
    odd = next(video_id for video_id, (_, width) in shapes.items() if width != common)
    raise DataError(
        f"{path}: video '{odd}' has {shapes[odd][1]} channels, {count} of {len(shapes)} videos have {common}; extract "
        "it again"
    )


def told_by_names(ids: Sequence[str], path: str) -> list[str]:
    """A hint where what stands for videos in `path` seems to be streams or layers of them, by their names."""
    for take in (_last_folder, _first_folder, _last_word):
        found = [take(video_id) for video_id in ids]
        names = sorted({name for _, name in found})
        videos = {video for video, _ in found}
        if "" in names or not videos or len(names) > 8 or len(videos) * len(names) != len(ids):
            continue
        if all(map(_USUAL.fullmatch, names)) or (take is _last_folder and len(videos) > 2 * len(names)):
            does = (
                "takes that off" if len(names) == 1 else "makes streams of one video of those that differ in it alone"
            )
            told = " or ".join(f"'{name}'" for name in names)
            place = "begin with" if take is _first_folder else "end in"
            command = f"taltool convert {shlex.quote(path)} --dataset {shlex.quote(','.join(names))} -o NEW.h5"
            return [f"the ids of all videos ({len(ids)}) {place} {told}: `{command}` {does}"]
    return []


def _last_folder(video_id: str) -> tuple[str, str]:
    video, _, name = video_id.rpartition("/")
    return (video, name) if video else (video_id, "")


def _first_folder(video_id: str) -> tuple[str, str]:
    name, _, video = video_id.partition("/")
    return (video, name) if video else (video_id, "")


def _last_word(video_id: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.+)[_.-]([^/_.-]+)", video_id)
    return (found[1], found[2]) if found else (video_id, "")
