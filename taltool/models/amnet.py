"""AMNet: action-aware masking network with group-based attention (Kang, Lee, Jin, Lee, WACV 2023), on features.

An Action Masking Encoder (AME) adds to the features what makes actions stand out; it learns from ground truth, by a
triplet loss, in an update of its own. The levels of a pyramid over the sum attend within themselves and to one another
(GAM), and every location says its classes, the distances to both ends of its action, and how well its segment will
match. There is no published code; where the text is silent, AFSD (the paper's baseline) and ActionFormer (whose recipe
its settings are) fill the gaps. Parts in `_amnet_network.py`, losses in `_amnet_loss.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from taltool.data.facts import DataFacts
from taltool.errors import UsageError
from taltool.models import MODELS
from taltool.models._amnet_fit import PRESETS, fitted
from taltool.models._amnet_loss import TripletPool, detection_terms, normalised_matching, triplet_term
from taltool.models._amnet_network import ActionMaskingEncoder, DetectionHeads, GroupAttention, GroupKind
from taltool.models._locations import located, one_candidate_per_class
from taltool.models.contract import Batch, Candidates, Model, Outputs, Settings, Targets
from taltool.nn.assignment import padded_targets
from taltool.nn.axis import level_masks, padded_to_multiple
from taltool.nn.conv import NormKind
from taltool.nn.grid import PyramidGrid
from taltool.nn.pyramid import StridedPyramid


@dataclass(frozen=True)
class AMNetConfig:
    """The switches of AMNet; defaults are the paper's for THUMOS14, or ours where it is silent (marked with *)."""

    width: int = 512  # Channels of every layer but the AME's ends*.
    levels: int = 6  # Pyramid levels*; level l has a location every 2^l snippets.
    # Norm of the pyramid's convolutions: over the channels of each position, or, as in AFSD, the paper's baseline, over
    # groups of channels and a level's time*. AME and heads have LayerNorm (Eq. 9).
    pyramid_norm: NormKind = "ln"
    pyramid_groups: int = 32  # Of pyramid_norm=gn.
    ame: bool = True  # Table 2.
    ame_layers: int = 2  # K of Eq. 1*.
    ame_kernel: int = 3  # *
    # Tables 2 and 3: self-attention in each level and cross-attention between groups of levels, one alone, neither.
    gam: GroupKind = "full"
    heads: int = 8  # N_h of Eq. 6*.
    attn_window: int = 0  # Self-attention sees attn_window // 2 positions to each side; 0 = the whole level.
    shared_cross: bool = True  # Eq. 8: one set of weights for both directions.
    residual: bool = True  # Around the attentions, with a norm behind the first*; Eq. 6 and 8 as printed have none.
    pos_enc: Literal["none", "sin"] = "none"  # Places added to every level*.
    dropout: float = 0.0  # Of attention weights and inside the MLP*.
    head_layers: int = 2  # K of Eq. 9*.
    boundary_act: Literal["exp", "relu"] = "exp"  # Sigma of Eq. 10*; distances are in strides of the level*.
    match: bool = True  # Table 2 (MS), Table 4, row 1.
    match_act: Literal["tanh", "sigmoid"] = "tanh"  # Table 4, rows 2 and 3.
    match_loss: Literal["l2", "l1", "smooth_l1", "bce"] = "l2"  # Figure 6; bce wants match_act=sigmoid.
    lambda1: float = 1.0  # Of boundary and matching loss (Table 5).
    lambda2: float = 1.0  # Of the triplet loss (Table 5).
    triplet_pool: TripletPool = "mean_norm"  # How features of different length are compared in Eq. 2*.
    triplet_margin: float = 1.0  # alpha of Eq. 3*.
    # The triplet's update, then the detector's, of everything (paper); one update on the sum (Eq. 12); or the triplet's
    # alone for mask_updates iterations, then the detector's alone.
    training: Literal["two_step", "joint", "mask_first"] = "two_step"
    mask_updates: int = 500
    level_bounds: bool = False  # Restrict each level to instances of its size, as AFSD's authors do on ActivityNet.
    label_smoothing: float = 0.1  # *
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    normaliser: Literal["positives", "sum"] = "positives"  # sum: Eq. 11 as printed.
    classifier: Literal["own", "external"] = "own"  # external: one action output; classes come from `label`.

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


