"""The ActivityNet layouts: {"results": ...} for proposals, {"database": ...} for ground truth."""

import contextlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import orjson

from taltool.data.annotations import annotation_batches, checked_videos, demand_database, drop_inverted
from taltool.data.files import open_input, open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.jsonl import read_proposals, write_layout
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import JsonDocument, telling_key
from taltool.data.records import LabelVocabulary
from taltool.errors import DataError


@FORMATS.register("activitynet")
class ActivityNet(Format):
    """The layout that the field's ground truth and submissions have."""

    summary = (
        'ActivityNet JSON, {"results": ...} for proposals, {"database": ...} for ground truth, which goes to standard '
        "output so"
    )
    kinds = ("proposals", "annotations")
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
    dropped = 0

    def checked(entries: dict[str, Any]) -> dict[str, Any]:
        nonlocal dropped
        for video_id, entry in entries.items():
            if not isinstance(entry, dict):
                continue
            if entry.get("duration") is None:
                entry.pop("duration", None)
                if video_id in options.durations:
                    entry["duration"] = options.durations[video_id]
            if options.drop_invalid:
                dropped += drop_inverted(entry)
            if options.subset is not None:
                entry["subset"] = options.subset
        checked_videos(entries, LabelVocabulary(), path)
        return entries

    with open_input(path) as reader, JsonDocument(reader, path) as document:

        def entries() -> Iterator[tuple[str, dict[str, Any]]]:
            for batch in annotation_batches(document, checked):
                yield from batch.items()
            if dropped:
                content.notes.append(f"{dropped} segments that end before they start")

        content = Annotations(entries(), document.around("database"))
        demand_database(document)
        yield content


def write_annotations(content: Annotations, path: str) -> None:
    """Write a ground truth video by video; raises DataError unless every video has a duration."""
    head = content.head if "database" in content.head else content.head | {"database": None}
    entries = _timed(iter(content.entries), path)
    first = list(islice(entries, 1))  # where durations lack, they lack from the first video on: nothing is written then
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
