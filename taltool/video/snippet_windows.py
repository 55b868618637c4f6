"""Cutting a stream of frames into snippets: overlapping windows of equal length."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from taltool.errors import DataError, UsageError

Row = TypeVar("Row")

# Frames of a window, which a short video fills with its last one: more would take memory without end.
_LONGEST = 10_000


@dataclass(frozen=True)
class SnippetWindows:
    """Snippet i is frames [offset + i * stride, offset + i * stride + window).

    Only windows that lie wholly in the video are cut, so at most stride - 1 frames at its end are in none. A video
    shorter than one window gives one snippet, in which its last frame is repeated.
    """

    window: int
    stride: int
    offset: int = 0

    def __post_init__(self) -> None:
        for name, least in (("window", 1), ("stride", 1), ("offset", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"--{name} {getattr(self, name)}: must be at least {least} (frames)")
        if self.window > _LONGEST:
            raise UsageError(f"--window {self.window}: must be at most {_LONGEST} (frames)")

    def count(self, frames: int) -> int:
        """How many snippets a video of so many frames gives."""
        return max(1, (frames - self.offset - self.window) // self.stride + 1)

    def holds(self, frame: int, positions: Sequence[int] | None = None) -> bool:
        """Whether a snippet holds this frame (from 0), if the video is long enough for the snippet.

        positions: those in a snippet (from 0) that count, all by default. Up to the last of them every frame of the
        first snippet counts: a video may end there, and its last frame is repeated.
        """
        since = frame - self.offset
        if positions is None or since < 0:
            return since >= 0 and since % self.stride < self.window
        return since <= positions[-1] or any((since - position) % self.stride == 0 for position in positions)

    def spans(self, rows: Iterable[Row]) -> Iterator[list[Row]]:
        """Yield the `window` rows of every snippet; rows that snippets share are the same objects.

        Raises DataError where the offset leaves no frame.
        """
        recent: deque[Row] = deque(maxlen=self.window)
        number, emitted = 0, False
        for number, row in enumerate(islice(rows, self.offset, None), 1):
            recent.append(row)
            if number >= self.window and (number - self.window) % self.stride == 0:
                emitted = True
                yield list(recent)
        if not number:
            raise DataError(f"it has no frame after the offset of {self.offset} frames")
        if not emitted:
            yield [*recent, *[recent[-1]] * (self.window - number)]

    def merge_overlaps(self, spans: Sequence[list[Row]]) -> list[Row]:
        """The rows of consecutive overlapping snippets, each row once."""
        first, *others = spans
        return [*first, *(row for span in others for row in span[-self.stride :])]

    def of_run(self, rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Yield (window, ...) for each of the consecutive snippets whose rows are (window + (n - 1) stride, ...)."""
        return (rows[start : start + self.window] for start in range(0, len(rows) - self.window + 1, self.stride))

    def cut(self, rows: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Yield (window, ...) for every snippet of a sequence of arrays of one shape; raises as `spans` does."""
        return map(np.stack, self.spans(rows))
