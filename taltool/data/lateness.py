"""Segments against the durations of their videos: most of them far behind the end means that times are no seconds."""

import numpy as np

from taltool.data.records import Floats

# By so much may a segment end after its video before it counts: rounding, and durations of containers.
_SHARE, _SECONDS = 0.05, 1.0


class Lateness:
    """Counts the segments that end after their videos, among those of videos whose duration is known."""

    def __init__(self) -> None:
        self.timed = self.late = 0

    def add(self, segments: Floats, duration: float | None) -> None:
        """Count the segments (N, 2), in seconds, of one video."""
        if duration is not None:
            self.timed += len(segments)
            self.late += int(np.count_nonzero(segments[:, 1] > duration * (1 + _SHARE) + _SECONDS))

    def remark(self, what: str) -> str | None:
        """What a reader must know, in a line, where more than half of them end after their videos."""
        if 2 * self.late <= self.timed:
            return None
        return (
            f"{self.late} of {self.timed} {what} end after their videos: are these frames? "
            "taltool convert --times frames --fps N makes seconds of them"
        )
