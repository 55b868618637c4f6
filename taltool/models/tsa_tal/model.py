"""TSA-TAL: "Self-Attention Refinement for Actionness Temporal Action Localization" (Li et al., CEUR-WS 3344, 2022).

One stage on one sequence of snippets. Coarse heads predict class and interval of each; self-attention between snippets
is filtered by their predictions (TSA); the same heads look again; dilated convolutions on a pyramid, with the
actionness as a further channel, refine (TPP); final heads give actionness, class and distances. Segments are runs of
actionness.

The formulas are lost in every public copy, the section on training is empty, and there is no code: most numbers here
are our choices, marked as such in `config.py` and `network.py`. The recipe follows DaoTAD, which the paper cites.

The paper trains its I3D along: `input = "frames"`. I3D on ResNet-50 sees clips of 128 frames; we keep only the first
convolution's stride in time, so that 64 steps are left where all strides would leave 16. The mean over space compresses
them, a convolution of width 1 stands for the fully connected layer to 512 channels, and 64 steps become the 100
positions of "(512, 100)" by linear interpolation. "Mixed mode of optical flow and RGB" and "single-stream", "less
computational than a large two-stream network", fit together if one network sees both: its first convolution is over 5
channels, R, G, B, x and y. Two networks side by side would be the two streams that the paper sets itself against.
Frames of one stream alone, or `train --streams rgb`, work as well.

By default features are taken once, both streams side by side, and enter by the same convolution.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from taltool.data.statistics import DatasetStatistics
from taltool.models import MODELS
from taltool.models.contract import Batch, Candidates, FrameInput, Model, Outputs, SettingsBySection, Targets
from taltool.models.tsa_tal.config import PRESETS, TSATALConfig, auto_settings
from taltool.models.tsa_tal.decode import decode
from taltool.models.tsa_tal.loss import SnippetTargets, detection_terms
from taltool.models.tsa_tal.network import (
    STAGES,
    ClipEncoder,
    DetectionHeads,
    TemporalPyramidPooling,
    TemporalSelfAttention,
    interpolated,
    position_mask,
)
from taltool.nn.clips.layers import fold_norms, lay_channels_last
from taltool.nn.clips.mmaction import CLASSIFIER, STEM, own_name, stem_for
from taltool.nn.conv import Axis, ConvBlock
from taltool.nn.targets import PaddedTargets, padded_targets
from taltool.nn.whole_batch import ALONE, WholeBatch

# How the names of the backbone's tensors begin.
_BACKBONE = "backbone."


@MODELS.register("tsa-tal")
class TSATAL(Model):
    """See the module. Outputs: for each stage of coarse, refined, final, STAGE_logits (B, P, K + 1), background first,
    STAGE_actionness (B, P) logits, STAGE_distances (B, P, 2) in positions; and valid (B, P) float. A position is a
    snippet of features; of frames P = `config.positions` divide the clip evenly."""

    Config = TSATALConfig
    presets: ClassVar[dict[str, SettingsBySection]] = PRESETS
    pretrained_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {_BACKBONE: (CLASSIFIER,)}
    pretrained_kinds: ClassVar[Sequence[str]] = (
        "of MMAction's I3D on ResNet-50 over colours, alone: model.input=frames, model.backbone_divisor=1",
    )
    config: TSATALConfig
    updates: Tensor

    def __init__(self, config: TSATALConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        width, groups = config.width, config.groups
        self.backbone = None
        if config.input == "frames":
            self.backbone = ClipEncoder(channels, config.backbone_divisor, config.checkpointing)
            channels = self.backbone.channels
        self.stem = ConvBlock(channels, width, 1, groups=groups)
        self.dropout = nn.Dropout(config.dropout)
        self.trunk = ConvBlock(width, width, 3, groups=groups)
        self.attention = TemporalSelfAttention(
            width, config.tsa, config.tsa_heads, config.a_mode, config.alpha_bg, config.b_mode, config.b_theta
        )
        self.pooling = None
        if config.tpp == "full":
            inputs = width + (config.actionness_to_tpp == "concat")
            self.pooling = TemporalPyramidPooling(inputs, width, config.tpp_levels, config.tpp_rates, groups)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.shared_heads, self.final_heads = DetectionHeads(width, num_classes), DetectionHeads(width, num_classes)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """See the class and `Model.forward`."""
        if self.backbone is None:
            features = self.stem(features, Axis.single(mask))
        else:
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.backbone_rate > 0):
                steps = self.backbone.encode(features, mask)
            axis = Axis.single(position_mask(mask, steps.shape[2]))
            features = interpolated(self.stem(steps, axis), axis, self.config.positions)
            mask = position_mask(mask, self.config.positions)
            features = features * mask[:, None]
        axis = Axis.single(mask)
        features = self.dropout(features)
        coarse = self.shared_heads(self.trunk(features, axis))
        is_warm = not self.training or int(self.updates) >= self.config.tsa_warmup
        features = self.attention(features, coarse, mask, use_relation=is_warm)
        refined = self.shared_heads(self.trunk(features, axis))
        final = self.final_heads(self.pooled(features, refined.actionness.sigmoid()[:, None], mask))
        outputs = {"valid": mask.float()}
        for stage, detection in zip(STAGES, (coarse, refined, final), strict=True):
            outputs |= {f"{stage}_{name}": value for name, value in detection._asdict().items()}
        return outputs

    def pooled(self, features: Tensor, actionness: Tensor, mask: Tensor) -> Tensor:
        """Features (B, C, T), joined with actionness (B, 1, T), behind the TPP, where there is one."""
        if self.config.actionness_to_tpp == "mul":
            features = features * actionness
        if self.pooling is None:
            return features
        if self.config.actionness_to_tpp == "concat":
            features = torch.cat([features, actionness * mask[:, None]], dim=1)
        return self.pooling(features, mask)

    def training_loss(self, batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """See `Model.training_loss`; counts the updates of the warm-up."""
        losses = super().training_loss(batch, phase, whole)
        self.updates += 1
        return losses

    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """For each stage: STAGE_class (focal), STAGE_location (1 - tIoU), STAGE_actionness (balanced cross entropy)."""
        padded = self._in_positions(targets, outputs["valid"].device)
        return detection_terms(self.config, outputs, padded, whole)

    def loss_counts(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """See `Model.loss_counts`: the positions that belong to instances."""
        padded = self._in_positions(batch.targets, batch.mask.device)
        mask = batch.mask if self.backbone is None else position_mask(batch.mask, self.config.positions)
        return {"positives": SnippetTargets.of(padded, mask.float()).positive.sum()}

    def _in_positions(self, targets: Targets, device: torch.device) -> PaddedTargets:
        """Ground truth on the grid of positions."""
        frames = 1.0 if self.backbone is None else self.length / self.config.positions
        return padded_targets([segments / frames for segments in targets.segments], targets.labels, device)

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """See `Model.decode`: runs of actionness, or what each position says by itself, or both."""
        return decode(self.config, outputs, mask)

    def rate_of(self, name: str) -> float:
        """See `Model.rate_of`: that of the backbone is a setting."""
        return self.config.backbone_rate if name.startswith(_BACKBONE) else 1.0

    def prepare_inference(self) -> None:
        """See `Model.prepare_inference`."""
        if self.backbone is not None:
            lay_channels_last(fold_norms(self.backbone))

    @classmethod
    def frames_wanted(cls, config: TSATALConfig) -> FrameInput | None:
        """See `Model.frames_wanted`."""
        return FrameInput(config.crop) if config.input == "frames" else None

    @classmethod
    def convert_state_dict(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Model.convert_state_dict`: MMAction's I3D on ResNet-50, which is the backbone, is known."""
        named = {own_name(name): tensor for name, tensor in state.items()}
        if STEM not in named or "stem.conv.weight" in state:
            return dict(state)
        return {_BACKBONE + name: tensor for name, tensor in named.items()}

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Model.adapted`: the first filters over colours become those over flow too, see `stem_for`."""
        stem = _BACKBONE + STEM
        return {name: stem_for(each, self.channels) if name == stem else each for name, each in state.items()}

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        """See `Model.auto_settings` and `taltool.models.tsa_tal.config`."""
        return auto_settings(statistics)
