"""The settings of GSMT, and what they may not be."""

import math
from dataclasses import dataclass
from typing import Literal

from taltool.errors import UsageError

_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


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
    pos_enc: Literal["none", "learned", "sin"] = "none"  # Table 13.
    dropout: float = 0.3
    attention_dropout: float = 0.1
    cls_layers: int = 1  # Table 8; hidden ones have kernel 3 and the embedding's width.
    mask_layers: int = 3  # Table 8.
    mask_width: int = 128  # Of the hidden layers; the value at which the model has the paper's 2.9 M parameters.
    mask_head: Literal["paper", "tags"] = "paper"  # tags: the code's four layers, 1024, 512 and 256 wide.
    # Where the mask of snippet t stands in M: the code, or text; see `model.py`.
    mask_axis: Literal["row", "column"] = "row"
    mask_branch: bool = True  # Table 7; without it segments are runs of class scores.
    classifier: Literal["own", "external"] = "own"  # Table 7; external: action or background only, see `label`.
    # r of Eq. 5: from the class logits (code), or a layer of its own.
    lr_head: Literal["shared", "separate"] = "shared"
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
    thresholds: tuple[float, ...] = _THRESHOLDS  # Theta.

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
