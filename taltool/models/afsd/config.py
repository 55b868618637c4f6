"""The settings of AFSD and what they may not be, its presets, and its settings for data that nobody tuned it for."""

from dataclasses import dataclass
from typing import Any, Literal

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models.auto_recipes import (
    FRAMES_PER_BATCH,
    STRONG_AUGMENTATION,
    WIDE,
    clips,
    detector_settings,
    network_width,
    pyramid_levels,
    whole_or_windows,
)
from taltool.models.contract import SettingsBySection
from taltool.nn.conv import NormKind
from taltool.ops.nms_settings import preset_section

RefineKind = Literal["all", "naive", "self", "frame", "none"]
PoolKind = Literal["max", "mean", "conv", "stack"]
RegionKind = Literal["inside", "outside", "symmetric"]
SpliceRule = Literal["code", "code-activitynet13", "paper"]
# I3D halves its input five times.
_LEAST_CROP = 32
# What divides the channels of an I3D that learns from few data alone.
_SMALL_DIVISOR = 4


@dataclass(frozen=True)
class AFSDConfig:
    """The switches of AFSD; defaults are those of the authors' code for THUMOS14, which made the numbers, on features.

    The code is not the text in `bcl_update`, `trip`, the two `ssl_` divisors, `triplet_weight`, `splice` and
    `quality_divisor`; the presets NAME-paper have all of these as printed. Both learn from frames, as the presets
    NAME-frames do; on features the pyramid's first level is a projection of the snippets instead of I3D's maps, and
    splicing moves whole snippets. Neither leaves padding out of group norms and locations, as is done here.

    The paper has a network for RGB and one for flow and averages them: `train --streams rgb`, `train --streams flow`,
    then `predict --model RGB --model FLOW` averages distances, logits and offsets before it decodes (so the code for
    THUMOS14; that for ActivityNet averages decoded boundaries geometrically).
    """

    # What it learns from: features, or pixels by an Inception-I3D that is trained with the rest. A unit of the grid is
    # then one frame, in targets, candidates and the settings of sampling.
    input: Literal["features", "frames"] = "features"
    crop: int = 96  # Frames: pixels along both sides of what is seen.
    backbone_divisor: int = 1  # Frames: I3D with so many times fewer channels, to begin with weights of one's own.
    backbone_rate: float = 1.0  # Frames: I3D's learning rate, in multiples of that of the rest; 0 = not trained.
    checkpointing: bool = False  # Frames: compute I3D's activations twice rather than keep them; less memory.
    width: int = 512  # Channels of every layer.
    levels: int = 6  # Pyramid levels; level l has a location every 2^l snippets.
    norm: NormKind = "gn"  # Group norm, or layer norm, over the channels of every layer.
    groups: int = 32  # Of the group norm.
    # Frames of the frame-level feature, and units of distance, per snippet. Frames: per location of level 0, which is
    # of I3D's Mixed_4f (4) or Mixed_5c (8).
    frames_per_snippet: int = 4
    # exp(x) is a distance in frames, or in halves of the level's stride (the authors' ActivityNet code).
    distance_unit: Literal["frame", "level"] = "frame"
    # Which features refine a segment (Table 2d); naive and none have no boundary feature, hence no consistency loss.
    refine: RefineKind = "all"
    quality: Literal["tiou", "centerness", "none"] = "tiou"  # What the quality score learns (Table 2a).
    pool: PoolKind = "max"  # How boundary pooling reduces a region (Table 2e).
    # Table 2c: which side of an end is looked at more. The divisors of the other two rows, which the paper does not
    # give, are ours (see `network.REGION_DIVISORS`).
    region: RegionKind = "inside"
    bcl: Literal["both", "act", "trip", "none"] = "both"  # Table 2f: boundary consistency learning.
    # One update on the sum (code), or L first and then l_con by the clips that can be spliced (supplement, Alg. 1).
    bcl_update: Literal["joint", "two_step"] = "joint"
    act_norm: Literal["tanh", "clip", "minmax"] = "tanh"  # How activations are scaled for l_act (Table 2b).
    # code: distances, start features as negatives; paper (Eq. 9): squared distances, start and end features.
    trip: Literal["code", "paper"] = "code"
    # Divisors of the triplet's regions inside and outside of a part; 0 = those of `region`. Eq. 3 as printed, with the
    # paper's delta_a = 4 and delta_b = 100 for this loss: outside 4, inside 100.
    ssl_inside_div: float = 0.0
    ssl_outside_div: float = 0.0  # As ssl_inside_div.
    # What is spliced, and w_min, "the minimal action length in one video": of its instances (paper), or of what its
    # training windows show of them (code; another one for ActivityNet). See `consistency.plan_splice`.
    splice: SpliceRule = "code"
    classifier: Literal["own", "external"] = "own"  # external: action or background; classes come from `label`.
    level_bounds: bool = False  # Restrict each level to instances of its size (the authors' ActivityNet code).
    refined_tiou: float = 0.5  # From which tIoU with the coarse segment an instance is refined.
    refined_best: bool = False  # Where no location of a clip passes, take those of its best tIoU (ActivityNet code).
    refined_loss: Literal["l1", "smooth_l1"] = "l1"  # Of the offsets that refine a segment.
    quality_divisor: Literal["coarse", "refined"] = (
        "coarse"  # The positives that divide Eq. 14: N_C (code), N_R (text).
    )
    # Of several networks (RGB, flow): the mean of their distances and offsets, or the geometric mean of the ends that
    # each decodes, within its clip (the authors' ActivityNet code).
    fusion: Literal["distances", "segments"] = "distances"
    # Weights of towers, branches and heads: Xavier, or N(0, 0.01) (the authors' ActivityNet code).
    init: Literal["xavier", "normal"] = "xavier"
    # Sums are divided by the positives of their clip, then averaged over clips (the authors' ActivityNet code), or by
    # those of the batch (their code for THUMOS14; the same in batches of one).
    normaliser: Literal["clip", "batch"] = "clip"
    background_alpha: float = 0.25  # Weight of the background class in the focal loss.
    focal_gamma: float = 2.0  # Exponent of the focal loss.
    class_weight: float = 1.0  # Weight of both classification losses.
    location_weight: float = 10.0  # Weight of both boundary losses.
    quality_weight: float = 1.0  # Weight of the quality loss (Eq. 14).
    activation_weight: float = 1.0  # Weight of boundary consistency's activation loss, l_act.
    triplet_weight: float = 0.1  # Weight of boundary consistency's triplet loss, l_trip.
    level_consistency_weight: float = 0.1  # Of level 0's features beside the frame's, in l_act and l_trip (code).

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2 or (self.norm == "gn" and self.width % self.groups):
            raise UsageError(f"afsd: width={self.width} must be even and a multiple of groups={self.groups}")
        if min(self.ssl_inside_div, self.ssl_outside_div) < 0:
            raise UsageError("afsd: ssl_inside_div and ssl_outside_div must not be negative")
        if self.levels < 1 or self.frames_per_snippet < 1:
            raise UsageError("afsd: levels and frames_per_snippet must be at least 1")
        if self.backbone_divisor < 1 or self.backbone_rate < 0:
            raise UsageError("afsd: backbone_divisor must be at least 1, backbone_rate not negative")
        if self.input == "frames" and (self.frames_per_snippet not in (4, 8) or self.levels < 2):
            raise UsageError("afsd: from frames frames_per_snippet must be 4 or 8 and levels at least 2")
        if self.crop < _LEAST_CROP:
            raise UsageError(f"afsd: crop={self.crop} must be at least {_LEAST_CROP} pixels")

    @property
    def frames_per_unit(self) -> int:
        """Frames that a unit of the grid stands for."""
        return self.frames_per_snippet if self.input == "features" else 1

    @property
    def unit_multiple(self) -> int:
        """The units of the grid of which a clip has a multiple, so that every level halves."""
        return 2 ** (self.levels - 1) * self.frames_per_snippet // self.frames_per_unit


