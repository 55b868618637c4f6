"""The parts of AMNet's network: Action Masking Encoder (Eq. 1), Group Attention Module (Eq. 5 to 8), heads (Eq. 10).

Attention goes from one sequence of snippets to another, over everything or within a window. Both run on the fused
kernel, `scaled_dot_product_attention`, with the validity of the keys as its mask: (B, 1, 1, T) for everything, so that
no tensor of queries x keys is made where the kernel makes none, and (blocks, 1, W, 3W) for a window. Snippets run along
the second axis there, (B, T, C).
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.errors import UsageError
from taltool.models.amnet.config import GroupKind
from taltool.nn.attention import attendable, sine_table, split_heads
from taltool.nn.conv import Axis, ConvStack, SameConv1d
from taltool.nn.pyramid import AnchorFreeHeads

# Foreground probability that a fresh focal classifier predicts (Lin et al., section 4.1).
PRIOR = 0.01
# Queries of a window are treated in blocks of at least this many, for the sake of the matrix products.
LEAST_BLOCK = 16


class ActionMaskingEncoder(nn.Module):
    """Eq. 1: layers of convolution, LayerNorm and ReLU of width `width`, then a convolution back to `channels`.

    The last one starts small, so that the masked feature (Eq. 4) starts as the feature, but not at zero: the triplet
    loss compares directions, and three zeros have none.
    """

    def __init__(self, channels: int, width: int, layers: int, kernel: int) -> None:
        super().__init__()
        self.hidden = ConvStack(channels, width, (kernel,) * layers, "ln")
        self.output = SameConv1d(width, channels, kernel)
        nn.init.normal_(self.output.weight, std=0.01)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """The mask (B, C, T) of features (B, C, T), zero at padding, which mask (B, T) bool tells."""
        axis = Axis.single(mask)
        return self.output(self.hidden(features, axis)) * axis.mask


class GroupAttention(nn.Module):
    """GAM over levels: self-attention in each, then cross-attention between the finer and the coarser half of them.

    kind "self" and "cross" have one of the two alone. The fine levels are the paper's "short" group, after the actions
    found there. shared_cross: one set of weights for both directions (Eq. 8 has no index). places: adds sines of the
    position to every level first (the paper has none).
    """

    def __init__(
        self,
        width: int,
        levels: int,
        kind: GroupKind,
        *,
        heads: int = 8,
        window: int = 0,
        shared_cross: bool = True,
        residual: bool = True,
        places: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.split, self.places = levels // 2, places
        has_own, has_cross = kind in ("full", "self"), kind in ("full", "cross")
        own = (LevelAttention(width, heads, window, residual, dropout) for _ in range(levels if has_own else 0))
        self.own = nn.ModuleList(own)
        to_short = CrossAttention(width, heads, residual, dropout) if has_cross else None
        self.to_short = to_short
        self.to_long = CrossAttention(width, heads, residual, dropout) if has_cross and not shared_cross else to_short

    def forward(self, levels: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        """Map levels (B, C, T_l) with validity masks (B, T_l) to levels of the same shapes, zero in padding."""
        tokens = [level.transpose(1, 2) for level in levels]
        if self.places:
            tokens = [each + sine_table(each.shape[2], each.shape[1]).T.to(each.device) for each in tokens]
        if self.own:
            tokens = [g(each, mask) for g, each, mask in zip(self.own, tokens, masks, strict=True)]
        if self.to_short is not None:
            lengths = [each.shape[1] for each in tokens]
            short, long = torch.cat(tokens[: self.split], 1), torch.cat(tokens[self.split :], 1)
            mask_short, mask_long = (torch.cat(list(half), 1) for half in (masks[: self.split], masks[self.split :]))
            short, long = self.exchange(short, mask_short, long, mask_long)
            tokens = list(torch.cat([short, long], 1).split(lengths, 1))
        return [each.transpose(1, 2) * mask[:, None] for each, mask in zip(tokens, masks, strict=True)]

    def exchange(self, short: Tensor, mask_short: Tensor, long: Tensor, mask_long: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 8: G_S->L, which queries from the short group and has its length, and G_L->S, in that order.

        Groups (B, T_S, C) and (B, T_L, C), masks (B, T_S) and (B, T_L) bool.
        """
        assert self.to_short is not None
        assert self.to_long is not None
        return self.to_short(short, long, mask_long), self.to_long(long, short, mask_short)


class LevelAttention(nn.Module):
    """g of Eq. 5 to 7: self-attention within one level. residual: LN(x + g(x)); otherwise as printed, g(x)."""

    def __init__(self, width: int, heads: int, window: int, residual: bool, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, window=window, dropout=dropout)
        self.norm = nn.LayerNorm(width) if residual else None

    def forward(self, snippets: Tensor, mask: Tensor) -> Tensor:
        """Map snippets (B, T, C) with validity mask (B, T)."""
        attended = self.attention(snippets, snippets, mask)
        return attended if self.norm is None else self.norm(snippets + attended)


