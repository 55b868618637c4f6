"""Writing proposals: a stream between stages, ActivityNet JSON at the ends; see taltool-proposals(5)."""

import shutil
import tempfile
from contextlib import ExitStack
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import numpy as np
import orjson

from taltool.data.files import open_output
from taltool.data.provenance import Chain
from taltool.data.records import Integers, LabelVocabulary, VideoProposals
from taltool.data.video_json import to_objects

# The version of the stream that is written.
VERSION = 2
Layout = Literal["jsonl", "jsonl1", "activitynet"]
_NUMPY = orjson.OPT_SERIALIZE_NUMPY


class ProposalWriter:
    """Writes proposals, best first, in a layout: a stream of version 2 or 1 (jsonl, jsonl1), or ActivityNet JSON.

    Used as a `with` block: the end line, or the whole file, appears only if the block ends well. names are the labels
    for the header, provenance the chain (None to leave it out), num_videos the number of videos if it is known. Without
    a layout the name of the file decides.

    A header that cannot be written yet waits, and the videos in a temporary file, which are counted: where names are
    not complete in version 2, whose labels are numbers, and with `open_ended`, which says that names and number of
    videos are to be counted. Where a video has a label that the header does not list, or one comes that it did not
    promise, because streams were joined, a further stream begins.
    """

    def __init__(
        self,
        path: str,
        names: LabelVocabulary | None = None,
        provenance: Chain | None = None,
        num_videos: int | None = None,
        layout: Layout | None = None,
        *,
        open_ended: bool = False,
    ) -> None:
        self.path, self.provenance, self.num_videos, self.open_ended = path, provenance, num_videos, open_ended
        self.names = LabelVocabulary() if names is None else names
        self.layout: Layout = layout or ("activitynet" if path.endswith(".json") else "jsonl")
        # Videos in the present stream, or in the document.
        self._count = 0
        self._durations: dict[str, float] = {}
        # The names of the last video that were not `names`, and their numbers there.
        self._source, self._map = self.names, np.empty(0, np.int64)
        self._close = ExitStack()

    def __enter__(self) -> Self:
        self._output: BinaryIO = self._close.enter_context(open_output(self.path))
        self._stream = self._output
        self._listed = [] if self.open_ended else self.names.names
        self._waits = self.open_ended or (self.layout == "jsonl" and not self.names.complete)
        if self.layout == "activitynet":
            self._stream.write(b'{"version":"VERSION 1.3","results":{')
        elif self._waits:
            self._stream = self._close.enter_context(tempfile.TemporaryFile())
        else:
            self._write_header()
        return self

    def write(self, video: VideoProposals) -> None:
        """Write one video, its proposals in the total order."""
        if self.layout == "activitynet":
            if self.open_ended:
                self._numbered(video)
            self._stream.write(b"," * (self._count > 0) + orjson.dumps(video.video_id) + b":")
            self._stream.write(orjson.dumps(to_objects(video)))
            if video.duration is not None:
                self._durations[video.video_id] = video.duration
        else:
            self._write_line(video)
        self._count += 1

    def _write_line(self, video: VideoProposals) -> None:
        record: dict[str, Any] = {"video_id": video.video_id}
        if video.duration is not None:
            record["duration"] = video.duration
        unlisted = False
        if self.layout == "jsonl1":
            if self.open_ended:
                self._numbered(video)
            record["proposals"] = to_objects(video)
        else:
            video = video.ranked()
            labels = self._numbered(video)
            record |= {"segments": video.segments, "scores": video.scores}
            if labels is not None:
                record["labels"] = labels
                unlisted = len(labels) > 0 and int(labels.max()) >= len(self._listed)
        if not self._waits and (unlisted or self._count == self.num_videos):
            self._line({"end": {"videos": self._count}})
            self._listed, self._count, self.num_videos = self.names.names, 0, None
            self._write_header()
        self._line(record)

    def _numbered(self, video: VideoProposals) -> Integers | None:
        """The labels of a video as numbers into `names`, in which those of other sources are entered."""
        if video.labels is None or video.names is self.names:
            return video.labels
        if self._source is not video.names or len(self._map) != len(video.names):
            self._source, self._map = video.names, self.names.numbered(video.names)
        return self._map[video.labels]

    def _write_header(self) -> None:
        header: dict[str, Any] = {"kind": "proposals", "version": 1 if self.layout == "jsonl1" else VERSION}
        if self.num_videos is not None:
            header["videos"] = self.num_videos
        header["classes"] = self._listed or None
        if self.provenance is not None:
            header["provenance"] = self.provenance
        self._line({"taltool": header})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._close:
            if kind is not None:
                # Let `open_output` see the error, so that the half-written file is dropped.
                self._close.__exit__(kind, error, trace)
            elif self.layout == "activitynet":
                external: dict[str, Any] = {"durations": self._durations} if self._durations else {}
                if len(self.names) and (self.open_ended or self._listed):
                    external["classes"] = self.names.names
                if self.provenance is not None:
                    external["provenance"] = self.provenance
                self._stream.write(b'},"external_data":' + orjson.dumps(external, option=_NUMPY) + b"}\n")
            else:
                if self._waits:
                    waiting, self._stream = self._stream, self._output
                    self._listed, self.num_videos = self.names.names, self._count
                    self._write_header()
                    waiting.seek(0)
                    shutil.copyfileobj(waiting, self._output)
                self._line({"end": {"videos": self._count}})

    def _line(self, content: dict[str, Any]) -> None:
        self._stream.write(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE | _NUMPY))
