"""Snippet embeddings that keep length and width: (B, C, T) and a mask in, (B, C, T) out, zero at padded snippets.

Any model may set one between its features and its own network, by name, as the ablations of GSMT do (Tables 4, 11).
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from taltool.nn.attention import SelfAttention

PositionKind = Literal["none", "learned", "sin"]


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
        found = self.attention(self.norm_in(snippets), mask)  # (B, H, T, C)
        if self.head_residual:
            found = found + snippets[:, None]
        joined = self.norm_heads(found.transpose(1, 2).flatten(2))  # (B, T, H * C)
        embedded = self.norm_out(snippets + self.dropout(self.project(joined)))
        return embedded.transpose(1, 2) * mask[:, None]


class DilatedEmbedding(nn.Module):
    """The 1D CNN of GSMT's Table 4: dilations 1, 3, 5, two layers of kernel 3 with ReLU each, one after the other.

    The paper does not say how the dilations are joined; a sequence keeps the receptive field largest.
    """

    def __init__(self, channels: int, dilations: tuple[int, ...] = (1, 3, 5), layers: int = 2) -> None:
        super().__init__()
        rates = [rate for rate in dilations for _ in range(layers)]
        self.layers = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=r, dilation=r) for r in rates)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed features (B, C, T) with validity mask (B, T)."""
        for layer in self.layers:
            features = layer(features).relu() * mask[:, None]
        return features


class MultiStageEmbedding(nn.Module):
    """MS-TCN (Farha and Gall) as an embedding: stages of dilated residual layers, each refining the one before.

    GSMT's Table 4 names it without details: 4 stages, 10 layers with dilations 1 ... 512, 64 maps, as published; what
    a stage hands on is of the embedding's width in place of class probabilities.
    """

    def __init__(self, channels: int, *, stages: int = 4, layers: int = 10, maps: int = 64) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_Stage(channels, layers, maps) for _ in range(stages))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed features (B, C, T) with validity mask (B, T)."""
        for stage in self.stages:
            features = stage(features, mask)
        return features


class _Stage(nn.Module):
    def __init__(self, channels: int, layers: int, maps: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels, maps, 1)
        self.dilated = nn.ModuleList(nn.Conv1d(maps, maps, 3, padding=2**i, dilation=2**i) for i in range(layers))
        self.mix = nn.ModuleList(nn.Conv1d(maps, maps, 1) for _ in range(layers))
        self.leave = nn.Conv1d(maps, channels, 1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        hidden = self.enter(features) * mask[:, None]
        for dilated, mix in zip(self.dilated, self.mix, strict=True):
            hidden = (hidden + mix(dilated(hidden).relu())) * mask[:, None]
        return self.leave(hidden) * mask[:, None]
