"""Made-up answers of AFSD's network on clips of frames; folder `golden` has their losses by the authors' code."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# Frames of a clip, of a position of its first level, classes with background; of the authors' code for each data set.
FORMS = {"thumos14": (256, 4, 21), "activitynet13": (768, 8, 2)}
CHANNELS = 16


class Case(NamedTuple):
    """What the network says of the N locations of a clip, and what is true.

    distances, offsets (N, 2); logits, refined_logits (N, classes with background first); quality (N,). segments (M, 2)
    in frames, labels (M,) from 1. sources: the frame-level feature and the two of level 0, (CHANNELS, positions) each,
    start-sensitive channels first. splice (3, 2): the part before, that after, and the background between, in frames.
    """

    distances: Tensor
    offsets: Tensor
    logits: Tensor
    refined_logits: Tensor
    quality: Tensor
    segments: Tensor
    labels: Tensor
    sources: list[Tensor]
    splice: Tensor


def loss_case(form: str, number: int) -> Case:
    """Clip `number`, 0 to 19, by numpy's default_rng(number)."""
    frames, per_position, classes = FORMS[form]
    rng = np.random.default_rng(number)
    positions = frames // per_position
    locations = sum(positions >> level for level in range(6))

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    count = int(rng.integers(1, 6))
    starts = rng.uniform(0, 0.8 * frames, count)
    ends = np.minimum(starts + rng.uniform(0.02, 0.5, count) * frames, frames)
    part = int(rng.integers(8, 40))
    first, middle = 10 + part, 10 + part + int(rng.integers(4, 30))
    return Case(
        distances=(normal(locations, 2) + np.log(frames / 20)).exp(),
        offsets=0.3 * normal(locations, 2),
        logits=normal(locations, classes),
        refined_logits=normal(locations, classes),
        quality=normal(locations),
        segments=torch.from_numpy(np.stack([starts, ends], axis=1).astype(np.float32)),
        labels=torch.from_numpy(rng.integers(1, classes, count)),
        sources=[normal(CHANNELS, n).relu() + 0.05 for n in (frames, positions, positions)],
        splice=torch.tensor([[10.0, first], [middle, middle + part], [first, middle]]),
    )
