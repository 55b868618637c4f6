"""Settings for data that nobody tuned a network for (`--preset auto`): what the models' `auto_settings` share.

The numbers are those that held on the splits of 50 Salads (40 videos, 28 channels) for AFSD and TSA-TAL alike.
"""

import math
from typing import Any

from taltool.data.statistics import DatasetStatistics
from taltool.models.contract import SettingsBySection

# Longer videos are seen through windows.
LONGEST_WHOLE = 768
# Windows of dense proposals hold this many long instances (of the longest twentieth), but no more snippets than this.
INSTANCES_PER_WINDOW = 2
MOST_DENSE = 256
# Dense maps of proposals hold a label for every pair of snippets: small batches say enough.
SNIPPETS_PER_BATCH, SNIPPETS_PER_DENSE_BATCH = 1024, 512
# Clips of frames, over which the network over pixels takes nearly all the time and memory.
FRAMES_PER_BATCH = 512
# Updates for so many instances. More have more by the root of their number, fewer have fewer by its cube root: on 6
# videos of 50 Salads (105 instances) AFSD reached an average mAP of .50 after 1,000 updates, .47 after 540 in half the
# time, and .43 after 270.
UPDATES, OF_INSTANCES = 1000, 720
LEAST_EPOCHS, MOST_EPOCHS = 5, 400
WIDE = 512
# Without noise networks overfit the classes of a small data set; recipes for so many instances do without.
MANY_INSTANCES = 10000
AUGMENTATION = {"feature_noise": 0.5, "feature_dropout": 0.1}
# For networks that see windows, which hold few actions each, or overfit small data the soonest.
STRETCHED_AUGMENTATION = {**AUGMENTATION, "time_stretch": 1.4}
# What is left of the score of a candidate that its window cuts.
CUT_FACTOR = 0.2
# For AFSD and AMNet, which overfit small data the soonest.
STRONG_AUGMENTATION = {**STRETCHED_AUGMENTATION, "feature_noise": 1.0}
# Boundaries that a network regresses are better averaged over candidates of that tIoU. On the test videos of two
# divisions of 50 Salads' training videos AFSD's average mAP was .68 and .62 instead of .67 and .61, AMNet's .65 instead
# of .64, TSA-TAL's .58 instead of .57, one run each.
VOTING = 0.6


def detector_settings(
    statistics: DatasetStatistics,
    model: dict[str, Any],
    sampling: dict[str, Any],
    augmentation: dict[str, float],
    *,
    snippets: int = SNIPPETS_PER_BATCH,
    updates: int = UPDATES,
    voting: float | None = VOTING,
) -> SettingsBySection:
    """The settings of a network that predicts segments with classes, around its own section `model`.

    It trains on batches of about `snippets` snippets, for as many updates as `updates_for` says. voting: as of
    `taltool.ops.nms_settings`, None where boundaries are not regressed.
    """
    return {
        "model": model,
        **_sampling_and_training(statistics, sampling, augmentation, snippets, updates),
        "prediction": {"min_score": 1e-3, "top_k": 2000, **_cut_factor(sampling)},
        "nms": {"method": "soft-gaussian", "sigma": 0.5, "min_score": 1e-3, "top_k": 200}
        | ({} if voting is None else {"voting": voting}),
    }


def proposal_settings(
    statistics: DatasetStatistics,
    model: dict[str, Any],
    sampling: dict[str, Any],
    augmentation: dict[str, float],
    *,
    updates: int = UPDATES,
) -> SettingsBySection:
    """The settings of a network that scores a dense map of proposals without classes, around its section `model`."""
    return {
        "model": model,
        **_sampling_and_training(statistics, sampling, augmentation, SNIPPETS_PER_DENSE_BATCH, updates),
        "prediction": {"min_score": 0.0, "top_k": 2000, **_cut_factor(sampling)},
        "nms": {"method": "soft-gaussian", "sigma": 0.5, "top_k": 200, "agnostic": True},
    }


