"""Timestamps whose clock breaks: one clock is made of them that never stops, never goes back and never leaps.

Where recordings were put behind each other, on DVDs, at the breaks of a broadcast, and every 26.5 hours of an MPEG
transport stream, the clock begins anew; a flipped bit sends it ahead for weeks. Players show the frames one after the
other nevertheless, and so does this: in the order of the file, time going on from the last frame before the break.

Stamps are looked at in the order in which the packets lie in the file. There they may go back without a break, since
frames are displayed in another order than they are decoded in; but a keyframe is displayed after all frames that lie
before it, so that one which goes back begins a new clock.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Stamp = int | None


class Packet(NamedTuple):
    """What a file says of a frame, in ticks: when it is shown and decoded (None where it does not say), and how long it
    lasts; is_key: whether it can be decoded without others.
    """

    shown: Stamp
    decoded: Stamp
    length: int
    is_key: bool


# Seconds, and frames, by which the order of display and that of the file may differ: H.264 and HEVC allow 16 frames.
_REORDERED_SECONDS = 1.0
_REORDERED_FRAMES = 17
# A gap of so many usual distances is none, however long a frame of this video lasts.
_LONGEST_FRAMES = 4
# Where recordings were joined a transport stream counts its packets anew, which is no loss; FFmpeg marks one of so many
# frames before that as broken.
_MARKED_BEFORE_JOINT = 2
# The moments that are told of each kind of break.
_TOLD = 3


@dataclass
class Mends:
    """What was mended of a video's clock: the moments (s) at which it went back and leapt ahead, at which packets (from
    0, in the order of the file) it began anew, and how many frames had the time of another."""

    back: list[float] = field(default_factory=list)
    ahead: list[float] = field(default_factory=list)
    joints: list[int] = field(default_factory=list)
    doubled: int = 0

    def is_before_joint(self, place: int) -> bool:
        """Whether a packet (from 0, in the order of the file) may be marked as broken because the next clock begins."""
        return any(0 <= joint - place <= _MARKED_BEFORE_JOINT for joint in self.joints)

    def summary(self) -> str | None:
        """One clause for people; None where nothing was mended."""
        breaks = [
            f"{what} {len(moments)} time{'s'[: len(moments) > 1]}, at {_some(moments)}"
            for what, moments in (("goes back", self.back), ("leaps ahead", self.ahead))
            if moments
        ]
        told = [f"{' and '.join(breaks)}; time goes on from the frame before"] if breaks else []
        if self.doubled:
            told.append(
                f"gives {self.doubled} frame{'s'[: self.doubled > 1]} the time of another; they are spread up to the "
                "next frame"
            )
        return f"has a clock that {', and '.join(told)}" if told else None


def mended(packets: Sequence[Packet], step: float, tick: float, longest: float) -> tuple[list[Stamp], Mends]:
    """The stamps (ticks) of packets in the order of the file as those of one clock, and what was mended.

    step: the usual distance of two frames (ticks); tick: seconds in one tick; longest: a gap of more seconds is a
    break. Frames before the first break keep their stamps.
    """
    stamps, mends = _without_breaks(packets, step, tick, max(longest / tick, _LONGEST_FRAMES * step))
    return _without_doubles(stamps, mends, step)


@dataclass
class _Clock:
    """One of the clocks of a file: its latest stamp, what is added to its stamps, and how many it gave."""

    top: int
    shift: int
    frames: int = 0


def _without_breaks(packets: Sequence[Packet], step: float, tick: float, longest: float) -> tuple[list[Stamp], Mends]:
    found, mends = [packet.shown for packet in packets], Mends()
    reordered = max(_REORDERED_SECONDS / tick, _REORDERED_FRAMES * step)
    known = [(place, packet, packet.shown) for place, packet in enumerate(packets) if packet.shown is not None]
    if not known:
        return found, mends
    begin = known[0][2]
    clock, other = _Clock(begin, 0), None
    recent, decoded = deque[int](maxlen=_REORDERED_FRAMES), None
    for number, (place, packet, stamp) in enumerate(known):
        late = stamp - clock.top
        goes_back = late < -step / 2 and (packet.is_key or (late < -reordered and _is_back(packet, decoded, reordered)))
        if goes_back or abs(late) > reordered:
            # Frames of the clock before may follow the first of the next one, and single stamps may be wrong.
            if other is not None and _goes_on(other, clock, stamp, reordered):
                clock, other = other, clock
            elif goes_back or late > longest:
                last, first = _meeting(
                    [each for *_, each in known[number : number + _REORDERED_FRAMES]], clock, reordered
                )
                usual = np.median(np.diff(sorted(recent))) if len(recent) > 2 else step
                shift = max(max(recent), last + clock.shift) + round(usual or step) - first
                (mends.back if goes_back else mends.ahead).append((first + shift - begin) * tick)
                mends.joints.append(place)
                clock, other = _Clock(stamp, shift), clock
        found[place] = stamp + clock.shift
        clock.top, clock.frames = max(clock.top, stamp), clock.frames + 1
        recent.append(stamp + clock.shift)
        decoded = packet.decoded if packet.decoded is not None else decoded
    return found, mends


def _is_back(packet: Packet, decoded: Stamp, reordered: float) -> bool:
    """Whether a frame that is shown before others is not only decoded after them, as far as times of decoding tell."""
    if packet.decoded is None or packet.shown is None:
        return True
    return packet.shown < packet.decoded - reordered or (decoded is not None and packet.decoded < decoded)


def _goes_on(other: _Clock, clock: _Clock, stamp: int, reordered: float) -> bool:
    """Whether the other clock gave this stamp, one of the two having given but a few so far."""
    return min(other.frames, clock.frames) <= _REORDERED_FRAMES and abs(stamp - other.top) <= reordered


def _meeting(stamps: Sequence[int], clock: _Clock, reordered: float) -> tuple[int, int]:
    """Where a clock ends and the one begins whose first packet is that of the first stamp: the last stamp of the one,
    and the first of the other, in the order of display."""
    last, first = clock.top, stamps[0]
    between = last
    for stamp in stamps[1:]:
        if abs(stamp - stamps[0]) <= reordered:
            last, first = between, min(first, stamp)
        elif abs(stamp - clock.top) <= reordered:
            between = max(between, stamp)
    return last, first


def _without_doubles(stamps: Sequence[Stamp], mends: Mends, step: float) -> tuple[list[Stamp], Mends]:
    """Frames of one stamp evenly spread up to the next stamp, but no further apart than is usual."""
    found = list(stamps)
    order = sorted((stamp, place) for place, stamp in enumerate(stamps) if stamp is not None)
    values = np.array([stamp for stamp, _ in order], np.int64)
    _, starts, counts = np.unique(values, return_index=True, return_counts=True)
    for start, count in zip(starts[counts > 1], counts[counts > 1], strict=True):
        end = start + count
        room = values[end] - values[start] if end < len(values) else step * count
        apart = min(step, room / count)
        for number, (stamp, place) in enumerate(order[start:end]):
            found[place] = stamp + int(number * apart)
        mends.doubled += int(count) - 1
    return found, mends


def _some(moments: Sequence[float]) -> str:
    """The first few moments, and how many more there are."""
    rest = len(moments) - _TOLD
    return ", ".join(f"{each:.2f} s" for each in moments[:_TOLD]) + (f" and {rest} more" if rest > 0 else "")
