"""JSON in which every member is a video, with no `database` or `results` around them.

Data sets are circulated so:

    {"v_1": {"duration_second", "annotations": [{"segment", "label"}]}}         BMN's ActivityNet, RTD's THUMOS14
    {"v_1": {"subset", "duration", "actions": [[class number, start, end]]}}    MultiTHUMOS, Charades, Toyota Smarthome
    {"v_1": {"metadata", "action_localisation": [{"label", "timestamps"}]}}     Perception Test (microseconds)

and so are the proposals of programs made from MMAction: {"v_1": [{"segment", "score"}]}.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import orjson

from taltool.data.files import read_bytes
from taltool.data.formats import FORMATS
from taltool.data.formats.activitynet import EntryReader
from taltool.data.formats.class_numbers import NUMBERED, Namer, class_namer
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.jsonl import kind_of_labels
from taltool.data.json_documents import outline, parsed_document, telling_key
from taltool.data.records import LabelVocabulary
from taltool.data.video_json import VideoParser
from taltool.errors import DataError, UsageError

_MICROSECONDS = 1e6
# The lists of Perception Test, by the word after --labels.
_LOCALISED = {"action": "action_localisation", "sound": "sound_localisation"}
_LISTS = ("annotations", "actions", *_LOCALISED.values())
# What a proposal in a list of those of many videos calls its own.
_OWN_VIDEO = ("video_id", "video", "video_name", "video-id")
_THUMOS = re.compile(r"video_(validation|test)_\d+")
_FIRST_LIST = re.compile(rb'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\[\s*(?=\{)', re.DOTALL)


@FORMATS.register("bare-json")
class BareJson(Format):
    """A member for each video."""

    summary = (
        "JSON with a member for each video and no database around them: ground truth of BMN and RTD, MultiTHUMOS and "
        "Charades as JSON (with --classes), Perception Test (--labels action or sound); proposals {video: [{segment, "
        "score}]}"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"times", "labels"})
    is_written = False
    tried_with = "the files of RTD (THUMOS14), BMN (ActivityNet) and super-events (MultiTHUMOS, Charades)"

    def recognises(self, opening: Opening) -> bool:
        """A first member that is a video: an object with a list of annotations, or a list of proposals."""
        listed = _FIRST_LIST.match(opening.head)
        if listed:
            return {keys[0] for keys, _ in outline(opening.head[listed.end() :], 1)} >= {"segment", "score"}
        found: set[str] = set()
        for keys, first in outline(opening.head, 2):
            if len(keys) == 1 and (first != "{" or found):
                return first == "{" and bool(found & {*_LISTS})
            found |= {keys[1]} if len(keys) == 2 else set()
        return bool(found & {*_LISTS}) and not telling_key(opening.head)[0]

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read either kind, told by what the first video is."""
        try:
            document = parsed_document(read_bytes(path)[0], path)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
        if not isinstance(document, dict):
            raise DataError(f"{path}: expected a JSON object with a member for each video")
        if any(isinstance(video, list) for video in document.values()):
            yield _proposals(document, path, options)
        else:
            yield _annotations(document, path, options)


def _proposals(document: dict[str, Any], path: str, options: FormatOptions) -> Proposals:
    for video_id, given in document.items():
        for each in given if isinstance(given, list) else ():
            own = [
                name for key in _OWN_VIDEO if isinstance(each, dict) and (name := each.get(key, video_id)) != video_id
            ]
            if own:
                raise DataError(
                    f"{path}: '{video_id}': a proposal of the video {own[0]!r}; expected a member for each video, "
                    "{video: [{segment, score}]}, or a table"
                )
    names = LabelVocabulary()
    parser = VideoParser(names, options.score, options.drop_invalid, **kind_of_labels(options, path))
    videos = parser.videos(document, options.durations, path)
    names.complete = True
    notes = [f"{parser.num_dropped} segments that end before they start"] if parser.num_dropped else []
    return Proposals(videos, names, len(videos), [], notes)


def _annotations(document: dict[str, Any], path: str, options: FormatOptions) -> Annotations:
    numbered = any(isinstance(video, dict) and _has_numbers(video) for video in document.values())
    namer = class_namer(path, options) if numbered else _no_number
    if numbered and 0 in (options.classes or {}).values() and any(map(_THUMOS.match, document)):
        _refuse_from_0(document, path)
    reader = EntryReader(path, options)
    found = [_listed(video, f"{path}: video '{key}'", options) for key, video in document.items()]
    entries = {
        key: _entry(video, name, namer, f"{path}: video '{key}'")
        for (key, video), name in zip(document.items(), found, strict=True)
    }
    head: dict[str, Any] = {"version": "from JSON of videos", "taxonomy": [], "database": None}
    checked = reader.checked(entries)
    notes = reader.notes()
    others = {each: None for video in document.values() for each in video if each in _LISTS and each not in found}
    others |= {each: None for video in document.values() for each, value in video.items() if _is_other(each, value)}
    return Annotations(
        checked.items(), head, notes + ([f"the keys {', '.join(others)} of the videos"] if others else [])
    )