def _cut_factor(sampling: dict[str, Any]) -> dict[str, Any]:
    return {"cut_factor": CUT_FACTOR} if sampling["resize"] == "window" else {}


def _sampling_and_training(
    statistics: DatasetStatistics,
    sampling: dict[str, Any],
    augmentation: dict[str, float],
    snippets: int,
    updates: int,
) -> SettingsBySection:
    samples = samples_per_epoch(statistics, sampling)
    noise = augmentation if len(statistics.instance_lengths) < MANY_INSTANCES else {}
    # Pixels are scaled by the model.
    of_features = {} if statistics.frame_size else {"normalize": "channel", **noise}
    return {
        "sampling": {**sampling, **of_features},
        "training": training_recipe(
            samples, batch_size(samples, batch_length(statistics, sampling), snippets), updates_for(statistics, updates)
        ),
    }


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


def clips(statistics: DatasetStatistics) -> dict[str, Any]:
    """Sampling settings of clips of frames: about two long instances, 64 to 1,024 frames, a power of two."""
    wanted = min(INSTANCES_PER_WINDOW * statistics.instance_length(0.95), statistics.video_lengths[-1], 1024.0)
    return windows(2 ** math.ceil(math.log2(max(64.0, wanted))))


def dense_windows(statistics: DatasetStatistics) -> dict[str, Any]:
    """Windows of about two long instances, overlapping by three fourths; short videos whole.

    For networks with an answer for every pair of a first and a last snippet.
    """
    wanted = 16 * max(2, round(INSTANCES_PER_WINDOW * statistics.instance_length(0.95) / 16))
    length = min(wanted, MOST_DENSE, max(statistics.video_lengths[-1], 1))
    quarter = max(1, length // 4)
    overlap = {"train_stride": quarter, "test_stride": quarter, "jitter": quarter}
    return {**windows(length), "min_ioa": 0.5, "require_whole": False, **overlap}


def samples_per_epoch(statistics: DatasetStatistics, sampling: dict[str, Any]) -> int:
    """About how many samples those sampling settings make of the videos."""
    if sampling["resize"] != "window":
        return statistics.num_videos
    return max(1, sum(statistics.video_lengths) // sampling["train_stride"])


def batch_length(statistics: DatasetStatistics, sampling: dict[str, Any]) -> int:
    """About how long a batch is: as its samples, or, of whole videos, as the longest but a twentieth."""
    lengths = statistics.video_lengths
    return int(
        sampling["length"] if sampling["resize"] != "pad" else min(sampling["length"], lengths[-1 - len(lengths) // 20])
    )


def batch_size(samples: int, length: int, snippets: int) -> int:
    """Samples of `length` that make up about `snippets`: 2 to 16, but no more than a fourth of an epoch."""
    return max(1, min(samples // 4, 16, max(2, round(snippets / length))))


def network_width(statistics: DatasetStatistics) -> int:
    """128 channels for hundreds of instances, 256 for thousands, 512 for many of a deep network's features."""
    instances = len(statistics.instance_lengths)
    # Of frames a network over clips makes a thousand.
    channels = 1024 if statistics.frame_size else statistics.channels
    if instances < 2000 or channels < 64:
        return 128
    return WIDE if instances >= MANY_INSTANCES and channels >= 1024 else 256


def updates_for(statistics: DatasetStatistics, usual: int = UPDATES) -> int:
    """How many updates so many instances are worth: `usual` for `OF_INSTANCES`."""
    share = len(statistics.instance_lengths) / OF_INSTANCES
    return round(usual * share ** (1 / 2 if share > 1 else 1 / 3))


def training_recipe(samples: int, batch: int, updates: int) -> dict[str, Any]:
    """Training settings: AdamW with cosine decay and averaged weights for about `updates` updates."""
    epochs = max(LEAST_EPOCHS, min(MOST_EPOCHS, math.ceil(updates * batch / samples)))
    return {
        "epochs": epochs,
        "batch_size": batch,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "decay_everything": False,
        "schedule": "cosine",
        "warmup_epochs": min(5.0, epochs / 20),
        "clip_norm": 1.0,
        "ema_decay": 0.99,
    }


def pyramid_levels(statistics: DatasetStatistics, length: int, per_position: int = 1) -> int:
    """How many levels, 2 to 8, reach up to the long instances on a grid of `length` snippets.

    per_position snippets (of frames) are one position of the first level.
    """
    reaching = round(math.log2(max(statistics.instance_length(0.95) / per_position, 2.0))) + 1
    return max(2, min(reaching, round(math.log2(max(length // per_position, 2))), 8))


def describe_choice(statistics: DatasetStatistics, settings: SettingsBySection) -> list[str]:
    """What was chosen for the data and by which of their facts, in four lines.

    settings are complete, every section with every field.
    """
    model, sampling, training = (settings[section] for section in ("model", "sampling", "training"))
    return [
        _facts(statistics),
        _samples_in_words(statistics, sampling, settings["prediction"]),
        _updates_in_words(statistics, sampling, training),
        _regularisation_in_words(statistics, model.get("width", 0), sampling),
    ]


def _unit(statistics: DatasetStatistics) -> str:
    return "snippets" if statistics.frame_size is None else "frames"


def _facts(statistics: DatasetStatistics) -> str:
    shortest, longest = statistics.video_lengths[0], statistics.video_lengths[-1]
    short, long = (statistics.instance_length(quantile) for quantile in (0.05, 0.95))
    return (
        f"{statistics.num_videos:,} videos of {shortest:,} to {longest:,} {_unit(statistics)} of "
        f"{statistics.seconds_per_snippet:.3g} s; {len(statistics.instance_lengths):,} instances of "
        f"{statistics.num_classes} classes, nine in ten of {short:.3g} to {long:.3g} {_unit(statistics)}"
    )


def _samples_in_words(statistics: DatasetStatistics, sampling: dict[str, Any], prediction: dict[str, Any]) -> str:
    unit, longest, length = _unit(statistics), statistics.video_lengths[-1], sampling["length"]
    if sampling["resize"] == "rescale":
        return f"each video rescaled to {length} {unit}"
    if sampling["resize"] == "pad" and longest <= length:
        return f"each video whole: the longest has {longest:,} {unit}"
    if sampling["resize"] == "pad":
        return f"crops of {length} {unit} in training, whole videos in prediction"
    times = length / max(statistics.instance_length(0.95), 1.0)
    what = f"windows of {length} {unit}, {times:.2g} times a long instance, {sampling['train_stride']} apart"
    if prediction["average_windows"]:
        forms = " and ".join(f"{each:g}" for each in prediction["time_stretches"])
        longer = f", also of the video {forms} times as long" if forms else ""
        return f"{what}; what they say is averaged where they overlap{longer}"
    factor = prediction["cut_factor"]
    return what if factor == 1 else f"{what}; candidates that a window cuts have {factor:g} of their score"


def _updates_in_words(statistics: DatasetStatistics, sampling: dict[str, Any], training: dict[str, Any]) -> str:
    epochs, batch = training["epochs"], training["batch_size"]
    updates = epochs * -(-samples_per_epoch(statistics, sampling) // batch)
    samples = f"{batch} sample{'s' * (batch > 1)}"
    return f"about {updates:,} updates of {samples}, by the number of instances: training.epochs={epochs}"


def _regularisation_in_words(statistics: DatasetStatistics, width: int, sampling: dict[str, Any]) -> str:
    network = f"a network {width} channels wide, " if width else ""
    noise, dropped, stretch = (sampling[name] for name in ("feature_noise", "feature_dropout", "time_stretch"))
    if statistics.frame_size is not None:
        return f"{network}no noise on frames: they are cropped and mirrored at random"
    if not (noise or dropped):
        return f"{network}no noise on features: there are instances enough"
    speed = f", samples up to {stretch:g} times faster or slower" if stretch > 1 else ""
    return (
        f"{network}noise of {noise:g} deviations on features, {dropped:.0%} of whose channels are dropped{speed}: "
        "instances are few"
    )
