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
from itertools import tee
from operator import index
from typing import Any

import numpy as np

from taltool.backbones.contract import Backbone
from taltool.data.records import FeatureArray
from taltool.errors import UsageError
from taltool.video.flow import Flow, FlowSettings, fields
from taltool.video.frames import FrameFormat, Picture
from taltool.video.snippet_windows import SnippetWindows

# What a snippet sees of one moment: a picture per stream.
Row = tuple[Picture, ...]
# What is decoded for that: the same, but a pair of neighbouring pictures for a stream of flow.
Moment = tuple[Any, ...]
Span = list[Row]


class Encoder:
    """Encodes with one backbone per stream, whose features stand side by side in this order.

    batch is the number of snippets, of any videos, that are encoded at once; 0 = runs of consecutive snippets of one
    video, as long as the backbones share work between them. name is what they are registered under, for errors. Raises
    UsageError where the backbones cannot be joined, or take no such snippets; and later where the features that one
    gives are not what its `streams` say.
    """

    def __init__(
        self,
        backbones: Sequence[Backbone],
        flow: FlowSettings,
        windows: SnippetWindows,
        batch: int,
        name: str | None = None,
    ) -> None:
        self.backbones, self._windows, self._name = list(backbones), windows, name
        for backbone in backbones:
            backbone.check(windows)
        self.in_runs = batch == 0
        self.batch = batch or min(backbone.run_length(windows) for backbone in backbones)
        flows = [each for each in self.backbones if each.stream == "flow"]
        self._flow = Flow(flow, flows[0].flow_bound) if flows else None
        if len(self.backbones) > 1 and not self.takes_snippets:
            raise UsageError("--stream both: this backbone sees whole videos; extract one stream after the other")

    @property
    def formats(self) -> tuple[FrameFormat, ...]:
        """What to decode for each stream; flow is measured between neighbours at the video's own rate."""
        return tuple(
            replace(each.frame_format, pixels="gray", paired=True) if each.stream == "flow" else each.frame_format
            for each in self.backbones
        )

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        """The channels [first, last) of each stream; raises UsageError where backbones declare none that can be."""
        ranges: dict[str, tuple[int, int]] = {}
        offset = 0
        for backbone in self.backbones:
            declared = self._declared(backbone)
            if taken := ranges.keys() & declared.keys():
                raise self._fault(backbone, f"the stream before it has features named '{min(taken)}' too")
            ranges |= {name: (first + offset, last + offset) for name, (first, last) in declared.items()}
            offset = max(last for _, last in ranges.values())
        return ranges

    def _declared(self, backbone: Backbone) -> dict[str, tuple[int, int]]:
        """Its `streams`, which stand one after the other; raises UsageError where they do not."""
        said = backbone.streams
        try:
            streams = {str(name): (index(first), index(last)) for name, (first, last) in said.items()}
        except (AttributeError, TypeError, ValueError):
            streams = {}
        ranges = sorted(streams.values())
        is_whole = [first for first, _ in ranges] == [0, *(last for _, last in ranges)][:-1]
        if not (streams and is_whole and all(first < last for first, last in ranges)):
            expected = "expected {NAME: (first, last)}, the first from 0 on, each other from the last of the one before"
            raise self._fault(backbone, f"its `streams` are {said!r}, {expected}")
        return streams

    def _checked(self, backbone: Backbone, features: FeatureArray, snippets: int | None = None) -> FeatureArray:
        """The features (snippets, C), or (any number, C), as they are; raises UsageError where they are not that."""
        channels = max(last for _, last in self._declared(backbone).values())
        shape = getattr(features, "shape", None)
        if shape is None or len(shape) != 2 or shape[1] != channels or snippets not in (None, shape[0]):
            found = f"a {type(features).__name__}" if shape is None else f"features of shape {tuple(shape)}"
            expected = f"({'any number' if snippets is None else snippets}, {channels})"
            raise self._fault(
                backbone, f"gave {found}, expected {expected}: snippets, channels of its `streams` {backbone.streams}"
            )
        if features.dtype != np.float32:
            raise self._fault(backbone, f"gave features of type {features.dtype}, expected float32")
        return features

    def _fault(self, backbone: Backbone, what: str) -> UsageError:
        return UsageError(f"backbone '{self._name or type(backbone).__name__}', stream {backbone.stream}: {what}")

    @property
    def takes_snippets(self) -> bool:
        """Whether snippets are encoded each for itself; otherwise `encode_video` shares work between those of one."""
        return all(type(each).encode_snippets is not Backbone.encode_snippets for each in self.backbones)

    def is_seen(self, frame: int) -> bool:
        """Whether features depend on what is seen at this frame (from 0)."""
        return not self.takes_snippets or self._windows.holds(frame)

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
        if self._flow is None or self.backbones[number].stream != "flow":
            return chosen
        return fields(chosen, self._flow, threads, self.is_seen)

    def encode(self, spans: Sequence[Span]) -> FeatureArray:
        """Features (len(spans), C) of at most `batch` snippets, whose pictures are of one size; in runs, of neighbours.

        Raises UsageError where the device has too little memory for them.
        """
        encode = self._encode_run if self.in_runs else self._encode_batch
        try:
            return np.concatenate(encode(spans), axis=1)
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # torch's, which need not be imported here.
                raise
            raise UsageError(
                f"the device has too little memory for {self.batch} snippets at once: use a smaller --batch"
            ) from error

    def _encode_run(self, spans: Sequence[Span]) -> list[FeatureArray]:
        pictures = zip(*self._windows.merge_overlaps(spans), strict=True)
        return [
            self._checked(backbone, backbone.encode_run(np.stack(of_stream), self._windows), len(spans))
            for backbone, of_stream in zip(self.backbones, pictures, strict=True)
        ]

    def _encode_batch(self, spans: Sequence[Span]) -> list[FeatureArray]:
        filled = [*spans, *[spans[-1]] * (self.batch - len(spans))]
        features = []
        for number, backbone in enumerate(self.backbones):
            pictures = np.stack([row[number] for span in filled for row in span])
            snippets = pictures.reshape(len(filled), -1, *pictures.shape[1:])  # (B, window, H, W[, 3 or 2])
            features.append(self._checked(backbone, backbone.encode_snippets(snippets), len(filled))[: len(spans)])
        return features

    def encode_video(self, moments: Iterable[Moment], threads: Executor) -> Iterator[FeatureArray]:
        """Yield features (n, C) of each next n snippets of a video, by a backbone that shares work between them."""
        [backbone] = self.backbones
        number, given = 0, 0

        def counted() -> Iterator[Picture]:
            nonlocal number
            for picture in self._stream(0, moments, threads):
                number += 1
                yield picture

        remaining = counted()
        for features in backbone.encode(remaining, self._windows, threads):
            given += len(self._checked(backbone, features))
            yield features
        for _ in remaining:  # It need not look at what comes after the last snippet.
            pass
        if number > self._windows.offset and given != (expected := self._windows.count(number)):
            raise self._fault(
                backbone, f"gave features of {given} snippets of a video of {number} pictures, expected {expected}"
            )


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
