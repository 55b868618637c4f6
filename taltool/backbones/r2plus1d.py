"""R(2+1)D-18: Tran and others, "A Closer Look at Spatiotemporal Convolutions", CVPR 2018; 512 features, RGB.

The checkpoint is torchvision's r2plus1d_18 on Kinetics (r2plus1d_18-91a641e6.pth, tensors `stem.0.weight`,
`layer1.0.conv1.0.0.weight` ...). It saw 16 frames at 15 a second, squeezed to 128 x 171 pixels, of which 112 x 112 are
seen, normalised by the mean and deviation of Kinetics.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import MIN_CROP, NetworkBackbone, Normalisation
from taltool.data.downloads import Published
from taltool.errors import UsageError
from taltool.nn.clips.resnet import R2Plus1D18
from taltool.video.frames import FrameFormat

_ADDRESS = "https://download.pytorch.org/models/r2plus1d_18-91a641e6.pth"
_MEAN, _DEVIATION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


@dataclass(frozen=True)
class R2Plus1DConfig:
    """height, width: pixels to which pictures are squeezed; crop: side of the middle square that is seen; output: what
    stands before the classifier, or the scores of its `classes` before any softmax."""

    height: int = 128
    width: int = 171
    crop: int = 112
    output: Literal["features", "logits"] = "features"
    classes: int = 400

    def __post_init__(self) -> None:
        if not MIN_CROP <= self.crop <= min(self.height, self.width):
            raise UsageError(f"crop = {self.crop}: must be {MIN_CROP} to {min(self.height, self.width)} (pixels)")
        if self.classes < 1:
            raise UsageError(f"classes = {self.classes}: must be at least 1")


@BACKBONES.register("r2plus1d")
class R2Plus1D(NetworkBackbone):
    """R(2+1)D-18; see the module."""

    Config = R2Plus1DConfig
    window, stride, fps = 16, 8, 15.0
    published: ClassVar = {"rgb": Published(_ADDRESS, "sha256:91a641e6")}
    feature_channels, classifier = 512, "fc."
    normalisation = Normalisation([255 * mean for mean in _MEAN], [255 * each for each in _DEVIATION])

    @property
    def frame_format(self) -> FrameFormat:
        """Colours, squeezed to one size."""
        return FrameFormat("rgb", exact=(self.config.height, self.config.width))

    def build(self) -> nn.Module:
        """The network; with the classifier only where its logits are asked for."""
        return R2Plus1D18(self.classes)
