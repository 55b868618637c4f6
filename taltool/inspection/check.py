"""`check`: is a file whole: does it end where it should, and is everything in it what it says."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsInt

import numpy as np

from taltool.data.annotations import checked_videos
from taltool.data.checkpoint_header import KEY, CheckpointHeader, read_tensor_table
from taltool.data.clock import UnknownClockError
from taltool.data.feature_checks import common_channels, disagreement
from taltool.data.files import STANDARD
from taltool.data.formats.contract import Annotations, Features, FormatOptions, Proposals
from taltool.data.formats.sniffing import beginning, open_content
from taltool.data.json_documents import telling_key
from taltool.data.records import Floats, Integers, LabelVocabulary
from taltool.data.stored_frames import pieces
from taltool.data.training_log import read_epochs
from taltool.errors import DataError
from taltool.inspection.info import info, kind_of
from taltool.reporting import SILENT, Reporter

# Unsigned views of the number types of safetensors, and the bits of the exponent: all set = infinite or NaN.
_EXPONENTS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000), "F64": ("<u8", 0x7FF << 52)}


@dataclass(frozen=True)
class Finding:
    """What was found of one file. summary: in a few words what it holds, or why it is not whole; oddities: what is odd
    in it but usable, one phrase each."""

    file: str
    is_whole: bool
    summary: str
    oddities: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """`Finding(gt.json: ok: annotations, ...; odd: 47 repeated instances ...)`."""
        odd = f"; odd: {', '.join(self.oddities)}" if self.oddities else ""
        return f"Finding({self.file}: {'ok' if self.is_whole else 'not whole'}: {self.summary}{odd})"


def check(file: str | Path = STANDARD, *, score: float | None = None, reporter: Reporter = SILENT) -> Finding:
    """Read all of a file of any kind and say whether it is whole, and what is odd in it, which is warned of too.

    score stands in for missing scores of proposals. A file that is not whole, or not there, raises nothing.
    """
    file, odd = str(file), _Oddities()
    try:
        summary = _summary(file, odd, score)
    except DataError as error:
        return Finding(file, False, str(error).removeprefix(f"{file}: "))
    oddities = tuple(odd.told())
    for oddity in oddities:
        reporter.warn(f"{file}: {oddity}")
    return Finding(file, True, summary, oddities)


def _summary(path: str, odd: "_Oddities", score: float | None) -> str:
    """What the file holds, in a few words; raises DataError, saying why, where it is not whole."""
    kind = kind_of(path)
    if kind == "checkpoint":
        return _checkpoint(path, odd)
    if kind in ("video", "videos", "frames"):
        return _video(path, kind, odd)
    if kind == "metrics":
        return f"metrics, {len(read_epochs(path))} epochs"
    with open_content(path, options=FormatOptions(score=score)) as content:
        if isinstance(content, Proposals):
            return _proposals(path, content, odd)
        return _annotations(path, content, odd) if isinstance(content, Annotations) else _features(path, content, odd)


def _video(path: str, kind: str, odd: "_Oddities") -> str:
    facts = info(path).facts
    if kind == "videos":
        wrong = [*facts["not_read"], *facts["damage"]]
        odd.notes += [f"{count} of {facts['videos']} videos: {what}" for what, count in facts["videos_with"].items()]
        held = f"{facts['videos']} videos, {facts['hours']:.3g} hours"
    else:
        wrong, odd.notes = facts["damage"], facts["oddities"]
        length = f"{facts['seconds']:.6g} s, " if "seconds" in facts else ""
        held = f"a video, {length}{facts['frames']} frames of {facts['size']}, by its packets"
    if wrong:
        raise DataError(f"{path}: {'; '.join(wrong)}")
    return held


class _Oddities:
    """Counts of odd things, with the video that showed each first."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, what: str, video_id: str, count: SupportsInt) -> None:
        """Count `what` in a video."""
        if int(count):
            self._counts[what] = self._counts.get(what, 0) + int(count)
            self._first.setdefault(what, video_id)

    def add_segments(
        self, what: str, video_id: str, segments: Floats, labels: Integers | None, end: float | None
    ) -> None:
        """Count what is odd in the segments (N, 2), in seconds, of a video that lasts until `end`."""
        numbers = np.zeros(len(segments)) if labels is None else labels
        distinct = np.unique(np.column_stack([segments, numbers]), axis=0)
        self.add(f"{what} of zero length", video_id, np.count_nonzero(segments[:, 0] >= segments[:, 1]))
        self.add(f"{what} that start before 0", video_id, np.count_nonzero(segments[:, 0] < 0))
        if end is not None:
            self.add(f"{what} that end after their video", video_id, np.count_nonzero(segments[:, 1] > end))
        self.add(f"repeated {what}", video_id, len(segments) - len(distinct))

    def told(self) -> list[str]:
        """One phrase for each kind."""
        return self.notes + [f"{n} {what} (first in video '{self._first[what]}')" for what, n in self._counts.items()]


