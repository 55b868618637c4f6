"""What `convert` changes in a content because the user says so, and never otherwise: ids of videos, names of subsets,
times in frames; and which videos it keeps."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, TypeVar

from taltool.data.containers import VIDEO_SUFFIXES
from taltool.data.formats.contract import Annotations, Content, Features, Proposals
from taltool.data.near_ids import renaming
from taltool.data.records import Floats, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.reporting import SILENT, Reporter

Times = TypeVar("Times", float, Floats)
# That of the language of subtitles: v.en.srt, v.zh-Hans.vtt.
_LANGUAGE = re.compile(r"\.[a-z]{2}(-[A-Za-z]{2,4})?")


@dataclass(frozen=True)
class Changes:
    """strip_prefix, strip_suffix: taken off the ids that have them; then add_prefix is put before all. videos: the only
    ids that stay, as they are called then; None for all. rename_subsets: new name by old one; keep_subsets: the only
    subsets that stay, by their new names, none for all. fps: the times are frames, divided by it; shares: they are
    shares of the durations; neither: seconds.
    """

    strip_prefix: str = ""
    strip_suffix: str = ""
    add_prefix: str = ""
    videos: Collection[str] | None = None
    rename_subsets: Mapping[str, str] = field(default_factory=dict)
    keep_subsets: Collection[str] = ()
    fps: float | None = None
    shares: bool = False

    def new_id(self, video_id: str) -> str:
        """What a video is called."""
        return self.add_prefix + video_id.removeprefix(self.strip_prefix).removesuffix(self.strip_suffix)

    @property
    def of_times(self) -> str:
        """What the times are: frames or shares; empty for seconds."""
        return "shares" if self.shares else "" if self.fps is None else "frames"

    def seconds(self, times: Times, video_id: str, duration: float | None) -> Times:
        """The times of a video in seconds. Raises DataError for shares of a duration that is not known."""
        if self.fps is not None:
            return times / self.fps
        if duration is None:
            raise DataError(
                f"video '{video_id}': its times are shares of its duration, which is not known: give --durations FILE"
            )
        return times * duration

    def durations(self, given: Mapping[str, float]) -> dict[str, float]:
        """Seconds by the ids of videos, old and new, whichever of the two were given."""
        known = dict(given)
        for video_id, duration in given.items():
            bare, same = video_id.removeprefix(self.add_prefix), (video_id, self.new_id(video_id))
            olds = [prefix + bare + suffix for prefix in ("", self.strip_prefix) for suffix in ("", self.strip_suffix)]
            for each in (*same, *(old for old in olds if self.new_id(old) in same)):
                known.setdefault(each, duration)
        return known


def changed(content: Content, changes: Changes, reporter: Reporter = SILENT) -> Content:
    """The content with the changes; videos that go are among its notes, what looks wrong is told to `reporter`.

    Annotations and proposals are changed as they pass. Raises UsageError for changes that the kind has no place for,
    DataError where two videos get one id, and where nothing stays.
    """
    ids = _Ids(changes, reporter)
    if (changes.rename_subsets or changes.keep_subsets) and not isinstance(content, Annotations):
        raise UsageError(f"--rename-subset, --keep-subset: {content.kind} have no subsets, ground truth has")
    if isinstance(content, Annotations):
        return replace(content, entries=_entries(content, changes, ids))
    if isinstance(content, Proposals):
        if changes.videos is None:
            return replace(content, videos=_videos(content, changes, ids))
        return replace(content, videos=_videos(content, changes, ids), num_videos=None, open_ended=True)
    if changes.of_times:
        raise UsageError(
            f"--times {changes.of_times}: features have no segments; their clock is --fps, --stride and --window"
        )
    return _features(content, ids)


class _Ids:
    """The new id of each video, one after the other; `finish` tells what was odd about them."""

    def __init__(self, changes: Changes, reporter: Reporter) -> None:
        self._changes, self._reporter = changes, reporter
        self._old_of: dict[str, str] = {}
        self._suffixes: dict[str, int] = {}
        self._left_out = 0

    def __call__(self, video_id: str) -> str | None:
        """The new id; None for a video that does not stay."""
        new = self._changes.new_id(video_id)
        old = self._old_of.setdefault(new, video_id)
        if old != video_id:
            raise DataError(f"videos '{old}' and '{video_id}' would both be called '{new}'; strip less of their ids")
        if not new and video_id:
            raise DataError(f"video '{video_id}': nothing is left of its id; strip less of it")
        if self._changes.videos is not None and new not in self._changes.videos:
            self._left_out += 1
            return None
        suffix = PurePath(new).suffix
        if suffix.lower() in VIDEO_SUFFIXES or _LANGUAGE.fullmatch(suffix):
            self._suffixes[suffix] = self._suffixes.get(suffix, 0) + 1
        return new

    def finish(self) -> list[str]:
        """Tell what looks wrong; return a note of the videos that do not stay."""
        changes, count = self._changes, len(self._old_of)
        for option, part, has in (
            ("--strip-prefix", changes.strip_prefix, str.startswith),
            ("--strip-suffix", changes.strip_suffix, str.endswith),
        ):
            lacking = [old for old in self._old_of.values() if not has(old, part)]
            if part and lacking:
                self._reporter.warn(
                    f"{option} {part}: {len(lacking)} of {count} ids have none and stay as they are, such as "
                    f"'{lacking[0]}'"
                )
        for suffix, number in self._suffixes.items():
            self._reporter.warn(
                f"{number} of {count} video ids end in {suffix}, as files do; features of the same videos are called "
                f"without: --strip-suffix {suffix} takes it off"
            )
        if changes.videos is not None:
            absent = [each for each in changes.videos if each not in self._old_of]
            if absent:
                self._reporter.warn(
                    f"--videos: {len(absent)} of {len(changes.videos)} listed videos are not in the input, such as "
                    f"'{absent[0]}'"
                )
            if count and self._left_out == count:
                named = renaming([*self._old_of], changes.videos)
                raise DataError("--videos: no video of the input is listed" + (named and f"; {named}"))
        return [f"{self._left_out} videos that --videos does not list"] if self._left_out else []


def _entries(content: Annotations, changes: Changes, ids: _Ids) -> Iterator[tuple[str, dict[str, Any]]]:
    subsets: dict[str | None, int] = {}
    for old, before in content.entries:
        video_id, entry, subset = ids(old), before, before.get("subset")
        subsets[subset] = subsets.get(subset, 0) + 1
        if subset is not None and subset in changes.rename_subsets:
            subset = changes.rename_subsets[subset]
            entry = entry | {"subset": subset}
        if video_id is None or (changes.keep_subsets and subset not in changes.keep_subsets):
            continue
        if changes.of_times:
            duration, every = entry.get("duration"), entry.get("annotations") or []
            inside = [
                each | {"segment": [changes.seconds(float(time), old, duration) for time in each["segment"]]}
                for each in every
            ]
            entry = entry | {"annotations": inside}
        yield video_id, entry
    _demand_subsets(changes, subsets)
    kept = sum(n for each, n in subsets.items() if changes.rename_subsets.get(str(each), each) in changes.keep_subsets)
    if changes.keep_subsets and kept < sum(subsets.values()):
        content.notes.append(f"{sum(subsets.values()) - kept} videos of other subsets")
    content.notes += ids.finish()


def _demand_subsets(changes: Changes, there: Mapping[str | None, int]) -> None:
    """Raise DataError for a subset that is to be renamed or kept and is not there."""
    new = {changes.rename_subsets.get(str(each), each) for each in there}
    known = f"there are: {', '.join(str(each) for each in there if each is not None) or 'none'}"
    for name in changes.rename_subsets:
        if name not in there:
            raise DataError(f"--rename-subset: no subset '{name}' ({known})")
    for name in changes.keep_subsets:
        if name not in new:
            raise DataError(f"--keep-subset: no subset '{name}' ({known})")


def _videos(content: Proposals, changes: Changes, ids: _Ids) -> Iterator[VideoProposals]:
    for video in content.videos:
        video_id = ids(video.video_id)
        if video_id is None:
            continue
        if changes.of_times:
            video = replace(video, segments=changes.seconds(video.segments, video.video_id, video.duration))
        yield video if video_id == video.video_id else replace(video, video_id=video_id)
    content.notes += ids.finish()


def _features(content: Features, ids: _Ids) -> Features:
    old_of = {new: old for old in content.ids if (new := ids(old)) is not None}
    content.notes += ids.finish()  # The list stays, which grows while features are read.
    return replace(
        content,
        ids=sorted(old_of),
        shape=lambda video_id: content.shape(old_of[video_id]),
        clock=lambda video_id: content.clock(old_of[video_id]),
        values=lambda video_id: content.values(old_of[video_id]),
        extras=lambda video_id: content.extras(old_of[video_id]),
        frame_size=lambda video_id: content.frame_size(old_of[video_id]),
    )