# Boundary consistency learning and Eq. 14 as printed, in place of the code's.
_AS_PRINTED: dict[str, Any] = {
    "bcl_update": "two_step",
    "trip": "paper",
    "triplet_weight": 1.0,
    "ssl_inside_div": 100.0,
    "ssl_outside_div": 4.0,
    "splice": "paper",
    "quality_divisor": "refined",
}
_TRAINING: dict[str, Any] = {
    "epochs": 16,
    "batch_size": 1,
    "optimizer": "adam",
    "learning_rate": 1e-5,
    "weight_decay": 1e-3,
}
# Clips of 256 frames at 10 frames/s, as 64 snippets of 4 frames. The code's stride of 30 frames is 7.5 snippets; it
# tests RGB after 15 epochs, flow after 16. All candidates above the floor are suppressed, and then limited.
_THUMOS: dict[str, dict[str, Any]] = {
    "sampling": {"resize": "window", "length": 64, "train_stride": 8, "test_stride": 32, "min_ioa": 0.5},
    "training": _TRAINING,
    "prediction": {"min_score": 0.01, "top_k": 0},
    "nms": preset_section("afsd-thumos14"),
}
# The whole video, 768 frames of it, as 96 snippets of 8 frames.
_ACTIVITYNET: dict[str, dict[str, Any]] = {
    "model": {"frames_per_snippet": 8, "location_weight": 1.0},
    "sampling": {"resize": "rescale", "length": 96},
    "training": _TRAINING,
    "prediction": {"min_score": 1e-9, "top_k": 0},
    "nms": preset_section("afsd-activitynet13"),
}
# The same as a clip of frames.
_WHOLE_VIDEO: dict[str, Any] = {"resize": "window", "length": 768, "train_stride": 768, "test_stride": 768}
# The authors' code for ActivityNet, which is another one than for THUMOS14, and their command (piou 0.6; the checkpoint
# of epoch 10, of flow that of epoch 6: --set training.epochs=6). It finds one class, action; `taltool label
# --classifier` gives the names, which the paper does not say. The triplet's regions at level 0 have that level's stride
# of 8 frames, where the code still divides by 4.
_ACTIVITYNET_CODE: dict[str, dict[str, Any]] = {
    **_ACTIVITYNET,
    "model": {
        **_ACTIVITYNET["model"],
        "distance_unit": "level",
        "level_bounds": True,
        "refined_tiou": 0.6,
        "refined_best": True,
        "refined_loss": "smooth_l1",
        "splice": "code-activitynet13",
        "init": "normal",
        "fusion": "segments",
        "classifier": "external",
    },
    "training": {**_TRAINING, "epochs": 10, "learning_rate": 1e-4, "weight_decay": 1e-4},
}
# The text: as on THUMOS14 but for clips, lambda and suppression; its own classes.
_ACTIVITYNET_PAPER: dict[str, dict[str, Any]] = {
    **_ACTIVITYNET,
    "model": {**_ACTIVITYNET["model"], **_AS_PRINTED},
    "nms": preset_section("afsd-activitynet13-paper"),
}
# The text: "temporal overlap of m frames", m = 30 in training (226 frames from clip to clip are 56.5 snippets). It does
# not say which instances belong to a clip, alpha and gamma of the focal loss, the weight of level 0's consistency, and
# the floors of scores: they are the code's.
_THUMOS_PAPER: dict[str, dict[str, Any]] = {
    **_THUMOS,
    "model": _AS_PRINTED,
    "sampling": {**_THUMOS["sampling"], "train_stride": 56},
    "nms": preset_section("afsd-thumos14-paper"),
}
PRESETS: dict[str, SettingsBySection] = {
    "thumos14": _THUMOS,
    "thumos14-paper": _THUMOS_PAPER,
    "activitynet13": _ACTIVITYNET_CODE,
    "activitynet13-paper": _ACTIVITYNET_PAPER,
    # From pixels, as paper and code are, by an I3D that begins with Kinetics' weights (--init rgb_imagenet.pt): 96 x 96
    # of 112 x 112 pixels. Clips of 256 frames at 10 frames/s, which begin 30 frames apart in training, where the text
    # has them overlap by as many, and overlap by half in tests. The code pads short videos with black here.
    "thumos14-frames": {
        **_THUMOS,
        "model": {"input": "frames"},
        "sampling": {**_THUMOS["sampling"], "length": 256, "train_stride": 30, "test_stride": 128},
    },
    "thumos14-frames-paper": {
        **_THUMOS_PAPER,
        "model": {**_AS_PRINTED, "input": "frames"},
        "sampling": {**_THUMOS["sampling"], "length": 256, "train_stride": 226, "test_stride": 128},
    },
    # The 768 frames of a video are one clip; a short video, kept at its own rate, is padded to it. A tenth of the
    # learning rate for I3D is the code's; the text does not say that it has another one.
    "activitynet13-frames": {
        **_ACTIVITYNET_CODE,
        "model": {**_ACTIVITYNET_CODE["model"], "input": "frames", "backbone_rate": 0.1},
        "sampling": _WHOLE_VIDEO,
    },
    "activitynet13-frames-paper": {
        **_ACTIVITYNET_PAPER,
        "model": {**_ACTIVITYNET_PAPER["model"], "input": "frames"},
        "sampling": _WHOLE_VIDEO,
    },
}


