"""MGNet's presets, and its settings for data that nobody tuned it for."""

import re
from typing import Any

from taltool.data.statistics import DatasetStatistics
from taltool.models.auto_recipes import dense_windows, network_width, proposal_settings
from taltool.models.contract import SettingsBySection

_TRAINING: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 16,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "schedule": "step",
    "step_epochs": 8,
    "step_factor": 0.1,
    "select": "last",
}
# TSN of CUHK, RGB and flow of 200 channels each, 16 frames apart.
_ACTIVITYNET: dict[str, dict[str, Any]] = {
    "sampling": {"resize": "rescale", "length": 100},
    "training": _TRAINING,
    "prediction": {"min_score": 0.0, "top_k": 0},
    "nms": {"method": "soft-gaussian", "tiou": 0.8, "sigma": 0.75, "top_k": 100, "agnostic": True},
}
# What the authors' code does where the text says something else or nothing.
_CODE: dict[str, Any] = {
    "fmg_attention": "cosine",
    "fmg_norm": "pre",
    "fmg_activation": "gelu",
    "mgt_layers": 3,
    "mgt_norm": "pre",
    "mgt_mixing": "conv",
    "mgt_places": "learned",
    "key_norm": True,
    "center_cosine": True,
    "drop_path": 0.1,
    "embedding_dropout": 0.1,
    "supervision": "every_head",
    "action_weight": 2.0,
}
# TSN, RGB and flow, 5 frames apart. The windows' candidates are those of the authors' test script.
_THUMOS: dict[str, dict[str, Any]] = {
    "model": {"candidates": "peaks", "least_snippets": 5, "most_snippets": 64},
    "sampling": {
        "resize": "window",
        "length": 128,
        "train_stride": 64,
        "test_stride": 64,
        "min_ioa": 0.9,
        "require_whole": False,
    },
    "training": _TRAINING,
    "prediction": {"min_score": 0.0, "top_k": 0},
    "nms": {**_ACTIVITYNET["nms"], "tiou": 0.65, "top_k": 2300},
}
_CODE_TRAINING: dict[str, Any] = {
    **_TRAINING,
    "epochs": 12,
    "batch_size": 20,
    "clip_norm": 0.0,
    "decay_by_layer": True,
}
PRESETS: dict[str, SettingsBySection] = {
    "paper": _ACTIVITYNET,
    "activitynet13": _ACTIVITYNET,
    "thumos14": _THUMOS,
    # The authors' training and test on ActivityNet. They also leave out the last, smaller batch of an epoch, and keep
    # the epoch with the best AUC on the validation videos.
    "code": {
        **_ACTIVITYNET,
        "model": _CODE,
        "sampling": {**_ACTIVITYNET["sampling"], "drop_coverage": 0.98, "repeat_coverage": 0.2},
        "training": _CODE_TRAINING,
        "nms": {**_ACTIVITYNET["nms"], "method": "soft-width", "tiou": 0.65, "tiou_wide": 0.9},
    },
    # Their network with their test script for THUMOS14; how they trained it there is not published.
    "code-thumos14": {
        **_THUMOS,
        "model": {**_CODE, **_THUMOS["model"], "edge_shift": 0.5},
        "training": _CODE_TRAINING,
    },
}
# Weight decay in the authors' code, by the first pattern that a parameter's name fits.
_DECAYS = (
    (r"bias$", 0.0),
    (r"^boundary\.points", 2e-4),  # Their Conv3d.
    (r"^(boundary|completeness)\.", 2e-5),  # The rest of the heads on maps.
    (r"\.local\.|^(action|boundary)_heads", 2e-3),  # Convolutions.
    (r"", 1e-4),  # Transformers, and all of the mask generator.
)


def authors_decay(name: str) -> float:
    """The weight decay of the parameter `name` of `MGNet` in the authors' code."""
    return next(decay for pattern, decay in _DECAYS if re.search(pattern, name))


UPDATES = 1500


def auto_settings(statistics: DatasetStatistics) -> SettingsBySection:
    """Settings for `statistics`, as differences from the defaults.

    Chosen on 10 of the 40 training videos of split 1 of 50 Salads, one run each: 15 epochs in batches of 5 windows
    gave an AUC of 53.0, 27 epochs in batches of 11 51.6 in 2.5 times the time; soft-NMS above a tIoU of 0.65 50.0.
    """
    width = network_width(statistics)
    model = {
        "streams": 1,
        "width": width,
        "feature_width": width // 2,
        "proposal_width": width,
        "head_width": 128,
    }
    return proposal_settings(statistics, model, dense_windows(statistics), UPDATES)
