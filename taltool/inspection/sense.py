"""Does a ground truth, or a file of proposals, make sense: counts while its videos pass, and what is mended of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from taltool.data.annotations import checked_videos
from taltool.data.records import LabelVocabulary, VideoAnnotations, VideoProposals
from taltool.errors import DataError
from taltool.inspection.names import plain, plain_id, slips, subset_slips
from taltool.inspection.oddities import Oddities
from taltool.inspection.segments import (
    Batch,
    add_label_clashes,
    add_segments,
    batch_of,
    clipped,
    in_batches,
    without_repeated,
    without_zero_length,
)

# What --fix mends, only where there is no choice, in this order; what ends before it starts is left out by the reader.
BACKWARDS = "backwards"
_MENDS = {"clip": clipped, "zero-length": without_zero_length, "duplicates": without_repeated}
FIXES = (BACKWARDS, *_MENDS)
# Where fewer of the videos have several classes, one class a video seems to be the rule.
_FEW = 0.01
# A slip of the pen is hardly made as often.
_OFTEN = 5


class Sense:
    """Counts what is odd in the videos that pass, and mends what `fixes` names; `finish` counts what all together show.

    durations: seconds by video id where the file lacks them. odd: of what is handed on; mended: of what was not.
    """

    noun = "segments"

    def __init__(
        self, odd: Oddities, mended: Oddities, fixes: Sequence[str] = (), durations: Mapping[str, float] | None = None
    ) -> None:
        self.labels = LabelVocabulary()
        self.durations: dict[str, float | None] = {}
        self.num_segments = self.num_late = self.num_outside = 0
        self._odd, self._mended, self._known = odd, mended, durations or {}
        self._label_counts = np.zeros(0, np.int64)
        self._timed = 0
        self._mends = [_MENDS[fix] for fix in _MENDS if fix in fixes]
        self._clips = clipped in self._mends

    def _pass(self, videos: Sequence[VideoAnnotations | VideoProposals], durations: Sequence[float | None]) -> Batch:
        """The segments of the videos as they are handed on."""
        ids = [video.video_id for video in videos]
        self.durations.update(zip(ids, durations, strict=True))
        usable = [self._known.get(key) if each is None else each for key, each in zip(ids, durations, strict=True)]
        batch = batch_of(videos, usable, self.labels, self.noun)
        self.num_segments += len(batch.rows)
        self.num_late += int(np.count_nonzero(batch.segments[:, 1] > batch.ends))
        self.num_outside += int(np.count_nonzero(batch.segments[:, 0] >= batch.ends))
        self._timed += int(np.count_nonzero(~np.isnan(batch.durations)))
        tally = np.bincount(batch.labels[batch.labels >= 0], minlength=len(self.labels))
        tally[: len(self._label_counts)] += self._label_counts
        self._label_counts = tally
        batch = reduce(lambda mended, mend: mend(mended, self._mended), self._mends, batch)
        add_segments(batch, self._odd)
        return batch

    def _refuse_to_clip(self) -> None:
        """Raise DataError where clipping would leave most segments out."""
        if self._clips and self.num_segments > 1 and 2 * self.num_outside > self.num_segments:
            raise DataError(
                f"{self.num_outside} of {self.num_segments} {self.noun} start after the ends of their videos, and clip "
                "would leave them out: are these frames (taltool convert --times frames --fps N), or milliseconds?"
            )

    def finish(self) -> None:
        """Count what is odd in names, and whether the times may be no seconds."""
        if self._clips and self.num_segments and not self._timed:
            self._odd.notes.append("no video has a duration, so no end was clipped: give them with --durations")
        if self.num_segments > 1 and 2 * self.num_late > self.num_segments:
            self._odd.notes.append(
                f"{self.num_late} of {self.num_segments} {self.noun} end after their videos: are these frames, or "
                "milliseconds?"
            )
        counts = dict(zip(self.labels, self._label_counts.tolist(), strict=False))
        pairs = [pair for pair in slips({k: n for k, n in counts.items() if n}) if _is_slip(*pair, counts)]
        self._odd.add("pairs of labels that differ by a slip", len(pairs), lambda n: "'{}', '{}'".format(*pairs[n]))
        owners: dict[str, str] = {}
        same = [(first, key) for key in self.durations if (first := owners.setdefault(plain_id(key), key)) != key]
        self._odd.add(
            "pairs of videos whose names differ by v_, the suffix of a file, case or the form of letters alone",
            len(same),
            lambda number: "'{}', '{}'".format(*same[number]),
        )


def _is_slip(one: str, other: str, counts: Mapping[str, int]) -> bool:
    """Whether of two labels that are alike one is rare: Curling and Hurling are both sports, if both are frequent."""
    if plain(one) == plain(other):
        return True
    rare, frequent = sorted((counts[one], counts[other]))
    return rare < _OFTEN or rare * 10 <= frequent


class ProposalSense(Sense):
    """Of proposals."""

    noun = "proposals"

    def walk(self, videos: Iterable[VideoProposals]) -> Iterator[VideoProposals]:
        """The videos, mended; raises DataError where clipping is no mend of these."""
        for some in in_batches(videos, len):
            batch = self._pass(some, [video.duration for video in some])
            if not self._mends:
                yield from some
                continue
            edges = np.searchsorted(batch.owners, np.arange(len(some) + 1))
            for number, video in enumerate(some):
                own = slice(edges[number], edges[number + 1])
                yield replace(video.take(batch.rows[own]), segments=batch.segments[own])
        self._refuse_to_clip()


class AnnotationSense(Sense):
    """Of ground truth, read from `file`."""

    noun = "instances"

    def __init__(
        self,
        file: str,
        odd: Oddities,
        mended: Oddities,
        fixes: Sequence[str] = (),
        durations: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(odd, mended, fixes, durations)
        self._file = file
        # The videos of each subset, and those without annotations, or with several classes.
        self._videos_in = Counter[str | None]()
        self._empty_in: dict[str | None, list[str]] = {}
        self._untimed: list[str] = []
        self._outside: list[str] = []
        self._several: list[str] = []

    def walk(self, entries: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Video ids and entries, mended; raises DataError where clipping is no mend of these."""
        for some in in_batches(entries, lambda item: len(item[1].get("annotations") or [])):
            # Not every format has durations, and the checks want one.
            timed = {key: entry | {"duration": entry.get("duration") or 1.0} for key, entry in some}
            videos = list(checked_videos(timed, self.labels, self._file).values())
            batch = self._pass(videos, [entry.get("duration") for _, entry in some])
            add_label_clashes(batch, self._odd)
            for video, (_, entry) in zip(videos, some, strict=True):
                self._look_at(video, entry.get("duration") is not None)
            if not self._mends:
                yield from some
                continue
            edges = np.searchsorted(batch.owners, np.arange(len(some) + 1)).tolist()
            rows, segments = batch.rows.tolist(), batch.segments.tolist()
            for number, (video_id, entry) in enumerate(some):
                before = entry.get("annotations") or []
                own = range(edges[number], edges[number + 1])
                kept = [before[rows[n]] | {"segment": segments[n]} for n in own]
                yield video_id, entry | {"annotations": kept} if before else entry
        self._refuse_to_clip()

    def _look_at(self, video: VideoAnnotations, timed: bool) -> None:
        self._videos_in[video.subset] += 1
        if not timed:
            self._untimed.append(video.video_id)
        if video.subset is None:
            self._outside.append(video.video_id)
        if not len(video):
            self._empty_in.setdefault(video.subset, []).append(video.video_id)
        elif (video.labels != video.labels[0]).any():
            self._several.append(video.video_id)

    def finish(self) -> None:
        """Count what is odd in names, subsets, and whole videos."""
        super().finish()
        if not self._known:  # Else those are told that have none there either.
            self._add("videos without a duration: give --durations where they are used", self._untimed)
        for subset, empty in self._empty_in.items():
            if subset is not None and len(empty) == self._videos_in[subset]:
                self._odd.notes.append(f"none of the {len(empty)} videos of subset '{subset}' has annotations")
            else:
                self._add("videos without annotations", empty)
        if len(self._several) <= _FEW * len(self.durations):
            self._add("videos with more than one class, where nearly all have one", self._several)
        if len(self._videos_in) > 1:
            self._add("videos that are in no subset", self._outside)
        pairs = list(subset_slips([each for each in self._videos_in if each is not None]))
        self._odd.add(
            "pairs of subsets that seem to be one", len(pairs), lambda number: "'{}', '{}'".format(*pairs[number])
        )

    def _add(self, what: str, video_ids: list[str]) -> None:
        self._odd.add(what, len(video_ids), lambda number: f"video '{video_ids[number]}'")
