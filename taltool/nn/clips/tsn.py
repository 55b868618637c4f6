"""TSN on ResNet-50: Wang and others, "Temporal Segment Networks", ECCV 2016; 2,048 features."""

import torch
from torch import Tensor, nn

from taltool.nn.clips.resnet50 import ResNet50, Stem


class TemporalSegmentNetwork(ResNet50):
    """ResNet-50 on `stacked` frames in the middle of each segment, averaged over the segments (Wang and others, 2016).

    A clip (B, in_channels, T, H, W) is divided into `segments` equal parts. The frames of a stack are channels of one
    picture, of which features (B, 2048), or logits (B, classes) where classes are given, are averaged over space.
    """

    def __init__(self, in_channels: int, stacked: int = 1, segments: int = 1, classes: int | None = None) -> None:
        pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        super().__init__(Stem(in_channels * stacked, 1, 1, pool), classes=classes)
        self.stacked, self.segments = stacked, segments

    def forward(self, volume: Tensor) -> Tensor:
        """Features (B, 2048) or logits of pixels (B, C, T, H, W), T being at least `stacked`."""
        starts = segment_starts(volume.shape[2], self.segments, self.stacked)
        stacks = torch.stack([volume[:, :, start : start + self.stacked] for start in starts], dim=1)
        # (B, S, C, stacked, H, W): the channels of a field stay together, field after field.
        pictures = stacks.transpose(2, 3).flatten(2, 3).flatten(0, 1)[:, :, None]
        return super().forward(pictures).unflatten(0, (-1, self.segments)).mean(1)


def segment_starts(length: int, segments: int, stacked: int) -> list[int]:
    """The first of `stacked` frames about the middle of each of `segments` equal parts of `length` frames."""
    middles = ((2 * part + 1) * length / (2 * segments) for part in range(segments))
    return [min(max(int(middle - (stacked - 1) / 2), 0), length - stacked) for middle in middles]
