"""C3D: Tran and others, "Learning Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015, RGB.

The checkpoint is the one trained on Sports-1M, in either of two conversions of the authors' Caffe file, told apart by
their names: MMAction2's c3d_sports1m_pretrain (`conv1a.conv.weight`, without the classifier), which `--weights auto`
fetches, and c3d.pickle of github.com/DavideA/c3d-pytorch (`conv1.weight` ... `fc8.weight`), with it.

It saw 16 frames in the order B, G, R, squeezed to 128 x 171 pixels, of which 112 x 112 are seen, less the mean clip of
the training videos. `--set backbone.mean=FILE` reads that clip, sport1m_train16_128_mean.binaryproto of
github.com/facebookarchive/C3D; without it the mean of each channel, (90, 98, 102), stands for it, as in most PyTorch
programs that use these weights. Two others differ: DavideA's own script gives R, G, B and subtracts nothing;
MMAction2's configuration, which goes on training on UCF-101, gives R, G, B less (104, 117, 128), so a checkpoint of
that training is not what is described here.
"""

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import NetworkBackbone, Normalisation
from taltool.backbones.contract import Stream
from taltool.data.downloads import Published
from taltool.data.files import read_bytes
from taltool.errors import DataError, UsageError
from taltool.nn.clips.c3d import C3DNetwork, Output
from taltool.video.frames import FrameFormat
from taltool.video.snippet_windows import SnippetWindows

_ADDRESS = "https://download.openmmlab.com/mmaction/recognition/c3d"
_FRAMES, _CROP = 16, 112


@dataclass(frozen=True)
class C3DConfig:
    """height, width: pixels to which pictures are squeezed; output: a layer after its ReLU, or the scores of the
    classifier's `classes` before any softmax; mean: Caffe's file of the mean clip."""

    height: int = 128
    width: int = 171
    output: Output = "fc6"
    classes: int = 487
    crop: Literal[112] = 112  # Side of the middle square that is seen, in pixels.
    mean: str = ""

    def __post_init__(self) -> None:
        if min(self.height, self.width) < _CROP:
            raise UsageError(f"height = {self.height}, width = {self.width}: c3d sees {_CROP} x {_CROP} px of them")
        if self.crop != _CROP:
            raise UsageError(f"crop = {self.crop}: c3d sees {_CROP} x {_CROP} px, its linear layers have that size")
        if self.classes < 1:
            raise UsageError(f"classes = {self.classes}: must be at least 1")


@BACKBONES.register("c3d")
class C3D(NetworkBackbone):
    """C3D; see the module."""

    Config = C3DConfig
    window, stride = _FRAMES, 8
    published: ClassVar = {
        "rgb": Published(f"{_ADDRESS}/c3d_sports1m_pretrain_20201016-dcc47ddc.pth", "sha256:dcc47ddc")
    }
    feature_channels, classifier = 4096, "fc8."
    # Where there is a mean clip, each pixel has a mean of its own.
    normalisation = Normalisation((90.0, 98.0, 102.0), (1.0,), reverse=True)

    def __init__(self, config: C3DConfig, stream: Stream = "rgb") -> None:
        super().__init__(config, stream)
        if config.mean:
            clip = _read_mean(config.mean, (3, _FRAMES, config.height, config.width))
            self._shift = -torch.from_numpy(self._cropped(clip[..., None])[..., 0])  # (3, 16, 112, 112)

    @property
    def frame_format(self) -> FrameFormat:
        """Colours, squeezed to one size."""
        return FrameFormat("rgb", exact=(self.config.height, self.config.width))

    @property
    def unused(self) -> tuple[str, ...]:
        """The layers after the one that is asked for."""
        return ("fc7.", "fc8.")[get_args(Output).index(self.config.output) :]

    def build(self) -> nn.Module:
        """The network up to the layer that is asked for."""
        return C3DNetwork(self.config.output, self.config.classes)

    def renamed(self, name: str) -> str:
        """MMAction's names in the older way."""
        name = name.removeprefix("backbone.").replace(".conv.", ".").replace("cls_head.fc_cls.", "fc8.")
        return re.sub(r"^conv([12])a\.", r"conv\1.", name)

    def check(self, windows: SnippetWindows) -> None:
        """Windows of 16 frames: its linear layers have that size."""
        if windows.window != _FRAMES:
            raise UsageError(f"--window {windows.window}: c3d takes {_FRAMES} frames")


def _read_mean(path: str, size: tuple[int, ...]) -> NDArray[np.float32]:
    """The mean clip (3, T, H, W) of this size in a file of Caffe for videos (one BlobProto of C3D's caffe.proto).

    Raises DataError where the file is something else, or holds values that are not finite.
    """
    data = read_bytes(path)[0]
    position, found = 0, []
    # Fields 1 to 5: number, channels, frames, height, width, each a key and a number of 7 bits a byte; then 6: floats.
    for key in (8, 16, 24, 32, 40, 50):
        if data[position : position + 1] != bytes([key]):
            raise DataError(f"{path}: not a mean clip as Caffe for videos (C3D) stores it")
        value, position = _varint(data, position + 1)
        found.append(value)
    *shape, length = found
    values = np.frombuffer(data[position:], "<f4") if len(data) == position + length and not length % 4 else None
    if values is None or values.size != math.prod(shape):
        raise DataError(f"{path}: a mean clip that is cut off, or holds more than one")
    if shape != [1, *size]:
        raise DataError(f"{path}: a mean clip of {' x '.join(map(str, shape[1:]))}, not {' x '.join(map(str, size))}")
    if not np.isfinite(values).all():
        raise DataError(f"{path}: a mean clip that holds values that are not finite")
    return values.reshape(size).astype(np.float32)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number as protocol buffers store it, lowest 7 bits first, and the position after it; 0 at the end of data."""
    value = shift = 0
    for byte in data[position:]:
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            break
    return value, position
