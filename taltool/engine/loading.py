"""From samples to batches of tensors: cropping, augmentation and collation.

What is random follows from (seed, epoch, position in the epoch) alone, so a run that was killed continues with the same
batches wherever it stopped, and worker threads change nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from taltool.data.records import Floats, Integers
from taltool.engine.dataset import LabelledVideo
from taltool.engine.division import Division
from taltool.engine.sampling import Sample, is_useful, moved, on_grid, whole_samples
from taltool.engine.source import FeatureSource, Matrix
from taltool.models.contract import Batch, Targets

T = TypeVar("T")
Instances = tuple[Floats, Integers]
NO_INSTANCES: Instances = (np.empty((0, 2)), np.empty(0, np.int64))


def collated(
    source: FeatureSource,
    samples: Sequence[Sample],
    instances: Sequence[Instances],
    length_multiple: int,
    rngs: Sequence[np.random.Generator] | None = None,
) -> Batch:
    """The batch of `samples` with their `instances` (seconds); `rngs`, one a sample, augment the features."""
    settings = source.settings
    longest = max(sample.count for sample in samples)
    length = settings.length if settings.resize == "window" else longest
    if settings.resize == "pad":
        length = -(-longest // length_multiple) * length_multiple
    width = source.width(samples[0].video_id)
    features = np.zeros((len(samples), length, width), np.float32)
    mask = np.zeros((len(samples), length), np.bool_)
    segments, labels = [], []
    for row, (sample, (seconds, numbers)) in enumerate(zip(samples, instances, strict=True)):
        values = source.read(sample.video_id, sample.first, sample.count)
        features[row, : sample.count] = values if rngs is None else augmented(values, source, rngs[row])
        mask[row, : sample.count] = True
        clipped, belongs, _ = on_grid(sample, seconds, settings.min_ioa)
        segments.append(torch.from_numpy(clipped[belongs].astype(np.float32)))
        labels.append(torch.from_numpy(numbers[belongs]))
    tensor = torch.from_numpy(features).transpose(1, 2).contiguous()  # (B, C, T)
    return Batch(tensor, torch.from_numpy(mask), Targets(segments, labels), [s.video_id for s in samples])


def augmented(values: Matrix, source: FeatureSource, rng: np.random.Generator) -> Matrix:
    """values (T, C) with the channel dropout and the noise that the settings ask for."""
    settings = source.settings
    if settings.feature_noise:
        noise = rng.standard_normal(values.shape, np.float32) * np.float32(settings.feature_noise)
        values = values + noise * source.deviation
    if settings.feature_dropout:
        kept = rng.random(values.shape[1]) >= settings.feature_dropout
        values = values * np.asarray(kept / (1 - settings.feature_dropout), np.float32)
    return values


class TrainingLoader:
    """The shuffled batches of each epoch over the training windows (or videos) of `videos`.

    division says which pieces of each batch are made here; by default every batch is one piece.
    """

    def __init__(
        self,
        source: FeatureSource,
        videos: Sequence[LabelledVideo],
        batch_size: int,
        length_multiple: int,
        seed: int,
        division: Division = Division(),
    ) -> None:
        self.division = division
        self.source, self.batch_size, self.length_multiple, self.seed = source, batch_size, length_multiple, seed
        self.instances = {video.video_id: (video.segments, video.labels) for video in videos}
        self.samples = labelled_samples(source, videos, source.settings.train_stride)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self.samples) // self.batch_size)

    def places(self, step: int) -> range:
        """Where the samples of the batch `step` stand in the order of the epoch."""
        return range(step * self.batch_size, min((step + 1) * self.batch_size, len(self.samples)))

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The pieces of the batches of `epoch`, from `first_step` on, in order."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.samples))
        pieces = (p for s in range(first_step, self.steps_per_epoch) for p in self.division.pieces(self.places(s)))
        made = (self._batch(epoch, order, piece.places) for piece in pieces)
        return made if self.source.fits_memory(self.instances) else prefetched(made)

    def _batch(self, epoch: int, order: Integers, places: range) -> Batch:
        settings = self.source.settings
        is_random = settings.jitter or settings.feature_dropout or settings.feature_noise or settings.resize == "pad"
        rngs = [np.random.default_rng([self.seed, epoch, place]) for place in places] if is_random else None
        samples = [self.samples[order[place]] for place in places]
        if rngs is not None:
            samples = [self._shifted(sample, rng) for sample, rng in zip(samples, rngs, strict=True)]
        instances = [self.instances[sample.video_id] for sample in samples]
        return collated(self.source, samples, instances, self.length_multiple, rngs)

    def _shifted(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample with its window shifted (jitter), or cropped at random (pad)."""
        settings, length = self.source.settings, self.source.length(sample.video_id)
        clock = self.source.clock(sample.video_id)
        if settings.resize == "window" and settings.jitter:
            shift = round(rng.uniform(-settings.jitter, settings.jitter))
            first = min(max(sample.first + shift, 0), length - sample.count)
            return moved(sample, first, sample.count, clock)
        if settings.resize == "pad" and length > settings.length:
            first = self._crop_start(sample.video_id, length, rng)
            return moved(sample, first, settings.length, clock)
        return sample

    def _crop_start(self, video_id: str, length: int, rng: np.random.Generator) -> int:
        """Where a random crop begins: anywhere, or, two times in three, so that it meets a random instance."""
        settings, (segments, _) = self.source.settings, self.instances[video_id]
        last = length - settings.length
        if not len(segments) or rng.random() < 1 / 3:
            return int(rng.integers(0, last + 1))
        centre = self.source.clock(video_id).grid(segments[rng.integers(len(segments))]).mean()
        return int(np.clip(centre - rng.uniform(0, settings.length), 0, last))


def labelled_samples(source: FeatureSource, videos: Iterable[LabelledVideo], stride: int) -> list[Sample]:
    """The samples of `videos` that are worth a loss."""
    settings, samples = source.settings, []
    for video in videos:
        every = whole_samples(
            video.video_id, source.length(video.video_id), source.clock(video.video_id), settings, stride
        )
        samples += [sample for sample in every if is_useful(sample, video.segments, settings)]
    return samples


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one being made in a thread while the last one is used."""
    with ThreadPoolExecutor(1) as pool:
        absent = object()
        upcoming = pool.submit(next, items, absent)
        while (item := upcoming.result()) is not absent:
            upcoming = pool.submit(next, items, absent)
            yield item  # type: ignore[misc]
