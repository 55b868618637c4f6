"""GSMT: Global Segmentation Mask Transformer ("Temporal Action Localization with Global Segmentation Mask
Transformers", published later, with more losses, as TAGS, ECCV 2022).

No proposals: a self-attention embedding of T snippets feeds two branches. One gives the class of each snippet, the
other, for each snippet t, a mask over all T snippets of the action that t belongs to. Segments are the thresholded
masks of the best-scoring snippets. As the network says absolute positions, T is fixed (`sampling.length`).

Which way M is read decides what can be learnt. `column` is the text: what H_b says at snippet t is the mask of t, in
absolute positions. The transformer knows no order, so without places a snippet that moves with its action says the same
mask as before: it can learn how long actions are and where they usually lie, no more. `row` is the code: what H_b says
at a snippet is whose masks that snippet lies in, so masks move with their actions. The targets are symmetric, so
training is the same. Only rows agree with the paper's Table 13, in which no positional encoding is best; they are the
default. Without places even rows hardly tell one snippet t from another. That serves videos of one action (ActivityNet)
or, by its runs, of one class (THUMOS14), not of many.

Defaults are the text's but for that. Preset `tags` is the code: its network, labels, losses (`tags_loss.py`) and
decoding (`tags_decode.py`).
"""

from collections.abc import Collection
from typing import ClassVar

import torch
from torch import Tensor, nn

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models import MODELS
from taltool.models.contract import Batch, Candidates, Model, Outputs, SettingsBySection, Targets
from taltool.models.gsmt.config import PRESETS, GSMTConfig, auto_settings
from taltool.models.gsmt.decode import decode
from taltool.models.gsmt.loss import class_terms, mask_terms
from taltool.models.gsmt.network import CERTAIN, SnippetHead, build_embedding, build_mask_head
from taltool.models.gsmt.timeline import GSMTTimeline
from taltool.nn.attention import PositionalEncoding
from taltool.nn.targets import PaddedTargets, cells_of, padded_targets
from taltool.nn.whole_batch import ALONE, WholeBatch


@MODELS.register("gsmt", aliases=("tags",))
class GSMT(Model):
    """See the module. Outputs: class_logits (B, K + 1, T), background last; lr_logits, likewise; valid (B, T) float;
    mask_logits (B, T, T), whose row t is the mask of snippet t whichever way the paper's M is read."""

    Config = GSMTConfig
    presets: ClassVar[dict[str, SettingsBySection]] = PRESETS
    averages_windows = True
    config: GSMTConfig

    def __init__(self, config: GSMTConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        self.is_class_agnostic = config.classifier == "external"
        self.oracles = ("class", "mask") if config.mask_branch else ("class",)
        self.background = 1 if self.is_class_agnostic else num_classes
        width, outputs = config.width or channels, self.background + 1
        self.enter = nn.Conv1d(channels, width, 1) if config.width else nn.Identity()
        self.place = None if config.pos_enc == "none" else PositionalEncoding(config.pos_enc, width, length)
        self.embedding = build_embedding(config, width)
        self.class_head = SnippetHead(width, (width,) * (config.cls_layers - 1), outputs)
        self.lr_head = SnippetHead(width, (), outputs) if config.lr_head == "separate" else None
        self.mask_head = build_mask_head(config, width, length) if config.mask_branch else None

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """See the class and `Model.forward`; raises UsageError for more snippets than the masks have."""
        length = features.shape[-1]
        if length > self.length and (self.place is not None or self.config.mask_head != "relative"):
            raise UsageError(
                f"gsmt: its masks are {self.length} snippets long, the sample has {length}; "
                "train and predict with sampling.resize rescale or window, not pad, or with mask_head relative (and "
                "pos_enc none)"
            )
        embedded = self.enter(features)
        if self.place is not None:
            embedded = self.place(embedded)
        embedded = self.embedding(embedded * mask[:, None], mask)  # (B, C, T)
        class_logits = self.class_head(embedded, mask)
        outputs = {"class_logits": class_logits, "lr_logits": class_logits, "valid": mask.float()}
        if self.lr_head is not None:
            outputs["lr_logits"] = self.lr_head(embedded, mask)
        if self.mask_head is not None:
            masks = self.mask_head(embedded, mask)[:, :length]  # (B, T, T), M of Eq. 4
            outputs["mask_logits"] = masks.transpose(1, 2) if self.config.mask_axis == "column" else masks
        return outputs

    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """The terms of L_c (Eq. 5) and L_m (Eq. 6) that the configuration has, weighted."""
        labels, masks = self.snippet_targets(targets, outputs["valid"])
        terms = class_terms(self.config, outputs, labels, whole)
        if self.mask_head is not None:
            terms |= mask_terms(self.config, outputs, masks, labels < self.background, whole)
        return terms

    def loss_counts(self, batch: Batch, phase: str) -> dict[str, Tensor] | None:
        """See `Model.loss_counts`: the snippets, and those that belong to instances; none for the code's losses."""
        if "code" in (self.config.class_loss, self.config.mask_loss):
            return None
        labels, _ = self.snippet_targets(batch.targets, batch.mask.float())
        counts = {"snippets": batch.mask.float().sum()}
        if self.mask_head is not None:
            counts["action_snippets"] = (labels < self.background).sum()
        return counts

    def snippet_targets(self, targets: Targets, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The class (B, T) int64 of each snippet, and the mask (B, T, T) of the instance each belongs to.

        A snippet of several instances belongs to the shortest.
        """
        padded = padded_targets(targets.segments, targets.labels, valid.device)
        if self.config.targets == "code":
            padded = shrunk(padded)
        cells = cells_of(padded, valid.shape[1])
        own = torch.zeros_like(padded.labels) if self.is_class_agnostic else padded.labels
        labels = torch.where(cells.is_action & (valid > 0), cells.of_owner(own), self.background)
        return labels, cells.of_owner(cells.inside).float() * cells.is_action[..., None] * valid[:, None]

    def with_truth(self, outputs: Outputs, targets: Targets, answers: Collection[str]) -> Outputs:
        """See `Model.with_truth`: the answer of the "class" branch, of the "mask" branch, or both (Table 6)."""
        labels, true_masks = self.snippet_targets(targets, outputs["valid"])
        replaced = dict(outputs)
        if "class" in answers:
            one_hot = nn.functional.one_hot(labels, self.background + 1).transpose(1, 2)
            replaced["class_logits"] = CERTAIN * (2 * one_hot - 1.0)
        if "mask" in answers:
            replaced["mask_logits"] = CERTAIN * (2 * true_masks - 1)
        return replaced

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """See `Model.decode`; one candidate for each distinct segment and label, with its best score."""
        return decode(self.config, outputs, mask)

    def timeline(self, length: int, device: torch.device) -> GSMTTimeline:
        """See `Model.timeline`."""
        if self.config.decoding == "code":
            raise UsageError("gsmt: the code decodes windows one by one; set prediction.average_windows = false")
        return GSMTTimeline(self.config, length, self.length, self.background, device)

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        """See `Model.auto_settings` and `taltool.models.gsmt.config`."""
        return auto_settings(statistics)


def shrunk(targets: PaddedTargets) -> PaddedTargets:
    """The cells from one behind an instance's first to one before its last, as the code labels them; none of shorter
    instances."""
    segments = targets.segments.floor() + targets.segments.new_tensor([1.0, -1.0])
    return targets._replace(segments=segments, present=targets.present & (segments[..., 1] > segments[..., 0]))
