"""A video as a sequence of pictures at a constant rate, upright, in the size and the pixels that a backbone asks for.

Only frames that are wanted are converted: the conversion of pixels costs more than their decoding. Luminance comes
straight from the decoder's luma plane, the colour planes are not touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from taltool.errors import DataError
from taltool.video.decode import Losses, decoded, scan
from taltool.video.timing import Timeline, timeline

Picture = NDArray[np.uint8]

# A picture is at most so many times as long as it is wide; longer ones are squeezed.
_LONGEST = 4.0


@dataclass(frozen=True)
class FrameFormat:
    """What pictures a backbone asks for.

    pixels: `gray` gives (H, W) luminance, `rgb` (H, W, 3); both uint8. short_side: the shorter side is scaled to this
    many pixels and the longer one in proportion (square pixels); None = as it is stored. exact: (height, width) to
    which any picture is squeezed instead.
    """

    pixels: Literal["gray", "rgb"]
    short_side: int | None = None
    exact: tuple[int, int] | None = None

    def size(self, height: int, width: int, pixel_aspect: float = 1.0) -> tuple[int, int]:
        """(height, width) in which a picture of this height and width is delivered."""
        if self.exact is not None:
            return self.exact
        if self.short_side is None:
            return height, width
        aspect = float(np.clip(width * pixel_aspect / height, 1 / _LONGEST, _LONGEST))
        if aspect >= 1:
            return self.short_side, round(self.short_side * aspect)
        return round(self.short_side / aspect), self.short_side


class FrameSequence:
    """The pictures of one video at a constant rate; iterating decodes the file once, one picture in memory at a time.

    fps None keeps the video's own rate (see `taltool.video.timing` for videos of variable rate). `timeline` tells the
    time of every picture, `duration` (s) is what the file says, or the end of its last frame. After the iteration
    `count` tells how many pictures there were, and `losses` what could not be decoded. Raises DataError for what is no
    video, and where no frame can be decoded.
    """

    def __init__(self, path: str, wanted: FrameFormat, fps: float | None = None) -> None:
        self.path, self.wanted = path, wanted
        self._scan = scan(path)
        self.timeline: Timeline = timeline(self._scan.times, self._scan.tick, self._scan.declared, fps)
        self.duration = max(self._scan.end, float(self._scan.times[-1]) + self.timeline.step)
        self.losses = Losses()
        self.count = 0

    def __iter__(self) -> Iterator[Picture]:
        self.losses.reasons.clear()
        self.count = 0
        for picture in self._pictures():
            self.count += 1
            yield picture

    def _pictures(self) -> Iterator[Picture]:
        converter = _Converter(self.wanted, self._scan.pixel_aspect)
        slot, shown, at = 0, None, 0.0
        for seconds, frame in decoded(self.path, self._scan, self.losses):
            at = self.timeline.snapped(seconds)
            until = self.timeline.slots_before(at)
            if until > slot:  # A lost beginning is filled with the first frame there is.
                yield from _repeated(converter(frame if shown is None else shown), until - slot)
            slot, shown = max(slot, until), frame
        if shown is None:
            raise DataError(f"no frame of it can be decoded: {self.losses.summary() or self._scan.cut}")
        until = self.timeline.slots_before(at + self.timeline.step)
        if until > slot:
            yield from _repeated(converter(shown), until - slot)


def _repeated(picture: Picture, times: int) -> Iterator[Picture]:
    for _ in range(times):
        yield picture


class _Converter:
    """Turns decoded frames into upright pictures; keeps what is the same for all frames of a video."""

    def __init__(self, wanted: FrameFormat, pixel_aspect: float) -> None:
        self._wanted, self._pixel_aspect, self._scaler = wanted, pixel_aspect, VideoReformatter()
        self._turn: tuple[bool, bool, bool] | None = None

    def __call__(self, frame: Any) -> Picture:
        if self._turn is None:
            self._turn = _turn(frame)
        transposed, rows_reversed, columns_reversed = self._turn
        height, width = self._wanted.size(frame.height, frame.width, self._pixel_aspect)
        if transposed and self._wanted.exact:
            height, width = width, height
        name = "gray" if self._wanted.pixels == "gray" else "rgb24"
        scaled = self._scaler.reformat(frame, width=width, height=height, format=name, interpolation=Interpolation.AREA)
        picture = _pixels(scaled)
        if transposed:
            picture = picture.swapaxes(0, 1)
        picture = picture[:: -1 if rows_reversed else 1, :: -1 if columns_reversed else 1]
        return np.ascontiguousarray(picture)


def _pixels(frame: av.VideoFrame) -> Picture:
    plane = frame.planes[0]
    rows: Picture = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]
    if frame.format.name == "gray":
        return rows[:, : frame.width]
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """How to set a picture upright: whether to exchange its axes, then to reverse its rows, then its columns.

    The display matrix (a, b, u, c, d, v, x, y, w) sends column p, row q to column a p + c q + x, row b p + d q + y.
    """
    for data in frame.side_data:
        if data.type == SideDataType.DISPLAYMATRIX:
            a, b, _, c, d, *_ = (int(number) for number in np.frombuffer(bytes(data), np.int32))
            if abs(b) + abs(c) > abs(a) + abs(d):
                return True, b < 0, c < 0
            return False, d < 0, a < 0
    return False, False, False
