"""Is a file whole: does it end where it should, and is everything in it what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsInt

import numpy as np

from taltool.data.annotations import checked_videos
from taltool.data.checkpoint_header import KEY, CheckpointHeader, read_tensor_table
from taltool.data.clock import UnknownClockError
from taltool.data.files import STANDARD
from taltool.data.formats.contract import Annotations, Features, FormatOptions, Proposals
from taltool.data.formats.sniffing import beginning, open_content
from taltool.data.info import kind_of
from taltool.data.json_documents import telling_key
from taltool.data.records import Floats, LabelVocabulary, VideoProposals
from taltool.data.training_log import read_epochs
from taltool.errors import DataError

Warn = Callable[[str], None]
# Unsigned views of the number types of safetensors, and the bits of the exponent: all set = infinite or NaN.
_EXPONENTS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000), "F64": ("<u8", 0x7FF << 52)}


def check_whole(path: str, warn: Warn, score: float | None = None) -> str:
    """What the file at `path` holds, in a few words.

    Raises DataError, saying why, where it is not whole; tells `warn` what is odd but usable. score stands in for
    missing scores of proposals.
    """
    kind = kind_of(path)
    if kind == "checkpoint":
        return _checkpoint(path, warn)
    if kind == "metrics":
        return f"metrics, {len(read_epochs(path))} epochs"
    with open_content(path, options=FormatOptions(score=score)) as content:
        if isinstance(content, Proposals):
            return _proposals(path, content, warn)
        return _annotations(path, content, warn) if isinstance(content, Annotations) else _features(path, content, warn)


class _Oddities:
    """Counts of odd things, with the video that showed each first."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, str] = {}

    def add(self, what: str, video_id: str, count: SupportsInt) -> None:
        """Count `what` in a video."""
        if int(count):
            self.counts[what] = self.counts.get(what, 0) + int(count)
            self.first.setdefault(what, video_id)

    def tell(self, path: str, warn: Warn) -> None:
        """One warning for each kind."""
        for what, count in self.counts.items():
            warn(f"{path}: {count} {what} (first in video '{self.first[what]}')")


def _proposals(path: str, content: Proposals, warn: Warn) -> str:
    odd, videos, number = _Oddities(), 0, 0
    for video in content.videos:
        videos, number = videos + 1, number + len(video)
        _note_segments(odd, "proposals", video.video_id, video.segments, video.duration)
        odd.add("repeated proposals", video.video_id, len(video) - _distinct(video))
    odd.tell(path, warn)
    key = telling_key(beginning(path).head)[0] if path != STANDARD else "taltool"
    unsure = "" if key in ("taltool", "results") else "; plain lines, no end line tells whether they are all"
    return f"proposals, {videos} videos, {number} proposals{unsure}"


def _note_segments(odd: _Oddities, what: str, video_id: str, segments: Floats, duration: float | None) -> None:
    odd.add(f"{what} of zero length", video_id, np.count_nonzero(segments[:, 0] >= segments[:, 1]))
    odd.add(f"{what} that start before 0", video_id, np.count_nonzero(segments[:, 0] < 0))
    if duration is not None:
        odd.add(f"{what} that end after their video", video_id, np.count_nonzero(segments[:, 1] > duration))


def _distinct(video: VideoProposals) -> int:
    labels = np.zeros(len(video)) if video.labels is None else video.labels
    return len(np.unique(np.column_stack([video.segments, labels]), axis=0))


def _annotations(path: str, content: Annotations, warn: Warn) -> str:
    odd, names, videos, instances = _Oddities(), LabelVocabulary(), 0, 0
    for video_id, entry in content.entries:
        # A table has no durations; a ground truth without them was refused when it was opened.
        timed = "duration" in entry
        video = checked_videos({video_id: {"duration": 1.0} | entry}, names, path)[video_id]
        videos, instances = videos + 1, instances + len(video)
        odd.add("videos without a duration: give --durations where they are used", video_id, not timed)
        _note_segments(odd, "instances", video_id, video.segments, video.duration if timed else None)
        distinct = np.unique(np.column_stack([video.segments, video.labels]), axis=0)
        odd.add("repeated instances", video_id, len(video) - len(distinct))
    odd.tell(path, warn)
    return f"annotations, {videos} videos, {instances} instances, {len(names)} classes"


def _features(path: str, content: Features, warn: Warn) -> str:
    if not content.ids:
        raise DataError(f"{path}: no video in it")
    odd = _Oddities()
    for video_id in content.ids:
        length, _ = content.values(video_id).shape
        try:
            clock = content.clock(video_id)
        except UnknownClockError:
            odd.add("videos without a clock: give --fps, --stride and --window where they are used", video_id, 1)
            continue
        last_end = (clock.offset + (length - 1) * clock.stride + clock.window) / clock.fps
        late = last_end > clock.duration + max(clock.window, clock.stride) / clock.fps
        odd.add("videos whose last snippet lies past their end", video_id, late)
    odd.tell(path, warn)
    return f"features, {len(content.ids)} videos"


def _checkpoint(path: str, warn: Warn) -> str:
    table = read_tensor_table(path)
    metadata = table.pop("__metadata__", None) or {}
    with Path(path).open("rb") as stream:
        start = 8 + int.from_bytes(stream.read(8), "little")
    end, size = start + max((each["data_offsets"][1] for each in table.values()), default=0), Path(path).stat().st_size
    if size != end:
        raise DataError(f"{path}: {size} bytes, but its header promises {end}; copy or train it again")
    for name, tensor in table.items():
        if not _is_finite(path, start, tensor):
            raise DataError(f"{path}: tensor '{name}' holds values that are not finite; train again with a lower rate")
    if KEY not in metadata:
        warn(f"{path}: safetensors, but no checkpoint of taltool train")
        return f"safetensors, {len(table)} tensors"
    header = CheckpointHeader.from_metadata(metadata, path)
    if header.training.get("finished") is False:
        warn(f"{path}: the training is not finished; train --resume continues it")
    return f"checkpoint, model {header.model}, {len(table)} tensors"


def _is_finite(path: str, start: int, tensor: dict[str, Any]) -> bool:
    first, last = tensor["data_offsets"]
    if tensor["dtype"] not in _EXPONENTS or first == last:
        return True
    view, exponent = _EXPONENTS[tensor["dtype"]]
    bits = np.memmap(path, view, "r", start + first, ((last - first) // np.dtype(view).itemsize,))
    return not bool(((bits & exponent) == exponent).any())
