"""Networks over whole videos: windows in, scored segments in seconds out, one video after the other.

Which windows share a batch changes sums by rounding: scores differ by float noise between batch sizes, never by more.
On a processor a batch is of one video, so that what is found in a video depends on no other: the same digits for a
file, a part of it, and the video alone. Elsewhere batches run across videos, or small ones would leave a GPU idle.
"""

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from taltool.data.hdf5_features import FeatureFile
from taltool.data.memory_features import MemoryFeatures
from taltool.data.records import Floats, Integers, LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.experiment.batches import NO_INSTANCES, Example, SegmentsAndLabels, collate, read_example
from taltool.experiment.checkpoint import Checkpoint
from taltool.experiment.frames import FrameSource
from taltool.experiment.sampling import FeatureSource, Sample, StretchedSource, cut_samples
from taltool.experiment.settings import PredictionSettings
from taltool.models.contract import Candidates, Model, Outputs, Timeline

# Windows of features that the networks see at once.
_WINDOWS = 8
# Candidates that end so close to the edge of a window, in snippets, are cut by it: nothing shows more of them.
CUT = 0.5


@dataclass(frozen=True)
class VideoFailure:
    """A video that could not be predicted, and why; the traceback of an error that nobody foresaw."""

    video_id: str
    reason: str
    traceback: str = ""


@dataclass(frozen=True, eq=False)
class Member:
    """One network of a detector with its own view of the features (streams, normalisation)."""

    model: Model
    source: FeatureSource


@dataclass(frozen=True, eq=False)
class Oracle:
    """Ground truth in place of some of a network's answers: what a perfect part of it would bring.

    answers are some of `Model.oracles`; they are taken from the instances of each video id: segments (M, 2) in seconds,
    and labels (M,) by the network's numbers.
    """

    answers: tuple[str, ...]
    instances: Mapping[str, SegmentsAndLabels]


class Window(NamedTuple):
    """A sample of a video in one of its forms: 0 is the video as it is, others are `time_stretches`."""

    form: int
    sample: Sample


@dataclass
class _Video:
    """What the samples of one video have given so far: segments (N, 2) in seconds, scores (N,), and labels (N,).

    timelines: of the video as it is, and of each of its stretched forms, where windows are averaged.
    """

    video_id: str
    windows: list[Window]
    parts: list[tuple[Floats, Floats, Integers | None]] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    failure: VideoFailure | None = None


# A window of a video, and what each network sees of it.
Row = tuple[_Video, Window, list[Example]]


