"""C3D: Tran and others, "Learning Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015; 4,096 features.

Tensors have the names of github.com/DavideA/c3d-pytorch.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from taltool.nn.clips.layers import Conv3d

Output = Literal["fc6", "fc7", "logits"]
# Convolutions before each pooling, with their channels.
_CONVOLUTIONS = (
    (("conv1", 64),),
    (("conv2", 128),),
    (("conv3a", 256), ("conv3b", 256)),
    (("conv4a", 512), ("conv4b", 512)),
    (("conv5a", 512), ("conv5b", 512)),
)


class C3DNetwork(nn.Module):
    """C3D (Tran and others, ICCV 2015) up to the layer `output`: a linear layer after its ReLU, or the classes' logits.

    Space is not averaged: the last pooling leaves (B, 512, 1, 4, 4), and fc6 has a weight for each of these positions,
    so clips are of 16 frames and 112 x 112 pixels.
    """

    def __init__(self, output: Output = "fc6", classes: int = 487) -> None:
        super().__init__()
        channels = 3
        for stage, convolutions in enumerate(_CONVOLUTIONS, 1):
            for name, width in convolutions:
                self.add_module(name, Conv3d(channels, width, 3, padding=1))
                self.add_module(f"{name}_relu", nn.ReLU(inplace=True))
                channels = width
            frames = 1 if stage == 1 else 2
            padding = (0, 1, 1) if stage == len(_CONVOLUTIONS) else 0
            self.add_module(f"pool{stage}", nn.MaxPool3d((frames, 2, 2), padding=padding))
        self.fc6 = nn.Linear(8192, 4096)
        self.fc7 = nn.Linear(4096, 4096) if output != "fc6" else None
        self.fc8 = nn.Linear(4096, classes) if output == "logits" else None

    def forward(self, volume: Tensor) -> Tensor:
        """Features (B, 4096) or logits (B, classes) of pixels (B, 3, 16, 112, 112)."""
        for name, module in self.named_children():
            if not name.startswith("fc"):
                volume = module(volume)
        # The linear layer was trained on the order (C, T, H, W), whatever the layout in memory.
        features = torch.relu(self.fc6(volume.contiguous().flatten(1)))
        if self.fc7 is not None:
            features = torch.relu(self.fc7(features))
        return features if self.fc8 is None else self.fc8(features)
