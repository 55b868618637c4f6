"""What a conversion is told twice: durations that the input has and --durations gives, and the times in a video."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from taltool.data.formats.contract import Annotations, Content, Features
from taltool.data.near_ids import renaming
from taltool.data.records import Lateness, VideoProposals
from taltool.errors import DataError
from taltool.reporting import Reporter

# How far two durations of one video may be apart, the larger of seconds and share: containers and encodings differ so.
_SECONDS, _SHARE = 1.0, 0.05


class Durations:
    """Compares what passes with what --durations gives, seconds by video id. The input's own duration stays where it
    has one."""

    def __init__(self, given: Mapping[str, float], paths: str, reporter: Reporter) -> None:
        self._given, self._paths, self._reporter = given, paths, reporter
        self._lateness = Lateness()
        self._both = 0
        self._other: list[str] = []
        self._without: list[str] = []

    def compare(self, content: Content) -> None:
        """Compare the videos as they pass. After the last it is a warning where durations differ, videos are not among
        those that were given, or most segments end after their videos; DataError where most durations differ.

        Of features it is told at once which videos are not among them; `feature_checks` compares the clocks."""
        if isinstance(content, Features):
            self._without = [each for each in content.ids if self._given and each not in self._given]
            self._tell("snippets")
        elif isinstance(content, Annotations):
            content.entries = self._entries(content.entries)
        else:
            content.videos = self._videos(content.videos)

    def _entries(self, entries: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        for video_id, entry in entries:
            times = [each["segment"] for each in entry.get("annotations") or []]
            self._add(video_id, entry.get("duration"), np.array(times, np.float64).reshape(-1, 2))
            yield video_id, entry
        self._tell("instances")

    def _videos(self, videos: Any) -> Iterator[VideoProposals]:
        for video in videos:
            self._add(video.video_id, video.duration, video.segments)
            yield video
        self._tell("proposals")

    def _add(self, video_id: str, duration: float | None, segments: Any) -> None:
        self._lateness.add(segments, duration)
        given = self._given.get(video_id)
        if duration is None and self._given:
            self._without.append(video_id)
        if duration is None or given is None:
            return
        self._both += 1
        if abs(duration - given) > max(_SECONDS, _SHARE * duration):
            self._other.append(f"'{video_id}' lasts {duration:g} s here and {given:g} s there")

    def _tell(self, what: str) -> None:
        if self._other:
            told = f"{self._paths}: {len(self._other)} of {self._both} videos last as --durations does not say"
            if 2 * len(self._other) >= self._both:
                raise DataError(f"{told} ({self._other[0]}); one of the two is wrong: correct it, or leave it out")
            self._reporter.warn(f"{told} ({self._other[0]}); those of {self._paths} stay")
        if self._without:
            named = renaming(self._without, self._given)
            self._reporter.warn(
                f"{self._paths}: {len(self._without)} videos are not in --durations, '{self._without[0]}' the first"
                + (f"; {named}" if named else "")
            )
        if late := self._lateness.remark(what):
            self._reporter.warn(f"{self._paths}: {late}")
