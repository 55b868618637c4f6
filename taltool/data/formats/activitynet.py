"""The ActivityNet layouts: {"results": ...} for proposals, {"database": ...} for ground truth."""

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson

from taltool.data.annotations import parse_ground_truth, read_document
from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.jsonl import read_proposals, write_proposals
from taltool.data.formats.sniffing import beginning
from taltool.data.json_text import telling_key
from taltool.errors import DataError


@FORMATS.register("activitynet")
class ActivityNet(Format):
    """The layout that the field's ground truth and submissions have."""

    summary = 'ActivityNet JSON: {"results": ...} for proposals, {"database": ...} for ground truth'
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
            yield read_annotations(path, options)

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        if isinstance(content, Proposals):
            write_proposals(content, path, "activitynet")
        else:
            write_document(complete(content, path).document, path)
        return []


def read_annotations(path: str, options: FormatOptions) -> Annotations:
    """A ground truth with all that it holds, checked; durations that it lacks come from `options`."""
    document, name, sha256 = read_document(path)
    if isinstance(document, dict) and isinstance(document.get("database"), dict):
        for video_id, entry in document["database"].items():
            if isinstance(entry, dict):
                _complete_entry(video_id, entry, options)
    parse_ground_truth(document, name, sha256)
    return Annotations(document)


def _complete_entry(video_id: str, entry: dict[str, Any], options: FormatOptions) -> None:
    if "duration" not in entry and video_id in options.durations:
        entry["duration"] = options.durations[video_id]
    if options.subset is not None:
        entry["subset"] = options.subset


def complete(content: Annotations, path: str) -> Annotations:
    """The same annotations; raises DataError unless every video has a duration."""
    missing = [video_id for video_id, entry in content.database.items() if "duration" not in entry]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(content.database)} videos have no duration, '{missing[0]}' the first; "
            "give them with --durations FILE (a ground truth, a feature file, or a CSV of video_id,duration)"
        )
    return content


def write_document(document: dict[str, Any], path: str) -> None:
    """Write a JSON document and a line end."""
    with open_output(path) as stream:
        stream.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
