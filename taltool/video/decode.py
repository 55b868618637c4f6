"""Reading a video with PyAV: what its packets say about time, and its frames one after the other.

Two quick rules of the containers: the times of the packets are known before anything is decoded (a scan reads the file
but decodes nothing, about a thousand times faster), and decoders hand out frames in the order of display.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from taltool.errors import DataError
from taltool.video.timing import Times

# AVI stores no display times: where frames are reordered, those of neighbours come out exchanged. The times of this
# many frames are put in order; in a sound file nothing changes.
_REORDER = 4
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class PacketScan:
    """What a file says of its video without being decoded.

    times (N,): seconds after the video's zero, sorted; tick: their resolution (s); declared: frame rates that headers
    name; end: the moment (s) at which the file says that it ends, or its last packet does; zero: the container's time
    (s) that counts as 0; pixel_aspect: width of a pixel over its height; cut: why the file could not be read to its
    end, if so.
    """

    times: Times
    tick: float
    declared: list[float]
    end: float
    zero: float
    pixel_aspect: float
    cut: str | None


@dataclass
class Losses:
    """What of a video could not be decoded, in the order in which it was met."""

    reasons: list[str] = field(default_factory=list)

    def add(self, seconds: float | None, error: Exception) -> None:
        """Note a loss at a time (s)."""
        where = "" if seconds is None else f" at {seconds:.2f} s"
        self.reasons.append(f"{_reason(error)}{where}")

    def summary(self) -> str | None:
        """One clause for people; None when all was well."""
        if not self.reasons:
            return None
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"cannot be decoded wholly: {self.reasons[0]}{more}; neighbouring frames stand in for the lost ones"


def scan(path: str) -> PacketScan:
    """Read the times of the packets; raises DataError for what is no video."""
    with _opened(path) as (container, stream):
        unit = float(stream.time_base)
        stamps, last, cut = _stamps(container, stream)
        declared = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
        zero = max(0.0, (container.start_time or 0) / _MICROSECONDS)
        known = [stamp for stamp in stamps if stamp is not None]
        if known:
            times = np.sort(np.array(known, np.float64)) * unit - zero
        elif declared:  # A bare stream (.h264) has no times at all, but its frames follow each other at a known rate.
            times, zero = np.arange(len(stamps)) / declared[0], 0.0
        else:
            raise DataError("holds no timestamps and names no frame rate")
        said = (container.duration or 0) / _MICROSECONDS
        aspect = float(stream.sample_aspect_ratio or 1)
        return PacketScan(times, unit, declared, max(said, last * unit - zero), zero, aspect, cut)


def _stamps(container: Any, stream: Any) -> tuple[list[int | None], int, str | None]:
    """The times of all packets that hold a visible frame, the end of the last one, and why there are no more."""
    stamps: list[int | None] = []
    last, cut = 0, None
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                stamps.append(packet.pts)
                last = max(last, (packet.pts or 0) + (packet.duration or 0))
    except FFmpegError as error:
        cut = _reason(error)
    if not stamps:
        raise DataError(f"holds no frames{f' that can be read ({cut})' if cut else ''}")
    return stamps, last, cut


def decoded(path: str, known: PacketScan, losses: Losses) -> Iterator[tuple[float, Any]]:
    """Yield (seconds after the video's zero, frame) in the order of display, times never decreasing.

    A packet that cannot be decoded is entered in `losses` and skipped, as players do; so is a broken rest of the file.
    """
    waiting: deque[Any] = deque()
    times: list[float] = []
    step = 1 / known.declared[0] if known.declared else 0.0
    seconds = -step
    with _opened(path) as (container, stream):
        unit = float(stream.time_base)
        for frame in _frames(container, stream, known.zero, losses):
            seconds = seconds + step if frame.pts is None else frame.pts * unit - known.zero
            heapq.heappush(times, seconds)
            waiting.append(frame)
            if len(waiting) > _REORDER:
                yield heapq.heappop(times), waiting.popleft()
        while waiting:
            yield heapq.heappop(times), waiting.popleft()


def _frames(container: Any, stream: Any, zero: float, losses: Losses) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        seconds = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
            seconds = None if packet.pts is None else float(packet.pts * stream.time_base) - zero
            yield from packet.decode()
        except FFmpegError as error:
            losses.add(seconds, error)


@contextmanager
def _opened(path: str) -> Iterator[tuple[Any, Any]]:
    try:
        container = av.open(path, metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise DataError(_reason(error)) from error
    with container:
        pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
        if not pictures:
            raise DataError("holds no video stream")
        pictures[0].codec_context.thread_count = 1  # Files are decoded side by side; threads only add waiting.
        yield container, pictures[0]


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & stream.disposition.__class__.attached_pic)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
