"""What MMAction's checkpoint of I3D on ResNet-50 calls its tensors, expects of pixels, and becomes for flow.

Known to the backbone that takes features with it and to the model that trains it along.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

COLOURS = 3
_MOTION = 2  # x and y.
# The statistics of ImageNet in RGB.
IMAGENET_MEAN, IMAGENET_DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
# What is no motion, in pictures of flow.
STILL = 128.0
STEM = "conv1.conv.weight"
CLASSIFIER = "classifier."


def own_name(name: str) -> str:
    """Our name of a tensor: MMAction's without what its recognisers and several GPUs put before it."""
    return name.removeprefix("module.").removeprefix("backbone.").replace("cls_head.fc_cls.", CLASSIFIER)


def flow_deviation(colours: Sequence[float]) -> float:
    """By what flow in [0, 255], less its mean, is divided: the mean of what the colours are divided by."""
    return sum(colours) / len(colours)


def pixel_statistics(channels: int) -> tuple[list[float], list[float]]:
    """Mean and deviation of each of 3 channels of colours, 2 of flow, or 5 of both."""
    mean, deviation = (IMAGENET_MEAN, IMAGENET_DEVIATION) if channels >= COLOURS else ((), ())
    motion = 0 if channels == COLOURS else _MOTION
    return [*mean, *[STILL] * motion], [*deviation, *[flow_deviation(IMAGENET_DEVIATION)] * motion]


def stem_for(weight: Tensor, channels: int) -> Tensor:
    """Filters (64, channels, 5, 7, 7) made of those over colours, (64, 3, 5, 7, 7); any others as they are.

    For x and y of flow each the mean over the colours, as in Wang and others, "Temporal Segment Networks", ECCV 2016,
    section 3.2 ("cross modality pre-training"); for 5 channels those of the colours stay beside them, so that where
    nothing moves the network begins as the one on colours.
    """
    if weight.shape[1] != COLOURS or channels == COLOURS:
        return weight
    motion = weight.mean(1, keepdim=True).expand(-1, _MOTION, -1, -1, -1)
    return motion if channels == _MOTION else torch.cat([weight, motion], dim=1)
