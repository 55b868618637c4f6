"""A video as a sequence of pictures at a constant rate, upright, in the size and the pixels that a backbone asks for.

Only frames that are wanted are converted: the conversion of pixels costs more than their decoding. Luminance comes
straight from the decoder's luma plane, the colour planes are not touched.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from taltool.errors import DataError, UsageError
from taltool.video.decode import Losses, decode_frames, scan
from taltool.video.images import decoded_images, scan_images
from taltool.video.timing import Timeline, timeline

Picture = NDArray[np.uint8]
Pixels = Literal["gray", "rgb"]

# A picture is at most so many times as long as it is wide; longer ones are squeezed.
_LONGEST = 4.0


@dataclass(frozen=True)
class FrameFormat:
    """What pictures a backbone asks for.

    pixels: `gray` gives (H, W) luminance, `rgb` (H, W, 3); both uint8. short_side: the shorter side is scaled to this
    many pixels and the longer one in proportion (square pixels); None = as it is stored. exact: (height, width) to
    which any picture is squeezed instead. Raises UsageError for other pixels.
    """

    pixels: Pixels
    short_side: int | None = None
    exact: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.pixels not in get_args(Pixels):
            raise UsageError(f"pictures in '{self.pixels}': there are only {' and '.join(get_args(Pixels))}")

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

    fps None keeps the video's own rate (see `taltool.video.timing` for videos of variable rate). A folder of images is
    a video too, whose rate is images_fps. `timeline` tells the time of every picture; `duration` (s) is what the file
    says, or the end of its last frame where that is later. After the iteration `count` tells how many pictures there
    were, and `losses` what could not be decoded. Raises DataError for what is no video, and where no frame can be
    decoded.
    """

    def __init__(
        self, path: str, wanted: FrameFormat, fps: float | None = None, images_fps: float | None = None
    ) -> None:
        self.path, self.wanted = path, wanted
        is_folder = Path(path).is_dir()
        if is_folder and images_fps is None:
            raise DataError("is a folder of images, which do not tell when they were taken: give --fps")
        self._images_fps = images_fps if is_folder else None
        self._scan = scan(path) if self._images_fps is None else scan_images(path, self._images_fps)
        self.timeline: Timeline = timeline(self._scan.times, self._scan.tick, self._scan.declared, fps)
        self.duration = max(self._scan.end, float(self._scan.times[-1]) + self.timeline.step)
        self.losses = Losses()
        self.count = 0

    def __iter__(self) -> Iterator[Picture]:
        return (picture for (picture,) in self.together((self.wanted,)))

    def together(
        self, formats: Sequence[FrameFormat], is_wanted: Callable[[int], bool] = lambda number: True
    ) -> Iterator[tuple[Picture, ...]]:
        """Yield every picture in each of the formats; what is the same in two is converted once.

        Pictures whose number (from 0) is not wanted are not converted: an earlier one stands in for them.
        """
        self.losses.reasons.clear()
        self.count = 0
        converters = [_Converter(wanted, self._scan.pixel_aspect) for wanted in dict.fromkeys(formats)]
        places = [list(dict.fromkeys(formats)).index(wanted) for wanted in formats]
        pictures: tuple[Picture, ...] = ()
        for frame, times in self._shown():
            if not pictures or any(is_wanted(number) for number in range(self.count, self.count + times)):
                converted = [converter(frame) for converter in converters]
                pictures = tuple(converted[place] for place in places)
            for _ in range(times):
                self.count += 1
                yield pictures

    def _shown(self) -> Iterator[tuple[Any, int]]:
        """Yield every frame that is shown, and in how many slots of the timeline."""
        if self._images_fps is None:
            frames = decode_frames(self.path, self._scan, self.losses)
        else:
            frames = decoded_images(self.path, self._images_fps, self.losses)
        slot, shown, at = 0, None, 0.0
        for seconds, frame in frames:
            at = self.timeline.snapped(seconds)
            until = self.timeline.slots_before(at)
            if until > slot:  # A lost beginning is filled with the first frame there is.
                yield frame if shown is None else shown, until - slot
            slot, shown = max(slot, until), frame
        if shown is None:
            raise DataError(f"no frame of it can be decoded: {self.losses.summary() or self._scan.cut}")
        until = self.timeline.slots_before(at + self.timeline.step)
        if until > slot:
            yield shown, until - slot


class _Converter:
    """Turns decoded frames into upright pictures; keeps what is the same for all frames of a video."""

    def __init__(self, wanted: FrameFormat, pixel_aspect: float) -> None:
        self._wanted, self._pixel_aspect, self._scaler = wanted, pixel_aspect, VideoReformatter()
        self._turn: tuple[bool, bool, bool] | None = None
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: Any) -> Picture:
        if self._turn is None or self._size is None:
            # Where the size changes in the middle of a video, the later pictures are squeezed into the first one's.
            self._turn = _turn(frame)
            height, width = self._wanted.size(frame.height, frame.width, self._pixel_aspect)
            # Pictures are scaled before they are turned.
            self._size = (width, height) if self._wanted.exact and self._turn[0] else (height, width)
        transposed, rows_reversed, columns_reversed = self._turn
        height, width = self._size
        name = "gray" if self._wanted.pixels == "gray" else "rgb24"
        # One thread: to wake others for a single picture costs more than they save.
        scaled = self._scaler.reformat(
            frame, width=width, height=height, format=name, interpolation=Interpolation.AREA, threads=1
        )
        picture = _pixels(scaled)
        if transposed:
            picture = picture.swapaxes(0, 1)
        picture = picture[:: -1 if rows_reversed else 1, :: -1 if columns_reversed else 1]
        return np.ascontiguousarray(picture)


def _pixels(frame: av.VideoFrame) -> Picture:
    """(H, W) or (H, W, 3) of a frame in gray or rgb24, without the bytes that fill up its rows."""
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
