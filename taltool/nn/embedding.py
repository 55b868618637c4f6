"""What stands between features and a model's own network: places added to snippets, and a transformer over them.

Both keep length and width, (B, C, T). GSMT's transformer may stand in front of other networks too, as the paper's Table
11 sets it into BMN.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from taltool.nn.attention import SelfAttention


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