@MODELS.register("amnet")
class AMNet(Model):
    """See the module.

    Outputs, for N locations of all levels: logits (B, N, classes), distances (B, N, 2) in snippets, matching (B, N);
    centres (N,) in snippets, level (N,), valid (B, N), mask (B, T).
    """

    Config = AMNetConfig
    presets: ClassVar[dict[str, Settings]] = PRESETS
    config: AMNetConfig
    updates: Tensor

    def __init__(self, config: AMNetConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        width, levels = config.width, config.levels
        self.is_class_agnostic = config.classifier == "external"  # type: ignore[misc]
        self.length_multiple = 2 ** (levels - 1)
        self.ame = ActionMaskingEncoder(channels, width, config.ame_layers, config.ame_kernel) if config.ame else None
        self.pyramid = StridedPyramid(
            channels, width, levels, projection_width=3, norm=config.pyramid_norm, groups=config.pyramid_groups
        )
        self.attention = self._group_attention() if config.gam != "none" else None
        outputs = 1 if self.is_class_agnostic else num_classes
        self.heads = DetectionHeads(width, outputs, levels, config.head_layers, config.boundary_act, config.match)
        self.phases = ("mask", "detector") if self._learns_mask and config.training != "joint" else ("all",)
        if config.training == "mask_first":
            self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def _group_attention(self) -> GroupAttention:
        config = self.config
        return GroupAttention(
            config.width,
            config.levels,
            config.gam,
            heads=config.heads,
            window=config.attn_window,
            shared_cross=config.shared_cross,
            residual=config.residual,
            places=config.pos_enc == "sin",
            dropout=config.dropout,
        )

    @property
    def _learns_mask(self) -> bool:
        return self.ame is not None and self.config.lambda2 > 0

    def masked(self, features: Tensor, mask: Tensor) -> Tensor:
        """Eq. 4: features (B, C, T) with their action-aware mask added."""
        return features if self.ame is None else features + self.ame(features, mask)

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """See the class and `Model.forward`."""
        features, mask = padded_to_multiple(features, mask, self.length_multiple)
        grid = PyramidGrid.of(mask, self.config.levels)
        levels = self.pyramid(self.masked(features, mask), mask)
        if self.attention is not None:
            levels = self.attention(levels, level_masks(mask, self.config.levels))
        said = self.heads(grid.layout.pack(levels), grid.axis)
        outputs = located(said | {"distances": said["distances"] * grid.stride}, grid)
        if "matching" in outputs:
            outputs["matching"] = outputs["matching"].squeeze(2)
        return outputs

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Eq. 12 without the triplet, which needs the features; see `training_loss`."""
        padded = padded_targets(targets.segments, targets.labels, outputs["distances"].device)
        return detection_terms(outputs, padded, self.config)

    def training_loss(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """The losses of phase "mask" (Eq. 3), "detector" (Eq. 11) or "all" (Eq. 12)."""
        if phase == "all":
            return self._detection(batch) | (self._contrast(batch) if self._learns_mask else {})
        if self.config.training == "mask_first":
            return self._staged(batch, phase)
        return self._contrast(batch) if phase == "mask" else self._detection(batch)

    def _staged(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """The losses of `phase` while it is its turn, else a zero without a gradient for the weights."""
        is_mask_turn = int(self.updates) < self.config.mask_updates
        if phase == "detector":
            self.updates += 1
        if is_mask_turn == (phase == "mask"):
            return self._contrast(batch) if phase == "mask" else self._detection(batch)
        assert self.ame is not None
        idle = self.ame.output.bias if phase == "mask" else self.heads.main.scales
        return {"idle": idle.sum() * 0.0}  # type: ignore[union-attr]

    def _detection(self, batch: Batch) -> dict[str, Tensor]:
        return self.loss(self(batch.features, batch.mask), batch.targets)

    def _contrast(self, batch: Batch) -> dict[str, Tensor]:
        assert self.ame is not None
        padded = padded_targets(batch.targets.segments, batch.targets.labels, batch.features.device)
        return {"triplet": triplet_term(self.ame, batch.features, batch.mask, padded, self.config)}

    def phase_parameters(self, phase: str) -> Iterable[tuple[str, nn.Parameter]]:
        """Phase "mask" changes the AME alone, the others everything."""
        prefix = "ame." if phase == "mask" else ""
        return [(name, each) for name, each in self.named_parameters() if name.startswith(prefix)]

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """Eq. 13 and 14: every location as one candidate per class, clipped to the valid part of its sample."""
        centres, distances = outputs["centres"], outputs["distances"]
        segments = torch.stack([centres - distances[..., 0], centres + distances[..., 1]], dim=-1)
        scores = outputs["logits"].sigmoid()
        if "matching" in outputs:
            scores = scores * normalised_matching(outputs["matching"], self.config).clamp(min=0)[..., None]
        is_agnostic = self.is_class_agnostic
        return one_candidate_per_class(segments, scores, outputs["valid"], mask, is_class_agnostic=is_agnostic)

    @classmethod
    def fit(cls, facts: DataFacts) -> Settings:
        """The settings for somebody's own data; see `_amnet_fit`."""
        return fitted(facts)
