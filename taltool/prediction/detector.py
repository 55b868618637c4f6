"""Networks over whole videos: windows in, scored segments in seconds out, one video after the other.

Batches run across videos, so small ones do not leave the processor idle; a video is done when its last window is. Which
windows share a batch changes sums by rounding only: scores differ by float noise between batch sizes, never by more.
"""

import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from taltool.data.hdf5_features import FeatureFile
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.experiment.batches import NO_INSTANCES, read_batch
from taltool.experiment.checkpoint import Checkpoint
from taltool.experiment.feature_source import FeatureSource
from taltool.experiment.settings import PredictionSettings
from taltool.experiment.windows import Sample, cut_samples
from taltool.models.contract import Batch, Candidates, Model, Outputs
from taltool.prediction.oracle import Oracle
from taltool.reporting import Reporter

# The clock of the features may differ by this factor from the training's before it is worth a warning.
_CLOCK_TOLERANCE = 1.25


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


@dataclass
class _Pending:
    """What the windows of one video have given so far."""

    video_id: str
    parts: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64] | None]] = field(default_factory=list)
    failure: VideoFailure | None = None


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

    def predict(self, video_ids: Iterable[str], batch_size: int) -> Iterator[VideoProposals | VideoFailure]:
        """The proposals of each video, in the order given, unsuppressed.

        A failure where its features cannot be read, and where what the networks make of them is not finite.
        """
        pending: dict[str, _Pending] = {}
        for chunk in _chunks(self._samples(video_ids), batch_size):
            readable = self._read(chunk, pending)
            every = self._candidates([batch for _, batch in readable])
            for (sample, _), (found, not_finite) in zip(readable, every, strict=True):
                video = pending[sample.video_id]
                if not_finite:
                    video.failure = self._failure(sample, f"the network's {', '.join(not_finite)} are not finite")
                else:
                    video.parts.append(self._in_seconds(sample, found))
            for sample, is_last in chunk:
                if is_last:
                    yield self._finished(pending.pop(sample.video_id))

    def _samples(self, video_ids: Iterable[str]) -> Iterator[tuple[Sample, bool]]:
        """Every sample of every video, and whether it is the last of its video."""
        source = self.first.source
        for video_id in video_ids:
            length, clock = source.length(video_id), source.clock(video_id)
            samples = cut_samples(video_id, length, clock, source.settings, source.settings.test_stride)
            for sample in samples:
                yield sample, sample is samples[-1]

    def _read(
        self, chunk: Sequence[tuple[Sample, bool]], pending: dict[str, _Pending]
    ) -> list[tuple[Sample, list[Batch]]]:
        """The samples of a chunk with their features for each member, those of broken videos left out."""
        readable = []
        for sample, _ in chunk:
            video = pending.setdefault(sample.video_id, _Pending(sample.video_id))
            if video.failure is None:
                try:
                    readable.append((sample, [self._batch(member, sample) for member in self.members]))
                except DataError as error:
                    video.failure = VideoFailure(sample.video_id, str(error))
                except Exception as error:
                    video.failure = self._failure(sample, f"{type(error).__name__}: {error}", traceback.format_exc())
        return readable

    def _failure(self, sample: Sample, reason: str, trace: str = "") -> VideoFailure:
        where = f"{self.first.source.file.path}: video '{sample.video_id}'"
        return VideoFailure(sample.video_id, f"{where}: {reason}", trace)

    def _batch(self, member: Member, sample: Sample) -> Batch:
        known = NO_INSTANCES if self.oracle is None else self.oracle.instances[sample.video_id]
        return read_batch(member.source, [sample], [known], member.model.length_multiple)

    def _candidates(self, batches: Sequence[list[Batch]]) -> list[tuple[Candidates, list[str]]]:
        """The candidates of each sample, and the names of what is not finite in it or in the outputs behind it.

        batches[i][k] is sample i as member k sees it.
        """
        if not batches:
            return []
        with torch.inference_mode():
            outputs: list[Outputs] = []
            for number, member in enumerate(self.members):
                features, mask = _stacked([each[number] for each in batches])
                mask = mask.to(self.device)
                outputs.append(member.model(features.to(self.device), mask))
            merged = outputs[0] if len(outputs) == 1 else self.first.model.average(outputs)
            if self.oracle is not None:
                merged = self.oracle.outputs(self.first.model, merged, [each[0].targets for each in batches])
            candidates = self.first.model.decode(merged, mask)
            return [(found, _not_finite(merged, row, len(mask), found)) for row, found in enumerate(candidates)]

    def _in_seconds(
        self, sample: Sample, found: Candidates
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64] | None]:
        """The candidates of a window that pass the floor: segments (N, 2) seconds, scores (N,), labels (N,)."""
        keep = found.scores > self.settings.min_score
        segments = sample.clock.clipped_seconds(found.segments[keep].double().cpu().numpy())
        labels = None if found.labels is None else found.labels[keep].cpu().numpy()
        return segments, found.scores[keep].double().cpu().numpy(), labels

    def _finished(self, video: _Pending) -> VideoProposals | VideoFailure:
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
    file: FeatureFile,
    settings: PredictionSettings,
    device: str,
    cache_bytes: int,
    oracle: Oracle | None = None,
) -> Detector:
    """The detector that averages `checkpoints` over `file`.

    Raises UsageError where they do not share model, classes and grid.
    """
    first = checkpoints[0]
    for other in checkpoints[1:]:
        for what, own, theirs in _shared_facts(first, other):
            if own != theirs:
                raise UsageError(f"{other.path} and {first.path} cannot be averaged: {what} {theirs} against {own}")
    members = [
        Member(each.model, FeatureSource(file, each.experiment.sampling, each.statistics, cache_bytes))
        for each in checkpoints
    ]
    return Detector(members, first.header.classes, settings, device, oracle)


