"""What TSA-TAL predicts for each snippet, and its blocks: heads, temporal self-attention (TSA), temporal pyramid
pooling (TPP).

The paper survives as running text without its formulas, and there is no code. Each docstring says what the text says
and what we chose where it is silent.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.models.contract import Outputs
from taltool.models.tsa_tal.config import ConditionKind, DistanceKind, TsaKind
from taltool.nn.attention import attendable, split_heads
from taltool.nn.clips.fine_tuning import freeze_norms
from taltool.nn.clips.mmaction import pixel_statistics
from taltool.nn.clips.resnet import ResNet50I3D
from taltool.nn.conv import Axis, ConvBlock, MaskedGroupNorm, SameConv1d
from taltool.nn.pyramid import level_masks, padded_to_multiple
from taltool.nn.targets import cell_centres

# In the order in which the network predicts; all have the same heads' outputs.
STAGES = ("coarse", "refined", "final")


class Detection(NamedTuple):
    """The predictions of one stage: class logits (B, T, K + 1), background first; actionness logits (B, T); distances
    (B, T, 2) in snippets from the centre of each snippet to both ends of its action."""

    logits: Tensor
    actionness: Tensor
    distances: Tensor

    @classmethod
    def of(cls, outputs: Outputs, stage: str) -> "Detection":
        """Those of `stage` among the named outputs of the model."""
        return cls(*(outputs[f"{stage}_{name}"] for name in cls._fields))

    @property
    def intervals(self) -> Tensor:
        """The segments (B, T, 2) around the centres, on the grid, not clipped."""
        centres = cell_centres(self.distances.shape[1], self.distances.device)
        return torch.stack([centres - self.distances[..., 0], centres + self.distances[..., 1]], dim=-1)


def interpolated(features: Tensor, axis: Axis, length: int) -> Tensor:
    """Features (B, C, T) linearly interpolated to `length` positions (align_corners=False).

    Beyond the last valid position its own value continues, so that padding does not leak into the end.
    """
    if length == features.shape[-1]:
        return features
    last = (axis.mask.sum(-1).long() - 1).clamp(min=0)  # (B, 1)
    index = torch.minimum(torch.arange(features.shape[-1], device=features.device), last)
    filled = features.gather(2, index[:, None].expand_as(features))
    return F.interpolate(filled, size=length, mode="linear", align_corners=False)


def position_mask(mask: Tensor, positions: int) -> Tensor:
    """Which of `positions` (B, positions) that divide a clip evenly hold some of its valid frames, mask (B, T) bool."""
    starts = torch.arange(positions, device=mask.device) * mask.shape[1]  # In frames, times the number of positions.
    return starts < mask.sum(1, keepdim=True) * positions


BACKGROUND = 0
MAX_LOG_DISTANCE = 10.0
BACKGROUND_PRIOR = 0.99
EPSILON = 1e-6


class ClipEncoder(ResNet50I3D):
    """I3D on ResNet-50 over clips of pixels, with what MMAction's checkpoint expects of them; its norms stay frozen.

    channels: 3 of colours, 2 of flow, 5 of both. Only its first convolution has a stride in time.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, divisor: int, checkpointing: bool) -> None:
        super().__init__(channels, divisor=divisor, temporal_pooling=False, checkpointing=checkpointing)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        freeze_norms(self)
        mean, deviation = pixel_statistics(channels)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1, 1), persistent=False)

    def encode(self, volume: Tensor, mask: Tensor) -> Tensor:
        """Features (B, 2048, T / 2), rounded up, of pixels (B, C, T, H, W) uint8; mask (B, T) bool, padding is 0."""
        pixels = (volume.float() - self.mean) / self.deviation
        return self.steps(pixels * mask[:, None, :, None, None])


