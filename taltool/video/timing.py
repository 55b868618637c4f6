"""When the frames of a video are: its true timestamps, laid on a grid of constant rate.

Snippets are counted in frames, and the clock of a feature file knows one frame rate, so frames must come at a constant
rate. A video whose timestamps already lie on such a grid (up to their rounding, and up to frames that were dropped)
keeps its frames. Any other is resampled by its timestamps at the inverse of its usual frame distance. In both cases
slot k of the grid shows the last frame whose time is not after the slot's, which is what a viewer sees at that moment.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from taltool.errors import DataError

Times = NDArray[np.float64]

# A timestamp belongs to a grid when it is nearer to its slot than this share of the frame distance.
_TOLERANCE = 0.25
_TINY = 1e-6


@dataclass(frozen=True)
class Timeline:
    """A grid of frames: slot k stands at first + k / fps seconds after the video's zero.

    native is the grid that the source's own timestamps are rounded to before they are compared with the slots, as
    (first, fps); None where the source has a variable rate and its timestamps are taken as they are. slack (seconds) is
    how far after its slot a timestamp may lie and still count as not after it. step is the usual frame distance (s).
    """

    first: float
    fps: float
    native: tuple[float, float] | None
    slack: float
    step: float

    def snapped(self, seconds: float) -> float:
        """A timestamp without its rounding error."""
        if self.native is None:
            return seconds
        first, fps = self.native
        return first + round((seconds - first) * fps) / fps

    def slots_before(self, seconds: float) -> int:
        """How many slots lie before a moment."""
        return max(0, math.ceil((seconds - self.slack - self.first) * self.fps - _TINY))

    def at_rate(self, fps: float) -> "Timeline":
        """The grid of another rate over the same frames; its slots are at multiples of 1 / fps."""
        first = math.ceil((self.first - self.slack) * fps - _TINY) / fps
        return replace(self, first=first, fps=fps)

    def of_at_most(self, slots: int, end: float) -> "Timeline":
        """The grid of so many slots, evenly spread from the first frame to `end` (s); this one if it has no more."""
        own = self.slots_before(end)
        return self if own <= slots else replace(self, fps=self.fps * slots / own)


def timeline(times: Times, tick: float, declared: list[float], wanted: float | None = None) -> Timeline:
    """The grid for a video.

    times (N,) are its timestamps in seconds, sorted; tick is their resolution, declared the rates that its headers
    name, wanted the rate to resample to (None = its own). Raises DataError where nothing tells how long a frame lasts.
    """
    fps = _constant_rate(times, tick, declared)
    step = 1 / fps if fps else _usual_step(times, declared)
    native = (float(times[0]), fps) if fps else None
    slack = min(max(tick, step / 10_000), step / 8)
    own = Timeline(float(times[0]), 1 / step, native, slack, step)
    return own if wanted is None else own.at_rate(wanted)


def _constant_rate(times: Times, tick: float, declared: list[float]) -> float | None:
    """The rate (frames/s) of the grid on which all times (N,) lie; None where there is none.

    A rate that headers declare is taken where it explains the times to their resolution, the tick (s): it is exact
    then; else the one that fits best. Gaps of whole frames are allowed as long as most frames follow each other
    directly.
    """
    if len(times) < 2:
        return declared[0] if declared else None
    for fps in declared:
        if _explains(times, fps, min(tick * fps, _TOLERANCE)):
            return fps
    fitted = _fitted_rate(times)
    return fitted if fitted and _explains(times, fitted, _TOLERANCE) else None


def _explains(times: Times, fps: float, tolerance: float) -> bool:
    """Whether all times are within `tolerance` frames of a slot, each of its own, most of them of the next."""
    position = (times - times[0]) * fps
    slot = np.rint(position)
    steps = np.diff(slot)
    near = np.abs(position - slot).max() <= tolerance + _TINY
    return bool(near and steps.min() > 0 and np.median(steps) == 1)


def _fitted_rate(times: Times) -> float | None:
    """The rate (frames/s) of the straight line through the times (N,) of frames that are whole frames apart."""
    distance = np.diff(times)
    usual = float(np.median(distance))
    if usual <= 0:
        return None
    slot = np.concatenate([[0.0], np.cumsum(np.rint(distance / usual))])
    if slot[-1] == 0:
        return None
    slope = float(np.polyfit(times - times[0], slot, 1)[0])
    return slope if slope > 0 else None


def _usual_step(times: Times, declared: list[float]) -> float:
    """The usual distance (s) of two frames of a video of variable rate."""
    distance = np.diff(times)
    usual = float(np.median(distance)) if len(distance) else 0.0
    if usual <= 0 and len(distance):
        usual = float(distance.mean())
    if usual <= 0 and declared:
        usual = 1 / declared[0]
    if usual <= 0:
        raise DataError("its timestamps do not tell how long a frame lasts")
    return usual
