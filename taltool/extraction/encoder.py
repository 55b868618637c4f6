"""The backbones of all streams as one encoder: pictures in, flow between them, snippets through the networks, joined.

Results never depend on how the work is divided. Snippets are encoded in batches of one size, the last of which is
filled up, or in runs, which are counted from the beginning of each video, by networks that compute with one thread
each; several threads encode several of these at once.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice, tee, zip_longest
from operator import index
from typing import Any

import numpy as np

from taltool.backbones.contract import Backbone, FeatureRows
from taltool.data.concurrency import parallel_map
from taltool.errors import UsageError
from taltool.video.flow import Flow, FlowSettings, fields
from taltool.video.frames import FrameFormat, Picture
from taltool.video.snippet_windows import SnippetWindows

# Batches or runs of a video that may wait for a thread, where backbones are computed video by video.
_PIECES_AHEAD = 4
# What a snippet sees of one moment: a picture per stream.
Row = tuple[Picture, ...]
# What is decoded for that: the same, but a pair of neighbouring pictures for a stream of flow.
Moment = tuple[Any, ...]
Span = list[Row]


class Encoder:
    """Encodes with one backbone per stream, whose features stand side by side in this order.

    batch is the number of snippets, of any videos, that are encoded at once; 0 = runs of consecutive snippets of one
    video, as long as the backbone wants that shares most work between them. names are what each is registered under.
    Raises UsageError where a backbone takes no such snippets; and later where the features that one gives are not what
    its `streams` say.
    """

    def __init__(
        self,
        backbones: Sequence[Backbone],
        flow: FlowSettings,
        windows: SnippetWindows,
        batch: int,
        names: Sequence[str] = (),
    ) -> None:
        self.backbones, self._windows = list(backbones), windows
        self._names = list(names) or [type(each).__name__ for each in backbones]
        for backbone in backbones:
            backbone.check(windows)
        self.in_runs = batch == 0
        self.batch = batch or max(backbone.run_length(windows) for backbone in backbones)
        self._flows = [Flow(flow, each.flow_bound) if each.stream == "flow" else None for each in backbones]

    @property
    def formats(self) -> tuple[FrameFormat, ...]:
        """What to decode for each stream; flow is measured between neighbours at the video's own rate."""
        return tuple(
            replace(each.frame_format, pixels="gray", paired=True) if each.stream == "flow" else each.frame_format
            for each in self.backbones
        )

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        """The channels [first, last) of each stream; raises UsageError where backbones declare none that can be.

        Beside other backbones the one stream of a backbone is called what that is registered under, as `hog3d`, and
        each of several has that before its name, as `i3d-rgb` and `i3d-flow`.
        """
        every = [self._declared(number) for number in range(len(self.backbones))]
        ranges: dict[str, tuple[int, int]] = {}
        offset = 0
        for number, (backbone, declared) in enumerate(zip(self._names, every, strict=True)):
            if len(set(self._names)) > 1:
                of_backbone = sum(len(each) for each, name in zip(every, self._names, strict=True) if name == backbone)
                declared = {backbone if of_backbone == 1 else f"{backbone}-{name}": declared[name] for name in declared}
            if taken := ranges.keys() & declared.keys():
                raise self._fault(number, f"the stream before it has features named '{min(taken)}' too")
            ranges |= {name: (first + offset, last + offset) for name, (first, last) in declared.items()}
            offset = max(last for _, last in ranges.values())
        return ranges

    def _declared(self, number: int) -> dict[str, tuple[int, int]]:
        """The `streams` of a backbone, which stand one after the other; raises UsageError where they do not."""
        said = self.backbones[number].streams
        try:
            streams = {str(name): (index(first), index(last)) for name, (first, last) in said.items()}
        except (AttributeError, TypeError, ValueError):
            streams = {}
        ranges = sorted(streams.values())
        is_whole = [first for first, _ in ranges] == [0, *(last for _, last in ranges)][:-1]
        if not (streams and is_whole and all(first < last for first, last in ranges)):
            expected = "expected {NAME: (first, last)}, the first from 0 on, each other from the last of the one before"
            raise self._fault(number, f"its `streams` are {said!r}, {expected}")
        return streams

    def _checked(self, number: int, features: FeatureRows, snippets: int | None = None) -> FeatureRows:
        """The features (snippets, C), or (any number, C), as they are; raises UsageError where they are not that.

        Of pictures it is (snippets, H, W, C).
        """
        channels = max(last for _, last in self._declared(number).values())
        size, dtype = (("height", "width"), "uint8") if self.gives_pictures else ((), "float32")
        shape = getattr(features, "shape", None)
        if not shape or len(shape) != 2 + len(size) or shape[-1] != channels or snippets not in (None, shape[0]):
            found = f"a {type(features).__name__}" if shape is None else f"features of shape {tuple(shape)}"
            expected = ", ".join(map(str, ("any number" if snippets is None else snippets, *size, channels)))
            declared = f"snippets, channels of its `streams` {self.backbones[number].streams}"
            raise self._fault(number, f"gave {found}, expected ({expected}): {declared}")
        if features.dtype != dtype:
            raise self._fault(number, f"gave features of type {features.dtype}, expected {dtype}")
        return features

    def _fault(self, number: int, what: str) -> UsageError:
        return UsageError(f"backbone '{self._names[number]}', stream {self.backbones[number].stream}: {what}")

    @property
    def takes_snippets(self) -> bool:
        """Whether snippets of several videos may be encoded together, their features being gathered in memory.

        Otherwise `encode_video` encodes one video after the other.
        """
        return not self.gives_pictures and all(map(_takes_snippets, self.backbones))

    @property
    def gives_pictures(self) -> bool:
        """Whether features are pictures (H, W, C)."""
        return self.backbones[0].gives_pictures

    def is_seen(self, frame: int, wanted: FrameFormat) -> bool:
        """Whether features depend on what is seen at this frame (from 0) in this one of the `formats`."""
        formats = zip(self.formats, range(len(self.backbones)), strict=True)
        return any(self._looks_at(frame, number) for each, number in formats if each == wanted)

    def _looks_at(self, frame: int, number: int) -> bool:
        backbone = self.backbones[number]
        return not _takes_snippets(backbone) or self._windows.holds(frame, backbone.positions(self._windows))

    def rows(self, moments: Iterable[Moment], threads: Executor) -> Iterator[Row]:
        """Yield what each backbone sees of every moment that a snippet holds; flow is computed in `threads`.

        For moments between snippets earlier pictures stand in.
        """
        streams = [
            map(backbone.seen, self._stream(number, copy, threads))
            for number, (backbone, copy) in enumerate(
                zip(self.backbones, tee(moments, len(self.backbones)), strict=True)
            )
        ]
        return zip(*streams, strict=True)

    def _stream(self, number: int, moments: Iterable[Moment], threads: Executor) -> Iterator[Picture]:
        chosen = (moment[number] for moment in moments)
        flow = self._flows[number]
        return chosen if flow is None else fields(chosen, flow, threads, partial(self._looks_at, number=number))

    def encode(self, spans: Sequence[Span]) -> FeatureRows:
        """Features (len(spans), C) of at most `batch` snippets, whose pictures are of one size; in runs, of neighbours.

        Raises UsageError where the device has too little memory for them.
        """
        numbers = range(len(self.backbones))
        return np.concatenate([self._encode(n, [[row[n] for row in span] for span in spans]) for n in numbers], axis=-1)

    def _encode(self, number: int, spans: Sequence[list[Picture]]) -> FeatureRows:
        """The same of what one of the backbones sees of the snippets."""
        try:
            return self._encode_run(number, spans) if self.in_runs else self._encode_batch(number, spans)
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # torch's, which need not be imported here.
                raise
            raise UsageError(
                f"the device has too little memory for {self.batch} snippets at once: use a smaller --batch"
            ) from error

    def _encode_run(self, number: int, spans: Sequence[list[Picture]]) -> FeatureRows:
        pictures: list[Picture] = self._windows.merge_overlaps(spans)
        return self._checked(number, self.backbones[number].encode_run(np.stack(pictures), self._windows), len(spans))

    def _encode_batch(self, number: int, spans: Sequence[list[Picture]]) -> FeatureRows:
        filled = [*spans, *[spans[-1]] * (self.batch - len(spans))]
        snippets = np.stack([np.stack(span) for span in filled])  # (B, window, H, W[, 3 or 2])
        return self._checked(number, self.backbones[number].encode_snippets(snippets), len(filled))[: len(spans)]

    def encode_video(self, moments: Iterable[Moment], threads: Executor) -> Iterator[FeatureRows]:
        """Yield features (C,), or (H, W, C), of each snippet of a video; each backbone gets it as if it were alone."""
        columns = [self._rows(number, copy, threads) for number, copy in enumerate(tee(moments, len(self.backbones)))]
        # A column of another length raises its fault at its end, so that what stands in for its rows is never used.
        for row in zip_longest(*columns, fillvalue=np.empty(0, np.float32)):
            yield np.concatenate(row, axis=-1)

    def _rows(self, number: int, moments: Iterable[Moment], threads: Executor) -> Iterator[FeatureRows]:
        """Yield features (C,), or (H, W, C), of each snippet by one of the backbones."""
        backbone = self.backbones[number]
        pictures, given = 0, 0

        def counted() -> Iterator[Picture]:
            nonlocal pictures
            for picture in self._stream(number, moments, threads):
                pictures += 1
                yield picture

        remaining = counted()
        if _takes_snippets(backbone):
            encoded = self._in_pieces(number, remaining, threads)
        else:
            encoded = backbone.encode(remaining, self._windows, threads)
        for features in encoded:
            given += len(self._checked(number, features))
            yield from features
        for _ in remaining:  # It need not look at what comes after the last snippet.
            pass
        if pictures > self._windows.offset and given != (expected := self._windows.count(pictures)):
            raise self._fault(
                number, f"gave features of {given} snippets of a video of {pictures} pictures, expected {expected}"
            )

    def _in_pieces(self, number: int, pictures: Iterable[Picture], threads: Executor) -> Iterator[FeatureRows]:
        """Features (n, C) of each next n snippets, by a backbone that encodes each for itself."""
        backbone = self.backbones[number]
        size = backbone.run_length(self._windows) if self.in_runs else self.batch
        spans = self._windows.spans(map(backbone.seen, pictures))
        pieces = iter(lambda: list(islice(spans, size)), [])
        return parallel_map(threads, partial(self._encode, number), pieces, _PIECES_AHEAD)


def _takes_snippets(backbone: Backbone) -> bool:
    """Whether it encodes each snippet for itself, and not whole videos."""
    return type(backbone).encode_snippets is not Backbone.encode_snippets


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let torch and OpenCV compute with one thread each, where they are in use, while the block runs.

    How a sum is divided among threads can change its last digits; and threads that each encode a snippet of their own
    are faster than threads that share one.
    """
    restore: list[Callable[[], Any]] = []
    for name, get, put in (("torch", "get_num_threads", "set_num_threads"), ("cv2", "getNumThreads", "setNumThreads")):
        module: Any = sys.modules.get(name)
        if module is not None:
            before = getattr(module, get)()
            getattr(module, put)(1)
            restore.append(partial(getattr(module, put), before))
    try:
        yield
    finally:
        for call in restore:
            call()
