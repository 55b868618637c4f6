"""I3D on ResNet-50, as its two families of public checkpoints have it; 2,048 features."""

from typing import Literal

from torch import nn

from taltool.nn.clips.overlapping import OverlappingClips
from taltool.nn.clips.resnet50 import Inflation, ResNet50, Stem

# Whose checkpoints: MMAction2's ResNet3d, or video-nonlocal-net's of Caffe2.
Family = Literal["mmaction", "caffe2"]
_INFLATED: Inflation = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))


class ResNet50I3D(ResNet50, OverlappingClips):
    """ResNet-50 inflated as in Wang and others, "Non-local Neural Networks", CVPR 2018, without non-local blocks.

    Pixels (B, in_channels, T, H, W) become volumes (B, 2048, T / 8, H / 32, W / 32), which are averaged over all of
    space and time at the end: features (B, 2048), or logits (B, classes) where classes are given. The families differ
    in the first pooling, over one frame with zeros around or over two without; it has no tensors.
    """

    def __init__(self, in_channels: int, family: Family = "mmaction", classes: int | None = None) -> None:
        if family == "mmaction":
            pool = nn.MaxPool3d((1, 3, 3), (2, 2, 2), (0, 1, 1))
        else:
            pool = nn.MaxPool3d((2, 3, 3), (2, 2, 2))
        super().__init__(Stem(in_channels, 5, 2, pool), _INFLATED, pool2=True, classes=classes)
