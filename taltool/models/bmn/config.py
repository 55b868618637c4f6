"""The settings of BMN and what they may not be, its presets, and its settings for data that nobody tuned it for."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models.auto_recipes import AUGMENTATION, dense_windows, network_width, proposal_settings
from taltool.models.contract import SettingsBySection
from taltool.ops.nms_settings import preset_section


@dataclass(frozen=True)
class BMNConfig:
    """The switches of BMN; defaults are those of its paper, or its published code for ActivityNet."""

    embedding: Literal["conv", "transformer"] = "conv"  # Transformer: GSMT's stands before the convolutions (Table 11).
    width: int = 0  # Of the transformer, by a linear layer in front; 0 = the features' own (GSMT).
    base_width: int = 256  # Channels of the convolutions over time.
    groups: int = 4  # Of channels, in the convolutions over time.
    proposal_width: int = 512  # Behind the convolution over a proposal's points.
    map_width: int = 128  # Behind it, of the convolutions over the map.
    points: int = 32  # Of a proposal,
    samples_per_point: int = 3  # each the mean of so many neighbouring samples,
    reach: float = 0.5  # evenly from this share of its length before the start to as much behind the end.
    most_snippets: int = 0  # The longest proposals, D of the map; 0 = as long as the sample.
    boundary_half_width: float = 1.5  # Of the regions around starts and ends, in snippets.
    regression_weight: float = 10.0  # Lambda of the loss.
    # Likely starts with likely ends (paper), or every pair (code).
    candidates: Literal["peaks", "all"] = "peaks"
    # The two confidences in the score: the root of their product (paper), or their product (code).
    confidence: Literal["root", "product"] = "root"

    def __post_init__(self) -> None:
        whole = ("base_width", "groups", "proposal_width", "map_width", "points", "samples_per_point")
        if min(getattr(self, name) for name in whole) < 1:
            raise UsageError(f"bmn: {', '.join(whole)} must be at least 1")
        if min(self.width, self.most_snippets, self.reach, self.regression_weight) < 0 or self.boundary_half_width <= 0:
            raise UsageError(
                "bmn: width, most_snippets, reach and regression_weight must not be negative, "
                "boundary_half_width must be above 0"
            )
        if self.base_width % self.groups:
            raise UsageError(f"bmn: base_width={self.base_width} must be a multiple of groups={self.groups}")
        if self.points * self.samples_per_point < 2:
            raise UsageError("bmn: a proposal needs at least two samples; set model.points or samples_per_point")


_TRAINING: dict[str, Any] = {
    "epochs": 9,
    "batch_size": 16,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "schedule": "step",
    "step_epochs": 7,
    "step_factor": 0.1,
}
# Of its published code; TSN of CUHK, RGB and flow of 200 channels each, 16 frames apart.
_ACTIVITYNET: dict[str, dict[str, Any]] = {
    "sampling": {"resize": "rescale", "length": 100},
    "training": _TRAINING,
    "prediction": {"min_score": 0.0, "top_k": 0},
    "nms": preset_section("bmn-activitynet13"),
}
PRESETS: dict[str, SettingsBySection] = {
    "activitynet13": _ACTIVITYNET,
    "code": {**_ACTIVITYNET, "model": {"candidates": "all", "confidence": "product"}},
    # The code is of ActivityNet only. These are OpenTAD's settings, with features 5 frames apart.
    "thumos14": {
        "model": {"most_snippets": 64},
        "sampling": {
            "resize": "window",
            "length": 128,
            "train_stride": 64,
            "test_stride": 64,
            "min_ioa": 0.9,
            "require_whole": False,
        },
        "training": {**_TRAINING, "epochs": 8, "learning_rate": 1e-4, "step_epochs": 5, "clip_norm": 1.0},
        "prediction": {"min_score": 0.0, "top_k": 0},
        "nms": preset_section("bmn-thumos14"),
    },
}


def auto_settings(statistics: DatasetStatistics) -> SettingsBySection:
    """Settings for `statistics`, as differences from the defaults.

    MGNet's windows, augmentation and suppression, not tuned for BMN. Most of its time goes into the convolutions over
    the map, which are therefore half as wide and end at the longest instance. On 10 of the 40 training videos of split
    1 of 50 Salads, after 3 epochs, the product of both confidences gave an AUC of 50.7, its root 49.0; on MGNet's ten
    marking down what windows cut gave 59.5 instead of 56.7.
    """
    sampling, width = dense_windows(statistics), network_width(statistics)
    model = {
        "width": width,
        "base_width": width,
        "groups": 1,
        "proposal_width": width,
        "map_width": width // 2,
        "most_snippets": min(sampling["length"], max(1, math.ceil(statistics.instance_lengths[-1]))),
        "confidence": "product",
    }
    return proposal_settings(statistics, model, sampling, AUGMENTATION)
