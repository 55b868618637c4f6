"""The ActivityNet layouts: {"results": ...} for proposals, {"database": ...} for ground truth."""

import contextlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import orjson

from taltool.data.annotations import annotation_batches, checked_videos, read_texts, spell_as_usual
from taltool.data.files import open_input, open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.jsonl import read_proposals, write_layout
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import JsonDocument, telling_key
from taltool.data.records import LabelVocabulary
from taltool.errors import DataError, UsageError


@FORMATS.register("activitynet")
class ActivityNet(Format):
    """The layout that the field's ground truth and submissions have."""

    summary = (
        'ActivityNet JSON, {"results": ...} for proposals, {"database": ...} for ground truth, which goes to standard '
        "output so"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"times", "labels"})
    tried_with = "the files of AFSD and BasicTAD (THUMOS14), and the sample submission of ActivityNet"
    suffixes = (".json",)

    def recognises(self, opening: Opening) -> bool:
        """Results, or a database whose entries are objects."""
        key, inside = telling_key(opening.head)
        return key == "results" or (key == "database" and inside != "[")

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read either kind, told by content."""
        if telling_key(beginning(path).head)[0] == "results":
            with read_proposals(path, options) as proposals:
                yield proposals
        elif options.labels is not None:
            raise UsageError(
                f"--labels: changes nothing of annotations from activitynet, which have one label ({path})"
            )
        else:
            with read_annotations(path, options) as annotations:
                yield annotations

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        if isinstance(content, Proposals):
            write_layout(content, path, "activitynet")
        else:
            write_annotations(content, path)
        return []


@contextlib.contextmanager
def read_annotations(path: str, options: FormatOptions) -> Iterator[Annotations]:
    """A ground truth with all that it holds, checked; durations that it lacks come from `options`."""
    entries = EntryReader(path, options)
    with open_input(path) as reader, JsonDocument(reader, path) as document:
        batches = annotation_batches(document, entries.checked)
        content = Annotations((), document.around("database"))
        content.entries = _noting((entry for batch in batches for entry in batch.items()), entries, content)
        yield content


def _noting(
    entries: Iterator[tuple[str, dict[str, Any]]], reader: "EntryReader", content: Annotations
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from entries
    content.notes += reader.notes()


class EntryReader:
    """Makes entries as they are published into those that this package has, and checks them.

    How they are spelled see `annotations.checked_videos`. Durations that an entry lacks and the subset come from
    `options`; one without any duration stays so.
    """

    def __init__(self, path: str, options: FormatOptions) -> None:
        self._path, self._options = path, options
        self._dropped = 0

    def checked(self, entries: dict[str, Any]) -> dict[str, Any]:
        """The entries by video id; raises DataError, naming video and annotation, for what is broken."""
        for video_id, entry in entries.items():
            if isinstance(entry, dict):
                self._mend(video_id, entry)
        checked_videos(entries, LabelVocabulary(), self._path)
        return entries

    def notes(self) -> list[str]:
        """What was left out so far, in words."""
        return [f"{self._dropped} segments that end before they start"] if self._dropped else []

    def _mend(self, video_id: str, entry: dict[str, Any]) -> None:
        spell_as_usual(entry)
        if entry.get("duration") is None:
            entry.pop("duration", None)
        if "duration" not in entry and video_id in self._options.durations:
            entry["duration"] = self._options.durations[video_id]
        read_texts(entry)
        if self._options.subset is not None:
            entry["subset"] = self._options.subset
        annotations = entry.get("annotations")
        if not isinstance(annotations, list):
            return
        for each in annotations:
            if self._options.classes is not None and isinstance(each, dict) and type(each.get("label")) is int:
                each["label"] = str(each["label"])
        inverted = [each for each in annotations if _is_inverted(each)]
        if inverted and not self._options.drop_invalid:
            raise DataError(
                f"{self._path}: video '{video_id}': segment {inverted[0]['segment']} ends before it starts "
                "(taltool convert --drop-invalid leaves such out)"
            )
        if inverted:
            entry["annotations"] = [each for each in annotations if not _is_inverted(each)]
            self._dropped += len(inverted)


def _is_inverted(annotation: Any) -> bool:
    segment = annotation.get("segment") if isinstance(annotation, dict) else None
    if not isinstance(segment, list) or len(segment) != 2 or set(map(type, segment)) - {int, float}:
        return False
    return bool(segment[1] < segment[0])


def write_annotations(content: Annotations, path: str) -> None:
    """Write a ground truth video by video; raises DataError unless every video has a duration."""
    head = content.head if "database" in content.head else content.head | {"database": None}
    entries = _timed(iter(content.entries), path)
    first = list(
        islice(entries, 1)
    )  # where durations lack, it is mostly from the first video on: nothing is written then
    with open_output(path) as stream:
        for number, (key, value) in enumerate(head.items()):
            stream.write((b"," if number else b"{") + orjson.dumps(key) + b":")
            if key != "database":
                stream.write(orjson.dumps(value))
                continue
            between = b"{"
            for video_id, entry in chain(first, entries):
                stream.write(between + orjson.dumps(video_id) + b":" + orjson.dumps(entry))
                between = b","
            stream.write(b"}" if between == b"," else b"{}")
        stream.write(b"}\n")


def _timed(entries: Iterator[tuple[str, dict[str, Any]]], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries; raises DataError, saying of how many, where a video has no duration."""
    for number, (video_id, entry) in enumerate(entries, start=1):
        if "duration" not in entry:
            others = ["duration" not in other for _, other in entries]
            raise DataError(
                f"{path}: {1 + sum(others)} of {number + len(others)} videos have no duration, '{video_id}' the first; "
                "give them with --durations FILE (a ground truth, a feature file, or a CSV of video_id,duration)"
            )
        yield video_id, entry
