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
default. Without places even rows cannot tell one snippet t from another: all masks of a video are much alike, its whole
foreground. That serves videos of one action (ActivityNet) or, by its runs, of one class (THUMOS14), not of many.

The equations stand in `_gsmt_losses.py`, decoding in `_gsmt_decode.py`; presets and what fits anybody's data in
`_gsmt_fit.py`. Defaults are the paper's; where its text and its code differ, the text is followed (preset `tags` has
the code's choices).
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from taltool.data.facts import DataFacts
from taltool.errors import UsageError
from taltool.models import MODELS
from taltool.models._gsmt_decode import decoded
from taltool.models._gsmt_fit import PRESETS, fitted
from taltool.models._gsmt_losses import class_terms, mask_terms
from taltool.models.contract import Candidates, Model, Outputs, Settings, Targets
from taltool.nn.assignment import padded_targets
from taltool.nn.cells import cells_of
from taltool.nn.embedding import (
    DilatedEmbedding,
    MultiStageEmbedding,
    PositionalEncoding,
    PositionKind,
    TransformerEmbedding,
)

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Widths of the code's mask head, and which of its hidden layers a ReLU follows.
TAGS_WIDTHS, TAGS_ACTIVE = (1024, 512, 256), (True, False, True)
CERTAIN = 50.0  # A logit whose sigmoid or softmax is 1 in float32.


@dataclass(frozen=True)
class GSMTConfig:
    """The switches of GSMT; defaults are the paper's for THUMOS14 (tables of the paper in brackets)."""

    width: int = 0  # Channels of the embedding, by a linear layer in front; 0 = the features' own (the paper).
    embedding: Literal["transformer", "cnn1d", "mstcn"] = "transformer"  # Table 4.
    mstcn_stages: int = 4  # Of the embedding mstcn, and so the next; as MS-TCN was published.
    mstcn_layers: int = 10  # Layer i has dilation 2^i.
    heads: int = 4  # Table 9; each of the embedding's full width.
    norm: Literal["pre", "post"] = "pre"  # Layer norm before both blocks (text), or behind their sum (code).
    head_residual: bool = True  # The "F +" of Eq. 1, which the code leaves out.
    pos_enc: PositionKind = "none"  # Table 13.
    dropout: float = 0.3
    attention_dropout: float = 0.1
    cls_layers: int = 1  # Table 8; hidden ones have kernel 3 and the embedding's width.
    mask_layers: int = 3  # Table 8.
    mask_width: int = 128  # Of the hidden layers; the value at which the model has the paper's 2.9 M parameters.
    mask_head: Literal["paper", "tags"] = "paper"  # tags: the code's four layers, 1024, 512 and 256 wide.
    mask_axis: Literal["row", "column"] = (
        "row"  # Where the mask of snippet t stands in M: the code, or text; see above.
    )
    mask_branch: bool = True  # Table 7; without it segments are runs of class scores.
    classifier: Literal["own", "external"] = "own"  # Table 7; external: action or background only, see `label`.
    lr_head: Literal["shared", "separate"] = (
        "shared"  # r of Eq. 5: from the class logits (code), or a layer of its own.
    )
    loss_focal: bool = True  # Table 5, and so the next three.
    loss_lr: bool = True
    loss_biou: bool = True
    loss_dice: bool = True
    # bce: the code's 0.4 balanced cross entropy + 0.6 dice. Sigmoids that saturate learn no more from boundaries and
    # dice alone (on small data whole positions of the masks died), hence both.
    mask_loss: Literal["biou", "bce", "both"] = "biou"
    class_balance: float = 0.4  # lambda_1 of Eq. 5.
    focal_gamma: float = 2.0
    negative_weight: float = 10.0  # alpha of Eq. 5.
    hard_neg: float = 0.1  # |N| of Eq. 5 as a share of the classes; at least one class.
    dice_weight: float = 0.4  # lambda_2 of Eq. 6.
    dice_factor: Literal[1, 2] = 1  # Eq. 6 has no 2, so that a perfect mask still costs 0.5.
    biou_k: Literal[3, 5, 7, 9] = 7  # Table 14.
    # The L2 term of Eq. 6: only where boundaries do not meet (text), or always, over the intersection (formula).
    l2_mode: Literal["fallback", "formula"] = "fallback"
    epsilon: float = math.exp(-8)  # Of Eq. 6; the paper prints e^-8.
    segments: Literal["runs", "span"] = "runs"  # Every run of a mask (THUMOS14), or first to last (ActivityNet).
    class_segments: bool = False  # Runs of class scores are candidates beside the masks' (the code).
    mask_score: Literal["max", "mean"] = "max"  # Of the mask over the segment; mean is the code's.
    # P of a candidate's score: at the snippet whose mask it is (text), or the mean of that class over the candidate, so
    # that a mask which holds other actions too does not give them the snippet's class.
    class_score: Literal["snippet", "segment"] = "snippet"
    top_snippets: int = 50  # M_1.
    thresholds: tuple[float, ...] = THRESHOLDS  # Theta.

    def __post_init__(self) -> None:
        counts = ("heads", "mstcn_stages", "mstcn_layers", "cls_layers", "mask_layers", "mask_width", "top_snippets")
        if any(getattr(self, name) < 1 for name in counts):
            raise UsageError(f"gsmt: {', '.join(counts)} must be at least 1")
        if not (self.loss_focal or self.loss_lr):
            raise UsageError("gsmt: loss_focal and loss_lr are both off; nothing would teach the classes")
        if self.mask_branch and not (self.loss_biou or self.loss_dice):
            raise UsageError("gsmt: loss_biou and loss_dice are both off; set mask_branch = false, or one of them true")
        if not self.thresholds or not all(0 < theta <= 1 for theta in self.thresholds):
            raise UsageError(f"gsmt: thresholds {self.thresholds} must be numbers in (0, 1], at least one")


