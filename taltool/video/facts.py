"""What a video is, by its headers, its packets and its first frame: for `taltool info` and `check`.

Nothing but the first frame is decoded, and some keyframes for the size of their pictures. What only a header says is
called so; lengths and rates are those that snippets are cut by (`taltool.video.timing`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from taltool.data.containers import VIDEO_SUFFIXES, container_name
from taltool.data.files import peek
from taltool.errors import DataError
from taltool.video.decode import Losses, PacketScan, decode_frames, open_container, scan, video_stream
from taltool.video.images import series
from taltool.video.timing import Timeline, timeline

Facts = dict[str, Any]
# Transfer functions of pictures with a high dynamic range, by their number in ITU-T H.273.
_HIGH_DYNAMIC_RANGE = {16: "PQ", 18: "HLG"}
# Keyframes that are decoded for the size of their pictures, at most.
_SIZES = 100
_INTERLACED = frozenset(range(2, 6))  # orders of fields, as FFmpeg numbers them; 1 is progressive, 0 unknown
# Seconds: what is shorter is the rounding of a container.
_LATE = 0.05
# So far (share of a frame) the average rate may be from the usual one before both are told.
_RATE_TOLERANCE = 0.001


@dataclass
class _Packets:
    """What the packets of a video show in the order in which they lie in the file.

    timeless: how many do not say when they are shown; broken: when those are shown (s) that are marked as broken, or
    whose parts are longer or shorter than they are; sizes: of the pictures of some keyframes, each with the time
    (ticks) of the first that has it.
    """

    timeless: int = 0
    broken: list[float | None] = field(default_factory=list)
    sizes: dict[str, int | None] = field(default_factory=dict)

    def add_sizes(self, stream: Any, packet: Any) -> None:
        """Decode a packet, or None for what waits in the decoder, and note the sizes of its pictures."""
        try:
            for frame in stream.codec_context.decode(packet):
                self.sizes.setdefault(f"{frame.width}x{frame.height}", frame.pts)
        except FFmpegError:
            return  # Whether all can be decoded is not asked here, but what size is what can.


def video_facts(path: str) -> Facts:
    """Named facts on a video file, ready for JSON; `oddities` are phrases on what is not as usual, `damage` on what is
    not whole.

    Raises DataError, naming `path`, for what holds no video that can be read.
    """
    container = container_name(peek(path))
    try:
        found, losses = scan(path), Losses()
        own = timeline(found.times, found.tick, found.declared)
        frame = next((frame for _, frame in decode_frames(path, found, losses)), None)
        with open_container(path) as opened:
            stream = video_stream(opened)
            facts = _length(found, own) | _picture(stream, frame, found) | _others(opened)
            packets = _packets(opened, stream, found)
            facts["damage"] = [*_damage(found, stream, packets, frame, losses)]
            facts["oddities"] = [
                *_oddities_of_sizes(stream, packets, found),
                *_oddities_of_time(found, own, stream, packets),
                *(() if frame is None else _oddities_of_pictures(stream, frame, found)),
                *_oddities_of_streams(opened, stream),
            ]
    except DataError as error:
        what = f"a video ({container}) that" if container else "named like a video, but it"
        hint = " (was it cut short? its index may stand at its end)" if container in ("MP4", "QuickTime", "3GP") else ""
        raise DataError(f"{path}: {what} cannot be read: {error}{hint}") from error
    return {"container": container, "bytes": Path(path).stat().st_size} | facts


def _packets(container: Any, stream: Any, known: PacketScan) -> _Packets:
    found, length = _Packets(), _length_size(stream.codec_context)
    place, apart = -1, len(known.times) // _SIZES
    sampled = -apart - 1
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            found.timeless += packet.pts is None
            place += not packet.is_discard
            is_marked = packet.is_corrupt and not known.mends.is_before_joint(place)
            if is_marked or (length and not _is_of_whole_parts(bytes(packet), length)):
                found.broken.append(None if packet.pts is None else float(packet.pts * packet.time_base))
            if packet.is_keyframe and place >= sampled + apart:
                sampled = place
                packet.pts = known.stamps[place]
                found.add_sizes(stream, packet)
        found.add_sizes(stream, None)
    except FFmpegError:
        return found  # The scan met it too, and says so.
    return found


def _length_size(context: Any) -> int:
    """Of H.264 and HEVC in MP4 and Matroska, how many bytes say the length of each part of a packet; else 0."""
    extra = bytes(context.extradata or b"")
    place = {"h264": 4, "hevc": 21}.get(context.name)
    return (extra[place] & 3) + 1 if place and len(extra) > place and extra[0] == 1 else 0


def _is_of_whole_parts(packet: bytes, length_size: int) -> bool:
    """Whether a packet is parts one after the other, each after its length, and nothing else."""
    place = 0
    while place < len(packet):
        place += length_size + int.from_bytes(packet[place : place + length_size])
    return place == len(packet)


def frames_facts(path: str) -> Facts:
    """Named facts on a folder of images that is a video, one a frame; raises DataError where it is none."""
    try:
        files, places = series(Path(path))
    except DataError as error:
        raise DataError(f"{path}: a folder that {error}") from error
    with open_container(files[0]) as container:
        stream = video_stream(container)
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
    missing = places[-1] + 1 - len(places)
    return {
        "frames": len(files),
        "first": files[0].name,
        "last": files[-1].name,
        "size": size,
        "codec": stream.codec_context.name,
        "bytes": sum(file.stat().st_size for file in files),
        "damage": [],
        "oddities": [f"gaps: {missing} images are not there; the one before each stands in"] if missing else [],
    }


def folder_facts(path: str) -> Facts:
    """The facts of all videos below a folder, counted; `not_read` are those that cannot be, with the reasons."""
    counted: dict[str, Counter[str]] = {name: Counter() for name in ("container", "codec", "size", "fps")}
    seconds, frames, size, not_read, damaged, odd = [], 0, 0, [], [], Counter[str]()
    videos = sorted(each for each in Path(path).rglob("[!.]*") if each.suffix.lower() in VIDEO_SUFFIXES)
    for video in map(str, videos):
        try:
            facts = video_facts(video)
        except DataError as error:
            not_read.append(str(error))
            continue
        seconds.append(facts["seconds"])
        frames, size = frames + facts["frames"], size + facts["bytes"]
        damaged += [f"{video}: {each}" for each in facts["damage"]]
        odd.update(each.partition(":")[0] for each in facts["oddities"])
        for name in ("container", "codec", "size"):
            counted[name][str(facts[name])] += 1
        counted["fps"][f"{facts['fps']:.6g}"] += 1
    return {
        "videos": len(videos),
        "hours": sum(seconds) / 3600,
        "seconds_per_video": {"min": min(seconds), "max": max(seconds)} if seconds else {},
        "frames": frames,
        "bytes": size,
        **{f"videos_of_{name}": dict(counts.most_common()) for name, counts in counted.items()},
        "damage": damaged,
        "videos_with": dict(odd.most_common()),
        "not_read": not_read,
    }


def _length(found: PacketScan, own: Timeline) -> Facts:
    count, span = len(found.times), float(found.times[-1] - found.times[0])
    average = (count - 1) / span if span > 0 else None
    facts: Facts = {
        "seconds": max(found.end, float(found.times[-1]) + own.step),
        "frames": count,
        "fps": own.fps,
        "frame_rate": "variable" if own.native is None else "constant",
    }
    if average is not None and abs(average / own.fps - 1) > _RATE_TOLERANCE:
        facts["fps_average"] = average
    return facts


def _picture(stream: Any, frame: Any, found: PacketScan) -> Facts:
    context = stream.codec_context
    shown = frame or context
    width, height = shown.width, shown.height
    turned = 0 if frame is None else -frame.rotation % 360
    upright = (height, width) if turned in (90, 270) else (width, height)
    pixels, codec = shown.format, context.codec.canonical_name
    facts: Facts = {
        "size": "{}x{}".format(*upright),
        "codec": f"{codec} ({context.profile})" if context.profile else codec,
        "pixels": None if pixels is None else f"{pixels.name}, {max(part.bits for part in pixels.components)} bits",
    }
    if turned:
        facts["turned_by"] = f"{turned} degrees clockwise, stored as {width}x{height}"
    if found.pixel_aspect != 1:
        facts["pixel_aspect"] = found.pixel_aspect
    return facts


def _others(container: Any) -> Facts:
    """What else is in the file, in words."""
    return {
        "audio": [
            f"{each.codec_context.codec.canonical_name}, {each.codec_context.sample_rate} Hz, "
            f"{each.codec_context.channels} channel{'s'[: each.codec_context.channels > 1]}{_language(each)}"
            for each in container.streams.audio
            if each.codec_context is not None
        ],
        "subtitles": [
            f"{each.codec_context.name if each.codec_context else 'unknown'}{_language(each)}"
            for each in container.streams.subtitles
        ],
        "start": (container.start_time or 0) / av.time_base,
        "header_seconds": None if container.duration is None else container.duration / av.time_base,
    }


def _language(stream: Any) -> str:
    return f", {stream.language}" if stream.language not in (None, "und") else ""


def _damage(found: PacketScan, stream: Any, packets: _Packets, frame: Any, losses: Losses) -> Iterator[str]:
    if found.cut is not None:
        yield f"an end that cannot be read: {found.cut}"
    if stream.frames > len(found.times):
        yield f"missing frames: its header promises {stream.frames}, {len(found.times)} are there"
    if packets.broken:
        first = packets.broken[0]
        where = "" if first is None else f", the first at {first - found.zero:.2f} s"
        yield f"broken packets: {len(packets.broken)}{where}"
    if frame is None:
        yield f"no frame that can be decoded{f': {losses.reasons[0]}' if losses.reasons else ''}"
    elif losses.reasons:
        yield f"a beginning that cannot be decoded: {losses.reasons[0]}"


def _oddities_of_time(found: PacketScan, own: Timeline, stream: Any, packets: _Packets) -> Iterator[str]:
    times, distances = found.times, np.diff(found.times)
    if own.native is None and len(distances):
        shortest, longest = float(distances.min()), float(distances.max())
        yield (
            f"a variable frame rate: frames last from {shortest:.3g} s to {longest:.3g} s; read on a grid of "
            f"{own.fps:.6g} frames a second"
        )
    elif len(distances):
        missing = int(np.rint((times[-1] - times[0]) * own.fps)) + 1 - len(times)
        if missing > 0:
            yield f"gaps: {missing} frames are not there; the one before each stands in"
    if told := found.mends.summary():
        yield told.replace("has a clock that", "a broken clock:", 1)
    if packets.timeless:
        yield f"packets without a time: {packets.timeless}"
    if times[0] > _LATE:
        yield f"a late first frame: {times[0]:.3g} s after the beginning"
    if stream.container.duration is None:
        yield "no length in its header: that of its packets is told"
    if stream.container.start_time and stream.container.start_time / av.time_base > _LATE:
        yield f"a clock that does not start at 0: {stream.container.start_time / av.time_base:.6g} s counts as 0"


def _oddities_of_sizes(stream: Any, packets: _Packets, found: PacketScan) -> Iterator[str]:
    (first, _), *others = packets.sizes.items() or [("", None)]
    for size, ticks in others:
        when = "" if ticks is None else f" from about {float(ticks * stream.time_base) - found.zero:.2f} s on"
        yield f"pictures of another size: {size}{when}, {first} before; they are squeezed into that of the first"


def _oddities_of_pictures(stream: Any, frame: Any, found: PacketScan) -> Iterator[str]:
    if frame.rotation:
        yield "turned pictures: they are set upright"
    if frame.width % 2 or frame.height % 2:
        yield "an odd number of rows or columns"
    if found.pixel_aspect != 1:
        yield "pixels that are not square: pictures are stretched"
    if frame.interlaced_frame or int(stream.codec_context.field_order or 0) in _INTERLACED:
        yield "interlaced pictures: each holds two moments"
    if any(part.is_alpha for part in frame.format.components) or stream.metadata.get("alpha_mode") == "1":
        yield "transparency: it is left out"
    if (curve := _HIGH_DYNAMIC_RANGE.get(int(frame.color_trc or 0))) is not None:
        yield f"a high dynamic range ({curve}): pictures are pale, for nothing maps them to the usual one"


def _oddities_of_streams(container: Any, stream: Any) -> Iterator[str]:
    others = len(container.streams.video) - 1
    if others:
        yield f"other video streams: {others} (a cover, perhaps); stream {stream.index} is read"
