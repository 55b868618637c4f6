"""The tiny model on frames: what it convolves are the means of the four quarters of each picture."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from tiny_model import TinyConfig, TinyModel
from torch import Tensor

from taltool.models.contract import FrameInput, Outputs


@dataclass(frozen=True)
class TinyFrameConfig(TinyConfig):
    """input: features are those of `TinyModel`; body_rate: of the learning rate that of the convolution, 0 = frozen."""

    input: Literal["features", "frames"] = "frames"
    crop: int = 24
    body_rate: float = 1.0


class TinyFrameModel(TinyModel):
    """Outputs as those of `TinyModel`, a snippet being a frame."""

    Config = TinyFrameConfig
    config: TinyFrameConfig

    def __init__(self, config: TinyFrameConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels * 4 if config.input == "frames" else channels, num_classes, length)

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        if self.config.input == "frames":
            assert features.shape[3:] == (self.config.crop, self.config.crop)
            quarters = F.adaptive_avg_pool3d(features.float() / 127.5 - 1, (features.shape[2], 2, 2))
            features = quarters.movedim(2, 4).flatten(1, 3) * mask[:, None]
        return super().forward(features, mask)

    def rate_of(self, name: str) -> float:
        return self.config.body_rate if name.startswith("body.") else 1.0

    @classmethod
    def frames_wanted(cls, config: TinyFrameConfig) -> FrameInput | None:
        return FrameInput(config.crop) if config.input == "frames" else None
