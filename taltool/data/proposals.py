"""Reading proposals: a stream between stages, ActivityNet JSON at the ends, told apart by content.

A stream is a header line, one line per video, and an end line with the number of videos; see taltool-proposals(5).
Streams may follow each other, as `cat` joins them. JSON Lines without header and end (from jq, say) are read too. A
stream with a header must have its end line: without it the command that wrote it was cut short.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import orjson

from taltool.data.files import HashingReader, open_input
from taltool.data.json_documents import (
    JsonDocument,
    collector_at_rest,
    count_members,
    refuse_repeated_keys,
    telling_key,
)
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.video_json import VideoParser, keys_of_objects, keys_of_videos
from taltool.errors import DataError

if TYPE_CHECKING:
    from taltool.data.provenance import Chain

# The first line is looked at up to this length; a longer one is a document, or the line of a long video.
_FIRST_LINE = 1 << 20
_CUT_SHORT = "the command that wrote it was cut short; run it again"


class ProposalReader:
    """The proposals of a file or of standard input, a video at a time; iterate once, inside a `with` block.

    labels are the names in the header, or grow as videos are read (labels.complete tells which); provenance is the
    chain that the file carries; num_videos what the header promises, if anything. Where several streams follow each
    other, labels and provenance grow with each, and num_videos is the first one's.
    default_score stands in for missing scores; without it they are an error. Segments that end before they start are
    an error, or with drop_invalid left out and counted in num_dropped. hashed: sha256 is wanted; label_key and
    numbered: see `VideoParser`.
    """

    def __init__(
        self,
        path: str,
        default_score: float | None = None,
        drop_invalid: bool = False,
        *,
        hashed: bool = False,
        label_key: str = "label",
        numbered: bool = False,
    ) -> None:
        self.file, self._hashed = path, hashed
        self.labels = LabelVocabulary()
        self.provenance: Chain = []
        self.num_videos: int | None = None
        self._parser = VideoParser(self.labels, default_score, drop_invalid, label_key=label_key, numbered=numbered)
        self._seen: set[str] = set()
        self._promised: int | None = None
        self._close = ExitStack()

    def __enter__(self) -> Self:
        self._stream: HashingReader = self._close.enter_context(open_input(self.file, self._hashed))
        with ExitStack() as failing:
            failing.push(self._close)
            self._videos = self._sniff()
            failing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[VideoProposals]:
        return self._videos

    @property
    def num_dropped(self) -> int:
        """How many segments were left out so far, because they end before they start."""
        return self._parser.num_dropped

    @property
    def sha256(self) -> str:
        """SHA-256 of what has been read so far: of the whole file once all videos were read; see `hashed`."""
        return self._stream.hexdigest()

    def _sniff(self) -> Iterator[VideoProposals]:
        """Read up to the first video, so that the header is known before any video is asked for."""
        number, line = 1, b""
        while not line.strip():
            number += line.endswith(b"\n")
            line = self._stream.readline(_FIRST_LINE)
            if not line:
                raise DataError(f"{self.file}: empty; expected proposals (did the command before it fail?)")
        if len(line) == _FIRST_LINE and telling_key(line)[0] not in ("results", "database"):
            line += self._stream.readline()
        where, rest = f"{self.file}:{number}", enumerate(self._stream, start=number + 1)
        first: Any = None
        with suppress(orjson.JSONDecodeError):
            first = orjson.loads(line)
        keys = first.keys() if isinstance(first, dict) else set()
        if "video_id" in keys:
            return self._plain_lines(chain([(number, line)], rest))
        if "taltool" in keys or (not keys and telling_key(line)[0] in ("taltool", "video_id")):
            # A line that is broken is refused here, saying where.
            self._take_header(self._record(line, where), where)
            return self._streams(rest)
        return self._document(line, number)

    def _take_header(self, record: Any, where: str) -> None:
        header = record["taltool"]
        if not isinstance(header, dict):
            raise DataError(f"{where}: expected a header {{kind, version, ...}}, found {header!r}")
        version, number = header.get("version"), header.get("videos")
        if header.get("kind") != "proposals" or type(version) is not int or version not in (1, 2):
            found = f"{header.get('kind')} version {version}"
            raise DataError(f"{where}: expected a stream of proposals version 1 or 2, found {found}")
        if number is not None and (type(number) is not int or number < 0):
            raise DataError(f"{where}: {number!r} is not a number of videos")
        self._take_metadata(header, where, complete=version > 1)
        self._promised = number
        if self.num_videos is None:
            self.num_videos = number

    def _take_metadata(self, metadata: dict[str, Any], where: str, *, complete: bool) -> None:
        """Classes and provenance, of a header or of external_data; complete: no other class can come."""
        classes, provenance = metadata.get("classes"), metadata.get("provenance") or []
        if classes is not None and not (isinstance(classes, list) and all(isinstance(each, str) for each in classes)):
            raise DataError(f"{where}: classes must be a list of names, or null")
        if not isinstance(provenance, list) or not all(isinstance(each, dict) for each in provenance):
            raise DataError(f"{where}: provenance must be a list of steps")
        self.provenance += [step for step in provenance if step not in self.provenance]
        if complete and len(set(classes or ())) < len(classes or ()):
            raise DataError(f"{where}: a class is listed twice")
        self._parser.classes = self.labels.numbered(classes or [])
        self.labels.complete = complete

    def _streams(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[VideoProposals]:
        """The videos of one stream, or of several that follow each other; the first header was read."""
        count: int | None = 0  # videos of the present stream; None between an end line and the next header
        earlier: set[bool] = set()  # whether videos of the streams before have labels
        present: set[bool] = set()
        for number, line in lines:
            if not line.strip():
                continue
            where = f"{self.file}:{number}"
            with collector_at_rest():
                record = self._record(line, where)
                video = self._parser.video(record, where, line) if "video_id" in record else None
            if count is None:
                if video is not None or "taltool" not in record:
                    raise DataError(f"{where}: after an end line only another stream may follow, header first")
                self._take_header(record, where)
                count, earlier = 0, earlier | present
            elif video is not None:
                count += 1
                if len(video):
                    present.add(video.labels is not None)
                    _refuse_mixture(video, earlier, where)
                yield video
            elif "end" in record:
                promised = record["end"].get("videos") if isinstance(record["end"], dict) else None
                if type(promised) is not int or promised != count:
                    raise DataError(f"{where}: the end line says {promised} videos, {count} came before")
                if self._promised not in (None, count):
                    raise DataError(f"{where}: the header promises {self._promised} videos, {count} came")
                count = None
            else:
                raise DataError(f"{where}: a stream begins before the one above has its end line; {_CUT_SHORT}")
        if count is not None:
            raise DataError(f"{self.file}: no end line after {count} videos: {_CUT_SHORT}")

    def _plain_lines(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[VideoProposals]:
        """The videos of lines without header. A filter may have left the end line, whose count then says nothing."""
        for number, line in lines:
            if not line.strip():
                continue
            where = f"{self.file}:{number}"
            with collector_at_rest():
                record = self._record(line, where)
                video = self._parser.video(record, where, line) if "video_id" in record else None
            if video is not None:
                yield video
            elif "end" not in record:
                raise DataError(f"{where}: a stream begins amid lines that belong to none")

    def _record(self, line: bytes, where: str) -> dict[str, Any]:
        """The object on a line: a video that was not there before, a header or an end line."""
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{where}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise DataError(f"{where}: expected an object, found {type(record).__name__}")
        if "video_id" not in record and ("taltool" in record or "end" in record):
            refuse_repeated_keys(line, count_members(record, where), where)
            return record
        objects = () if "segments" in record else record.get("proposals", ())
        refuse_repeated_keys(line, len(record) + keys_of_objects(objects), where)
        video_id = record.get("video_id")
        if not isinstance(video_id, str):
            raise DataError(f"{where}: no video_id")
        if video_id in self._seen:
            raise DataError(
                f"{where}: video '{video_id}' comes a second time; two files about it are merged by taltool fuse"
            )
        self._seen.add(video_id)
        return record

    def _document(self, head: bytes, first: int) -> Iterator[VideoProposals]:
        document = self._close.enter_context(JsonDocument(self._stream, self.file, head, first))
        if not document.is_object("results"):
            kind = "a ground truth" if "database" in document else "something else"
            raise DataError(f'{self.file}: expected proposals (a JSON object with "results"), found {kind}')
        external = document.value("external_data")
        # Other programs put anything there, a list or a sentence; only an object can be taltool's.
        external = external if isinstance(external, dict) else {}
        self._take_metadata(external, self.file, complete=False)
        self.num_videos = document.count("results")
        durations = external.get("durations") or {}
        if not isinstance(durations, dict):
            raise DataError(f"{self.file}: durations must be {{video id: seconds}}")
        videos = partial(self._parser.videos, durations=durations, where=self.file)
        return chain.from_iterable(document.batches("results", videos, keys_of_videos))


def _refuse_mixture(video: VideoProposals, earlier: set[bool], where: str) -> None:
    """Raise DataError where a video has labels and those of the streams before have none, or the other way."""
    labelled = video.labels is not None
    if earlier and labelled not in earlier:
        with_or_without = ("no labels", "labels") if labelled else ("labels", "no labels")
        before, here = with_or_without
        raise DataError(
            f"{where}: video '{video.video_id}' has {here}, the stream before has {before}; only streams of one kind "
            "can be joined (taltool label gives proposals their labels)"
        )
