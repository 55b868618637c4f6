"""The settings of AMNet and what they may not be, its presets, and its settings for data that nobody tuned it for."""

from dataclasses import dataclass
from typing import Any, Literal

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models.auto_recipes import (
    STRONG_AUGMENTATION,
    detector_settings,
    network_width,
    pyramid_levels,
    whole_or_windows,
)
from taltool.models.contract import SettingsBySection
from taltool.nn.conv import NormKind
from taltool.ops.nms_settings import preset_section

GroupKind = Literal["full", "self", "cross", "none"]
TripletPool = Literal["mean_norm", "mean", "interp"]


@dataclass(frozen=True)
class AMNetConfig:
    """The switches of AMNet.

    Defaults are the paper's for THUMOS14, or ours (marked with *) where it is silent or, as said, prints something
    else. The presets named for data sets are the paper as printed, where they differ from the defaults as told here.
    There is no code of the authors.
    """

    width: int = 512  # Channels of every layer but the AME's ends*.
    levels: int = 6  # Pyramid levels*; level l has a location every 2^l snippets.
    # Norm of the pyramid's convolutions: over the channels of each position, or, as in AFSD, the paper's baseline, over
    # groups of channels and a level's time*. AME and heads have LayerNorm (Eq. 9).
    pyramid_norm: NormKind = "ln"
    pyramid_groups: int = 32  # Of pyramid_norm=gn.
    ame: bool = True  # The action masking encoder (Table 2).
    ame_layers: int = 2  # K of Eq. 1*.
    ame_kernel: int = 3  # Of its convolutions*.
    # Tables 2 and 3: self-attention in each level and cross-attention between groups of levels, one alone, neither.
    gam: GroupKind = "full"
    heads: int = 8  # N_h of Eq. 6*.
    attn_window: int = 0  # Self-attention sees attn_window // 2 positions to each side; 0 = the whole level.
    shared_cross: bool = True  # Eq. 8: one set of weights for both directions.
    # Around the attentions, with a norm behind the first*. Eq. 6 and 8 print none; section 2.3 adopts "the encoder of
    # the transformer", which has them, and so do the presets, as the printed form hardly trains: what the GAM gives is
    # at first nearly the same everywhere (over 2,304 random snippets it deviates by .3 % of its size, with residuals by
    # 77 %), and after 15 epochs of 50 Salads, split 1, 256 snippets a video, the average mAP was .08, with them .44.
    residual: bool = True
    pos_enc: Literal["none", "sin"] = "none"  # Places added to every level*.
    dropout: float = 0.0  # Of attention weights and inside the MLP*.
    head_layers: int = 2  # K of Eq. 9*.
    boundary_act: Literal["exp", "relu"] = "exp"  # Sigma of Eq. 10*; distances are in strides of the level*.
    match: bool = True  # The matching score (MS in Table 2; Table 4, row 1).
    match_act: Literal["tanh", "sigmoid"] = "tanh"  # Of the matching score (Table 4, rows 2 and 3).
    # Of the matching score (Figure 6); bce wants match_act=sigmoid.
    match_loss: Literal["l2", "l1", "smooth_l1", "bce"] = "l2"
    lambda1: float = 1.0  # Of boundary and matching loss (Table 5).
    lambda2: float = 1.0  # Of the triplet loss (Table 5).
    # How features of different length are compared, which Eq. 2 prints as they are. By their means over time, which a
    # distance needs at least ("mean": the presets); of unit length too, as in FaceNet, which the paper cites*; or, also
    # of unit length, all resized to the video's number of snippets ("interp").
    triplet_pool: TripletPool = "mean_norm"
    triplet_margin: float = 1.0  # alpha of Eq. 3*.
    # The triplet's update, then the detector's, of everything (paper); one update on the sum (Eq. 12); or the triplet's
    # alone for mask_updates iterations, then the detector's alone.
    training: Literal["two_step", "joint", "mask_first"] = "two_step"
    mask_updates: int = 500  # Updates of the triplet loss alone, for training=mask_first.
    level_bounds: bool = False  # Restrict each level to instances of its size, as AFSD's authors do on ActivityNet.
    label_smoothing: float = 0.1  # In section 4.5, without a value*.
    focal_alpha: float = 0.25  # As Lin et al. (RetinaNet), which the paper cites, and so the next.
    focal_gamma: float = 2.0  # Exponent of the focal loss.
    # Of Eq. 11: its sums as printed ("sum": the presets), or over the number of positive locations, as in AFSD*.
    normaliser: Literal["positives", "sum"] = "positives"
    # On ActivityNet section 4.2 multiplies by a video classifier's scores; `label` does that. external: one output,
    # action, whose classes come from there altogether.
    classifier: Literal["own", "external"] = "own"

    def __post_init__(self) -> None:
        if min(self.width, self.levels, self.heads, self.ame_layers, self.ame_kernel, self.head_layers) < 1:
            raise UsageError("amnet: width, levels, heads, layers and kernels must be at least 1")
        if self.gam != "none" and self.width % self.heads:
            raise UsageError(f"amnet: width={self.width} must be a multiple of heads={self.heads}")
        if self.gam in ("full", "cross") and self.levels < 2:
            raise UsageError(f"amnet: gam={self.gam} exchanges between two groups of levels; set levels to 2 or more")
        if self.match and self.match_loss == "bce" and self.match_act != "sigmoid":
            raise UsageError("amnet: match_loss=bce compares probabilities; set match_act=sigmoid too")
        if self.pyramid_norm == "gn" and (self.pyramid_groups < 1 or self.width % self.pyramid_groups):
            raise UsageError(f"amnet: width={self.width} must be a multiple of pyramid_groups={self.pyramid_groups}")
        if not 0 <= self.label_smoothing < 1 or not 0 <= self.dropout < 1:
            raise UsageError("amnet: label_smoothing and dropout must lie in [0, 1)")
        if min(self.attn_window, self.mask_updates) < 0 or min(self.lambda1, self.lambda2) < 0:
            raise UsageError("amnet: attn_window, mask_updates, lambda1 and lambda2 must not be negative")