class Detector:
    """Networks of one kind, averaged, that turn features into detections of `classes`.

    oracle, if there is one, puts ground truth in place of some of their answers.
    """

    def __init__(
        self,
        members: Sequence[Member],
        classes: Sequence[str],
        settings: PredictionSettings,
        device: str = "cpu",
        oracle: Oracle | None = None,
    ) -> None:
        self.members, self.names, self.settings, self.device = members, LabelVocabulary(classes), settings, device
        self.first, self.oracle = members[0], oracle
        # Of each network, what it sees of the forms of a video.
        self._sources = [
            [each.source, *(StretchedSource(each.source, factor) for factor in settings.time_stretches)]
            for each in members
        ]

    @property
    def usual_batch_size(self) -> int:
        """Samples that the networks see at once: clips of frames fill memory and processor one by one."""
        return 1 if isinstance(self.first.source, FrameSource) else _WINDOWS

    def predict(self, video_ids: Iterable[str], batch_size: int) -> Iterator[VideoProposals | VideoFailure]:
        """The proposals of each video, in the order given, unsuppressed.

        A failure where its features cannot be read, and where what the networks make of them is not finite.
        """
        model = self.first.model
        for chunk in self._batches(video_ids, batch_size):
            readable = self._read(chunk)
            if readable:
                outputs: list[Outputs] = []
                with torch.inference_mode():
                    for number, member in enumerate(self.members):
                        shown = [examples[number] for *_, examples in readable]
                        batch = collate(shown, member.source.settings, member.model.length_multiple)
                        mask = batch.mask.to(self.device)
                        outputs.append(member.model(batch.features.to(self.device), mask))
                    merged = outputs[0] if len(outputs) == 1 else model.average(outputs)
                    if self.oracle is not None:
                        merged = model.with_truth(merged, batch.targets, self.oracle.answers)
                    if self.settings.average_windows:
                        self._average(readable, merged, mask)
                    else:
                        self._decode(readable, merged, mask)
            for video, window in chunk:
                if window is video.windows[-1]:
                    yield self._finished(video)

    def _batches(self, video_ids: Iterable[str], batch_size: int) -> Iterator[list[tuple[_Video, Window]]]:
        """Every sample of every video, so many at a time."""
        videos = map(self._windows, video_ids)
        for windows in videos if self.device.startswith("cpu") else [chain.from_iterable(videos)]:
            while batch := list(islice(windows, batch_size)):
                yield batch

    def _windows(self, video_id: str) -> Iterator[tuple[_Video, Window]]:
        """Every window of a video, in one form after the other."""
        windows = []
        for form, source in enumerate(self._sources[0]):
            settings, clock = source.settings, source.clock(video_id)
            samples = cut_samples(video_id, source.length(video_id), clock, settings, settings.test_stride)
            windows += [Window(form, sample) for sample in samples]
        video = _Video(video_id, windows)
        for window in windows:
            yield video, window

    def _read(self, chunk: Sequence[tuple[_Video, Window]]) -> list[Row]:
        """The windows with what each member sees of them, those of broken videos left out."""
        readable = []
        for video, window in chunk:
            if video.failure is None:
                known = NO_INSTANCES if self.oracle is None else self.oracle.instances[video.video_id]
                try:
                    examples = [read_example(own[window.form], window.sample, known) for own in self._sources]
                except DataError as error:
                    video.failure = VideoFailure(video.video_id, str(error))
                except Exception as error:
                    reason = f"{type(error).__name__}: {error}"
                    video.failure = self._failure(video.video_id, reason, traceback.format_exc())
                else:
                    readable.append((video, window, examples))
        return readable

    def _failure(self, video_id: str, reason: str, trace: str = "") -> VideoFailure:
        return VideoFailure(video_id, f"{self.first.source.file.where(video_id)}: {reason}", trace)

    def _decode(self, rows: Sequence[Row], outputs: Outputs, mask: Tensor) -> None:
        """Add the candidates of these windows to those of their videos."""
        for row, found in enumerate(self.first.model.decode(outputs, mask)):
            video, (_, sample), _ = rows[row]
            decoded = {"segments": found.segments, "scores": found.scores}
            if self._is_finite(video, _of_sample(outputs, row, len(mask)) | decoded):
                factors = self._cut_factors(video, sample, found.segments)
                self._keep(video, sample, found._replace(scores=found.scores * factors))

    def _average(self, rows: Sequence[Row], outputs: Outputs, mask: Tensor) -> None:
        """Add the outputs of these windows to the timelines of their videos; whole videos are decoded."""
        for row, (video, window, _) in enumerate(rows):
            if not self._is_finite(video, _of_sample(outputs, row, len(mask))):
                continue
            sources, sample = self._sources[0], window.sample
            if window.form == len(video.timelines):
                length = sources[window.form].length(video.video_id)
                video.timelines.append(self.first.model.timeline(length, mask.device))
            video.timelines[window.form].add(outputs, row, sample.first, sample.count)
            if window is video.windows[-1]:
                whole = Sample(video.video_id, 0, sources[0].length(video.video_id), sources[0].clock(video.video_id))
                own, *others = video.timelines
                self._keep(video, whole, own.candidates(others))

    def _is_finite(self, video: _Video, tensors: Outputs) -> bool:
        """Whether a window's own tensors are finite; else its video has failed.

        Candidates do not tell it alone: NaN is not above a threshold, so decoding drops it without a word.
        """
        wrong = [name for name, value in tensors.items() if not value.isfinite().all()]
        if wrong:
            video.failure = self._failure(video.video_id, f"the network's {', '.join(wrong)} are not finite")
        return video.failure is None

    def _keep(self, video: _Video, sample: Sample, found: Candidates) -> None:
        """Add the candidates of a sample that pass the floor to those of its video."""
        keep = found.scores > self.settings.min_score
        segments = sample.clock.clipped_seconds(found.segments[keep].double().cpu().numpy())
        labels = None if found.labels is None else found.labels[keep].cpu().numpy()
        video.parts.append((segments, found.scores[keep].double().cpu().numpy(), labels))

    def _cut_factors(self, video: _Video, sample: Sample, segments: Tensor) -> Tensor | float:
        """By what the scores of a window's candidates (N, 2) are multiplied, for where the window cuts the action.

        That is `cut_factor` for those that begin or end where the window does, or less than half a snippet from
        there, while the video goes on.
        """
        if self.settings.cut_factor == 1 or len(video.windows) == 1:
            return 1.0
        ordered = segments.sort(dim=1).values
        is_cut = torch.zeros(len(segments), dtype=torch.bool, device=segments.device)
        if sample is not video.windows[0].sample:
            is_cut |= ordered[:, 0] < CUT
        if sample is not video.windows[-1].sample:
            is_cut |= ordered[:, 1] > sample.count - CUT
        return torch.where(is_cut, self.settings.cut_factor, 1.0)

    def _finished(self, video: _Video) -> VideoProposals | VideoFailure:
        if video.failure is not None:
            return video.failure
        segments = np.concatenate([part[0] for part in video.parts])
        scores = np.concatenate([part[1] for part in video.parts])
        numbered = [part[2] for part in video.parts if part[2] is not None]
        labels = np.concatenate(numbered) if numbered else None
        duration = self.first.source.clock(video.video_id).duration
        names = self.names if labels is not None else LabelVocabulary()
        ordered = np.sort(segments, axis=1)  # a network may give a segment of negative length; it becomes its mirror
        proposals = VideoProposals(video.video_id, ordered, scores, labels, names, duration)
        if self.settings.top_k and len(proposals) > self.settings.top_k:
            return proposals.take(proposals.ranking()[: self.settings.top_k])
        return proposals


