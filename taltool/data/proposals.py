"""Reading and writing proposals: JSON Lines between stages, ActivityNet JSON at the ends, told apart by content.

A stream is a header line, one line per video, and an end line with the number of videos; see taltool-proposals(5). JSON
Lines without header and end (from jq, say) are read too. A stream with a header must have its end line: without it
the command that wrote it was cut short.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import numpy as np
import orjson

from taltool.data.files import HashingReader, open_input, open_output
from taltool.data.provenance import Chain
from taltool.data.records import Floats, Integers, LabelVocabulary, VideoProposals
from taltool.errors import DataError

VERSION = 1
Layout = Literal["jsonl", "activitynet"]


class ProposalReader:
    """The proposals of a file or of standard input, a video at a time; iterate once, inside a `with` block.

    labels grows as videos are read (it is complete from the start where the header lists classes); provenance is the
    chain that the file carries; num_videos what the header promises, if anything; classes the names that it lists.
    default_score stands in for missing scores; without it they are an error. Segments that end before they start are
    an error, or with drop_invalid left out and counted in num_dropped.
    """

    def __init__(self, path: str, default_score: float | None = None, drop_invalid: bool = False) -> None:
        self.file, self.default_score, self.drop_invalid = path, default_score, drop_invalid
        self.labels = LabelVocabulary()
        self.provenance: Chain = []
        self.num_videos: int | None = None
        self.classes: list[str] | None = None
        self.num_dropped = 0
        self._seen: set[str] = set()
        self._close = ExitStack()

    def __enter__(self) -> Self:
        self._stream: HashingReader = self._close.enter_context(open_input(self.file))
        self._lines = enumerate(self._stream, start=1)
        self._videos = self._sniff()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[VideoProposals]:
        return self._videos

    @property
    def sha256(self) -> str:
        """SHA-256 of what has been read so far: of the whole file once all videos were read."""
        return self._stream.hexdigest()

    def _sniff(self) -> Iterator[VideoProposals]:
        """Read up to the first video, so that the header is known before any video is asked for."""
        for number, line in self._lines:
            if not line.strip():
                continue
            try:
                first = orjson.loads(line)
            except orjson.JSONDecodeError:
                return self._document(self._parsed(line + self._stream.read(), number))
            if isinstance(first, dict) and "taltool" in first:
                self._take_header(first["taltool"], number)
                return self._whole_stream()
            if isinstance(first, dict) and "video_id" in first:
                return chain([self._video(first, number)], self._plain_lines())
            return self._document(self._parsed(line + self._stream.read(), number))
        raise DataError(f"{self.file}: empty; expected proposals (did the command before it fail?)")

    def _take_header(self, header: Any, number: int) -> None:
        where = f"{self.file}:{number}"
        if not isinstance(header, dict):
            raise DataError(f"{where}: expected a header {{kind, version, ...}}, found {header!r}")
        if header.get("kind") != "proposals" or header.get("version") != VERSION:
            found = f"{header.get('kind')} version {header.get('version')}"
            raise DataError(f"{where}: expected a stream of proposals version {VERSION}, found {found}")
        self._take_metadata(header, where)
        self.num_videos = header.get("videos")
        if not isinstance(self.num_videos, int | None):
            raise DataError(f"{where}: {self.num_videos!r} is not a number of videos")

    def _take_metadata(self, metadata: dict[str, Any], where: str) -> None:
        """Classes and provenance, of a header or of external_data."""
        classes, provenance = metadata.get("classes"), metadata.get("provenance") or []
        if classes is not None and not (isinstance(classes, list) and all(isinstance(each, str) for each in classes)):
            raise DataError(f"{where}: classes must be a list of names, or null")
        if not isinstance(provenance, list) or not all(isinstance(each, dict) for each in provenance):
            raise DataError(f"{where}: provenance must be a list of steps")
        self.classes, self.provenance = classes, provenance
        self.labels = LabelVocabulary(classes or ())

    def _whole_stream(self) -> Iterator[VideoProposals]:
        count = 0
        for number, record in self._records():
            if "end" in record:
                promised = record["end"].get("videos") if isinstance(record["end"], dict) else None
                if promised != count:
                    raise DataError(f"{self.file}:{number}: the end line says {promised} videos, {count} came before")
                return
            count += 1
            yield self._video(record, number)
        raise DataError(
            f"{self.file}: no end line after {count} videos: the command that wrote it was cut short; run it again"
        )

    def _plain_lines(self) -> Iterator[VideoProposals]:
        for number, record in self._records():
            # A filter may have dropped the header and left the end line, whose count then says nothing.
            if "end" not in record:
                yield self._video(record, number)

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in self._lines:
            if line.strip():
                record = self._parsed(line, number)
                if not isinstance(record, dict):
                    raise DataError(f"{self.file}:{number}: expected an object, found {type(record).__name__}")
                yield number, record

    def _parsed(self, text: bytes, number: int) -> Any:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{self.file}:{number}: not JSON: {error}") from error

    def _document(self, document: Any) -> Iterator[VideoProposals]:
        if not isinstance(document, dict) or not isinstance(document.get("results"), dict):
            kind = "a ground truth" if isinstance(document, dict) and "database" in document else "something else"
            raise DataError(f'{self.file}: expected proposals (a JSON object with "results"), found {kind}')
        external = document.get("external_data")
        # Other programs put anything there, a list or a sentence; only an object can be taltool's.
        external = external if isinstance(external, dict) else {}
        self._take_metadata(external, self.file)
        self.num_videos = len(document["results"])
        durations = external.get("durations") or {}
        if not isinstance(durations, dict):
            raise DataError(f"{self.file}: durations must be {{video id: seconds}}")
        return (
            self._parse(video_id, proposals, durations.get(video_id), f"{self.file}: video '{video_id}'")
            for video_id, proposals in document["results"].items()
        )

    def _video(self, record: dict[str, Any], number: int) -> VideoProposals:
        where = f"{self.file}:{number}"
        video_id = record.get("video_id")
        if not isinstance(video_id, str):
            raise DataError(f"{where}: no video_id")
        if video_id in self._seen:
            raise DataError(f"{where}: video '{video_id}' comes a second time; join streams with taltool fuse, not cat")
        self._seen.add(video_id)
        return self._parse(video_id, record.get("proposals"), record.get("duration"), where)

    def _parse(self, video_id: str, proposals: Any, duration: Any, where: str) -> VideoProposals:
        if not isinstance(proposals, list):
            raise DataError(f"{where}: expected a list of proposals, found {type(proposals).__name__}")
        if duration is not None and not (_is_number(duration) and duration > 0):
            raise DataError(f"{where}: duration {duration!r} is not a positive number of seconds")
        try:
            segments, scores, labels = self._columns(proposals)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DataError(f"{where}: {_complaint(proposals)}") from None
        wrong = ~((segments[:, 0] <= segments[:, 1]) & np.isfinite(segments).all(1) & np.isfinite(scores))
        if wrong.any() and not self.drop_invalid:
            raise DataError(f"{where}: {_complaint(proposals, int(np.argmax(wrong)))}")
        self.num_dropped += int(np.count_nonzero(wrong))
        video = VideoProposals(video_id, segments, scores, labels, self.labels, duration)
        return video.take(~wrong) if wrong.any() else video

    def _columns(self, proposals: list[dict[str, Any]]) -> tuple[Floats, Floats, Integers | None]:
        count = len(proposals)
        pairs = [proposal["segment"] for proposal in proposals]
        if set(map(len, pairs)) - {2}:
            raise ValueError
        segments = np.fromiter(chain.from_iterable(pairs), np.float64, 2 * count).reshape(count, 2)
        if self.default_score is None:
            scores = np.fromiter((p["score"] for p in proposals), np.float64, count)
        else:
            scores = np.fromiter((p.get("score", self.default_score) for p in proposals), np.float64, count)
        names = [proposal.get("label") for proposal in proposals]
        if not any(name is not None for name in names):
            return segments, scores, None
        if not all(type(name) is str for name in names):
            raise ValueError
        return segments, scores, self.labels.numbered(names)  # type: ignore[arg-type]


def _complaint(proposals: list[Any], first: int = 0) -> str:
    """Say what is wrong with the first broken one of `proposals`, looking from number `first` on."""
    labelled = [isinstance(p, dict) and p.get("label") is not None for p in proposals]
    for number, proposal in enumerate(proposals[first:], start=first + 1):
        if not isinstance(proposal, dict) or "segment" not in proposal:
            return f"proposal {number} has no segment"
        segment, score = proposal["segment"], proposal.get("score")
        if not isinstance(segment, list) or len(segment) != 2 or not all(map(_is_number, segment)):
            return f"segment {segment} of proposal {number} is not [start, end] in seconds"
        if segment[0] > segment[1]:
            return f"segment {segment} ends before it starts"
        if score is None:
            return f"proposal {number} has no score; give all of them one with taltool convert --score 1.0"
        if not _is_number(score):
            return f"score {score!r} of proposal {number} is not a finite number"
        if labelled[number - 1] and not isinstance(proposal["label"], str):
            return f"label {proposal['label']!r} of proposal {number} is not a name"
    return "some proposals have a label and some have none"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


class ProposalWriter:
    """Writes proposals, best first: a stream, or the ActivityNet layout where `path` ends in .json.

    Used as a `with` block: the end line, or the whole file, appears only if the block ends well. classes are the
    names for the header (None = class-agnostic or not known yet), num_videos the number of videos if it is known,
    provenance the chain, None to leave it out.
    """

    def __init__(
        self,
        path: str,
        classes: list[str] | None = None,
        provenance: Chain | None = None,
        num_videos: int | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.path, self.classes, self.provenance, self.num_videos = path, classes, provenance, num_videos
        self.layout: Layout = layout or ("activitynet" if path.endswith(".json") else "jsonl")
        self.count = 0
        self._results: dict[str, list[dict[str, Any]]] = {}
        self._durations: dict[str, float] = {}
        self._close = ExitStack()

    def __enter__(self) -> Self:
        self._stream: BinaryIO = self._close.enter_context(open_output(self.path))
        if self.layout == "jsonl":
            header: dict[str, Any] = {"kind": "proposals", "version": VERSION}
            if self.num_videos is not None:
                header["videos"] = self.num_videos
            header["classes"] = self.classes
            if self.provenance is not None:
                header["provenance"] = self.provenance
            self._line({"taltool": header})
        return self

    def write(self, video: VideoProposals) -> None:
        """Write one video, its proposals in the total order."""
        self.write_encoded(video.video_id, video.duration, encode(video))

    def write_encoded(self, video_id: str, duration: float | None, proposals: list[dict[str, Any]]) -> None:
        """Write one video whose proposals are already ranked and encoded (by `encode`, in another process)."""
        self.count += 1
        if self.layout == "jsonl":
            record: dict[str, Any] = {"video_id": video_id}
            if duration is not None:
                record["duration"] = duration
            self._line(record | {"proposals": proposals})
        else:
            self._results[video_id] = proposals
            if duration is not None:
                self._durations[video_id] = duration

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._close:
            if kind is not None:
                # Let `open_output` see the error, so that the half-written file is dropped.
                self._close.__exit__(kind, error, trace)
            elif self.layout == "jsonl":
                self._line({"end": {"videos": self.count}})
            else:
                self._line(self._document())

    def _document(self) -> dict[str, Any]:
        external: dict[str, Any] = {"durations": self._durations} if self._durations else {}
        if self.classes is not None:
            external["classes"] = self.classes
        if self.provenance is not None:
            external["provenance"] = self.provenance
        return {"version": "VERSION 1.3", "results": self._results, "external_data": external}

    def _line(self, content: dict[str, Any]) -> None:
        self._stream.write(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE))


def encode(video: VideoProposals) -> list[dict[str, Any]]:
    """The proposals of a video in the total order, ready for JSON."""
    video = video.ranked()
    pairs, scores = video.segments.tolist(), video.scores.tolist()
    if video.labels is None:
        return [{"segment": pair, "score": score} for pair, score in zip(pairs, scores, strict=True)]
    names = video.names.names
    labels = [names[number] for number in video.labels.tolist()]
    return [
        {"segment": pair, "score": score, "label": label}
        for pair, score, label in zip(pairs, scores, labels, strict=True)
    ]