def _proposals(path: str, content: Proposals, odd: _Oddities) -> str:
    videos = number = 0
    for video in content.videos:
        videos, number = videos + 1, number + len(video)
        odd.add_segments("proposals", video.video_id, video.segments, video.labels, video.duration)
    key = telling_key(beginning(path).head)[0] if path != STANDARD else "taltool"
    unsure = "" if key in ("taltool", "results") else "; plain lines, no end line tells whether they are all"
    return f"proposals, {videos} videos, {number} proposals{unsure}"


def _annotations(path: str, content: Annotations, odd: _Oddities) -> str:
    names, videos, instances = LabelVocabulary(), 0, 0
    for video_id, entry in content.entries:
        # A table has no durations; a ground truth without them was refused when it was opened.
        timed = "duration" in entry
        video = checked_videos({video_id: {"duration": 1.0} | entry}, names, path)[video_id]
        videos, instances = videos + 1, instances + len(video)
        odd.add("videos without a duration: give --durations where they are used", video_id, not timed)
        odd.add_segments("instances", video_id, video.segments, video.labels, video.duration if timed else None)
    return f"annotations, {videos} videos, {instances} instances, {len(names)} classes"


def _features(path: str, content: Features, odd: _Oddities) -> str:
    if not content.ids:
        raise DataError(f"{path}: no video in it")
    if not content.of_frames:
        common_channels(content, content.ids, path)
    named = max((last for _, last in (content.streams or {}).values()), default=0)
    shapes: dict[tuple[int, tuple[int, int] | None], str] = {}
    for video_id in content.ids:
        _, channels = content.shape(video_id)
        if channels < named:
            raise DataError(f"{path}: video '{video_id}' has {channels} channels, and its streams name {named}")
        shapes.setdefault((channels, content.frame_size(video_id)), video_id)
        try:
            values = content.values(video_id)
            if content.frame_size(video_id):
                deque(pieces(values), maxlen=0)
        except OSError as error:
            raise DataError(f"{path}: video '{video_id}' cannot be read ({error}); extract it again") from error
        try:
            content.clock(video_id)
        except UnknownClockError:
            odd.add("videos without a clock: give --fps, --stride and --window where they are used", video_id, 1)
    if len(shapes) > 1:
        first, other, *_ = shapes.values()
        raise DataError(f"{path}: video '{other}' is of another kind, size or number of channels than '{first}'")
    odd.notes += content.hints
    if (found := disagreement(content, content.ids)) is not None:
        odd.notes.append(str(found))
    return f"{'frame store' if content.of_frames else 'features'}, {len(content.ids)} videos"


def _checkpoint(path: str, odd: _Oddities) -> str:
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
        odd.notes.append("safetensors, but no checkpoint of taltool train")
        return f"safetensors, {len(table)} tensors"
    header = CheckpointHeader.from_metadata(metadata, path)
    if header.training.get("finished") is False:
        odd.notes.append("the training is not finished; train --resume continues it")
    return f"checkpoint, model {header.model}, {len(table)} tensors"


def _is_finite(path: str, start: int, tensor: dict[str, Any]) -> bool:
    first, last = tensor["data_offsets"]
    if tensor["dtype"] not in _EXPONENTS or first == last:
        return True
    view, exponent = _EXPONENTS[tensor["dtype"]]
    bits = np.memmap(path, view, "r", start + first, ((last - first) // np.dtype(view).itemsize,))
    return not bool(((bits & exponent) == exponent).any())
