"""Several videos through one encoder: reading, flow and networks work at the same time, batches cross videos.

Every video is read in a thread of its own, some videos at once; flow is computed in further threads, and so are
batches of snippets, whichever videos these come from. This thread only hands on.
"""

import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from taltool.backbones.contract import FeatureRows
from taltool.data.clock import FeatureClock
from taltool.data.concurrency import prefetch
from taltool.data.hdf5_features import EXTRACTION_ATTRIBUTES, VideoFeatures
from taltool.data.stored_frames import StorageError, StoredFrames, path_of, store_frames
from taltool.errors import DataError, UsageError
from taltool.extraction.encoder import Encoder, Moment, Span, single_threaded
from taltool.extraction.resources import Concurrency
from taltool.extraction.settings import ExtractionSettings
from taltool.video.frames import FrameSequence
from taltool.video.sources import VideoSource

NUM_FRAMES, SOURCE, PROBLEM, MENDED = EXTRACTION_ATTRIBUTES
# Pictures are handed from thread to thread in groups, for each time one wakes the other costs both: so many pictures in
# a group, or what came within so many seconds; and so many groups of a video may wait to be used.
_GROUP, _GROUP_SECONDS, _GROUPS_AHEAD = 8, 0.2, 4
# Batches that may wait for each encoding thread.
_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one video: its features, or the reason why there are none, with the traceback of an error that
    nobody foresaw; problem tells what could not be decoded of it, mended what was mended of its clock and pictures."""

    source: VideoSource
    features: VideoFeatures | None = None
    problem: str | None = None
    mended: str | None = None
    reason: str | None = None
    traceback: str | None = None

    @property
    def video_id(self) -> str:
        """The id of the video."""
        return self.source.video_id

    @property
    def flaws(self) -> str:
        """What was wrong with a video that was read nevertheless, in words; empty where nothing was."""
        return "; ".join(each for each in (self.mended, self.problem) if each)

    @classmethod
    def failed(cls, source: VideoSource, error: Exception) -> "Outcome":
        """A video that raised `error`, of whatever kind: files break in more ways than anybody lists.

        What holds for all videos is raised again: a UsageError, and that nothing can be written.
        """
        if isinstance(error, UsageError | StorageError):
            raise error
        if isinstance(error, DataError | OSError | MemoryError):
            return cls(source, reason=str(error) or type(error).__name__)
        reason = f"{type(error).__name__}: {error} (nobody foresaw this; please report it, with what -v says)"
        return cls(source, reason=reason, traceback="".join(traceback.format_exception(error)))


class Reading:
    """One video that is being read: what is known of it, its snippets, and the rows that came back."""

    def __init__(self, source: VideoSource, settings: ExtractionSettings, encoder: Encoder, patience: float) -> None:
        self.source, self._settings, self._encoder, self._patience = source, settings, encoder, patience
        self.identity = source.identity()
        self._frames: FrameSequence | None = None
        self.rows: dict[int, FeatureRows] = {}
        self.snippets = 0

    def moments(self) -> Iterator[Moment]:
        """What is decoded of every moment, in a thread of its own."""
        patience = self._patience or threading.TIMEOUT_MAX
        return chain.from_iterable(prefetch(_grouped(self._decoded()), _GROUPS_AHEAD, patience))

    def _decoded(self) -> Iterator[Moment]:
        formats, settings = self._encoder.formats, self._settings
        self._frames = FrameSequence(self.source.path, formats[0], settings.fps, settings.images_fps, settings.frames)
        yield from self._frames.together(formats, self._encoder.is_seen)

    def spans(self, threads: Executor) -> Iterator[Span]:
        """The snippets, cut from what the backbones see of the pictures."""
        for span in self._settings.windows.spans(self._encoder.rows(self.moments(), threads)):
            yield span
            self.snippets += 1

    def outcome(self, values: NDArray[Any] | StoredFrames) -> Outcome:
        """The features, (T, C) or frames (T, H, W, C), with their clock, and what could not be decoded.

        Raises DataError where the video changed meanwhile, or the numbers do not fit their type.
        """
        settings, frames = self._settings, self._frames
        if frames is None:
            raise DataError("was not read")
        if self.source.identity() != self.identity:
            raise DataError("it changed while it was read")
        stored = values if isinstance(values, StoredFrames) else _in_type(values, settings.dtype)
        windows, rate = settings.windows, frames.timeline.fps
        offset = frames.timeline.first * rate + windows.offset
        clock = FeatureClock(rate, float(windows.stride), float(windows.window), offset, duration=frames.duration)
        attributes = {NUM_FRAMES: frames.count, SOURCE: orjson.dumps(self.identity).decode()}
        flaws = {PROBLEM: frames.losses.summary(), MENDED: frames.mended()}
        attributes |= {name: flaw for name, flaw in flaws.items() if flaw}
        return Outcome(self.source, VideoFeatures(self.source.video_id, stored, clock, attributes), **flaws)


def _in_type(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """The features as they are stored; raises DataError where they do not fit this type."""
    with np.errstate(over="ignore"):
        stored = values.astype(dtype, copy=False)
    if not np.isfinite(stored).all():
        raise DataError(f"its features are not all finite in {dtype}")
    return stored


def _grouped(pictures: Iterator[Moment]) -> Iterator[list[Moment]]:
    """The pictures in groups; those before an error come before it."""
    group: list[Moment] = []
    begun = time.monotonic()
    try:
        for picture in pictures:
            group.append(picture)
            if len(group) == _GROUP or time.monotonic() - begun > _GROUP_SECONDS:
                yield group
                group, begun = [], time.monotonic()
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group


@dataclass
class _Batches:
    """Snippets on their way through the encoder, in batches of pictures of one size, or in runs of one video."""

    encoder: Encoder
    threads: Executor
    most: int
    waiting: dict[Hashable, list[tuple[Reading, int, Span]]] = field(default_factory=lambda: defaultdict(list))
    running: deque[tuple[Future[FeatureRows], list[tuple[Reading, int]]]] = field(default_factory=deque)

    def add(self, reading: Reading, span: Span) -> None:
        """Take a snippet; may wait until an earlier batch is done."""
        group = reading if self.encoder.in_runs else tuple(picture.shape for picture in span[0])
        self.waiting[group].append((reading, reading.snippets, span))
        if len(self.waiting[group]) == self.encoder.batch:
            self._submit(self.waiting.pop(group))

    def end(self, reading: Reading) -> None:
        """Encode what waits of a video whose last snippet was added, where nothing can join it."""
        if reading in self.waiting:
            self._submit(self.waiting.pop(reading))

    def drop(self, reading: Reading) -> None:
        """Forget what waits of a video that broke, where nothing can join it."""
        self.waiting.pop(reading, None)

    def _submit(self, batch: list[tuple[Reading, int, Span]]) -> None:
        future = self.threads.submit(self.encoder.encode, [span for _, _, span in batch])
        self.running.append((future, [(reading, number) for reading, number, _ in batch]))
        while len(self.running) > self.most or (self.running and self.running[0][0].done()):
            self.collect()

    def collect(self) -> None:
        """Hand the rows of the oldest batch to their videos."""
        future, members = self.running.popleft()
        for (reading, number), row in zip(members, future.result(), strict=True):
            reading.rows[number] = row

    def flush(self) -> None:
        """Encode what does not fill a batch, and wait for all."""
        for batch in list(self.waiting.values()):
            self._submit(batch)
        self.waiting.clear()
        while self.running:
            self.collect()


def extract_features(
    sources: Iterable[VideoSource],
    settings: ExtractionSettings,
    encoder: Encoder,
    concurrency: Concurrency,
    spool: Path | None = None,
) -> Iterator[Outcome]:
    """What becomes of every video, as soon as it is known; one that breaks, however it does, stops no other.

    Frames are written to files in the folder `spool` as they come, and whoever gets them removes those; without one
    they are gathered in memory, as features are. What the networks raise over snippets is raised here: a batch is of
    several videos, and the next would be no better.
    """
    if encoder.takes_snippets:
        return _by_snippet(sources, settings, encoder, concurrency)
    return _by_video(sources, settings, encoder, concurrency, spool if encoder.gives_pictures else None)


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """Threads for a `with` block; what they have not begun when it ends, or is interrupted, is left undone."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _by_video(
    sources: Iterable[VideoSource],
    settings: ExtractionSettings,
    encoder: Encoder,
    concurrency: Concurrency,
    spool: Path | None,
) -> Iterator[Outcome]:
    with single_threaded(), _threads(concurrency.threads) as threads:
        for source in sources:
            file = None if spool is None else path_of(spool, source.video_id, ".spool")
            try:
                reading = Reading(source, settings, encoder, concurrency.patience)
                rows = encoder.encode_video(reading.moments(), threads)
                outcome = reading.outcome(np.stack(list(rows)) if file is None else store_frames(file, rows))
            except Exception as error:
                if file is not None:
                    file.unlink(missing_ok=True)
                outcome = Outcome.failed(source, error)
            yield outcome


