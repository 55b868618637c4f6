"""What the formats that people open share: the events of one video, each with a text.

The text of an event is its label; with `show_scores` its label and score, `Diving (0.93)`; its score alone where
proposals have no labels, `(0.93)`. A file is read as proposals if every text in it ends with a score, or with a score
that the user gives to all (`--score`), else as annotations. Texts that would be read otherwise are refused. A score is
written with a point or an exponent, `(1.0)`, and a text that ends with a whole number, `Run (2)`, is a label.

The file is the video: the name of one without its suffix is the id of the other.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import groupby, islice
from math import floor
from pathlib import Path
from typing import NamedTuple, TypeVar

from taltool.data.files import STANDARD, is_special, read_lines, shown
from taltool.data.formats.contract import Annotations, FormatOptions, Proposals, several_videos
from taltool.data.formats.tables import AnnotationRows, Row, RowShelf, to_annotations, to_proposals, valid
from taltool.data.video_json import to_objects
from taltool.errors import DataError

Item = TypeVar("Item")
# A label or nothing, and a score.
_SCORED = re.compile(r"(?:(.*\S) )?\((-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+))\)")
_TIME = r"(?:(\d{1,20}):)?([0-5]?\d):([0-5]?\d)[.,](\d{3})"
# Milliseconds, some 30,000 years: up to here seconds are exact.
_LATEST = 10**15
TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")


class Event(NamedTuple):
    """When something is told: start and end in seconds, and its text."""

    start: float
    end: float
    text: str


class Cue(NamedTuple):
    """Lines of text that are shown from start to end, in milliseconds; where is the place in the file."""

    start: int
    end: int
    lines: list[str]
    where: str = ""


def events_of(
    content: Proposals | Annotations, path: str, options: FormatOptions, suffixes: Iterable[str]
) -> tuple[list[Event], list[str]]:
    """The events of the only video, in no order, and what their texts, and the name of the file, do not hold.

    suffixes: those of files that are named by the id, none where the file itself says it. Raises UsageError where there
    is more than one video, DataError where there is none, or a label fits on no line.
    """
    lost: list[str] = []
    if isinstance(content, Annotations):
        entry = _only(content.entries, path)
        video_id = entry[0]
        rows = AnnotationRows(replace(content, entries=[entry]))
        events = [Event(row.start, row.end, _line(str(row.label), path)) for row in rows]
        lost = rows.lost(keeps_empty=True)
        is_scored = False
    else:
        video = _only(content.videos, path)
        video_id = video.video_id
        is_scored = options.show_scores or video.labels is None
        events = []
        for each in to_objects(video):
            words = [_line(each["label"], path)] if "label" in each else []
            words += [f"({_rounded(each['score'])!r})"] if is_scored else []
            start, end = each["segment"]
            events.append(Event(start, end, " ".join(words)))
        if len(video):
            exact = all(_rounded(score) == score for score in video.scores.tolist())
            lost += [] if is_scored and exact else ["the scores beyond three digits" if is_scored else "the scores"]
        lost += ["the durations"] if video.duration is not None else []
        lost += ["the provenance"] if content.provenance else []
    if events and not is_scored and all(_SCORED.fullmatch(event.text) for event in events):
        raise DataError(
            f"{path}: label '{events[0].text}' would be read as one with a score; rename it, or write scores too: "
            "--show-scores"
        )
    if suffixes and path != STANDARD and not is_special(Path(path)) and _video_id(path, suffixes) != video_id:
        lost.append("1 ids that are not the name of their file, which is read as the id")
    return events, lost


def _rounded(score: float) -> float:
    return float(f"{score:.3g}")


def single(content: Proposals | Annotations, path: str) -> tuple[str, Proposals | Annotations]:
    """The id of the only video, and a content of it alone; raises UsageError where there are several."""
    if isinstance(content, Annotations):
        entry = _only(content.entries, path)
        return entry[0], replace(content, entries=[entry])
    video = _only(content.videos, path)
    return video.video_id, replace(content, videos=[video])


def _only(items: Iterable[Item], path: str) -> Item:
    found = list(islice(items, 2))
    if not found:
        raise DataError(f"{path}: no video; a file of this format is one")
    if len(found) > 1:
        raise several_videos(path)
    return found[0]


def _line(label: str, path: str) -> str:
    """The label; raises DataError for one that is no line of text, or would be read as another."""
    if label.splitlines() != [label] or label != label.strip() or set(label) & {"\0", "\t"}:
        raise DataError(
            f"{path}: label {label[:80]!r} does not fit into this format: one line, not empty, no blanks around it, no "
            "tabs; rename it"
        )
    return label


@contextlib.contextmanager
def read_events(
    events: Iterable[tuple[Event, str]],
    path: str,
    suffixes: Iterable[str],
    options: FormatOptions,
    notes: list[str],
    video_id: str | None = None,
) -> Iterator[Proposals | Annotations]:
    """The video whose events, each with its place, those of a file are; raises DataError for what is no segment.

    video_id: what the file says; None: the name of the file says it.
    """
    video_id = _video_id(path, suffixes) if video_id is None else video_id
    found = list(events)
    scored = [_SCORED.fullmatch(event.text) for event, _ in found]
    is_scored = bool(found) and all(scored)
    rows = [
        Row(video_id, event.start, event.end, event.text or None, where=where)
        if match is None or not is_scored
        else Row(video_id, event.start, event.end, match[1], float(match[2]), where=where)
        for (event, where), match in zip(found, scored, strict=True)
    ]
    with RowShelf(valid(rows, options, notes)) as shelf:
        if is_scored or options.score is not None:
            yield to_proposals(shelf, options, notes, [video_id])
        else:
            yield to_annotations(shelf, options, "from subtitles or labels", notes, [video_id])


def _video_id(path: str, suffixes: Iterable[str]) -> str:
    if path == STANDARD:
        raise DataError("-: in this format the name of the file is that of the video; name a file")
    name = Path(path).name.removesuffix(".gz")
    if name != shown(name):
        raise DataError(f"{shown(path)}: the name of this file is not UTF-8, and names a video; rename it")
    for suffix in suffixes:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def rounded(events: Iterable[Event], path: str) -> tuple[list[Cue], list[str]]:
    """The events as cues in order of time, each of at least a millisecond, and what is lost: what is before 0.

    Raises DataError for times that no video has.
    """
    cues, early = [], 0
    for event in events:
        exact = Fraction(event.start) * 1000
        start, end = round(exact), round(Fraction(event.end) * 1000)
        if end > _LATEST:
            raise DataError(f"{path}: a segment ends at {event.end} seconds, too late for this format")
        early += start < 0
        if start < 0 and end <= 0:
            continue
        start = max(start if start < end else floor(exact), 0)
        cues.append(Cue(start, max(end, start + 1), [event.text]))
    return sorted(cues), [f"{early} times before 0"] if early else []


def clock(milliseconds: int, point: str) -> str:
    """`01:02:03.004`, with that point; hours have two digits or more."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"