def auto_settings(statistics: DatasetStatistics) -> SettingsBySection:
    """Settings for `statistics`, as differences from the defaults.

    Short videos are seen whole, long ones in windows of at least four long instances. Levels reach up to the longest
    instances and share them out by size; the network is as wide as the number of instances supports. On splits 1 and 2
    of 50 Salads the mAP of the test videos rose until about 800 updates and fell after 1,000; augmentation raised the
    average mAP of split 1 from .62 (80 epochs) to .74 (60 epochs), one run each. Twice the noise in features gave .62
    and .60 instead of .58 and .58 on two divisions of the 40 training videos of split 1 into 30 and 10. Samples played
    faster and slower gave .67 and .64 instead of .66 and .61 on ten training videos of split 1 and ten of split 3.

    From frames clips are shorter, and I3D is a small one unless data are many, for its weights have to be learned from
    them; --init of public ones takes `--set model.backbone_divisor=1`.
    """
    width = network_width(statistics)
    model: dict[str, Any] = {
        "width": width,
        "groups": width // 16,
        "distance_unit": "level",
        "level_bounds": True,
        "normaliser": "batch",
        "splice": "paper",
        "location_weight": 1.0,
    }
    if statistics.frame_size is not None:
        sampling = clips(statistics)
        model |= {
            "input": "frames",
            "crop": _crop(statistics.frame_size),
            "backbone_divisor": 1 if width == WIDE else _SMALL_DIVISOR,
            "levels": pyramid_levels(statistics, sampling["length"], AFSDConfig.frames_per_snippet),
        }
        return detector_settings(statistics, model, sampling, {}, snippets=FRAMES_PER_BATCH)
    sampling = whole_or_windows(statistics)
    # Features have nothing finer than a snippet to say.
    model |= {"frames_per_snippet": 1, "levels": pyramid_levels(statistics, sampling["length"])}
    return detector_settings(statistics, model, sampling, STRONG_AUGMENTATION)


def _crop(frame_size: tuple[int, int]) -> int:
    """The paper's 96 of 112 pixels; of smaller pictures the largest number that I3D halves evenly, with some to spare
    for random places where there are."""
    return max(_LEAST_CROP, min(AFSDConfig.crop, min(frame_size) // _LEAST_CROP * _LEAST_CROP))
