"""Scaled dot-product self-attention over the snippets of a padded batch, and what may stand in front of a network:
places added to snippets, and GSMT's transformer over them, which the paper's Table 11 sets into BMN too.

Inside of attention snippets run along the second axis, (B, T, C), as matrix products want them; what stands in front
keeps length and width, (B, C, T).
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attendable(mask: Tensor) -> Tensor:
    """Which keys may be attended to: mask (B, T) bool, but all of them in a sample that is padding only.

    Such a sample's output has no meaning, but a softmax over nothing would make it, and every gradient, NaN.
    """
    return mask | ~mask.any(dim=1, keepdim=True)


def split_heads(features: Tensor, heads: int) -> Tensor:
    """(B, T, H * W) as (B, H, T, W)."""
    return features.unflatten(-1, (heads, -1)).transpose(1, 2)


class SelfAttention(nn.Module):
    """What each of `heads` heads of width `head_width` finds: softmax(Q K^T / sqrt(W)) V (Vaswani et al., Eq. 1).

    There is no output projection; the caller concatenates, adds and projects as its paper says. The three maps start
    normal with deviation sqrt(2 / (C + W)), biases at zero.
    """

    def __init__(self, channels: int, heads: int, head_width: int, *, bias: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(channels, heads * head_width, bias=bias) for _ in range(3))
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (channels + head_width)))
            if bias:
                nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map features (B, T, C), mask (B, T) bool to (B, H, T, W); padded snippets are never attended to."""
        queries, keys, values = (split_heads(f(features), self.heads) for f in (self.query, self.key, self.value))
        dropout = self.dropout if self.training else 0.0
        allowed = attendable(mask)[:, None, None, :]
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed, dropout_p=dropout)


class PositionalEncoding(nn.Module):
    """Adds to each of at most `length` snippets a vector of its place: learned, or the fixed sines of Vaswani et al."""

    def __init__(self, kind: Literal["learned", "sin"], channels: int, length: int) -> None:
        super().__init__()
        if kind == "learned":
            self.table = nn.Parameter(torch.randn(channels, length) * 0.02)
        else:
            self.register_buffer("table", sine_table(channels, length), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, T) with their places added."""
        return features + self.table[:, : features.shape[-1]]


def sine_table(channels: int, length: int) -> Tensor:
    """sin and cos of the place i at geometrically growing wave lengths, in turn along the channels: (C, length)."""
    channel = torch.arange(channels)[:, None]
    angle = torch.arange(length) * torch.exp(-math.log(10000.0) * (channel // 2 * 2) / channels)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos())


class TransformerEmbedding(nn.Module):
    """GSMT's snippet embedding (Eq. 1 and 2): heads of the full width, concatenated, one layer, a residual.

    order "pre" is the paper's text: A_h = F + Attention_h(LN(F)), E = F + fc(LN([A_1 ... A_n])). "post" is the order
    of the code, LN(F + fc([A_1 ... A_n])). head_residual is the "F +" of Eq. 1, which the code leaves out.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        order: Literal["pre", "post"] = "pre",
        head_residual: bool = True,
        dropout: float = 0.3,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        is_pre = order == "pre"
        self.head_residual = head_residual
        self.norm_in = nn.LayerNorm(channels) if is_pre else nn.Identity()
        self.attention = SelfAttention(channels, heads, channels, dropout=attention_dropout)
        self.norm_heads = nn.LayerNorm(heads * channels) if is_pre else nn.Identity()
        self.project = nn.Linear(heads * channels, channels)
        nn.init.xavier_normal_(self.project.weight)
        self.dropout = nn.Dropout(dropout)
        self.norm_out = nn.Identity() if is_pre else nn.LayerNorm(channels)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed features (B, C, T) with validity mask (B, T)."""
        snippets = features.transpose(1, 2)
        attended = self.attention(self.norm_in(snippets), mask)  # (B, H, T, C)
        if self.head_residual:
            attended = attended + snippets[:, None]
        joined = self.norm_heads(attended.transpose(1, 2).flatten(2))  # (B, T, H * C)
        embedded = self.norm_out(snippets + self.dropout(self.project(joined)))
        return embedded.transpose(1, 2) * mask[:, None]
