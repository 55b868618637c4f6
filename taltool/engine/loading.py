"""From samples to batches of tensors: what is read, augmented and put together for each place of an epoch.

What is random follows from (seed, epoch, place in the epoch) alone, so a run that was killed continues with the same
batches wherever it stopped, and it does not matter in which thread or process a batch is made.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from taltool.data.records import Floats, Integers
from taltool.engine.augmentation import Example, augmented, mixed, share, shifted
from taltool.engine.dataset import LabelledVideo
from taltool.engine.division import Division
from taltool.engine.feeding import Workers, prefetched
from taltool.engine.sampling import Sample, is_useful, on_grid, whole_samples
from taltool.engine.settings import SamplingSettings
from taltool.engine.source import FeatureSource
from taltool.models.contract import Batch, Targets

Instances = tuple[Floats, Integers]
NO_INSTANCES: Instances = (np.empty((0, 2)), np.empty(0, np.int64))


def collated(
    source: FeatureSource, samples: Sequence[Sample], instances: Sequence[Instances], length_multiple: int
) -> Batch:
    """The batch of `samples` with their `instances` (seconds)."""
    examples = [example(source, sample, own) for sample, own in zip(samples, instances, strict=True)]
    return stacked(examples, source.settings, length_multiple)


def example(source: FeatureSource, sample: Sample, instances: Instances) -> Example:
    """What a sample shows: its features, and those of the `instances` (seconds) that belong to it."""
    seconds, labels = instances
    clipped, belongs, _ = on_grid(sample, seconds, source.settings.min_ioa)
    values = source.read(sample.video_id, sample.first, sample.count)
    return Example(sample.video_id, values, clipped[belongs], labels[belongs])


def stacked(examples: Sequence[Example], settings: SamplingSettings, length_multiple: int) -> Batch:
    """The batch of these examples, zero where they are shorter than it."""
    longest = max(len(each.values) for each in examples)
    length = settings.length if settings.resize == "window" else longest
    if settings.resize == "pad":
        length = -(-longest // length_multiple) * length_multiple
    features = torch.zeros(len(examples), examples[0].values.shape[1], length)
    mask = torch.zeros(len(examples), length, dtype=torch.bool)
    for row, each in enumerate(examples):
        features[row, :, : len(each.values)] = torch.from_numpy(each.values).T
        mask[row, : len(each.values)] = True
    segments = [torch.from_numpy(each.segments.astype(np.float32)) for each in examples]
    targets = Targets(segments, [torch.from_numpy(each.labels) for each in examples])
    return Batch(features, mask, targets, [each.video_id for each in examples])


class BatchMaker:
    """Makes any batch of a training from its place; can be sent to another process before its source is used."""

    def __init__(
        self,
        source: FeatureSource,
        samples: Sequence[Sample],
        instances: dict[str, Instances],
        length_multiple: int,
        seed: int,
    ) -> None:
        self.source, self.samples, self.instances = source, samples, instances
        self.length_multiple, self.seed = length_multiple, seed
        self._order: tuple[int, Integers] | None = None  # That of the last epoch asked for.

    def make(self, epoch: int, places: range) -> Batch:
        """The batch of the samples at these places of an epoch's order."""
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.samples))
        order, settings = self._order[1], self.source.settings
        examples = [self._example(int(order[place]), epoch, place) for place in places]
        return stacked(examples, settings, self.length_multiple)

    def _example(self, number: int, epoch: int, place: int) -> Example:
        settings, sample = self.source.settings, self.samples[number]
        if not settings.is_random:
            return self._shown(sample)
        rng = np.random.default_rng([self.seed, epoch, place])
        found = self._shown(self._shifted(sample, rng))
        if settings.mixup and len(self.samples) > 1:
            # Any other sample, not one of the batch: what is learnt must not depend on how batches are divided.
            other = (number + int(rng.integers(1, len(self.samples)))) % len(self.samples)
            found = mixed(found, self._shown(self._shifted(self.samples[other], rng)), share(settings.mixup, rng))
        return augmented(found, self.source, rng)

    def _shifted(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return shifted(sample, self.instances[sample.video_id][0], self.source, rng)

    def _shown(self, sample: Sample) -> Example:
        return example(self.source, sample, self.instances[sample.video_id])


class TrainingLoader:
    """The shuffled batches of each epoch over the training windows (or videos) of `videos`.

    division says which pieces of each batch are made here; by default every batch is one piece. With `workers`
    processes make them, which end with `close`.
    """

    def __init__(
        self,
        source: FeatureSource,
        videos: Sequence[LabelledVideo],
        batch_size: int,
        length_multiple: int,
        seed: int,
        division: Division = Division(),
        workers: int = 0,
    ) -> None:
        self.source, self.batch_size, self.division, self.workers = source, batch_size, division, workers
        instances = {video.video_id: (video.segments, video.labels) for video in videos}
        self.samples = labelled_samples(source, videos, source.settings.train_stride)
        self.maker = BatchMaker(source, self.samples, instances, length_multiple, seed)
        self._running: Workers | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self.samples) // self.batch_size)

    def places(self, step: int) -> range:
        """Where the samples of the batch `step` stand in the order of the epoch."""
        return range(step * self.batch_size, min((step + 1) * self.batch_size, len(self.samples)))

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The pieces of the batches of `epoch`, from `first_step` on, in order."""
        steps = range(first_step, self.steps_per_epoch)
        places = [(epoch, piece.places) for step in steps for piece in self.division.pieces(self.places(step))]
        if self.workers:
            self._running = self._running or self._started()
            return self._running.batches(places)
        made = (self.maker.make(*place) for place in places)
        return made if self.source.fits_memory(self.maker.instances) else prefetched(made)

    def close(self) -> None:
        """End the workers, if there are any."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _started(self) -> Workers:
        maker, source = self.maker, self.source.elsewhere()
        remote = BatchMaker(source, maker.samples, maker.instances, maker.length_multiple, maker.seed)
        return Workers(remote.make, source.file, self.workers)


def labelled_samples(source: FeatureSource, videos: Iterable[LabelledVideo], stride: int) -> list[Sample]:
    """The samples of `videos` that are worth a loss."""
    settings, samples = source.settings, []
    for video in videos:
        every = whole_samples(
            video.video_id, source.length(video.video_id), source.clock(video.video_id), settings, stride
        )
        samples += [sample for sample in every if is_useful(sample, video.segments, settings)]
    return samples