@MODELS.register("gsmt", aliases=("tags",))
class GSMT(Model):
    """See the module. Outputs: class_logits (B, K + 1, T), background last; lr_logits, likewise; valid (B, T) float;
    mask_logits (B, T, T), whose row t is the mask of snippet t whichever way the paper's M is read."""

    Config = GSMTConfig
    presets: ClassVar[dict[str, Settings]] = PRESETS
    config: GSMTConfig

    def __init__(self, config: GSMTConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        self.is_class_agnostic = config.classifier == "external"  # type: ignore[misc]
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
        if length > self.length:
            raise UsageError(
                f"gsmt: its masks are {self.length} snippets long, the sample has {length}; "
                "train and predict with sampling.resize rescale or window, not pad"
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

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """The terms of L_c (Eq. 5) and L_m (Eq. 6) that the configuration has, weighted."""
        labels, masks = self.snippet_targets(targets, outputs["valid"])
        terms = class_terms(self.config, outputs, labels)
        if self.mask_head is not None:
            terms |= mask_terms(self.config, outputs, masks, (labels < self.background) & (outputs["valid"] > 0))
        return terms

    def snippet_targets(self, targets: Targets, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The class (B, T) int64 of each snippet, and the mask (B, T, T) of the instance each belongs to.

        A snippet of several instances belongs to the shortest; the code keeps only the last instance of a video.
        """
        padded = padded_targets(targets.segments, targets.labels, valid.device)
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
        return decoded(self.config, outputs, mask, self.is_class_agnostic)

    @classmethod
    def fit(cls, facts: DataFacts) -> Settings:
        """See `Model.fit` and `_gsmt_fit.py`."""
        return fitted(facts)


class SnippetHead(nn.Module):
    """Hidden convolutions of kernel 3 and the given widths, with ReLU where `active`, and a last one of kernel 1."""

    def __init__(
        self, channels: int, widths: Sequence[int], outputs: int, *, active: Sequence[bool] = (), bias: bool = True
    ) -> None:
        super().__init__()
        inputs = [channels, *widths]
        self.hidden = nn.ModuleList(nn.Conv1d(i, o, 3, padding=1) for i, o in zip(inputs, widths, strict=False))
        self.active = tuple(active) or (True,) * len(widths)
        self.last = nn.Conv1d(inputs[-1], outputs, 1, bias=bias)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map features (B, C, T) with mask (B, T) to (B, outputs, T)."""
        for layer, is_active in zip(self.hidden, self.active, strict=True):
            features = layer(features) * mask[:, None]
            features = features.relu() if is_active else features
        return self.last(features)


def build_embedding(config: GSMTConfig, width: int) -> nn.Module:
    """The snippet embedding that the configuration names (Table 4)."""
    if config.embedding == "cnn1d":
        return DilatedEmbedding(width)
    if config.embedding == "mstcn":
        return MultiStageEmbedding(width, stages=config.mstcn_stages, layers=config.mstcn_layers)
    return TransformerEmbedding(
        width,
        heads=config.heads,
        order=config.norm,
        head_residual=config.head_residual,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
    )


def build_mask_head(config: GSMTConfig, width: int, length: int) -> SnippetHead:
    """H_b of Eq. 4: `length` outputs, the positions of the mask, for each snippet."""
    if config.mask_head == "tags":
        return SnippetHead(width, TAGS_WIDTHS, length, active=TAGS_ACTIVE, bias=False)
    return SnippetHead(width, (config.mask_width,) * (config.mask_layers - 1), length, bias=False)
