"""The settings of AFSD, and what they may not be."""

from dataclasses import dataclass
from typing import Literal

from taltool.errors import UsageError
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