class DetectionHeads(nn.Module):
    """Actionness, class and distances of every snippet, by convolutions of kernel 3.

    The text has "action instance distribution, classifier and time boundary regression" from "shared channels".
    Weights start with deviation 0.01, background with probability 0.99.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.actionness, self.distances = SameConv1d(width, 1, 3), SameConv1d(width, 2, 3)
        self.classes = SameConv1d(width, num_classes + 1, 3)
        for head in (self.actionness, self.classes, self.distances):
            nn.init.normal_(head.weight, std=0.01)
        odds = BACKGROUND_PRIOR / (1 - BACKGROUND_PRIOR) * num_classes
        nn.init.constant_(self.classes.bias[BACKGROUND], math.log(odds))  # type: ignore[index]

    def forward(self, features: Tensor) -> Detection:
        """Look at features (B, C, T)."""
        distances = self.distances(features).float().clamp(max=MAX_LOG_DISTANCE).exp()
        logits, actionness = self.classes(features).transpose(1, 2), self.actionness(features).squeeze(1)
        return Detection(logits, actionness, distances.transpose(1, 2))


def condition_matrix(classes: Tensor, kind: ConditionKind, background_weight: float) -> Tensor:
    """A (B, T, T): how far two snippets of classes (B, T) may inform each other.

    1 for two of the same action, `background_weight` where exactly one is background, 0 otherwise. The text: "whether
    A1 and A2 belong to the same type", and actions "should have different weight coefficients to the background".
    """
    if kind == "none":
        return torch.ones(*classes.shape, classes.shape[1], device=classes.device)
    rows, columns = classes[:, :, None], classes[:, None]
    same = (rows == columns) & (rows != BACKGROUND)
    if kind == "same":
        return same.float()
    mixed = (rows == BACKGROUND) ^ (columns == BACKGROUND)
    return same + background_weight * mixed


def interval_tiou(intervals: Tensor) -> Tensor:
    """tIoU (B, T, T) of every pair of intervals (B, T, 2); 1 on the diagonal, also for empty intervals."""
    starts, ends = intervals.unbind(-1)
    overlap = torch.minimum(ends[:, :, None], ends[:, None]) - torch.maximum(starts[:, :, None], starts[:, None])
    lengths = ends - starts
    overlap = overlap.clamp(min=0)
    tiou = overlap / (lengths[:, :, None] + lengths[:, None] - overlap).clamp(min=EPSILON)
    return tiou.diagonal_scatter(torch.ones_like(lengths), dim1=1, dim2=2)


def distance_matrix(intervals: Tensor, kind: DistanceKind, theta: float) -> Tensor:
    """B (B, T, T): how different the predicted intervals (B, T, 2) of two snippets are.

    hard: 1 where their tIoU is below theta; soft: 1 - tIoU; similarity: tIoU. The text calls B a "distance similarity
    matrix" over an intersection over union, and wants "redundant" pairs of one instance avoided: hence hard.
    """
    tiou = interval_tiou(intervals)
    if kind == "hard":
        return (tiou < theta).float()
    return 1 - tiou if kind == "soft" else tiou


def attention_weights(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """softmax_j(q_i . k_j / sqrt(W)) (B, H, T, T) float32 for queries and keys (B, H, T, W); 0 at padded keys.

    M of TSA, whose weights the filters change; where only their result is wanted, the fused kernel is faster.
    """
    with torch.autocast(queries.device.type, enabled=False):
        logits = queries.float() @ keys.float().transpose(-1, -2) / math.sqrt(queries.shape[-1])
        allowed = attendable(mask)[:, None, None, :]
        return logits.masked_fill(~allowed, torch.finfo(torch.float32).min).softmax(dim=-1)


def fused_matrix(relation: Tensor, attention: Tensor) -> Tensor:
    """G (..., T, T): relation * attention, each snippet keeping its own attention, rows summing to 1.

    relation is A * B. Its diagonal is replaced by 1: it is 0 under the hard B, and whole rows may be empty. The paper
    does not say how A, B and M are joined; this keeps G a weighted mean.
    """
    kept = relation.diagonal_scatter(torch.ones_like(relation[..., 0]), dim1=-2, dim2=-1) * attention
    return kept / kept.sum(-1, keepdim=True).clamp(min=EPSILON)


class TemporalSelfAttention(nn.Module):
    """TSA: X + W_o (G V), where G is dot-product attention M filtered by A and B.

    kind: which of A, B are used ("am", "bm"; "m_only" is plain attention, "none" the identity). A and B are made
    without gradient from what the coarse heads say.
    """

    def __init__(
        self,
        width: int,
        kind: TsaKind,
        heads: int,
        a_mode: ConditionKind,
        alpha: float,
        b_mode: DistanceKind,
        theta: float,
    ) -> None:
        super().__init__()
        self.kind, self.heads = kind, heads
        self.a_mode, self.alpha, self.b_mode, self.theta = a_mode, alpha, b_mode, theta
        if kind != "none":
            self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, features: Tensor, coarse: Detection, mask: Tensor, *, use_relation: bool = True) -> Tensor:
        """Refine features (B, C, T); without `use_relation` (warm-up) G is M."""
        if self.kind == "none":
            return features
        snippets = features.transpose(1, 2)
        queries, keys = (split_heads(project(snippets), self.heads) for project in (self.query, self.key))
        weights = attention_weights(queries, keys, mask)
        if use_relation and self.kind != "m_only":
            weights = fused_matrix(self.relation(coarse, mask)[:, None].expand_as(weights), weights)
        values = split_heads(self.value(snippets), self.heads)
        attended = self.out((weights.to(values.dtype) @ values).transpose(1, 2).flatten(2))
        return features + attended.transpose(1, 2) * mask[:, None]

    @torch.no_grad()
    def relation(self, coarse: Detection, mask: Tensor) -> Tensor:
        """A * B (B, T, T), or the one of them that `kind` names."""
        parts = []
        if self.kind in ("full", "am"):
            parts.append(condition_matrix(coarse.logits.argmax(-1), self.a_mode, self.alpha))
        if self.kind in ("full", "bm"):
            ends = mask.sum(1)[:, None, None]
            intervals = torch.minimum(coarse.intervals.clamp(min=0), ends)
            parts.append(distance_matrix(intervals, self.b_mode, self.theta))
        return math.prod(parts[1:], start=parts[0])


class TemporalPyramidPooling(nn.Module):
    """TPP: a pyramid of strided convolutions, dilated convolutions of several rates side by side on each level, all
    interpolated to full length, joined and mixed.

    The text names the pyramid, the "hole convolution" of "different proportions" and the linear interpolation; three
    levels and rates 1, 2, 4, 8 are ours.
    """

    def __init__(self, inputs: int, width: int, levels: int, rates: tuple[int, ...], groups: int) -> None:
        super().__init__()
        self.multiple = 2 ** (levels - 1)
        self.enter = ConvBlock(inputs, width, 1, groups=groups)
        self.reductions = nn.ModuleList(ConvBlock(width, width, 3, stride=2, groups=groups) for _ in range(levels - 1))
        self.dilated = nn.ModuleList(DilatedBlock(width, rates, groups) for _ in range(levels))
        self.mix = ConvBlock(levels * width, width, 1, groups=groups)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map features (B, C_in, T) with mask (B, T) to (B, C, T)."""
        length = features.shape[-1]
        features, mask = padded_to_multiple(features, mask, self.multiple)
        axes = [Axis.single(level) for level in level_masks(mask, len(self.dilated))]
        levels = [self.enter(features, axes[0])]
        for reduce, axis in zip(self.reductions, axes[1:], strict=True):
            levels.append(reduce(levels[-1], axis))
        dilated = [block(level, axis) for block, level, axis in zip(self.dilated, levels, axes, strict=True)]
        joined = torch.cat(
            [interpolated(level, axis, features.shape[-1]) for level, axis in zip(dilated, axes, strict=True)], 1
        )
        return self.mix(joined, axes[0])[..., :length]


class DilatedBlock(nn.Module):
    """Convolutions of kernel 3 with the given dilations side by side, an equal share of the width each, norm, ReLU."""

    def __init__(self, width: int, rates: tuple[int, ...], groups: int) -> None:
        super().__init__()
        share = width // len(rates)
        self.convs = nn.ModuleList(nn.Conv1d(width, share, 3, padding=rate, dilation=rate) for rate in rates)
        # One norm of rates * groups groups equals a norm of `groups` for each rate.
        self.norm = MaskedGroupNorm(len(rates) * groups, width)

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Map (B, C, T) to (B, C, T)."""
        convolved = torch.cat([conv(features) for conv in self.convs], dim=1)
        return torch.relu(self.norm(convolved, axis)) * axis.mask
