"""AMNet: action-aware masking network with group-based attention (Kang, Lee, Jin, Lee, WACV 2023), on features.

An Action Masking Encoder (AME) adds to the features what makes actions stand out; it learns from ground truth, by a
triplet loss, in an update of its own. The levels of a pyramid over the sum attend within themselves and to one another
(GAM), and each location predicts class scores, boundary distances, and how well its segment will match. There is no
published code; where the text is silent, AFSD (the paper's baseline) and ActionFormer (whose recipe its settings are)
fill the gaps; `taltool.models.amnet.config` marks where. Besides: a location's i of Eq. 13 is the middle of its cell;
each level has scales of its own in Eq. 10; the tIoU that the matching score learns (Eq. 11) passes no gradient to the
boundaries; a negative tanh in Eq. 14 gives score 0.
"""

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from taltool.data.statistics import DatasetStatistics
from taltool.models import MODELS
from taltool.models.amnet.config import PRESETS, AMNetConfig, auto_settings
from taltool.models.amnet.loss import (
    assign_locations,
    detection_terms,
    inside_and_outside,
    normalised_matching,
    triplet_term,
)
from taltool.models.amnet.network import ActionMaskingEncoder, DetectionHeads, GroupAttention
from taltool.models.contract import Batch, Candidates, Model, Outputs, SettingsBySection, Targets
from taltool.models.decoding import flatten_levels, one_candidate_per_class
from taltool.nn.pyramid import PyramidGrid, StridedPyramid, level_masks, padded_to_multiple
from taltool.nn.targets import padded_targets
from taltool.nn.whole_batch import ALONE, WholeBatch


@MODELS.register("amnet")
class AMNet(Model):
    """See the module.

    Outputs, for N locations of all levels: logits (B, N, classes), distances (B, N, 2) in snippets, matching (B, N);
    centres (N,) in snippets, level (N,), valid (B, N), mask (B, T).
    """

    Config = AMNetConfig
    presets: ClassVar[dict[str, SettingsBySection]] = PRESETS
    config: AMNetConfig
    updates: Tensor

    def __init__(self, config: AMNetConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        width, levels = config.width, config.levels
        self.is_class_agnostic = config.classifier == "external"
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

    def activations(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """See `Model.activations`: Figure 3, the feature, the mask and their sum."""
        masked = self.masked(features, mask)
        shown = {"feature": features, "mask": masked - features, "masked feature": masked}
        return {name: values.mean(1) for name, values in shown.items()}

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """See the class and `Model.forward`."""
        features, mask = padded_to_multiple(features, mask, self.length_multiple)
        grid = PyramidGrid.of(mask, self.config.levels)
        levels = self.pyramid(self.masked(features, mask), mask)
        if self.attention is not None:
            levels = self.attention(levels, level_masks(mask, self.config.levels))
        predictions = self.heads(grid.layout.pack(levels), grid.axis)
        outputs = flatten_levels(predictions | {"distances": predictions["distances"] * grid.stride}, grid)
        if "matching" in outputs:
            outputs["matching"] = outputs["matching"].squeeze(2)
        return outputs

    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """Eq. 12 without the triplet, which needs the features; see `training_loss`."""
        padded = padded_targets(targets.segments, targets.labels, outputs["distances"].device)
        return detection_terms(outputs, padded, self.config, whole)

    def training_loss(self, batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """The losses of phase "mask" (Eq. 3), "detector" (Eq. 11) or "all" (Eq. 12).

        Under training = mask_first a phase whose turn it is not has a zero without a gradient for the weights.
        """
        terms: dict[str, Tensor] = {}
        parts = self._parts(phase)
        if phase == "detector" and self.config.training == "mask_first":
            self.updates += 1
        if "detection" in parts:
            terms |= self.loss(self(batch.features, batch.mask), batch.targets, whole)
        if "triplet" in parts:
            assert self.ame is not None
            padded = padded_targets(batch.targets.segments, batch.targets.labels, batch.features.device)
            terms["triplet"] = triplet_term(self.ame, batch.features, batch.mask, padded, self.config, whole)
        if not parts:
            assert self.ame is not None
            idle = self.ame.output.bias if phase == "mask" else self.heads.main.scales
            terms["idle"] = idle.sum() * 0.0  # type: ignore[union-attr]
        return terms

    def _parts(self, phase: str) -> set[str]:
        """Which of "detection" and "triplet" the update `phase` learns from now."""
        if phase == "all":
            return {"detection", "triplet"} if self._learns_mask else {"detection"}
        if self.config.training == "mask_first" and (phase == "mask") != (int(self.updates) < self.config.mask_updates):
            return set()
        return {"triplet" if phase == "mask" else "detection"}

    def loss_counts(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """See `Model.loss_counts`: positive locations, and samples that have a triplet."""
        parts, counts = self._parts(phase), {}
        padded = padded_targets(batch.targets.segments, batch.targets.labels, batch.mask.device)
        if "detection" in parts:
            _, mask = padded_to_multiple(batch.features, batch.mask, self.length_multiple)
            locations = flatten_levels({}, PyramidGrid.of(mask, self.config.levels))
            counts["positives"] = assign_locations(locations, padded, self.config)[1]
        if "triplet" in parts:
            counts["triplets"] = inside_and_outside(batch.mask, padded)[2].sum()
        return counts

    def phase_parameters(self, phase: str) -> Iterable[tuple[str, nn.Parameter]]:
        """Phase "mask" changes the AME alone, the others everything."""
        prefix = "ame." if phase == "mask" else ""
        return [(name, each) for name, each in self.named_parameters() if name.startswith(prefix)]

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """Every location as one candidate per class, clipped to the valid part of its sample (Eq. 13 and 14)."""
        centres, distances = outputs["centres"], outputs["distances"]
        segments = torch.stack([centres - distances[..., 0], centres + distances[..., 1]], dim=-1)
        scores = outputs["logits"].sigmoid()
        if "matching" in outputs:
            scores = scores * normalised_matching(outputs["matching"], self.config).clamp(min=0)[..., None]
        return one_candidate_per_class(
            segments, scores, outputs["valid"], mask, is_class_agnostic=self.is_class_agnostic
        )

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        """See `Model.auto_settings` and `taltool.models.amnet.config`."""
        return auto_settings(statistics)
