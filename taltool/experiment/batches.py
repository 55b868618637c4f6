"""From samples to batches of tensors: what is read, augmented and put together for each place of an epoch.

What is random follows from (seed, epoch, place in the epoch) alone, so a run that was killed continues with the same
batches wherever it stopped, and it does not matter in which thread or process a batch is made. What training changes in
its samples at random: where they begin, how fast they pass, what they are mixed with, what of them is lost.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taltool.data.records import Floats, Integers
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.sampling import (
    FeatureSource,
    Sample,
    cut_samples,
    is_useful,
    move_sample,
    on_grid,
    rescaled,
    shortest_shown,
)
from taltool.experiment.settings import SamplingSettings
from taltool.models.contract import Batch, Targets

# Where a window may be shifted to useful places only, it stays where it is after so many others.
_MOST_SHIFTS = 20


@dataclass(frozen=True, eq=False)
class Example:
    """What a network sees of a sample: values (T, C); the instances on its grid, segments (M, 2) and labels (M,).

    Of frames, values are uint8 (T, H, W, C). shortest_instance and shortest_shown are of the whole video, see `Batch`.
    """

    video_id: str
    values: NDArray[Any]
    segments: Floats
    labels: Integers
    shortest_instance: float
    shortest_shown: float


def shift_sample(sample: Sample, segments: Floats, source: FeatureSource, rng: np.random.Generator) -> Sample:
    """The sample with its window shifted (jitter), or cropped at random (pad); segments (M, 2) are in seconds."""
    settings, length = source.settings, source.length(sample.video_id)
    clock = source.clock(sample.video_id)
    if settings.resize == "window" and settings.jitter:
        for _ in range(_MOST_SHIFTS if settings.jitter_useful else 1):
            shift = round(rng.uniform(-settings.jitter, settings.jitter))
            first = min(max(sample.first + shift, 0), length - sample.count)
            shifted = move_sample(sample, first, sample.count, clock)
            if not settings.jitter_useful or is_useful(shifted, segments, settings):
                return shifted
        return sample
    if settings.resize == "pad" and length > settings.length:
        first = _crop_start(clock.grid(segments), length, settings.length, rng)
        return move_sample(sample, first, settings.length, clock)
    return sample


def _crop_start(grid: Floats, length: int, wanted: int, rng: np.random.Generator) -> int:
    """Where a random crop begins: anywhere, or, two times in three, so that it meets a random instance of `grid`."""
    last = length - wanted
    if not len(grid) or rng.random() < 1 / 3:
        return int(rng.integers(0, last + 1))
    centre = grid[rng.integers(len(grid))].mean()
    return int(np.clip(centre - rng.uniform(0, wanted), 0, last))


def stretch_sample(sample: Sample, source: FeatureSource, rng: np.random.Generator) -> tuple[Sample, int]:
    """What `time_stretch` shows instead of a sample, and to how many positions that is resampled.

    Slowed down by a factor, a window shows a part of what it did, begun anywhere there; sped up, more on both sides, as
    far as the video goes.
    """
    settings, length = source.settings, source.length(sample.video_id)
    slower = math.exp(rng.uniform(-1, 1) * math.log(settings.time_stretch))
    shown = min(length, max(1, round(settings.length / slower)))
    rest = sample.count - shown
    moved = int(rng.integers(0, rest + 1)) if rest > 0 else rest // 2
    first = min(max(sample.first + moved, 0), length - shown)
    positions = settings.length if shown < length else min(settings.length, max(1, round(shown * slower)))
    return move_sample(sample, first, shown, source.clock(sample.video_id)), positions


def resample_example(example: Example, length: int) -> Example:
    """The example with its features linearly resampled to `length` positions, and its instances moved along."""
    ratio = length / len(example.values)
    return replace(
        example,
        values=rescaled(example.values, length),
        segments=example.segments * ratio,
        shortest_instance=example.shortest_instance * ratio,
        shortest_shown=example.shortest_shown * ratio,
    )


def draw_share(alpha: float, rng: np.random.Generator) -> float:
    """How much of a mixture is the sample itself: Beta(alpha, alpha), folded to at least one half."""
    drawn = float(rng.beta(alpha, alpha))
    return max(drawn, 1 - drawn)


def mix_examples(own: Example, other: Example, weight: float) -> Example:
    """Mixup (Zhang and others, ICLR 2018, section 2) of features: weight * own + (1 - weight) * other.

    Segments keep their places, and those of both count in full, as boxes do where images are mixed for detection
    (Zhang and others, Bag of Freebies for Training Object Detection Neural Networks, 2019, section 3.1): a share of an
    instance has no meaning to losses of boundaries. The shorter one is followed by zeros.
    """
    length = max(len(own.values), len(other.values))
    values = np.zeros((length, own.values.shape[1]), np.float32)
    values[: len(own.values)] = own.values * np.float32(weight)
    values[: len(other.values)] += other.values * np.float32(1 - weight)
    segments = np.concatenate([own.segments, other.segments])
    labels = np.concatenate([own.labels, other.labels])
    shortest = min(own.shortest_instance, other.shortest_instance), min(own.shortest_shown, other.shortest_shown)
    return Example(own.video_id, values, segments, labels, *shortest)


def augment(example: Example, source: FeatureSource, rng: np.random.Generator) -> Example:
    """The example with the noise and the dropout of channels and of snippets that the settings ask for."""
    settings, values = source.settings, example.values
    if settings.feature_noise:
        noise = rng.standard_normal(values.shape, np.float32) * np.float32(settings.feature_noise)
        values = values + noise * source.deviation
    if settings.feature_dropout:
        kept = rng.random(values.shape[1]) >= settings.feature_dropout
        values = values * np.asarray(kept / (1 - settings.feature_dropout), np.float32)
    if settings.time_dropout:
        # Time masking as in SpecAugment (Park and others, 2019): zero, and what is left is not scaled up, because each
        # snippet is seen by itself.
        values = values * (rng.random((len(values), 1)) >= settings.time_dropout).astype(np.float32)
    return replace(example, values=values)


SegmentsAndLabels = tuple[Floats, Integers]


NO_INSTANCES: SegmentsAndLabels = (np.empty((0, 2)), np.empty(0, np.int64))


def read_batch(
    source: FeatureSource, samples: Sequence[Sample], instances: Sequence[SegmentsAndLabels], length_multiple: int
) -> Batch:
    """The batch of `samples` with their `instances` (seconds)."""
    examples = [read_example(source, sample, own) for sample, own in zip(samples, instances, strict=True)]
    return collate(examples, source.settings, length_multiple)


def read_example(
    source: FeatureSource, sample: Sample, instances: SegmentsAndLabels, rng: np.random.Generator | None = None
) -> Example:
    """What a sample shows: its features, and those of the `instances` (seconds) that belong to it.

    rng is for what training draws where these are frames; see `FrameSource.cropped`.
    """
    seconds, labels = instances
    clipped, belongs, _ = on_grid(sample, seconds, source.settings.min_ioa, source.settings.min_covered)
    values = source.cropped(sample.video_id, source.read(sample.video_id, sample.first, sample.count), rng)
    shortest = float(np.diff(sample.clock.grid(seconds), axis=1).min(initial=np.inf))
    grid, length = source.clock(sample.video_id).grid(seconds), source.length(sample.video_id)
    # A window that was shifted at random may show less of an instance than those that were not.
    shown = float(np.diff(clipped[belongs], axis=1).min(initial=shortest_shown(grid, length, source.settings)))
    return Example(sample.video_id, values, clipped[belongs], labels[belongs], shortest, shown)


def collate(examples: Sequence[Example], settings: SamplingSettings, length_multiple: int) -> Batch:
    """The batch of these examples, (B, C, T) or of frames (B, C, T, H, W), zero where they are shorter than it."""
    longest = max(len(each.values) for each in examples)
    length = settings.length if settings.resize == "window" else longest
    if settings.resize == "pad":
        length = -(-longest // length_multiple) * length_multiple
    _, *size, channels = examples[0].values.shape
    features = torch.zeros(len(examples), channels, length, *size, dtype=torch.uint8 if size else torch.float32)
    shown = features.numpy()  # torch cannot take in pictures that are mirrored by a negative stride.
    mask = torch.zeros(len(examples), length, dtype=torch.bool)
    for row, each in enumerate(examples):
        shown[row, :, : len(each.values)] = np.moveaxis(each.values, -1, 0)
        mask[row, : len(each.values)] = True
    segments = [torch.from_numpy(each.segments.astype(np.float32)) for each in examples]
    targets = Targets(segments, [torch.from_numpy(each.labels) for each in examples])
    shortest = [each.shortest_instance for each in examples], [each.shortest_shown for each in examples]
    return Batch(features, mask, targets, [each.video_id for each in examples], *shortest)


def labelled_samples(source: FeatureSource, videos: Iterable[LabelledVideo], stride: int) -> list[Sample]:
    """The samples of `videos` that are worth a loss."""
    settings, samples = source.settings, []
    for video in videos:
        every = cut_samples(
            video.video_id, source.length(video.video_id), source.clock(video.video_id), settings, stride
        )
        samples += [sample for sample in every if is_useful(sample, video.segments, settings)]
    return samples
