"""The shuffled batches of a training: which samples each update sees, and who makes them.

A batch follows from its place in the training alone, so it is the same whoever makes it: this thread, one that reads
ahead, or worker processes. A worker opens the feature file for itself, for an HDF5 handle cannot be shared, and hands
the features of a batch over in shared memory.
"""

import copy
import functools
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import torch
import torch.multiprocessing  # Teaches connections to hand tensors over in shared memory.
from torch import Tensor

from taltool.data.concurrency import parallel_map, prefetch, process_pool
from taltool.data.records import Integers
from taltool.errors import PartialFailure, UsageError
from taltool.experiment.batches import (
    Example,
    SegmentsAndLabels,
    augment,
    collate,
    draw_share,
    labelled_samples,
    mix_examples,
    read_example,
    resample_example,
    shift_sample,
    stretch_sample,
)
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.frames import FrameSource
from taltool.experiment.sampling import FeatureSource, Sample
from taltool.models.contract import Batch, Targets
from taltool.training.micro_batches import BatchPartition

# Epoch, and the places of the samples in its order.
Place = tuple[int, range]
# Batches that each worker is asked for before they are used.
_AHEAD = 2


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
        examples = []
        for place in places:
            rng = np.random.default_rng([self.seed, epoch, place])
            examples.append(self._example(int(self._order[1][place]), rng))
        return collate(examples, self.source.settings, self.length_multiple)

    def _example(self, number: int, rng: np.random.Generator) -> Example:
        """What sample `number` shows this time."""
        source, found = self.source, self._shown(number, rng)
        if source.settings.mixup and len(self.samples) > 1:
            # Any other sample, not one of the batch: what is learnt must not depend on how batches are divided.
            other = (number + int(rng.integers(1, len(self.samples)))) % len(self.samples)
            found = mix_examples(found, self._shown(other, rng), draw_share(source.settings.mixup, rng))
        return augment(found, source, rng)

    def _shown(self, number: int, rng: np.random.Generator) -> Example:
        """What sample `number` shows from where it begins this time, as fast as it passes this time."""
        source, sample = self.source, self.samples[number]
        instances = self.instances[sample.video_id]
        sample = shift_sample(sample, instances[0], source, rng)
        if source.settings.time_stretch == 1:
            return read_example(source, sample, instances, rng)
        sample, positions = stretch_sample(sample, source, rng)
        return resample_example(read_example(source, sample, instances, rng), positions)


class Workers:
    """`count` processes that make batches ahead by `maker`, whose feature file is not yet open."""

    def __init__(self, maker: BatchMaker, count: int) -> None:
        self._pool = process_pool(count, _prepare, maker)
        self._ahead = _AHEAD * count

    def batches(self, places: Iterable[Place]) -> Iterator[Batch]:
        """The batches of `places`, in order; what a worker raises is raised here, PartialFailure where one is gone."""
        try:
            for made in parallel_map(self._pool, _make, places, self._ahead):
                yield _unpacked(*made)
        except BrokenProcessPool as error:
            raise PartialFailure(
                "a process that reads features is gone (killed, or out of memory?); fewer --workers need less, "
                "--workers 0 none; --resume continues from the last saved state"
            ) from error

    def close(self) -> None:
        """End the processes, once what they make now is made."""
        self._pool.shutdown(cancel_futures=True)


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
            if self._running is None:
                elsewhere = copy.copy(self.maker)
                elsewhere.source = self.source.elsewhere()
                self._running = Workers(elsewhere, self.workers)
            return self._running.batches(places)
        made = (self.maker.make(*place) for place in places)
        # Frames are cut and moved while the network computes, wherever they come from.
        is_quick = self.source.fits_memory(self.maker.instances) and not isinstance(self.source, FrameSource)
        return made if is_quick else prefetch(made)

    def close(self) -> None:
        """End the workers, if there are any."""
        if self._running is not None:
            self._running.close()
            self._running = None


# What a worker process makes batches with; there `_prepare` puts it, for tasks can bring only what is small.
_own: list[BatchMaker] = []


def _prepare(maker: BatchMaker) -> None:
    torch.set_num_threads(1)
    sys.excepthook = _silent_about_lost_connections
    _own.append(maker)


@functools.cache
def _maker() -> BatchMaker:
    """The worker's own, once its file is open; what is wrong with the file is raised for whoever asks for a batch."""
    _own[0].source.file.__enter__()
    return _own[0]


def _make(place: Place) -> tuple[Any, ...]:
    """Make a batch in a worker, ready for its way between processes: the little beside the features as plain arrays."""
    batch = _maker().make(*place)
    segments, labels = ([each.numpy() for each in own] for own in (batch.targets.segments, batch.targets.labels))
    known = batch.video_ids, batch.shortest_instances, batch.shortest_shown
    return _shared(batch.features), batch.mask.numpy(), segments, labels, *known


def _shared(features: Tensor) -> Tensor:
    """The features, moved to shared memory; raises UsageError where there is none left."""
    try:
        return features.share_memory_()
    except RuntimeError as error:
        raise UsageError(
            f"no shared memory is left for a batch of {features.nbytes / (1 << 20):.1f} MiB (a container may be given "
            "more: docker run --shm-size); fewer --workers need less, --workers 0 none"
        ) from error


def _unpacked(features: Tensor, mask: Any, segments: list[Any], labels: list[Any], *known: Any) -> Batch:
    targets = Targets([torch.from_numpy(each) for each in segments], [torch.from_numpy(each) for each in labels])
    return Batch(features, torch.from_numpy(mask), targets, *known)


def _silent_about_lost_connections(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """What the thread that hands memory over says: not that the training was killed while it took some."""
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)
