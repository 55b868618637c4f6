"""Two-stream TSN on ResNet-50: Wang and others, "Temporal Segment Networks", ECCV 2016; 2,048 features a stream.

A snippet is divided into `segments` equal parts; the RGB stream sees the middle frame of each, the flow stream five
consecutive flow fields (x and y in turn, ten channels) about it, and features are averaged over the parts.

The checkpoints are MMAction2's tsn_r50_320p_1x1x8 on Kinetics, RGB and flow (tensors `backbone.conv1.conv.weight`,
`backbone.layer1.0.conv1.bn.weight` ... `cls_head.fc_cls.weight`), and any other of its TSN with ResNet-50. They saw a
short side of 256 pixels (kept at 320 when stored), of which 224 x 224 are seen. `output = "logits"` gives the scores of
the classes, which many published features of ActivityNet are.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import IMAGENET, NetworkBackbone, NetworkConfig, Normalisation
from taltool.data.downloads import Published
from taltool.errors import UsageError
from taltool.nn.clips.mmaction import own_name
from taltool.nn.clips.resnet import TemporalSegmentNetwork
from taltool.video.snippet_windows import SnippetWindows

_ADDRESS = "https://download.openmmlab.com/mmaction/recognition/tsn"
_RGB, _FLOW = "tsn_r50_320p_1x1x8_100e_kinetics400_rgb", "tsn_r50_320p_1x1x8_110e_kinetics400_flow"
# Flow fields that are seen together.
_STACKED = 5


@dataclass(frozen=True)
class TSNConfig(NetworkConfig):
    """See NetworkConfig; segments: parts of a snippet whose features are averaged."""

    segments: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.segments < 1:
            raise UsageError(f"segments = {self.segments}: must be at least 1")


@BACKBONES.register("tsn")
class TSN(NetworkBackbone):
    """TSN over one stream; see the module."""

    Config = TSNConfig
    window, stride = 5, 5
    inputs = ("rgb", "flow")
    published: ClassVar = {
        "rgb": Published(f"{_ADDRESS}/{_RGB}/{_RGB}_20200702-ef80e3d7.pth", "sha256:ef80e3d7"),
        "flow": Published(f"{_ADDRESS}/{_FLOW}/{_FLOW}_20200705-1f39486b.pth", "sha256:1f39486b"),
    }
    feature_channels, classifier = 2048, "classifier."

    @property
    def normalisation(self) -> Normalisation:
        """The colours of ImageNet; motion from -1 to 1, its 0 at 128."""
        return IMAGENET if self.stream == "rgb" else Normalisation((128.0,), (128.0,))

    def build(self) -> nn.Module:
        """ResNet-50 on pictures, or on stacked flow fields."""
        stacked = 1 if self.stream == "rgb" else _STACKED
        return TemporalSegmentNetwork(self.colours, stacked, self.config.segments, self.classes)

    def renamed(self, name: str) -> str:
        """MMAction's names without what its recognisers put before them."""
        return own_name(name)

    def reshaped(self, tensor: Tensor) -> Tensor:
        """Kernels over pictures as kernels over one step in time."""
        return tensor[:, :, None] if tensor.dim() == 4 else tensor

    def check(self, windows: SnippetWindows) -> None:
        """At least one frame, or five flow fields, a segment."""
        least = max(self.config.segments, 1 if self.stream == "rgb" else _STACKED)
        if windows.window < least:
            raise UsageError(f"--window {windows.window}: tsn needs at least {least} frames")
