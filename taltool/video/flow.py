"""Dense optical flow between neighbouring pictures, as pictures of eight bits.

The two-stream networks learned from flow that was stored in image files: clamped to a bound of some pixels and rounded
to 256 steps (Simonyan, Zisserman, "Two-Stream Convolutional Networks", NIPS 2014, section 5; Carreira, Zisserman, "Quo
Vadis, Action Recognition?", CVPR 2017, section 2: TV-L1). Features of any other flow would be features of another
input, so the same is done here. TV-L1 is what those checkpoints know; DIS is some hundred times faster and a little
smoother.
"""

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taltool.data.concurrency import parallel_map
from taltool.errors import UsageError
from taltool.video.frames import Pair, Picture

Field = NDArray[np.float32]

# Pairs of pictures that may be under way at once.
_AHEAD = 16
_STEPS = 255
_LARGEST = 10_000
# Columns from which on an algorithm object is used again, which saves a tenth of the time. OpenCV's DIS remembers: in
# pictures of 40 to 47 columns the flow depends on the pair before.
_REUSED = 48


@dataclass(frozen=True)
class FlowSettings:
    """How flow is computed: `tvl1`, or `dis` with one of its presets; bound (pixels) 0 = what the backbone knows."""

    method: Literal["tvl1", "dis"] = "tvl1"
    dis_preset: Literal["ultrafast", "fast", "medium"] = "medium"
    bound: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.bound <= _LARGEST:
            raise UsageError(f"flow.bound {self.bound}: must be 0 to {_LARGEST} (pixels)")


def quantised(field: Field, bound: float) -> Picture:
    """Displacements (..., 2) in pixels as bytes: [-bound, bound] becomes [0, 255], rounded half to even; 128 is none.

    Larger displacements are clamped.
    """
    return np.rint((np.clip(field, -bound, bound) + bound) * (_STEPS / (2 * bound))).astype(np.uint8)


class Flow:
    """The flow from one luminance picture (H, W) to the next, quantised: (H, W, 2), x to the right, then y downwards.

    Threads may share it. Raises UsageError where OpenCV (the extra `flow`) is not installed.
    """

    def __init__(self, settings: FlowSettings, bound: float) -> None:
        self.settings, self.bound = settings, settings.bound or bound
        self._make = _maker(settings)
        self._mine = threading.local()

    def __call__(self, before: Picture, after: Picture) -> Picture:
        """The quantised motion (H, W, 2) from `before` to `after`, both (H, W)."""
        if before.shape[1] < _REUSED or not hasattr(self._mine, "algorithm"):
            self._mine.algorithm = self._make()
        algorithm = self._mine.algorithm
        return quantised(algorithm.calc(before, after, None), self.bound)

    def still(self, picture: Picture) -> Picture:
        """The field of no motion for a picture (H, W)."""
        return quantised(np.zeros((*picture.shape, 2), np.float32), self.bound)


def _maker(settings: FlowSettings) -> Any:
    """What makes OpenCV's algorithm object, of which every thread needs its own."""
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError as error:
        raise UsageError("optical flow needs OpenCV: pip install 'taltool[flow]'") from error
    if settings.method == "dis":
        preset = getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{settings.dis_preset.upper()}")
        return lambda: cv2.DISOpticalFlow_create(preset)
    if not hasattr(cv2, "optflow"):
        raise UsageError(
            "this OpenCV has no TV-L1: pip uninstall opencv-python-headless opencv-python, then pip install "
            "'taltool[flow]'; or use --flow dis"
        )
    return cv2.optflow.DualTVL1OpticalFlow_create


def fields(
    pairs: Iterable[Pair], flow: Flow, threads: Executor, is_wanted: Callable[[int], bool] = lambda number: True
) -> Iterator[Picture]:
    """Yield the flow (H, W, 2) from the first to the second picture of every pair; a picture without a second is still.

    Pairs are computed side by side in `threads`, and once where neighbours are the same object. Where field n (from 0)
    is not wanted, an earlier one stands in for it.
    """

    def due() -> Iterator[tuple[Pair, bool]]:
        measured = None
        for number, pair in enumerate(pairs):
            is_due = pair is not measured and is_wanted(number)
            if is_due:
                measured = pair
            yield pair, is_due

    def measure(task: tuple[Pair, bool]) -> tuple[Picture, Picture | None]:
        (before, after), is_due = task
        if not is_due:
            return before, None
        return before, flow.still(before) if after is None else flow(before, after)

    last = None
    for before, field in parallel_map(threads, measure, due(), _AHEAD):
        if field is not None or last is None:
            last = flow.still(before) if field is None else field
        yield last
