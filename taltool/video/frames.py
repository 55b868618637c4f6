"""A video as a sequence of pictures at a constant rate, upright, in the size and the pixels that a backbone asks for.

Only frames that are wanted are converted: the conversion of pixels costs more than their decoding. Luminance comes
straight from the decoder's luma plane, the colour planes are not touched.

What moves is another matter than what is seen: the rate at which pictures are looked at may be any, but motion is
measured between neighbouring pictures of the video at its OWN rate, whatever the rate asked for. Two-stream networks
learned from displacements between neighbouring frames, and AFSD's authors take flow at the video's own rate and then
keep every third field (AFSD/common/gen_denseflow_npy.py); between pictures 0.1 s apart it would be three times as
large. So a format may be `paired`: each moment then comes as the picture of the video's own grid that stands there,
and the one after it. Where the wanted rate is higher than the video's own, moments share pairs; in a video of variable
rate pairs are those of the grid on which its own rate lays it (see `taltool.video.timing`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat, tee
from pathlib import Path
from typing import Any, Literal, get_args

import av
import numpy as np
from av.error import FFmpegError
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from taltool.errors import DataError, UsageError
from taltool.video.decode import Losses, decode_frames, scan
from taltool.video.images import decoded_images, scan_images
from taltool.video.timing import Timeline, timeline

Picture = NDArray[np.uint8]
# A picture and the one after it; None after the only picture of a video.
Pair = tuple[Picture, Picture | None]
Pixels = Literal["gray", "rgb"]

# A picture is at most so many times as long as it is wide; longer ones are squeezed.
_LONGEST = 4.0


@dataclass(frozen=True)
class FrameFormat:
    """What pictures a backbone asks for.

    pixels: `gray` gives (H, W) luminance, `rgb` (H, W, 3); both uint8. short_side: the shorter side is scaled to this
    many pixels and the longer one in proportion (square pixels); None = as it is stored. exact: (height, width) to
    which any picture is squeezed instead. paired: each picture comes with the one after it at the video's own rate, as
    a Pair; the last picture of a video comes as the pair before did. Raises UsageError for other pixels.
    """

    pixels: Pixels
    short_side: int | None = None
    exact: tuple[int, int] | None = None
    paired: bool = False

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

    fps None keeps the video's own rate (see `taltool.video.timing` for videos of variable rate); frames is how many
    pictures the whole video becomes instead, evenly spread, unless it has fewer. A folder of images is a video too,
    whose rate is images_fps. `timeline` tells the time of every picture; `duration` (s) is what the file
    says, or the end of its last frame where that is later. After the iteration `count` tells how many pictures there
    were, `losses` what could not be decoded, and `mended` what was mended of its clock and pictures. Raises DataError
    for what is no video, and where no frame can be decoded.
    """

    def __init__(
        self,
        path: str,
        wanted: FrameFormat,
        fps: float | None = None,
        images_fps: float | None = None,
        frames: int | None = None,
    ) -> None:
        self.path, self.wanted = path, wanted
        is_folder = Path(path).is_dir()
        if is_folder and images_fps is None:
            raise DataError("is a folder of images, which do not tell when they were taken: give --fps")
        self._images_fps = images_fps if is_folder else None
        self._scan = scan(path) if self._images_fps is None else scan_images(path, self._images_fps)
        last = float(self._scan.times[-1])
        self._own = timeline(self._scan.times, self._scan.tick, self._scan.declared)
        self.timeline: Timeline = self._own if fps is None else self._own.at_rate(fps)
        if frames is not None:
            self.timeline = self._own.of_at_most(frames, self._own.snapped(last) + self._own.step)
        self.duration = max(self._scan.end, last + self.timeline.step)
        self.losses = Losses()
        self.count = 0
        self._resized: list[tuple[float, str]] = []

    def mended(self) -> str | None:
        """What was mended of the video, in clauses for people; None where nothing was."""
        told = [self._scan.mends.summary() or ""]
        if self._resized:
            times = f"{len(self._resized)} time{'s'[: len(self._resized) > 1]}"
            (seconds, size), *_ = self._resized
            told.append(
                f"changes the size of its pictures {times}, at {seconds:.2f} s to {size}; all are squeezed into that "
                "of the first"
            )
        return "; it ".join(filter(None, told)) or None

    def __iter__(self) -> Iterator[Picture]:
        return (picture for (picture,) in self.together((self.wanted,)))

    def together(
        self,
        formats: Sequence[FrameFormat],
        is_wanted: Callable[[int, FrameFormat], bool] = lambda number, wanted: True,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield every moment in each of the formats, as a Picture or a Pair; the file is decoded once.

        Moments whose number (from 0) is not wanted in a format are not converted: an earlier one stands in for them.
        """
        self.losses.reasons.clear()
        self._resized.clear()
        self.count = 0
        unique = list(dict.fromkeys(formats))
        places = [unique.index(wanted) for wanted in formats]
        # No column runs ahead of another by more than what is shown until the next slot of the video's own grid.
        columns = [
            (self._pairs if wanted.paired else self._pictures)(wanted, shown, is_wanted)
            for wanted, shown in zip(unique, tee(self._shown(), len(unique)), strict=True)
        ]
        for row in zip(*columns, strict=True):
            self.count += 1
            yield tuple(row[place] for place in places)

    def _pictures(
        self, wanted: FrameFormat, shown: Iterator[tuple[Any, float]], is_wanted: Callable[[int, FrameFormat], bool]
    ) -> Iterator[Picture]:
        """Yield the picture of every slot of the timeline."""
        convert, slot, picture = _Converter(wanted, self._scan.pixel_aspect), 0, None
        for frame, end in shown:
            slots = range(slot, self.timeline.slots_before(end))
            if slots and (picture is None or any(is_wanted(each, wanted) for each in slots)):
                picture = convert(frame)
            if picture is not None:
                yield from repeat(picture, len(slots))
            slot += len(slots)

    def _pairs(
        self, wanted: FrameFormat, shown: Iterator[tuple[Any, float]], is_wanted: Callable[[int, FrameFormat], bool]
    ) -> Iterator[Pair]:
        """Yield the pair of every slot of the timeline; slots of one pair get the same object."""
        convert, slot = _Converter(wanted, self._scan.pixel_aspect), 0
        pair, converted = None, None
        for neighbours, end in self._neighbours(_Frame(frame, convert, end) for frame, end in shown):
            slots = range(slot, self.timeline.slots_before(end))
            if slots and neighbours != converted and (pair is None or any(is_wanted(each, wanted) for each in slots)):
                before, after = neighbours
                pair, converted = (before.picture, after and after.picture), neighbours
            if pair is not None:
                yield from repeat(pair, len(slots))
            slot += len(slots)

    def _neighbours(self, shown: "Iterator[_Frame]") -> "Iterator[tuple[tuple[_Frame, _Frame | None], float]]":
        """Yield, for every slot of the own grid, what is shown in it and in the next one, and when that begins (s).

        The last slot, whose end is that of the video, has the two of the one before.
        """
        slot, end = 0, 0.0
        recent: deque[_Frame] = deque(maxlen=2)
        for frame in shown:
            end = frame.end
            slots = range(slot, self._own.slots_before(end))
            for slot in slots:
                if recent:
                    yield (recent[-1], frame), self._own.first + slot / self._own.fps
                recent.append(frame)
            slot = max(slot, slots.stop)
        if recent:
            yield (recent[0], recent[1] if len(recent) > 1 else None), end

    def _shown(self) -> Iterator[tuple[Any, float]]:
        """Yield every frame, and the moment (s) at which the next one, or the end of the video, takes its place."""
        if self._images_fps is None:
            frames = decode_frames(self.path, self._scan, self.losses)
        else:
            frames = decoded_images(self.path, self._images_fps, self.losses)
        shown, at = None, 0.0  # A lost beginning is filled with the first frame there is.
        for seconds, frame in frames:
            at = self.timeline.snapped(seconds)
            if shown is not None:
                if (frame.width, frame.height) != (shown.width, shown.height):
                    self._resized.append((at, f"{frame.width}x{frame.height}"))
                yield shown, at
            shown = frame
        if shown is None:
            raise DataError(f"no frame of it can be decoded: {self.losses.summary() or self._scan.cut}")
        yield shown, at + self.timeline.step


@dataclass(eq=False)
class _Frame:
    """A decoded frame that is shown until `end` (s), and its picture, which is made when it is first asked for."""

    decoded: Any
    convert: "_Converter"
    end: float

    @cached_property
    def picture(self) -> Picture:
        """The picture, converted once."""
        return self.convert(self.decoded)


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
        try:
            scaled = self._scaler.reformat(
                frame, width=width, height=height, format=name, interpolation=Interpolation.AREA, threads=1
            )
        except FFmpegError as error:
            kind = f"{frame.format.name}, {frame.width}x{frame.height}"
            raise DataError(f"its pictures ({kind}) cannot be converted ({error.strerror})") from error
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
