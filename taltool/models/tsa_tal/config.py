"""The settings of TSA-TAL, and what they may not be."""

from dataclasses import dataclass
from typing import Literal

from taltool.errors import UsageError

TsaKind = Literal["full", "none", "m_only", "am", "bm"]
ConditionKind = Literal["same_or_bg", "same", "none"]
DistanceKind = Literal["hard", "soft", "similarity"]


@dataclass(frozen=True)
class TSATALConfig:
    """The switches of TSA-TAL; all but the width of 512 and the existence of the modules is our choice."""

    width: int = 512
    groups: int = 32  # Of the group norms.
    tsa: TsaKind = "full"  # none: no attention; m_only: plain attention; am, bm: with one filter of the two.
    tsa_heads: Literal[1, 2, 4, 8] = 1
    tsa_warmup: int = 400  # Updates of training in which A and B, made of untrained classes, are not used yet.
    a_mode: ConditionKind = "same_or_bg"
    alpha_bg: float = 0.5
    b_mode: DistanceKind = "hard"
    b_theta: float = 0.5
    tpp: Literal["full", "none"] = "full"
    tpp_rates: tuple[int, ...] = (1, 2, 4, 8)
    tpp_levels: int = 3
    actionness_to_tpp: Literal["concat", "mul", "off"] = "concat"
    stage_weights: tuple[float, float, float] = (0.5, 0.5, 1.0)  # Of the losses: coarse, behind TSA, final.
    background_alpha: float = 0.25
    focal_gamma: float = 2.0
    dropout: float = 0.0  # Behind the stem.
    decode: Literal["actionness", "anchor_free", "both"] = "both"
    refine_boundary: Literal["mean", "none", "regress"] = "mean"
    decode_upsample: Literal[1, 2, 4] = 1
    thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    top_classes: int = 2  # Labels of one segment.

    def __post_init__(self) -> None:
        share = self.groups * len(self.tpp_rates)
        if self.tpp == "full" and (not self.tpp_rates or self.tpp_levels < 1 or min(self.tpp_rates) < 1):
            raise UsageError("tsa-tal: tpp_rates must name dilations of at least 1, and tpp_levels be at least 1")
        if self.groups < 1 or self.width % (share if self.tpp == "full" else self.groups):
            raise UsageError(f"tsa-tal: width {self.width} must be divisible by groups * number of tpp_rates = {share}")
        if self.width % self.tsa_heads:
            raise UsageError(f"tsa-tal: width {self.width} must be divisible by tsa_heads = {self.tsa_heads}")
        if not self.thresholds or not all(0 < theta <= 1 for theta in self.thresholds) or self.top_classes < 1:
            raise UsageError("tsa-tal: thresholds must be numbers in (0, 1], at least one; top_classes at least 1")