def check_features(
    checkpoints: Sequence[Checkpoint], detector: Detector, video_ids: Sequence[str], reporter: Reporter
) -> None:
    """Compare the features with what the networks were trained on.

    Raises DataError for another number of channels; warns where the snippets lie farther apart or closer together.
    """
    for checkpoint, member in zip(checkpoints, detector.members, strict=True):
        for video_id in video_ids:
            width, expected = member.source.width(video_id), checkpoint.header.channels
            if width != expected:
                raise DataError(
                    f"{member.source.file.path}: video '{video_id}' has {width} channels, {checkpoint.path} was "
                    f"trained on {expected}; extract with the same backbone and streams"
                )
    trained = checkpoints[0].header.clock.get("seconds_per_snippet")
    source = detector.first.source
    if trained is None or source.settings.resize == "rescale" or not video_ids:
        return
    found = float(np.median([source.clock(video_id).seconds_per_snippet for video_id in video_ids]))
    if not 1 / _CLOCK_TOLERANCE <= found / trained <= _CLOCK_TOLERANCE:
        reporter.warn(
            f"{source.file.path}: snippets are {found:.4g} s apart, {checkpoints[0].path} was trained on "
            f"{trained:.4g} s; expect worse detections, or extract with the same --fps and --stride"
        )


def _shared_facts(first: Checkpoint, other: Checkpoint) -> list[tuple[str, object, object]]:
    own, theirs = first.experiment.sampling, other.experiment.sampling
    return [
        ("model", first.header.model, other.header.model),
        ("classes", first.header.classes, other.header.classes),
        ("length", first.header.length, other.header.length),
        ("sampling.resize", own.resize, theirs.resize),
        ("sampling.length", own.length, theirs.length),
        ("sampling.test_stride", own.test_stride, theirs.test_stride),
    ]


def _stacked(batches: Sequence[Batch]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, C, T) and mask (B, T) of single-sample batches, padded to the longest."""
    longest = max(batch.mask.shape[1] for batch in batches)
    rows, width = len(batches), batches[0].features.shape[1]
    features, mask = torch.zeros(rows, width, longest), torch.zeros(rows, longest, dtype=torch.bool)
    for row, batch in enumerate(batches):
        length = batch.mask.shape[1]
        features[row, :, :length], mask[row, :length] = batch.features[0], batch.mask[0]
    return features, mask


def _not_finite(outputs: Outputs, row: int, rows: int, found: Candidates) -> list[str]:
    """What is not finite of a sample: the names of such outputs, and of what was decoded from them.

    Candidates do not tell it alone: NaN is not above a threshold, so decoding drops it without a word.
    """
    # What does not begin with the samples describes the grid of all.
    own = {name: value[row] if value.shape[:1] == (rows,) else value for name, value in outputs.items()}
    named = own | {"segments": found.segments, "scores": found.scores}
    return [name for name, value in named.items() if not value.isfinite().all()]


def _chunks(items: Iterable[tuple[Sample, bool]], size: int) -> Iterator[list[tuple[Sample, bool]]]:
    chunk = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
