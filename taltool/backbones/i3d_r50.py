"""I3D on ResNet-50: the network that DaoTAD uses (Wang and others, "RGB Stream Is Enough for Temporal Action
Detection", 2021), whose recipe TSA-TAL follows. Two streams, 2,048 features each.

Two families of Kinetics checkpoints are in use, which differ in names, first pooling and normalisation; set
`checkpoint` for the second:

- `mmaction`: i3d_r50_video_32x2x1_100e_kinetics400_rgb of MMAction2, and others of its ResNet3d with depth 50 and the
  blocks inflated in turn (tensors `backbone.conv1.conv.weight`, `backbone.layer1.0.conv1.bn.weight` ...).
- `caffe2`: i3d_baseline_32x2_IN_pretrain_400k of facebookresearch/video-nonlocal-net as converted by
  github.com/Tushar-N/pytorch-resnet3d (tensors `conv1.weight`, `layer1.0.bn1.weight` ...), without non-local blocks.

Nobody publishes one that was trained on flow. The flow stream therefore takes that of colours, and its first
convolution is made for two channels as in Wang and others, "Temporal Segment Networks", ECCV 2016, section 3.2 ("cross
modality pre-training"): the filters' mean over the three colours, once for x and once for y; flow in [0, 255] comes
with the mean 128 and the deviation of colours. TSN goes on to train that network on flow, which is not done here. A
checkpoint whose first convolution has two channels is taken as it is.

Both saw 32 frames, every second one of about 30 a second. Windows that overlap share steps of the first convolution as
those of `i3d` do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import IMAGENET, NetworkBackbone, NetworkConfig, Normalisation
from taltool.backbones.contract import Stream
from taltool.data.downloads import Published
from taltool.errors import UsageError
from taltool.nn.clips.mmaction import COLOURS, STEM, STILL, flow_deviation, own_name, stem_for
from taltool.nn.clips.resnet import Family, ResNet50I3D
from taltool.video.snippet_windows import SnippetWindows

_STEM_DIMENSIONS = 5
_ADDRESS = "https://download.openmmlab.com/mmaction/recognition/i3d/i3d_r50_video_32x2x1_100e_kinetics400_rgb"
# Frames that become one step in time.
_MIN_WINDOW = 8


@dataclass(frozen=True)
class I3DR50Config(NetworkConfig):
    """See NetworkConfig; checkpoint names the family of the weights."""

    checkpoint: Family = "mmaction"


@BACKBONES.register("i3d-r50")
class I3DR50(NetworkBackbone):
    """I3D on ResNet-50 over one stream; see the module."""

    Config = I3DR50Config
    window, stride, fps = 32, 8, 15.0
    inputs = ("rgb", "flow")
    published: ClassVar = dict.fromkeys(
        inputs,
        Published(f"{_ADDRESS}/i3d_r50_video_32x2x1_100e_kinetics400_rgb_20200826-e31c6f52.pth", "sha256:e31c6f52"),
    )
    feature_channels, classifier = 2048, "classifier."

    def __init__(self, config: Any, stream: Stream = "rgb") -> None:
        super().__init__(config, stream)
        self._adaptation = ""

    @property
    def adaptation(self) -> str:
        """Says so where a stem over colours was made one over flow."""
        return self._adaptation

    @property
    def normalisation(self) -> Normalisation:
        """As the family of checkpoints was trained; of flow see the module."""
        colours = IMAGENET if self.config.checkpoint == "mmaction" else Normalisation((114.75,), (57.375,))
        if self.stream == "rgb":
            return colours
        return Normalisation((STILL,), (flow_deviation(colours.deviation),))

    def build(self) -> nn.Module:
        """The network with the first pooling of the family."""
        return ResNet50I3D(self.colours, self.config.checkpoint, self.classes)

    def renamed(self, name: str) -> str:
        """MMAction's names without what its recognisers put before them; those of caffe2 made like them."""
        if self.config.checkpoint == "mmaction":
            return own_name(name)
        name = re.sub(r"\bconv(\d)\.(?=weight)", r"conv\1.conv.", name)
        name = re.sub(r"\bbn(\d)\.", r"conv\1.bn.", name)
        return re.sub(
            r"^fc\.", "classifier.", name.replace("sample.0.", "sample.conv.").replace("sample.1.", "sample.bn.")
        )

    def load(self, tensors: Mapping[str, Tensor], source: str) -> None:
        """Take over a checkpoint's tensors; one of colours for flow too, see the module."""
        fitting = dict(tensors)
        for name, tensor in tensors.items() if self.stream == "flow" else ():
            is_stem = self.renamed(name.removeprefix("module.")) == STEM
            if is_stem and tensor.dim() == _STEM_DIMENSIONS and tensor.shape[1] == COLOURS:
                fitting[name] = stem_for(tensor, self.colours)
                self._adaptation = "its first filters' mean over the colours for x and y"
        super().load(fitting, source)

    def check(self, windows: SnippetWindows) -> None:
        """Any window of at least 8 frames."""
        if windows.window < _MIN_WINDOW:
            raise UsageError(f"--window {windows.window}: i3d-r50 needs at least {_MIN_WINDOW} frames")
