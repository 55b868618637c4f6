"""The clock of a feature sequence: the one place where snippets become seconds and seconds become snippets.

Snippet i covers frames [offset + i*stride, offset + i*stride + window); its time is the centre of that window. Models
work on the grid: snippet i is the cell [i, i + 1), so its centre lies at i + 0.5 grid units. Hence

    seconds = ((grid - 0.5) * stride + offset + window / 2) / fps
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from taltool.data.records import LARGEST
from taltool.errors import DataError

Times = TypeVar("Times", float, NDArray[np.float64])


class UnknownClockError(DataError):
    """Nobody says when the snippets of a video are."""


@dataclass(frozen=True)
class FeatureClock:
    """Timing of a feature sequence: fps of the frames that snippets were cut from; stride, window and offset in frames
    (offset = frame at which snippet 0 begins; all three may be fractional after rescaling); duration of the video in
    seconds.

    Raises DataError, naming the number, unless all are finite and all but the offset positive.
    """

    fps: float
    stride: float
    window: float
    offset: float = 0.0
    duration: float = field(kw_only=True)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check_number(name, value)

    def __str__(self) -> str:
        """`fps 30, stride 4, window 16, offset 0`: all but the duration."""
        return ", ".join(f"{name} {getattr(self, name):g}" for name in ("fps", "stride", "window", "offset"))

    def seconds(self, grid: Times) -> Times:
        """The time of grid positions, in seconds, not clipped to the video."""
        return ((grid - 0.5) * self.stride + self.offset + self.window / 2) / self.fps

    def grid(self, seconds: Times) -> Times:
        """The grid position of times in seconds: the inverse of `seconds`."""
        return (seconds * self.fps - self.offset - self.window / 2) / self.stride + 0.5

    def clipped_seconds(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """The time of grid positions, in seconds, kept inside [0, duration]."""
        return np.clip(self.seconds(grid), 0.0, self.duration)

    @property
    def seconds_per_snippet(self) -> float:
        """The distance of two neighbouring snippets in seconds."""
        return self.stride / self.fps

    def cropped(self, first: float) -> "FeatureClock":
        """The clock of the sequence that begins at snippet `first` of this one."""
        return replace(self, offset=self.offset + first * self.stride)

    def rescaled(self, length: int, new_length: int) -> "FeatureClock":
        """The clock after `length` snippets were linearly resampled to `new_length` (align_corners=False).

        New snippet j stands at old index (j + 0.5) * length / new_length - 0.5; the window keeps its size.
        """
        return self.resampled(length / new_length)

    def resampled(self, ratio: float) -> "FeatureClock":
        """The clock of the grid of cells `ratio` snippets long that begins where this one begins."""
        return replace(self, stride=self.stride * ratio, offset=self.offset + (ratio - 1) / 2 * self.stride)

    @classmethod
    def covering(cls, length: int, duration: float) -> "FeatureClock":
        """The clock of `length` cells that divide a video of `duration` seconds evenly (a rescaled feature file)."""
        _check_number("duration", duration)
        return cls(fps=length / duration, stride=1.0, window=1.0, offset=0.0, duration=duration)


# The names by which files say a clock.
CLOCK_ATTRIBUTES = tuple(each.name for each in fields(FeatureClock))


def clock_number(value: Any, name: str, where: str) -> float:
    """What a file says the `name` of a clock is, as a number or an array of one, as MATLAB writes it.

    Raises DataError, `where` naming the video, for anything else.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {name} is {value!r}; expected a number") from None


def _check_number(name: str, value: float) -> None:
    """Raise DataError unless `value` can be the `name` of a clock: finite, and positive but for the offset, and neither
    so large nor so small that times would be infinite."""
    if not abs(value) < LARGEST or (name != "offset" and value < 1 / LARGEST):
        kind = "finite" if name == "offset" else "positive, finite"
        raise DataError(f"{name} is {value}; expected a {kind} number")


def clock_from(known: Mapping[str, float], length: int, duration: float | None, where: str) -> FeatureClock:
    """The clock of `length` snippets from what is known: fps, stride and window (and offset), or the duration alone.

    Raises UnknownClockError, with the mend, where neither is known, and DataError for a number that no clock can have;
    `where` names the video.
    """
    try:
        for name, value in known.items():
            _check_number(name, value)
        if {"fps", "stride", "window"} <= known.keys():
            frames = known.get("offset", 0.0) + (length - 1) * known["stride"] + known["window"]
            return FeatureClock(**dict(known) | {"duration": frames / known["fps"] if duration is None else duration})
        if duration is not None and not known.keys() & {"fps", "stride", "window"}:
            return FeatureClock.covering(length, duration)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    missing = ", ".join(f"--{name}" for name in ("fps", "stride", "window") if name not in known)
    raise UnknownClockError(
        f"{where} does not say when its snippets are; give {missing}, "
        "or a ground truth with durations if each video is divided evenly"
    )
