"""What the formats of annotation tools share: media files that name videos, tiers to choose from, videos held whole.

A tool knows a video by its media file, a path or an address; the video id is the name of that file without its suffix.
Where a tool that we write for wants the name of a file, `--media` says what it is; without it `ID.mp4`.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from taltool.data.containers import VIDEO_SUFFIXES
from taltool.data.files import read_bytes
from taltool.data.formats.contract import Annotations, FormatOptions, Proposals
from taltool.data.formats.tables import (
    AnnotationRows,
    OtherKeys,
    Row,
    RowShelf,
    segment,
    to_annotations,
    to_proposals,
    valid,
)
from taltool.data.json_documents import parsed_document
from taltool.data.video_json import to_objects
from taltool.errors import DataError, UsageError

_MEDIA = "{}.mp4"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://|/data/", re.IGNORECASE)
_HTML = re.compile(r"\s*<[a-z]+[\s>]", re.IGNORECASE)
_SOURCE = re.compile(r"""<video\b[^>]*\bsrc\s*=\s*(["'])(.*?)\1""", re.IGNORECASE | re.DOTALL)
_MEDIA_SUFFIXES = VIDEO_SUFFIXES | {".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"}
# Label Studio puts eight digits before the names of files that are uploaded.
_UPLOADED = re.compile(r"(?<=/)[0-9a-f]{8}-(?=[^/]+$)")


def media_id(name: str, where: str) -> str:
    """The id of the video in a media file: its name without folders and suffix; name may be an address, or the HTML of
    one. An address that does not end in a file (`watch?v=ID`) has the id in its query.

    Raises DataError, beginning with `where`, for what names no file and has no id.
    """
    file = name
    if _HTML.match(name):
        source = _SOURCE.search(name)
        file = html.unescape(source[2]) if source else ""
    if _ADDRESS.match(file):
        try:
            parts = urlsplit(file)
        except ValueError as error:
            raise DataError(f"{where}: {name[:80]!r} is no address ({error})") from error
        file, query = unquote(parts.path), parse_qs(parts.query)
        # Label Studio's own addresses: /data/local-files/?d=PATH, /data/upload/PROJECT/DIGITS-NAME.
        if parts.path.startswith("/data/upload/"):
            file = _UPLOADED.sub("", file)
        if query and PurePosixPath(file).suffix.lower() not in _MEDIA_SUFFIXES:
            if ids := query.get("v", query.get("id")):
                return ids[0]
            file = query.get("d", [""])[0]
    if not file:
        raise DataError(f"{where}: {name[:80]!r} names no file; put its name there, which is the video's id: ID.mp4")
    return PurePosixPath(file.replace("\\", "/")).stem


def media_name(video_id: str, options: FormatOptions, path: str) -> str:
    """What a tool is told that the media file of a video is called.

    Raises UsageError for a pattern without {}, DataError where the name would be read as that of another video.
    """
    pattern = _MEDIA if options.media is None else options.media
    if "{}" not in pattern:
        raise UsageError(f"--media {pattern}: no {{}} in it, which stands for the id of the video")
    name = pattern.replace("{}", video_id)
    if not video_id or (found := media_id(name, path)) != video_id:
        read = f", which would be read as {found!r}" if video_id else ""
        raise DataError(
            f"{path}: video id {video_id!r} cannot be that of the media file {name!r}{read}; rename the video, or give "
            "another --media"
        )
    return name


@dataclass
class Video:
    """A video of a project: its segments, in the order of the file, and its duration in seconds, if that is known."""

    video_id: str
    duration: float | None = None
    rows: list[Row] = field(default_factory=list)


class ProjectVideos:
    """Contents as videos held one at a time, and a count of what projects do not hold; iterate once, then ask `lost`.

    Raises DataError for labels that are empty, which no tool tells from none, and unless `labels_optional` for
    proposals without.
    """

    def __init__(self, content: Annotations | Proposals, path: str, *, labels_optional: bool = False) -> None:
        self._content, self._path, self._optional = content, path, labels_optional
        self._timed = 0
        self._lost: dict[str, None] = {}
        self._subsets: dict[str, None] = {}
        self._keys = OtherKeys()

    def __iter__(self) -> Iterator[Video]:
        found = self._annotated if isinstance(self._content, Annotations) else self._proposed
        for video in found():
            self._timed += video.duration is not None
            for row in video.rows:
                if not row.label and (row.label is not None or not self._optional):
                    what = "an empty label" if row.label == "" else "proposals without labels (see taltool label)"
                    raise DataError(f"{self._path}: video '{video.video_id}': {what}, which this format does not hold")
            yield video

    def _annotated(self) -> Iterator[Video]:
        assert isinstance(self._content, Annotations)
        for video_id, entry in self._content.entries:
            rows = AnnotationRows(replace(self._content, entries=[(video_id, entry)]))
            yield Video(video_id, entry.get("duration"), list(rows))
            self._subsets |= rows.subsets
            self._keys.add(entry)

    def _proposed(self) -> Iterator[Video]:
        assert isinstance(self._content, Proposals)
        for video in self._content.videos:
            rows = [
                Row(video.video_id, start, end, each.get("label"), each["score"])
                for each in to_objects(video)
                for start, end in [each["segment"]]
            ]
            yield Video(video.video_id, video.duration, rows)

    def lost(self, *, keeps_durations: bool = False, keeps_subsets: bool = False) -> list[str]:
        """What a project does not hold, one phrase each."""
        lost = [] if keeps_durations or not self._timed else [f"{self._timed} durations"]
        lost += [f"the subsets ({', '.join(sorted(self._subsets))})"] if self._subsets and not keeps_subsets else []
        lost += self._keys.phrases()
        if isinstance(self._content, Annotations):
            return lost + (["the taxonomy"] if self._content.head.get("taxonomy") else [])
        return lost + (["the provenance"] if self._content.provenance else [])


@contextmanager
def content_of(
    videos: Sequence[Video], options: FormatOptions, notes: list[str], path: str, *, scored: bool
) -> Iterator[Annotations | Proposals]:
    """The videos of a project as proposals, where they are scored or the user gives a score, or as annotations.

    Raises DataError where two videos have one id, and for segments that end before they start.
    """
    seen: set[str] = set()
    for video in videos:
        if video.video_id in seen:
            raise DataError(f"{path}: video '{video.video_id}' is there twice; leave one of them out")
        seen.add(video.video_id)
    known = {video.video_id: video.duration for video in videos if video.duration is not None}
    options = replace(options, durations=dict(options.durations) | known)
    every = (row for video in videos for row in video.rows)
    with RowShelf(valid(every, options, notes)) as shelf:
        ids = [video.video_id for video in videos]
        if scored or options.score is not None:
            yield to_proposals(shelf, options, notes, ids)
        else:
            yield to_annotations(shelf, options, "from an annotation tool", notes, ids)


def chosen(there: Mapping[str, int], options: FormatOptions, path: str, what: str) -> list[str]:
    """The tiers that are read, of those that are there (how many segments each has), in their order.

    what: the tool's word for one. Raises DataError where the user names one that is not there, or there are several
    and he names none.
    """
    told = ", ".join(f"'{name}' ({count})" for name, count in there.items()) or "none"
    missing = [name for name in options.tiers if name not in there]
    if missing:
        raise DataError(f"{path}: no {what} '{missing[0]}' with segments; there are: {told}")
    if options.tiers or len(there) < 2:
        return [name for name in there if name in options.tiers] if options.tiers else list(there)
    raise DataError(
        f"{path}: {len(there)} {what}s have segments: {told}; say which with --tier NAME, several times for several"
    )


def json_document(path: str) -> Any:
    """The JSON document in a file; raises DataError, naming the line, for something else."""
    content, _ = read_bytes(path)
    try:
        return parsed_document(content, path)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON ({error.msg}); was it cut short?") from error


def member(holder: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A member of an object of a parsed document; raises DataError where it is not there, or something else."""
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{where}: '{key}' is missing or no {_named(kind)}: {str(value)[:60]}")
    return value


def times(start: Any, end: Any, where: str) -> tuple[float, float]:
    """Start and end out of a parsed document, in seconds; raises DataError for what are no finite numbers."""
    for time in (start, end):
        if isinstance(time, bool) or not isinstance(time, int | float):
            raise DataError(f"{where}: {start!r}, {end!r} are not start and end in seconds")
    return segment(start, end, where)


def _named(kind: type | tuple[type, ...]) -> str:
    names = {dict: "object", list: "list", str: "text", int: "number", float: "number"}
    return " or ".join(dict.fromkeys(names[each] for each in (kind if isinstance(kind, tuple) else (kind,))))


def counted(phrases: Iterable[tuple[int, str]]) -> list[str]:
    """The phrases, each with its count, of which there are any."""
    return [f"{count} {what}" for count, what in phrases if count]
