"""The settings of BMN, and what they may not be."""

from dataclasses import dataclass
from typing import Literal

from taltool.errors import UsageError


@dataclass(frozen=True)
class BMNConfig:
    """The switches of BMN; defaults are those of its paper, or its published code for ActivityNet."""

    embedding: Literal["conv", "transformer"] = "conv"  # Transformer: GSMT's stands before the convolutions (Table 11).
    width: int = 0  # Of the transformer, by a linear layer in front; 0 = the features' own (GSMT).
    base_width: int = 256
    groups: int = 4  # Of channels, in the convolutions over time.
    proposal_width: int = 512  # Behind the convolution over a proposal's points.
    map_width: int = 128  # Behind it, of the convolutions over the map.
    points: int = 32  # Of a proposal,
    samples_per_point: int = 3  # each the mean of so many neighbouring samples,
    reach: float = 0.5  # evenly from this share of its length before the start to as much behind the end.
    most_snippets: int = 0  # The longest proposals, D of the map; 0 = as long as the sample.
    boundary_half_width: float = 1.5  # Of the regions around starts and ends, in snippets.
    regression_weight: float = 10.0  # Lambda of the loss.
    # Likely starts with likely ends (paper), or every pair (code).
    candidates: Literal["peaks", "all"] = "peaks"
    # The two confidences in the score: the root of their product (paper), or their product (code).
    confidence: Literal["root", "product"] = "root"

    def __post_init__(self) -> None:
        whole = ("base_width", "groups", "proposal_width", "map_width", "points", "samples_per_point")
        if min(getattr(self, name) for name in whole) < 1:
            raise UsageError(f"bmn: {', '.join(whole)} must be at least 1")
        if min(self.width, self.most_snippets, self.reach, self.regression_weight) < 0 or self.boundary_half_width <= 0:
            raise UsageError(
                "bmn: width, most_snippets, reach and regression_weight must not be negative, "
                "boundary_half_width must be above 0"
            )
        if self.base_width % self.groups:
            raise UsageError(f"bmn: base_width={self.base_width} must be a multiple of groups={self.groups}")
        if self.points * self.samples_per_point < 2:
            raise UsageError("bmn: a proposal needs at least two samples; set model.points or samples_per_point")