# Section 4.2 and no more: no warm-up, every parameter decays. ActionFormer, with the same numbers, warms up for 5
# epochs more and spares norms and biases the decay.
_TRAINING: dict[str, Any] = {
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "cosine",
}
_AS_PRINTED: dict[str, Any] = {"triplet_pool": "mean", "normaliser": "sum"}
# Lengths, floors and numbers of candidates are ours: ActionFormer's, whose other settings are those of the paper.
PRESETS: dict[str, SettingsBySection] = {
    # I3D, 16 frames every 4; the paper's suppression is not told, AFSD's sigma stands in.
    "thumos14": {
        "model": _AS_PRINTED,
        "sampling": {"resize": "pad", "length": 2304, "min_ioa": 0.5},
        "training": {**_TRAINING, "epochs": 45, "batch_size": 4, "learning_rate": 1e-4},
        "prediction": {"min_score": 1e-3, "top_k": 2000},
        "nms": preset_section("amnet-thumos14"),
    },
    # I3D, 16 frames every 16. The paper multiplies by a classifier's scores: `taltool label --replace --top-k 2` behind
    # the suppression, as BSN and G-TAD, which it follows; or, class by class, `taltool label --keep-labels` before it.
    "activitynet13": {
        "model": _AS_PRINTED,
        "sampling": {"resize": "rescale", "length": 192},
        "training": {**_TRAINING, "epochs": 10, "batch_size": 16, "learning_rate": 1e-3},
        "prediction": {"min_score": 1e-3, "top_k": 2000},
        "nms": preset_section("amnet-activitynet13"),
    },
}


def auto_settings(statistics: DatasetStatistics) -> SettingsBySection:
    """Settings for `statistics`, as differences from the defaults.

    Sampling, levels, width and recipe are those of the other models (`taltool.models.auto_recipes`); levels share
    instances by size. The pyramid's norm is over time, which keeps how strong a snippet is beside its neighbours: with
    30 videos of 50 Salads, 10 more to look at, two such divisions and one run each, the average mAP was .59 and .53
    instead of .54 and .47 with LayerNorm (group norm in the heads too .58 and .50; AFSD .59 and .49). Nothing else
    tried was better than noise: focal alpha .5 or .75, sines of the position, windows of 19 snippets, no label
    smoothing, joint training. It learns small data by heart sooner than AFSD, hence twice the noise in features: on two
    other such divisions .61 and .57 instead of .57 and .56. Crops of 256 snippets gave .59 and .58, of 128 .59 and .56,
    with the noise .59 and .58, with dropout of .2 .60 and .57. Samples played faster and slower gave .65 instead of .64
    on a fifth.
    """
    sampling, width = whole_or_windows(statistics), network_width(statistics)
    model = {
        "width": width,
        "pyramid_norm": "gn",
        "pyramid_groups": width // 16,
        "levels": pyramid_levels(statistics, sampling["length"]),
        "level_bounds": True,
    }
    return detector_settings(statistics, model, sampling, STRONG_AUGMENTATION)