def _by_snippet(
    sources: Iterable[VideoSource], settings: ExtractionSettings, encoder: Encoder, concurrency: Concurrency
) -> Iterator[Outcome]:
    remaining = iter(sources)
    active: deque[tuple[Reading, Iterator[Span]]] = deque()
    ended: list[Reading] = []
    with single_threaded(), _threads(concurrency.threads) as threads, _threads(concurrency.flow_threads) as flow:
        batches = _Batches(encoder, threads, concurrency.threads * _BATCHES_AHEAD)
        while True:
            while len(active) < concurrency.readers and (source := next(remaining, None)) is not None:
                try:
                    reading = Reading(source, settings, encoder, concurrency.patience)
                except Exception as error:
                    yield Outcome.failed(source, error)
                else:
                    active.append((reading, reading.spans(flow)))
            if not active:
                break
            reading, spans = active.popleft()
            try:
                span = next(spans, None)
            except Exception as error:
                batches.drop(reading)
                yield Outcome.failed(reading.source, error)
                continue
            if span is None:
                batches.end(reading)
                ended.append(reading)
            else:
                batches.add(reading, span)
                active.append((reading, spans))
            yield from _complete(ended)
        batches.flush()
        yield from _complete(ended)


def _complete(ended: list[Reading]) -> Iterator[Outcome]:
    """Take out of the list, and yield, the videos all of whose rows are there."""
    for reading in [each for each in ended if len(each.rows) == each.snippets]:
        ended.remove(reading)
        try:
            outcome = reading.outcome(np.stack([reading.rows[number] for number in range(reading.snippets)]))
        except Exception as error:
            outcome = Outcome.failed(reading.source, error)
        yield outcome