def _is_other(key: str, value: Any) -> bool:
    return isinstance(value, list | dict) and key not in (*_LISTS, "metadata")


def _has_numbers(video: dict[str, Any]) -> bool:
    """Whether the class of an action is a number alone."""
    actions = video.get("actions")
    labels = [each[0] for each in actions if isinstance(each, list) and each] if isinstance(actions, list) else []
    annotations = video.get("annotations")
    every = annotations if isinstance(annotations, list) else []
    labels += [each.get("label") for each in every if isinstance(each, dict) and "class" not in each]
    return any(type(label) in (int, float) for label in labels)


def _refuse_from_0(document: dict[str, Any], path: str) -> None:
    """Raise DataError for actions of THUMOS videos whose classes would be looked up from 0 on; MultiTHUMOS has them
    from 1 on."""
    actions = [each for video in document.values() for each in video.get("actions") or () if isinstance(each, list)]
    if actions and not any(each[:1] == [0] for each in actions):
        raise DataError(f"{path}: no class is 0: MultiTHUMOS counts from 1, and --classes from 0; {NUMBERED}")


def _no_number(number: int | float, where: str) -> str:
    raise DataError(f"{where}: class {number} has no name")


def _listed(video: Any, where: str, options: FormatOptions) -> str:
    """The key of the list of a video that is asked for; raises where it has none, or several and nobody said which."""
    if not isinstance(video, dict):
        raise DataError(f"{where}: expected an object, found {type(video).__name__}")
    there = [name for name in _LISTS if name in video]
    localised = [name for name in there if name in _LOCALISED.values()]
    if not localised:
        return there[0] if there else "annotations"
    if options.labels is None:
        if len(localised) == 1:
            return localised[0]
        raise UsageError(f"{where}: actions and sounds are localised here: --labels action, or --labels sound")
    if options.labels not in _LOCALISED:
        raise UsageError(f"--labels {options.labels}: these videos have {', '.join(_LOCALISED)}")
    return _LOCALISED[options.labels]


def _entry(video: dict[str, Any], listed: str, namer: Namer, where: str) -> dict[str, Any]:
    """The entry of a video in the layout of ActivityNet; its members that are numbers and texts stay."""
    entry = {key: value for key, value in video.items() if not isinstance(value, list | dict)}
    metadata = video.get("metadata")
    if isinstance(metadata, dict):
        entry |= {key: value for key, value in metadata.items() if not isinstance(value, list | dict)}
        entry["subset"] = entry.pop("split", None)
        frames, rate = metadata.get("num_frames"), metadata.get("frame_rate")
        if isinstance(frames, int | float) and isinstance(rate, int | float) and rate > 0:
            entry["duration"] = frames / rate
    annotations = video.get(listed)
    annotations = [] if annotations is None else annotations
    if not isinstance(annotations, list):
        raise DataError(f"{where}: expected a list of {listed}, found {type(annotations).__name__}")
    entry["annotations"] = [
        _annotation(each, namer, f"{where}: annotation {number}") for number, each in enumerate(annotations, start=1)
    ]
    return {key: value for key, value in entry.items() if value is not None}


def _annotation(given: Any, namer: Namer, where: str) -> dict[str, Any]:
    if isinstance(given, list):
        if len(given) != 3:
            raise DataError(f"{where}: expected [class, start, end], found {given!r}")
        label, start, end = given
        return {"segment": [start, end], "label": _name(label, namer, where)}
    if not isinstance(given, dict):
        raise DataError(f"{where}: expected an object, found {given!r}")
    if "timestamps" in given:
        times = given["timestamps"]
        if not isinstance(times, list) or not all(type(time) in (int, float) for time in times):
            raise DataError(f"{where}: timestamps {times!r} are not [start, end] in microseconds")
        numbers = {"label_id": given["label_id"]} if "label_id" in given else {}
        return {"segment": [time / _MICROSECONDS for time in times], "label": given.get("label")} | numbers
    if "class" in given and type(given.get("label")) is int:  # RTD: the name is the class, the label its number.
        rest = {key: value for key, value in given.items() if key != "class"}
        return rest | {"label": given["class"], "label_id": given["label"]}
    return given | {"label": _name(given.get("label"), namer, where)}


def _name(label: Any, namer: Namer, where: str) -> Any:
    return namer(label, where) if type(label) in (int, float) else label
