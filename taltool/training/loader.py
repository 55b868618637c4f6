"""The shuffled batches of a training: which samples each update sees, and who makes them."""

from collections.abc import Iterator, Sequence

import numpy as np

from taltool.data.prefetch import prefetch
from taltool.data.records import Integers
from taltool.experiment.augmentation import Example, augment, draw_share, mix_examples, shift_sample
from taltool.experiment.batches import SegmentsAndLabels, collate, labelled_samples, read_example
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.feature_source import FeatureSource
from taltool.experiment.windows import Sample
from taltool.models.contract import Batch
from taltool.training.loader_workers import Workers
from taltool.training.micro_batches import BatchPartition


class BatchMaker:
    """Makes any batch of a training from its place; can be sent to another process before its source is used."""

    def __init__(
        self,
        source: FeatureSource,
        samples: Sequence[Sample],
        instances: dict[str, SegmentsAndLabels],
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
        return collate(examples, settings, self.length_multiple)

    def _example(self, number: int, epoch: int, place: int) -> Example:
        settings, sample = self.source.settings, self.samples[number]
        if not settings.is_random:
            return self._shown(sample)
        rng = np.random.default_rng([self.seed, epoch, place])
        found = self._shown(self._shifted(sample, rng))
        if settings.mixup and len(self.samples) > 1:
            # Any other sample, not one of the batch: what is learnt must not depend on how batches are divided.
            other = (number + int(rng.integers(1, len(self.samples)))) % len(self.samples)
            found = mix_examples(
                found, self._shown(self._shifted(self.samples[other], rng)), draw_share(settings.mixup, rng)
            )
        return augment(found, self.source, rng)

    def _shifted(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return shift_sample(sample, self.instances[sample.video_id][0], self.source, rng)

    def _shown(self, sample: Sample) -> Example:
        return read_example(self.source, sample, self.instances[sample.video_id])


class TrainingLoader:
    """The shuffled batches of each epoch over the training windows (or videos) of `videos`.

    partition says which micro-batches are made here; by default every batch is one. With `workers`
    processes make them, which end with `close`.
    """

    def __init__(
        self,
        source: FeatureSource,
        videos: Sequence[LabelledVideo],
        batch_size: int,
        length_multiple: int,
        seed: int,
        partition: BatchPartition = BatchPartition(),
        workers: int = 0,
    ) -> None:
        self.source, self.batch_size, self.partition, self.workers = source, batch_size, partition, workers
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
        """The micro-batches of `epoch`, from `first_step` on, in order."""
        steps = range(first_step, self.steps_per_epoch)
        places = [
            (epoch, micro_batch.places)
            for step in steps
            for micro_batch in self.partition.micro_batches(self.places(step))
        ]
        if self.workers:
            self._running = self._running or self._started()
            return self._running.batches(places)
        made = (self.maker.make(*place) for place in places)
        return made if self.source.fits_memory(self.maker.instances) else prefetch(made)

    def close(self) -> None:
        """End the workers, if there are any."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _started(self) -> Workers:
        maker, source = self.maker, self.source.elsewhere()
        remote = BatchMaker(source, maker.samples, maker.instances, maker.length_multiple, maker.seed)
        return Workers(remote.make, source.file, self.workers)
