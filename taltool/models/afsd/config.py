"""The settings of AFSD and what they may not be, its presets, and its settings for data that nobody tuned it for."""

from dataclasses import dataclass
from typing import Literal

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models.auto_recipes import (
    STRONG_AUGMENTATION,
    WIDE,
    detector_settings,
    network_width,
    pyramid_levels,
    whole_or_windows,
)
from taltool.models.contract import SettingsBySection
from taltool.nn.conv import NormKind

RefineKind = Literal["all", "naive", "self", "frame", "none"]
PoolKind = Literal["max", "mean", "conv", "stack"]
RegionKind = Literal["inside", "outside", "symmetric"]


@dataclass(frozen=True)
class AFSDConfig:
    """The switches of AFSD; defaults are the paper's for THUMOS14, on features."""

    width: int = 512  # Channels of every layer.
    levels: int = 6  # Pyramid levels; level l has a location every 2^l snippets.
    norm: NormKind = "gn"
    groups: int = 32  # Of the group norm.
    frames_per_snippet: int = 4  # Frames of the frame-level feature, and units of distance, per snippet.
    # exp(x) is a distance in frames, or in halves of the level's stride (the authors' ActivityNet code).
    distance_unit: Literal["frame", "level"] = "frame"
    refine: RefineKind = "all"  # Table 2d; naive and none have no boundary feature, hence no consistency loss.
    quality: Literal["tiou", "centerness", "none"] = "tiou"  # Table 2a.
    pool: PoolKind = "max"  # Table 2e.
    region: RegionKind = "inside"  # Table 2c: which side of an end is looked at more.
    bcl: Literal["both", "act", "trip", "none"] = "both"  # Table 2f: boundary consistency learning.
    bcl_update: Literal["joint", "two_step"] = "joint"  # One update on the sum (code), or L first, then l_con (paper).
    act_norm: Literal["tanh", "clip", "minmax"] = "tanh"  # Table 2b.
    # code: distances, start features as negatives; paper (Eq. 9): squared distances, start and end features.
    trip: Literal["code", "paper"] = "code"
    ssl_inside_div: float = 0.0  # Inside divisor of the triplet's regions (paper: 100); 0 = that of `region`.
    classifier: Literal["own", "external"] = "own"  # external: action or background; classes come from `label`.
    level_bounds: bool = False  # Restrict each level to instances of its size (the authors' ActivityNet code).
    refined_tiou: float = 0.5  # From which tIoU with the coarse segment an instance is refined.
    refined_best: bool = False  # Where no location of a clip passes, take those of its best tIoU (ActivityNet code).
    refined_loss: Literal["l1", "smooth_l1"] = "l1"
    # Sums are divided by the positives of their clip, then averaged over clips; or by the positives of the batch.
    normaliser: Literal["clip", "batch"] = "clip"
    background_alpha: float = 0.25
    focal_gamma: float = 2.0
    class_weight: float = 1.0
    location_weight: float = 10.0
    quality_weight: float = 1.0
    activation_weight: float = 1.0
    triplet_weight: float = 0.1
    level_consistency_weight: float = 0.1  # Of level 0's boundary features beside the frame level's, in both.

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2 or (self.norm == "gn" and self.width % self.groups):
            raise UsageError(f"afsd: width={self.width} must be even and a multiple of groups={self.groups}")
        if self.levels < 1 or self.frames_per_snippet < 1:
            raise UsageError("afsd: levels and frames_per_snippet must be at least 1")


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
