"""Attention in which each query is told which keys it may look at, by dot product or by cosine, and its block; and how
foreground probabilities become what each snippet may look at (MGNet, section 3.3.2 and Fig. 6).

Snippets run along the second axis, (B, T, C). What a query may look at is a mask (B, T, T), row = query, or (B, 1, T)
where it is the same for all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.models.mgnet.config import MaskForm, NormOrder
from taltool.nn.attention import attendable, split_heads

ZERO_NORM = 1e-6
# What takes a key out where the mask is multiplied; exp(-FORBIDDEN) is 0 in every precision.
FORBIDDEN = 1e4


@dataclass(frozen=True)
class Similarity:
    """How queries and keys are compared.

    kind: q . k / sqrt(W), or the cosine of both, from which `centred` takes their means first (a correlation); `scale`
    multiplies it. masking: forbidden keys are left out ("additive"), or their similarity is multiplied by minus
    infinity as MGNet's Eq. 10 is printed ("hadamard"). There a negative similarity would become plus infinity and a
    zero not a number, so it is the magnitude that is multiplied, by -10,000; keys that are nearly orthogonal to
    the query stay visible. empty_row: a query that may look at nothing gets the mean of all values, or zero.
    """

    kind: Literal["dot", "cosine"] = "cosine"
    centred: bool = False
    scale: float = 1.0
    masking: Literal["additive", "hadamard"] = "additive"
    empty_row: Literal["uniform", "zero"] = "uniform"


def guided_attention(
    queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, valid: Tensor, how: Similarity
) -> Tensor:
    """softmax_j(similarity(q_i, k_j)) V over the allowed and valid keys: (B, H, T, W), W being that of the values.

    queries, keys, values (B, H, T, W) of one type, allowed (B, T or 1, T) bool, valid (B, T) bool (see `attendable`).
    """
    visible = valid[:, None, None]  # (B, 1, 1, T)
    permitted = allowed[:, None] & visible
    guided = permitted.any(-1, keepdim=True)  # (B, 1, T or 1, 1)
    if how.kind == "cosine":
        own = [
            each.float() - each.float().mean(-1, keepdim=True) if how.centred else each.float()
            for each in (queries, keys)
        ]
        # A vector without a direction (padding, or a constant one when centred) has similarity 0, not NaN.
        queries, keys = (F.normalize(each, dim=-1, eps=ZERO_NORM).to(values.dtype) for each in own)
    # A query of zeros is equally similar to every key.
    queries = queries * guided
    scale = how.scale / math.sqrt(queries.shape[-1]) if how.kind == "dot" else how.scale
    if how.masking == "additive":
        attended = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=permitted | ~guided & visible, scale=scale
        )
    else:
        similarity = scale * (queries.float() @ keys.float().transpose(-1, -2))
        masked = torch.where(permitted | ~guided, similarity, -FORBIDDEN * similarity.abs())
        weights = masked.masked_fill(~visible, torch.finfo(masked.dtype).min).softmax(-1)
        attended = weights.to(values.dtype) @ values
    return attended * guided if how.empty_row == "zero" else attended


class GuidedSelfAttention(nn.Module):
    """Heads that look through one or several masks at a time: shared queries and values, keys for each mask.

    What each mask finds, (B, T, C), is concatenated along the channels. key_norm: LayerNorm over the width of a head
    on the keys.
    """

    def __init__(self, width: int, heads: int, how: Similarity, *, masks: int = 1, key_norm: bool = False) -> None:
        super().__init__()
        self.heads, self.how = heads, how
        self.query, self.value = (truncated_linear(width, width, bias=False) for _ in range(2))
        self.keys = nn.ModuleList(truncated_linear(width, width, bias=False) for _ in range(masks))
        self.key_norms = nn.ModuleList(
            nn.LayerNorm(width // heads) if key_norm else nn.Identity() for _ in range(masks)
        )

    def forward(self, snippets: Tensor, allowed: Sequence[Tensor], valid: Tensor) -> Tensor:
        """Map snippets (B, T, C) to (B, T, masks * C); allowed holds one mask (B, T or 1, T) bool for each of them."""
        queries, values = (split_heads(layer(snippets), self.heads) for layer in (self.query, self.value))
        attended, valid = [], attendable(valid)
        for project, norm, mask in zip(self.keys, self.key_norms, allowed, strict=True):
            keys = norm(split_heads(project(snippets), self.heads)).to(queries.dtype)
            mixed = guided_attention(queries, keys, values, mask, valid, self.how)
            attended.append(mixed.transpose(1, 2).flatten(2))
        return torch.cat(attended, dim=-1)


def truncated_linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer with truncated normal weights of deviation 0.02 and zero bias (the initialisation of ViT)."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class TransformerBlock(nn.Module):
    """Two residual branches: a mixing of snippets, made by the caller of `seen`, and a perceptron of 4 times the width.

    norm "pre": x + mix(LN(x)), then x + mlp(LN(x)); "post": LN(x + mix(x)), then LN(x + mlp(x)); "none": without.
    dropout follows both branches and the hidden layer; drop_path leaves a branch out for a whole sample at a time.
    """

    def __init__(
        self,
        width: int,
        norm: NormOrder,
        *,
        activation: type[nn.Module] = nn.GELU,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm, self.drop_path = norm, drop_path
        # 1e-6 is ViT's.
        self.norms = nn.ModuleList(nn.Identity() if norm == "none" else nn.LayerNorm(width, 1e-6) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.expand, self.contract = truncated_linear(width, 4 * width), truncated_linear(4 * width, width)
        self.activation = activation()

    def seen(self, snippets: Tensor) -> Tensor:
        """What of snippets (B, T, C) is to be mixed."""
        return snippets if self.norm == "post" else self.norms[0](snippets)

    def forward(self, snippets: Tensor, mixed: Tensor) -> Tensor:
        """Map snippets (B, T, C), and what the mixing makes of `seen` of them, to (B, T, C)."""
        snippets = snippets + self._dropped(mixed)
        if self.norm == "post":
            snippets = self.norms[0](snippets)
        hidden = self.activation(self.expand(snippets if self.norm == "post" else self.norms[1](snippets)))
        snippets = snippets + self._dropped(self.contract(self.dropout(hidden)))
        return self.norms[1](snippets) if self.norm == "post" else snippets

    def _dropped(self, residual: Tensor) -> Tensor:
        residual = self.dropout(residual)
        if not self.training or not self.drop_path:
            return residual
        kept = torch.rand(len(residual), 1, 1, device=residual.device) >= self.drop_path
        return residual * (kept / (1 - self.drop_path))


def binarised(probabilities: Tensor, alpha: float, valid: Tensor) -> Tensor:
    """Where probabilities (B, T) reach alpha times the highest of the sample: (B, T) bool (Eq. 6).

    Padding, valid (B, T) False, neither is foreground nor has the highest.
    """
    visible = torch.where(valid, probabilities, -1.0)
    return (visible >= alpha * visible.amax(1, keepdim=True)) & valid


def dilated(maps: Tensor, kernel: int) -> Tensor:
    """Maps (B, R, T) bool grown by a square of kernel x kernel, kernel being odd (Eq. 7).

    A map of one row stands for T equal rows.
    """
    height = 1 if maps.shape[1] == 1 else kernel
    grown = F.max_pool2d(maps[:, None].float(), (height, kernel), stride=1, padding=(height // 2, kernel // 2))
    return grown[:, 0] > 0.5


def mask_map(foreground: Tensor, form: MaskForm, kernel: int) -> Tensor:
    """The dilated mask map (B, T, T) bool, row = query, of foreground (B, T) bool; (B, 1, T) if its rows are equal.

    The formations of Fig. 6: everything sees the foreground (all_fores) or everything (none); foreground sees its own
    segment (fore_self) or all foreground (fores_fores), where background sees nothing or its neighbours (backs_adj).
    """
    if form == "none":
        return torch.ones_like(foreground)[:, None]
    if form == "all_fores":
        return dilated(foreground[:, None], kernel)
    seen = foreground[:, :, None] & foreground[:, None]
    if form == "fore_self":
        segment = (F.pad(foreground, (1, 0)).int().diff(dim=1) == 1).cumsum(1)
        seen = seen & (segment[:, :, None] == segment[:, None])
    if form == "fores_fores_backs_adj":
        place = torch.arange(foreground.shape[1], device=foreground.device)
        seen = seen | ~foreground[:, :, None] & ((place[:, None] - place).abs() <= 1)
    return dilated(seen, kernel)