class CrossAttention(nn.Module):
    """One direction of Eq. 8, MLP(LN(MCA(keys and values of the other group, queries of the own))).

    residual: x = own + MCA, then x + MLP(LN(x)).
    """

    def __init__(self, width: int, heads: int, residual: bool, dropout: float) -> None:
        super().__init__()
        self.residual = residual
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, own: Tensor, other: Tensor, other_mask: Tensor) -> Tensor:
        """What the group `own` (B, T, C) becomes by looking at `other` (B, S, C) with validity (B, S): (B, T, C)."""
        attended = self.attention(own, other, other_mask)
        if not self.residual:
            return self.mlp(self.norm(attended))
        attended = own + attended
        return attended + self.mlp(self.norm(attended))


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(C / heads)) V of each head, concatenated and projected (Vaswani et al., Eq. 1 and 5).

    AMNet's Eq. 5, 6 and 8 print neither the biases nor the last projection.

    window: a query sees the keys at most window // 2 away (self-attention only); 0 = all keys.
    """

    def __init__(self, channels: int, heads: int, *, window: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        if channels % heads:
            raise UsageError(f"width {channels} must be divisible by heads = {heads}")
        self.heads, self.reach, self.dropout = heads, window // 2 if window else None, dropout
        self.query, self.key, self.value, self.project = (nn.Linear(channels, channels) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.project):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """What queries (B, T, C) find in context (B, S, C), of which mask (B, S) bool is valid: (B, T, C).

        In a sample without a valid snippet the result has no meaning, but is finite.
        """
        projected = (self.query(queries), self.key(context), self.value(context))
        q, k, v = (split_heads(each, self.heads) for each in projected)
        dropout = self.dropout if self.training else 0.0
        if self.reach is None:
            allowed = attendable(mask)[:, None, None, :]
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropout)
        else:
            mixed = windowed_attention(q, k, v, mask, self.reach, dropout)
        return self.project(mixed.transpose(1, 2).flatten(2))


def windowed_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, reach: int, dropout: float = 0.0) -> Tensor:
    """Attention (B, H, T, D) in which query i sees the valid keys i - reach ... i + reach, and itself always.

    q, k, v (B, H, T, D), mask (B, T) bool. A block of queries sees itself and both neighbours, so that work and memory
    grow with T * reach.
    """
    length, size = q.shape[2], max(reach, LEAST_BLOCK)
    missing = -length % size
    own = F.pad(q, (0, 0, 0, missing)).unflatten(2, (-1, size))  # (B, H, N, W, D)
    around = [F.pad(each, (0, 0, size, missing + size)).unfold(2, 3 * size, size) for each in (k, v)]
    keys, values = (each.transpose(3, 4).transpose(1, 2).flatten(0, 1) for each in around)  # (B * N, H, 3W, D)
    valid = F.pad(mask, (size, missing + size)).unfold(1, 3 * size, size).flatten(0, 1)  # (B * N, 3W)
    offset = torch.arange(3 * size, device=q.device) - size - torch.arange(size, device=q.device)[:, None]
    allowed = (offset.abs() <= reach) & valid[:, None] | (offset == 0)
    queries = own.transpose(1, 2).flatten(0, 1)
    mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed[:, None], dropout_p=dropout)
    return mixed.unflatten(0, (len(q), -1)).transpose(1, 2).flatten(2, 3)[:, :, :length]


class DetectionHeads(nn.Module):
    """Eq. 9 and 10: class logits, boundary distances and matching score of every position, shared by all levels."""

    def __init__(
        self, width: int, classes: int, levels: int, layers: int, boundary: Literal["exp", "relu"], matches: bool
    ) -> None:
        super().__init__()
        self.boundary = boundary
        self.main = AnchorFreeHeads(width, classes, levels, "ln", layers=layers, head_width=1)
        nn.init.constant_(self.main.class_head.bias, math.log(PRIOR / (1 - PRIOR)))  # type: ignore[arg-type]
        self.matching_tower = ConvStack(width, width, (3,) * layers, "ln") if matches else None
        self.matching_head = SameConv1d(width, 1, 1) if matches else None
        self.matching_scales = nn.Parameter(torch.ones(levels)) if matches else None

    def forward(self, packed: Tensor, axis: Axis) -> dict[str, Tensor]:
        """Logits (B, K, P), distances (B, 2, P) in strides of the level and matching (B, 1, P) of packed (B, C, P)."""
        location = self.main.location_tower(packed, axis)
        if self.boundary == "exp":
            distances = self.main.distances(location, axis.level)
        else:
            distances = F.relu(self.main.scaled(location, axis.level))
        logits = self.main.class_head(self.main.class_tower(packed, axis))
        outputs = {"logits": logits, "distances": distances}
        if self.matching_tower is not None and self.matching_head is not None and self.matching_scales is not None:
            raw = self.matching_head(self.matching_tower(packed, axis)).float()
            outputs["matching"] = raw * self.matching_scales[axis.level]
        return outputs
