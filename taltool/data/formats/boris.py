"""BORIS projects (.boris): observations of media files, in which behaviours start and stop; times in seconds.

A state event is there twice, where it starts and where it stops, and the two belong together that follow each other for
one subject, behaviour and modifier; a point event is a segment without length. So segments of one label that overlap
are written for different subjects, the second for `overlap 2`. What proposals have besides, their place and score,
stands in the comment of the event that starts.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import orjson

from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.annotation_tools import (
    ProjectVideos,
    Video,
    chosen,
    content_of,
    counted,
    json_document,
    media_id,
    media_name,
    member,
)
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row
from taltool.data.records import LARGEST
from taltool.errors import DataError

_PROPOSAL = re.compile(r"proposal (\d+), score (-?[\d.]+(?:e[+-]?\d+)?)", re.ASCII)
_OF_PROPOSALS = "proposals from taltool"
_KEYS = "abcdefghijklmnopqrstuvwxyz0123456789"
# The schema wants a date; one that changes would make equal contents different files.
_DATE = "1970-01-01T00:00:00"
# What the events of an observation of that type are about.
_MEDIA_TYPES = ("MEDIA", "LIVE")


@FORMATS.register("boris")
class Boris(Format):
    """An observation for each video, two events for each segment."""

    summary = "BORIS projects, an observation for each video, a state event for each segment, its behaviour the label"
    kinds = ("proposals", "annotations")
    heeds = frozenset({"tier"})
    heeds_written = frozenset({"media"})
    tried_with = "BORIS 8.27.4"
    suffixes = (".boris",)

    def recognises(self, opening: Opening) -> bool:
        """Members that only these projects have."""
        head = opening.head
        return head.lstrip().startswith(b"{") and b'"behaviors_conf"' in head and b'"subjects_conf"' in head

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read the states and points of every observation, or of those that `--tier` names."""
        project = json_document(path)
        observations = member(project, "observations", dict, path)
        types = _types(member(project, "behaviors_conf", dict, path), path)
        if options.tiers:
            counts = {name: len(member(each, "events", list, path)) for name, each in observations.items()}
            observations = {name: observations[name] for name in chosen(counts, options, path, "observation")}
        reading = _Reading(path, types, options)
        videos = [reading.video(name, observation) for name, observation in observations.items()]
        named: dict[str, str] = {}
        for name, video in zip(observations, videos, strict=True):
            if video.video_id in named:
                raise DataError(
                    f"{path}: the observations '{named[video.video_id]}' and '{name}' are of one video, "
                    f"'{video.video_id}'; say with --tier which to read"
                )
            named[video.video_id] = name
        scored = reading.proposals == reading.started
        if not reading.started:  # Where nothing was found, the project says that it was to be proposals.
            scored = project.get("project_description") == _OF_PROPOSALS
        if not scored:
            for video in videos:
                video.rows = [Row(row.video_id, row.start, row.end, row.label, where=row.where) for row in video.rows]
        notes = reading.notes(scored)
        with content_of(videos, options, notes, path, scored=scored) as content:
            yield content

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: subsets, provenance."""
        videos = ProjectVideos(content, path)
        observations: dict[str, Any] = {}
        labels: set[str] = set()
        subjects = 1
        for video in videos:
            events, lanes = _events(video, path)
            labels |= {event[2] for event in events}
            subjects = max(subjects, lanes)
            media = media_name(video.video_id, options, path)
            observations[video.video_id] = _observation(video, events, media, options.clock.get("fps", 0.0))
        project = {
            "time_format": "seconds",
            "project_date": _DATE,
            "project_name": "",
            "project_description": _OF_PROPOSALS if isinstance(content, Proposals) else "",
            "project_format_version": "7.0",
            "subjects_conf": {
                str(number): {"key": "", "name": _subject(number + 1), "description": ""}
                for number in range(1, subjects)
            },
            "behaviors_conf": {str(number): _behaviour(number, label) for number, label in enumerate(sorted(labels))},
            "observations": observations,
            "behavioral_categories": [],
            "independent_variables": {},
            "coding_map": {},
            "behaviors_coding_map": [],
            "converters": {},
        }
        with open_output(path) as stream:
            stream.write(orjson.dumps(project, option=orjson.OPT_INDENT_2) + b"\n")
        return videos.lost(keeps_durations=True)


def _subject(lane: int) -> str:
    """The subject of the segments in a lane, from 1: nobody but for overlaps."""
    return "" if lane == 1 else f"overlap {lane}"


def _behaviour(number: int, label: str) -> dict[str, Any]:
    # BORIS asks which of several behaviours is meant that have one key.
    return {
        "type": "State event",
        "key": _KEYS[number % len(_KEYS)],
        "code": label,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _events(video: Video, path: str) -> tuple[list[list[Any]], int]:
    """The events of a video in order of time, and how many lanes its segments need.

    An event is [time, subject, behaviour, modifier, comment, frame]. Raises DataError for labels that BORIS has not.
    """
    events: list[list[Any]] = []
    ends = dict[tuple[str, int], float]()
    lanes = 1
    for number, row in sorted(enumerate(video.rows, start=1), key=lambda each: (each[1].start, each[1].end)):
        label = str(row.label)
        if label != label.strip() or set(label) & set("|\r\n\0"):
            raise DataError(
                f"{path}: the label {label!r} is no name of a behaviour in BORIS: one line, without |, no blanks "
                "around it; rename it"
            )
        lane = 1
        while (label, lane) in ends and ends[label, lane] > row.start:
            lane += 1
        ends[label, lane] = row.end
        lanes = max(lanes, lane)
        comment = "" if row.score is None else f"proposal {number}, score {row.score!r}"
        # Sorted by time alone, a state that stops stays before the one of its lane that starts then.
        events.append([row.start, _subject(lane), label, "", comment, "NA"])
        events.append([row.end, _subject(lane), label, "", "", "NA"])
    events.sort(key=lambda event: event[0])
    return events, lanes


def _observation(video: Video, events: list[list[Any]], media: str, fps: float) -> dict[str, Any]:
    """The observation of a video; fps is 0 where nobody said, as BORIS has it."""
    information = {
        "length": {} if video.duration is None else {media: video.duration},
        "fps": {media: fps},
        "hasVideo": {media: True},
        "hasAudio": {media: False},
        "offset": {"1": 0.0},
    }
    return {
        "file": {str(player): [media] if player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": _DATE,
        "description": "",
        "time offset": 0.0,
        "events": events,
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "media_info": information,
    }


def _types(behaviours: dict[str, Any], path: str) -> dict[str, bool]:
    """Whether a behaviour is a state, by its code."""
    return {
        member(each, "code", str, f"{path}: behaviour {key}"): member(each, "type", str, f"{path}: behaviour {key}")
        .upper()
        .startswith("STATE")
        for key, each in behaviours.items()
    }


class _Reading:
    """Makes videos of observations, and counts what is left out on the way.

    started counts the segments, proposals those that say that they are proposals.
    """

    def __init__(self, path: str, types: dict[str, bool], options: FormatOptions) -> None:
        self._path, self._types, self._options = path, types, options
        self.started = self.proposals = 0
        self._further_media = self._unpaired = self._comments = self._modifiers = 0
        self._subjects: dict[str, None] = {}

    def notes(self, scored: bool) -> list[str]:
        """What is left out, in words."""
        subjects = [each for each in self._subjects if each and not each.startswith("overlap ")]
        return counted(
            [
                (self._further_media, "observations' further media files"),
                (self._unpaired, "states that start and never stop"),
                (len(subjects), f"subjects ({', '.join(subjects[:5])})"),
                (self._modifiers, "modifiers"),
                (0 if scored else self._comments, "comments"),
            ]
        )

    def video(self, name: str, observation: Any) -> Video:
        """The video of an observation; raises DataError for what is broken, or is no video."""
        where = f"{self._path}: observation '{name}'"
        if member(observation, "type", str, where) not in _MEDIA_TYPES:
            raise DataError(f"{where}: its times are numbers of images, not seconds of a video; leave it out")
        media = self._media(observation, where)
        video = Video(media_id(media, where) if media else name)
        information = observation.get("media_info")
        lengths = information.get("length") if isinstance(information, dict) else None
        length = lengths.get(media) if isinstance(lengths, dict) else None
        if isinstance(length, int | float) and 0 < length < LARGEST:
            video.duration = float(length)
        offset = member(observation, "time offset", (int, float), where) if observation.get("time offset") else 0.0
        video.rows = self._rows(video.video_id, member(observation, "events", list, where), float(offset), where)
        return video

    def _media(self, observation: dict[str, Any], where: str) -> str | None:
        """The first media file of an observation; None of a live one."""
        players = observation.get("file")
        files = [each for each in players.values() if each] if isinstance(players, dict) else []
        if not files:
            return None
        if not all(isinstance(each, list) and all(isinstance(file, str) for file in each) for each in files):
            raise DataError(f"{where}: 'file' is not the lists of media files of its players")
        if len(files[0]) > 1:
            raise DataError(
                f"{where}: plays {len(files[0])} media files one after the other, and times count on through them; "
                "make an observation of each in BORIS"
            )
        self._further_media += len(files) > 1
        return str(files[0][0])

    def _rows(self, video_id: str, events: list[Any], offset: float, where: str) -> list[Row]:
        """The segments of events, each where it starts, proposals in the order that they say."""
        found: list[tuple[int, Row]] = []
        begun: dict[tuple[str, str, str], tuple[float, str, str]] = {}
        for number, event in enumerate(sorted(self._checked(events, where), key=lambda event: event[0]), start=1):
            time, subject, code, modifier, comment = event
            place = f"{where}: event {number} in order of time ('{code}' at {time} s)"
            self._subjects[subject] = None
            if code not in self._types:
                raise DataError(f"{place}: no such behaviour in the ethogram; mend it in BORIS (Project > Edit)")
            key = subject, code, modifier
            if self._types[code] and key not in begun:
                begun[key] = time, comment, place
                continue
            start, said, place = begun.pop(key) if self._types[code] else (time, comment, place)
            match = _PROPOSAL.fullmatch(said)
            self.started += 1
            self.proposals += match is not None
            self._comments += bool(said)
            self._modifiers += bool(modifier) and modifier != "None"
            score = None if match is None else float(match[2])
            row = Row(video_id, start - offset, time - offset, code, score, where=place)
            found.append((0 if match is None else int(match[1]), row))
        if begun and not self._options.drop_invalid:
            raise DataError(
                f"{next(iter(begun.values()))[2]}: starts and never stops; fix it in BORIS (Observations > Fix "
                "unpaired events), or leave out what never stops: --drop-invalid"
            )
        self._unpaired += len(begun)
        return [row for _, row in sorted(found, key=lambda each: each[0])]

    def _checked(self, events: list[Any], where: str) -> Iterator[tuple[float, str, str, str, str]]:
        for number, event in enumerate(events, start=1):
            fields = event if isinstance(event, list) else []
            texts = fields[1:5]
            if len(texts) < 4 or not all(isinstance(text, str) for text in texts):
                raise DataError(
                    f"{where}: event {number} is not [time, subject, behaviour, modifier, comment]: {event}"
                )
            if isinstance(fields[0], bool) or not isinstance(fields[0], int | float):
                raise DataError(f"{where}: event {number}: {fields[0]!r} is no time in seconds")
            yield float(fields[0]), *texts
