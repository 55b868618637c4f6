"""The ActivityNet layouts: {"results": ...} for proposals, {"database": ...} for ground truth."""

import contextlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO

import orjson

from taltool.data.annotations import checked_videos, demand_database, keys_of_entries
from taltool.data.files import open_input, open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.jsonl import read_proposals, write_proposals
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import JsonDocument, telling_key
from taltool.data.records import LabelVocabulary
from taltool.errors import DataError

Entry = tuple[str, dict[str, Any]]


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

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals | Annotations]:
        """Read either kind, told by content."""
        return self._read(path, options)

    @contextlib.contextmanager
    def _read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        if telling_key(beginning(path).head)[0] == "results":
            with read_proposals(path, options) as proposals:
                yield proposals
        else:
            with read_annotations(path, options) as annotations:
                yield annotations

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        if isinstance(content, Proposals):
            write_proposals(content, path, "activitynet")
        else:
            write_annotations(content, path)
        return []


@contextlib.contextmanager
def read_annotations(path: str, options: FormatOptions) -> Iterator[Annotations]:
    """A ground truth with all that it holds, checked; durations that it lacks come from `options`."""

    def checked(entries: dict[str, Any]) -> dict[str, Any]:
        for video_id, entry in entries.items():
            if isinstance(entry, dict):
                _complete(video_id, entry, options)
        checked_videos(entries, LabelVocabulary(), path)
        return entries

    with open_input(path) as reader, JsonDocument(reader, path) as document:
        demand_database(document)
        batches = document.batches("database", checked, keys_of_entries)
        yield Annotations((entry for batch in batches for entry in batch.items()), document.around("database"))


def _complete(video_id: str, entry: dict[str, Any], options: FormatOptions) -> None:
    if "duration" not in entry and video_id in options.durations:
        entry["duration"] = options.durations[video_id]
    if options.subset is not None:
        entry["subset"] = options.subset


def write_annotations(content: Annotations, path: str) -> None:
    """Write a ground truth video by video; raises DataError unless every video has a duration."""
    head = content.head if "database" in content.head else content.head | {"database": None}
    entries = _timed(iter(content.entries), path)
    first = list(islice(entries, 1))  # where durations lack, they lack from the first video on: nothing is written then
    with open_output(path) as stream:
        between = b"{"
        for key, value in head.items():
            stream.write(between + orjson.dumps(key) + b":")
            if key == "database":
                _write_database(chain(first, entries), stream)
            else:
                stream.write(orjson.dumps(value))
            between = b","
        stream.write(b"}\n")


def _write_database(entries: Iterable[Entry], stream: BinaryIO) -> None:
    between = b"{"
    for video_id, entry in entries:
        stream.write(between + orjson.dumps(video_id) + b":" + orjson.dumps(entry))
        between = b","
    stream.write(b"}" if between == b"," else b"{}")


def _timed(entries: Iterator[Entry], path: str) -> Iterator[Entry]:
    """The entries; raises DataError, saying of how many, where a video has no duration."""
    for number, (video_id, entry) in enumerate(entries, start=1):
        if "duration" not in entry:
            others = ["duration" not in other for _, other in entries]
            raise DataError(
                f"{path}: {1 + sum(others)} of {number + len(others)} videos have no duration, '{video_id}' the first; "
                "give them with --durations FILE (a ground truth, a feature file, or a CSV of video_id,duration)"
            )
        yield video_id, entry