def make_detector(
    checkpoints: Sequence[Checkpoint],
    file: FeatureFile | MemoryFeatures,
    settings: PredictionSettings,
    device: str,
    cache_bytes: int,
    oracle: Oracle | None = None,
) -> Detector:
    """The detector that averages `checkpoints` over `file`.

    Raises UsageError where they do not share model, classes and grid.
    """
    first, *others = checkpoints
    sampling = first.experiment.sampling
    for other in others:
        for what, own, theirs in (
            ("model", first.header.model, other.header.model),
            ("classes", first.header.classes, other.header.classes),
            ("length", first.header.length, other.header.length),
            ("sampling.resize", sampling.resize, other.experiment.sampling.resize),
            ("sampling.length", sampling.length, other.experiment.sampling.length),
            ("sampling.window_seconds", sampling.window_seconds, other.experiment.sampling.window_seconds),
            ("sampling.test_stride", sampling.test_stride, other.experiment.sampling.test_stride),
        ):
            if own != theirs:
                raise UsageError(f"{other.path} and {first.path} cannot be averaged: {what} {theirs} against {own}")
    members = [Member(each.model, each.source(file, cache_bytes)) for each in checkpoints]
    return Detector(members, first.header.classes, settings, device, oracle)


def _of_sample(outputs: Outputs, row: int, rows: int) -> Outputs:
    """The outputs of the sample `row`; what does not begin with the samples describes the grid of all."""
    return {name: value[row] if value.shape[:1] == (rows,) else value for name, value in outputs.items()}
