"""From samples to batches of tensors: what is read, augmented and put together for each place of an epoch.

What is random follows from (seed, epoch, place in the epoch) alone, so a run that was killed continues with the same
batches wherever it stopped, and it does not matter in which thread or process a batch is made.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from taltool.data.records import Floats, Integers
from taltool.experiment.augmentation import Example
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.feature_source import FeatureSource
from taltool.experiment.settings import SamplingSettings
from taltool.experiment.windows import Sample, cut_samples, is_useful, on_grid
from taltool.models.contract import Batch, Targets

SegmentsAndLabels = tuple[Floats, Integers]


NO_INSTANCES: SegmentsAndLabels = (np.empty((0, 2)), np.empty(0, np.int64))


def read_batch(
    source: FeatureSource, samples: Sequence[Sample], instances: Sequence[SegmentsAndLabels], length_multiple: int
) -> Batch:
    """The batch of `samples` with their `instances` (seconds)."""
    examples = [read_example(source, sample, own) for sample, own in zip(samples, instances, strict=True)]
    return collate(examples, source.settings, length_multiple)


def read_example(source: FeatureSource, sample: Sample, instances: SegmentsAndLabels) -> Example:
    """What a sample shows: its features, and those of the `instances` (seconds) that belong to it."""
    seconds, labels = instances
    clipped, belongs, _ = on_grid(sample, seconds, source.settings.min_ioa)
    values = source.read(sample.video_id, sample.first, sample.count)
    shortest = float(np.diff(sample.clock.grid(seconds), axis=1).min(initial=np.inf))
    return Example(sample.video_id, values, clipped[belongs], labels[belongs], shortest)


def collate(examples: Sequence[Example], settings: SamplingSettings, length_multiple: int) -> Batch:
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
    shortest = [each.shortest_instance for each in examples]
    return Batch(features, mask, targets, [each.video_id for each in examples], shortest)


def labelled_samples(source: FeatureSource, videos: Iterable[LabelledVideo], stride: int) -> list[Sample]:
    """The samples of `videos` that are worth a loss."""
    settings, samples = source.settings, []
    for video in videos:
        every = cut_samples(
            video.video_id, source.length(video.video_id), source.clock(video.video_id), settings, stride
        )
        samples += [sample for sample in every if is_useful(sample, video.segments, settings)]
    return samples
