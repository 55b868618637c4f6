"""Reading a video with PyAV: what its packets say about time, and its frames one after the other.

Two facts help: the times of all packets can be known before anything is decoded (a scan reads the file but decodes
nothing, which is about a thousand times faster), and decoders hand out frames in the order of display. What a scan has
read of a video of usual size stays in memory until it is decoded, since network drives are slow.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.format import Flags

from taltool.errors import DataError
from taltool.video.broken_clocks import Mends, Packet, Stamp, mended
from taltool.video.timing import Times

# AVI stores no display times: where frames are reordered, those of neighbours come out exchanged. The times of this
# many frames are put in order; in a sound file nothing changes.
_REORDER = 4
_MICROSECONDS = 1_000_000
# Bytes of a video's packets that are kept between the scan and the decoding; a longer video is read twice.
_MOST_KEPT = 64 << 20
# Gaps (s) up to which a frame is shown on, as players do. A slide of a recorded lecture, or a picture of a GIF, may
# last for minutes; of formats in which clocks break as a rule (MPEG transport and program streams) even 10 s are a
# break, which is what FFmpeg's own program takes for one.
_LONGEST_GAP, _LONGEST_GAP_OF_STREAMS = 600.0, 10.0
# What keeps FFmpeg from opening anything by itself: the one protocol that it may use does not exist.
_CLOSED = {"protocol_whitelist": "none"}
# Bytes that it asks for at once.
_BUFFER = 1 << 16
# How files begin that hold no pictures, but name the files that do.
_PLAYLISTS = {b"#EXTM3U": "HLS", b"ffconcat": "ffconcat", b"<?xml": "XML, perhaps DASH", b"<MPD": "DASH", b"v=0": "SDP"}
_LONGEST_MARK = 64


@dataclass
class _Packets:
    """What one pass over the packets of a video finds.

    visible: what it says of those that hold a visible frame; size: bytes of all; waiting: the packets themselves while
    they are few enough; error: why there are no more, if the pass was cut short.
    """

    visible: list[Packet] = field(default_factory=list)
    size: int = 0
    waiting: deque[Any] = field(default_factory=deque)
    error: FFmpegError | None = None

    def add(self, packet: Any) -> None:
        """Take note of the next packet, and keep it where there is room."""
        if _is_visible(packet):
            self.visible.append(Packet(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))
        self.size += packet.size
        if self.is_kept:
            self.waiting.append(packet)
        else:
            self.waiting.clear()

    @property
    def is_kept(self) -> bool:
        """Whether all packets wait here."""
        return self.size <= _MOST_KEPT

    def taken(self) -> Iterator[Any]:
        """Hand the packets out, once, as reading the file again would."""
        while self.waiting:
            yield self.waiting.popleft()
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class _Kept:
    """A file that is open still, and what was read of it."""

    opened: ExitStack
    stream: Any
    packets: _Packets


@dataclass(frozen=True)
class PacketScan:
    """What a file says of its video without being decoded.

    times (N,): seconds after the video's zero, sorted; tick: their resolution (s); declared: frame rates that headers
    name; end: the moment (s) at which the file says that it ends, or its last packet does; zero: the container's time
    (s) that counts as 0; pixel_aspect: width of a pixel over its height; cut: why the file could not be read to its
    end, if so. stamps: the times (ticks) of visible packets in the order of the file, and mends: where they are not
    what the file says (see `.broken_clocks`). kept: what was read, for the one who decodes it first to take.
    """

    times: Times
    tick: float
    declared: list[float]
    end: float
    zero: float
    pixel_aspect: float
    cut: str | None
    stamps: list[Stamp] = field(default_factory=list)
    mends: Mends = field(default_factory=Mends)
    kept: list[_Kept] = field(default_factory=list)


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
    """What a video says of itself and of its frames' times; raises DataError for what is no video."""
    packets = _Packets()
    with ExitStack() as close:
        container, stream = close.enter_context(_opened(path))
        try:
            for packet in container.demux(stream):
                packets.add(packet)
        except FFmpegError as error:
            packets.error = error
        if not packets.visible:
            cut = f" that can be read ({_reason(packets.error)})" if packets.error else ""
            raise DataError(f"holds no frames{cut}")
        found = _described(packets, container, stream)
        if packets.is_kept:
            found.kept.append(_Kept(close.pop_all(), stream, packets))
    return found


def _described(packets: _Packets, container: Any, stream: Any) -> PacketScan:
    unit = float(stream.time_base)
    declared = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    breaks_as_a_rule = Flags.ts_discont in Flags(container.format.flags)
    longest = _LONGEST_GAP_OF_STREAMS if breaks_as_a_rule else _LONGEST_GAP
    zero = (container.start_time or 0) / _MICROSECONDS
    if not breaks_as_a_rule:  # There what lies before 0 is not shown; a transport stream that wraps soon begins there.
        zero = max(0.0, zero)
    stamps, mends = mended(packets.visible, _usual_step(packets.visible, unit, declared), unit, longest)
    known = [stamp for stamp in stamps if stamp is not None]
    if known:
        times = np.sort(np.array(known, np.float64)) * unit
        if times[0] - zero > longest:
            mends.ahead.insert(0, 0.0)
            zero = float(times[0])
        if abs(times[0] - zero) < 1 / _MICROSECONDS:  # Containers round their beginning.
            zero = float(times[0])
        times -= zero
    elif declared:  # A bare stream (.h264) has no times at all, but its frames follow each other at a known rate.
        times, zero = np.arange(len(stamps)) / declared[0], 0.0
    else:
        raise DataError("holds no timestamps and names no frame rate")
    if mends.back or mends.ahead:  # What headers and packets say of lengths is by the broken clock.
        end = float(times[-1])
    else:
        ends = [(stamp or 0) + packet.length for stamp, packet in zip(stamps, packets.visible, strict=True)]
        end = max((container.duration or 0) / _MICROSECONDS, max(ends) * unit - zero)
    return PacketScan(
        times=times,
        tick=unit,
        declared=declared,
        end=end,
        zero=zero,
        pixel_aspect=float(stream.sample_aspect_ratio or 1),
        cut=_reason(packets.error) if packets.error else None,
        stamps=stamps,
        mends=mends,
    )


