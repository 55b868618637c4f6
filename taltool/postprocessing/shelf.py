"""Videos that wait for their turn on disk, so that memory does not depend on the order that files list them in.

A video takes 24 bytes a proposal, 32 with labels: the columns one after the other, start and end (N, 2), scores (N,)
and label numbers (N,), each number of 8 bytes. What is taken leaves its room in the file until the shelf is closed.
"""

import tempfile
from collections.abc import Hashable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from taltool.data.records import LabelVocabulary, VideoProposals


@dataclass(frozen=True)
class _Place:
    """Where the numbers of a video begin in the file (bytes), of how many proposals, and what else is known of it."""

    start: int
    count: int
    labelled: bool
    video_id: str
    names: LabelVocabulary
    duration: float | None


class Shelf:
    """Proposals of videos by any key, in a temporary file; used as a `with` block."""

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        self._places: dict[Hashable, _Place] = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._places

    def keys(self) -> list[Any]:
        """The keys of the videos that are there."""
        return list(self._places)

    def put(self, key: Hashable, video: VideoProposals) -> None:
        """Lay a video down under `key`."""
        start, labelled = self._file.seek(0, 2), video.labels is not None
        self._places[key] = _Place(start, len(video), labelled, video.video_id, video.names, video.duration)
        for column in (video.segments, video.scores, video.labels):
            if column is not None:
                self._file.write(column.tobytes())

    def take(self, key: Hashable) -> VideoProposals:
        """The video under `key`, which is no longer there then."""
        place = self._places.pop(key)
        self._file.seek(place.start)
        # All columns are read as float64; the labels' bits are then seen as the integers that they are.
        numbers = np.frombuffer(self._file.read(place.count * 8 * (4 if place.labelled else 3)), np.float64)
        segments, scores, labels = np.split(numbers, [2 * place.count, 3 * place.count])
        return VideoProposals(
            place.video_id,
            segments.reshape(-1, 2),
            scores,
            labels.view(np.int64) if place.labelled else None,
            place.names,
            place.duration,
        )
