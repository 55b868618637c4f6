"""BMN's presets, and its settings for data that nobody tuned it for."""

import math
from typing import Any

from taltool.data.statistics import DatasetStatistics
from taltool.models.auto_recipes import dense_windows, network_width, proposal_settings
from taltool.models.contract import SettingsBySection

_TRAINING: dict[str, Any] = {
    "epochs": 9,
    "batch_size": 16,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "schedule": "step",
    "step_epochs": 7,
    "step_factor": 0.1,
    "clip_norm": 0.0,
    "select": "last",
}
# Of its published code; TSN of CUHK, RGB and flow of 200 channels each, 16 frames apart.
_ACTIVITYNET: dict[str, dict[str, Any]] = {
    "sampling": {"resize": "rescale", "length": 100},
    "training": _TRAINING,
    "prediction": {"min_score": 0.0, "top_k": 0},
    "nms": {
        "method": "soft-width",
        "tiou": 0.5,
        "tiou_wide": 0.9,
        "sigma": 0.4,
        "top_k": 100,
        "agnostic": True,
    },
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
        "nms": {"method": "soft-gaussian", "sigma": 0.3, "top_k": 200, "agnostic": True},
    },
}


def auto_settings(statistics: DatasetStatistics) -> SettingsBySection:
    """Settings for `statistics`, as differences from the defaults.

    MGNet's windows, augmentation and suppression, not tuned for BMN. Most of its time goes into the convolutions over
    the map, which are therefore half as wide and end at the longest instance. On 10 of the 40 training videos of split
    1 of 50 Salads, after 3 epochs, the product of both confidences gave an AUC of 50.7, its root 49.0.
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
    return proposal_settings(statistics, model, sampling)