def _usual_step(packets: list[Packet], unit: float, declared: list[float]) -> float:
    """The usual distance (ticks) of two frames, by the order in which they are decoded."""
    for stamps in ([packet.decoded for packet in packets], [packet.shown for packet in packets]):
        distances = np.diff(np.array([stamp for stamp in stamps if stamp is not None], np.int64))
        if (forward := distances[distances > 0]).size:
            return float(np.median(forward))
    return 1 / declared[0] / unit if declared else 1.0


def decode_frames(path: str, known: PacketScan, losses: Losses) -> Iterator[tuple[float, Any]]:
    """Yield (seconds after the video's zero, frame) in the order of display, times never decreasing.

    A packet that cannot be decoded is entered in `losses` and skipped, as players do; so is a broken rest of the file.
    """
    waiting: deque[Any] = deque()
    times: list[float] = []
    step = 1 / known.declared[0] if known.declared else 0.0
    seconds = -step
    with _packets(path, known) as (stream, packets):
        unit = float(stream.time_base)
        for frame in _frames(_on_one_clock(packets, known, losses), unit, known.zero, losses):
            seconds = seconds + step if frame.pts is None else frame.pts * unit - known.zero
            heapq.heappush(times, seconds)
            waiting.append(frame)
            if len(waiting) > _REORDER:
                yield heapq.heappop(times), waiting.popleft()
        while waiting:
            yield heapq.heappop(times), waiting.popleft()


@contextmanager
def _packets(path: str, known: PacketScan) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The video stream and its packets: those that the scan kept, for the first who asks."""
    if known.kept:
        kept = known.kept.pop()
        with kept.opened:
            yield kept.stream, kept.packets.taken()
    else:
        with _opened(path) as (container, stream):
            yield stream, container.demux(stream)


def _on_one_clock(packets: Iterator[Any], known: PacketScan, losses: Losses) -> Iterator[Any]:
    """The packets with the times that a scan knows of the visible ones, for decoders hand on the time of a packet.

    Packets that are marked as broken are entered in `losses`: decoders make pictures of what is there of them.
    """
    place = 0
    for packet in packets:
        if _is_visible(packet) and place < len(known.stamps):
            if packet.is_corrupt and not known.mends.is_before_joint(place):
                stamp = known.stamps[place]
                seconds = None if stamp is None else float(stamp * packet.time_base) - known.zero
                losses.add(seconds, DataError("a broken packet"))
            stamp, place = known.stamps[place], place + 1
            if stamp is not None and stamp != packet.pts:
                if packet.dts is not None:
                    packet.dts += stamp - packet.pts
                packet.pts = stamp
        yield packet


def _is_visible(packet: Any) -> bool:
    return bool(packet.size and not packet.is_discard)


def _frames(packets: Iterator[Any], unit: float, zero: float, losses: Losses) -> Iterator[Any]:
    while True:
        seconds = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
            seconds = None if packet.pts is None else packet.pts * unit - zero
            yield from packet.decode()
        except FFmpegError as error:
            losses.add(seconds, error)


@contextmanager
def open_container(path: str | Path) -> Iterator[Any]:
    """What PyAV reads in this file, and in no other: its name is not taken for an address or a pattern, and whatever a
    playlist or a header names stays closed.

    Raises DataError where it cannot be opened, or is no video.
    """
    with ExitStack() as opened:
        try:
            file = opened.enter_context(Path(path).open("rb", 0))
            head = file.read(_LONGEST_MARK).lstrip()
            file.seek(0)
            playlist = next((kind for mark, kind in _PLAYLISTS.items() if head.startswith(mark)), None)
            if playlist is not None:
                raise DataError(f"a playlist ({playlist}), which names other files; give those")
            container = av.open(file, "r", options=_CLOSED, metadata_errors="replace", buffer_size=_BUFFER)
        except (FFmpegError, OSError, ValueError) as error:
            raise DataError(_reason(error)) from error
        yield opened.enter_context(container)


@contextmanager
def _opened(path: str) -> Iterator[tuple[Any, Any]]:
    with open_container(path) as container:
        stream = video_stream(container)
        stream.codec_context.thread_count = 1  # Files are decoded side by side; threads only add waiting.
        yield container, stream


def video_stream(container: Any) -> Any:
    """The stream with the pictures of an open file; raises DataError where there is none that can be decoded."""
    # A cover, as music files have it, is a video stream too.
    pictures = [
        stream
        for stream in container.streams.video
        if not stream.disposition & stream.disposition.__class__.attached_pic
    ]
    if not pictures:
        raise DataError("holds no video stream")
    if pictures[0].codec_context is None:
        raise DataError("FFmpeg does not know its codec; convert it, to H.264 say, with the program that wrote it")
    return pictures[0]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