def read_cues(path: str, without_time: tuple[str, ...] = (), *, blanks_are_text: bool = False) -> Iterator[Cue]:
    """The cues of a file of subtitles: blocks of lines with a blank line between them, and with `blanks_are_text` an
    empty one. Lines of blanks are no part of a cue.

    The first or second line of a block has its times. Raises DataError, with the line, for one without, unless its
    first word is one of `without_time`, and for times in the text of a cue.
    """
    for is_end, block in groupby(
        read_lines(path), key=lambda numbered: not (numbered[1] if blanks_are_text else numbered[1].strip())
    ):
        lines = [] if is_end else [(number, line) for number, line in block if line.strip()]
        if not lines:
            continue
        for place, (number, line) in enumerate(lines[:2]):
            if (times := TIMES.fullmatch(line)) is not None:
                where = f"{shown(path)}:{number}"
                groups = times.groups()
                texts = [text.strip() for _, text in lines[place + 1 :]]
                for later, text in lines[place + 1 :]:
                    if TIMES.fullmatch(text):
                        raise DataError(f"{shown(path)}:{later}: a cue begins without a blank line before it; add one")
                cue = Cue(_milliseconds(*groups[:4]), _milliseconds(*groups[4:]), texts, where)
                if max(cue.start, cue.end) > _LATEST:
                    raise DataError(f"{where}: '{line[:80]}' is later than any video lasts")
                yield cue
                break
        else:
            if lines[0][1].split()[0] in without_time:
                continue
            number, line = lines[min(1, len(lines) - 1)]
            raise DataError(
                f"{shown(path)}:{number}: expected the times of a cue, 00:00:01.000 --> 00:00:02.500, found "
                f"'{line[:80]}'"
            )


def _milliseconds(hours: str | None, minutes: str, seconds: str, rest: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(rest)
