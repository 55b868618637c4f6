"""How networks are fitted to data that nobody tuned them for: what the models' `fit` share.

The numbers are those that held on the splits of 50 Salads (40 videos, 28 channels) for AFSD and TSA-TAL alike.
"""

import math
from typing import Any

from taltool.data.statistics import DatasetStatistics

# Longer videos are seen through windows.
LONGEST_WHOLE = 768
# Windows of dense proposals hold this many long instances (of the longest twentieth), but no more snippets than this.
INSTANCES_PER_WINDOW = 2
MOST_DENSE = 256
# Updates after which more only learns the training videos by heart.
UPDATES = 1000
MOST_EPOCHS = 400
# Without it the classes of a small data set are learnt by heart.
AUGMENTATION = {"feature_noise": 0.5, "feature_dropout": 0.1}
# For AFSD and AMNet, which know small data by heart the soonest.
STRONG_AUGMENTATION = {**AUGMENTATION, "feature_noise": 1.0}


def whole_or_windows(statistics: DatasetStatistics) -> dict[str, Any]:
    """Sampling settings: short videos whole, long ones in windows of about four long instances, overlapping by half."""
    longest = statistics.video_lengths[-1]
    if longest <= LONGEST_WHOLE:
        return {"resize": "pad", "length": max(longest, 1)}
    return windows(2 ** math.ceil(math.log2(max(64.0, min(4 * statistics.instance_length(0.95), 1024.0)))))


def windows(length: int) -> dict[str, Any]:
    """Sampling settings of windows of `length` snippets that overlap by half, shifted at random in training."""
    stride = max(1, length // 2)
    return {"resize": "window", "length": length, "train_stride": stride, "test_stride": stride, "jitter": stride / 2}


def dense_windows(statistics: DatasetStatistics) -> dict[str, Any]:
    """Windows of about two long instances, overlapping by three fourths; short videos whole.

    For networks with an answer for every pair of a first and a last snippet.
    """
    wanted = 16 * max(2, round(INSTANCES_PER_WINDOW * statistics.instance_length(0.95) / 16))
    length = min(wanted, MOST_DENSE, max(statistics.video_lengths[-1], 1))
    quarter = max(1, length // 4)
    own = {"min_ioa": 0.5, "require_whole": False, "train_stride": quarter, "test_stride": quarter, "jitter": quarter}
    return {**windows(length), **own}


def samples_per_epoch(statistics: DatasetStatistics, sampling: dict[str, Any]) -> int:
    """About how many samples those sampling settings make of the videos."""
    if sampling["resize"] != "window":
        return statistics.num_videos
    return max(1, sum(statistics.video_lengths) // sampling["train_stride"])


def batch_size(samples: int, length: int, snippets: int = 1024) -> int:
    """Samples of `length` that make up about `snippets`: 2 to 16, but no more than a fourth of an epoch."""
    return max(1, min(samples // 4, 16, max(2, round(snippets / length))))


def network_width(statistics: DatasetStatistics) -> int:
    """128 channels for hundreds of instances, 256 for thousands, 512 for many of a deep network's features."""
    instances = len(statistics.instance_lengths)
    if instances < 2000 or statistics.channels < 64:
        return 128
    return 512 if instances >= 10000 and statistics.channels >= 1024 else 256


def training_recipe(samples: int, batch: int, updates: int = UPDATES) -> dict[str, Any]:
    """Training settings: AdamW with cosine decay and averaged weights for about `updates` updates."""
    epochs = max(10, min(MOST_EPOCHS, math.ceil(updates * batch / samples)))
    return {
        "epochs": epochs,
        "batch_size": batch,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "decay_everything": False,
        "schedule": "cosine",
        "warmup_epochs": min(5.0, epochs / 20),
        "ema_decay": 0.99,
        "select": "last",
    }


def pyramid_levels(statistics: DatasetStatistics, length: int) -> int:
    """How many levels, 2 to 8, reach up to the long instances on a grid of `length` snippets."""
    reaching = round(math.log2(max(statistics.instance_length(0.95), 2.0))) + 1
    return max(2, min(reaching, round(math.log2(max(length, 2))), 8))
