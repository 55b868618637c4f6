"""What training changes in its samples at random: where they begin, what they are mixed with, what of them is lost."""

from dataclasses import dataclass, replace

import numpy as np

from taltool.data.records import FeatureArray, Floats, Integers
from taltool.experiment.feature_source import FeatureSource
from taltool.experiment.windows import Sample, move_sample


@dataclass(frozen=True, eq=False)
class Example:
    """What a network sees of a sample: values (T, C); the instances on its grid, segments (M, 2) and labels (M,).

    shortest_instance is the length of the shortest one of the whole video in snippets of this grid, inf without any.
    """

    video_id: str
    values: FeatureArray
    segments: Floats
    labels: Integers
    shortest_instance: float


def shift_sample(sample: Sample, segments: Floats, source: FeatureSource, rng: np.random.Generator) -> Sample:
    """The sample with its window shifted (jitter), or cropped at random (pad); segments (M, 2) are in seconds."""
    settings, length = source.settings, source.length(sample.video_id)
    clock = source.clock(sample.video_id)
    if settings.resize == "window" and settings.jitter:
        shift = round(rng.uniform(-settings.jitter, settings.jitter))
        first = min(max(sample.first + shift, 0), length - sample.count)
        return move_sample(sample, first, sample.count, clock)
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
    return Example(own.video_id, values, segments, labels, min(own.shortest_instance, other.shortest_instance))


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
