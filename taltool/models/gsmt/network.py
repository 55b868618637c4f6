"""The parts of GSMT's network: the snippet embeddings of its Table 4 and the heads of both branches.

An embedding keeps length and width: (B, C, T) and a mask in, (B, C, T) out, zero at padded snippets. The paper's own is
`taltool.nn.attention.TransformerEmbedding`, which BMN may take too.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taltool.models.gsmt.config import GSMTConfig
from taltool.nn.attention import TransformerEmbedding

CERTAIN = 50.0  # A logit whose sigmoid or softmax is 1 in float32.
# Widths of the code's mask head, and which of its hidden layers a ReLU follows.
TAGS_WIDTHS, TAGS_ACTIVE = (1024, 512, 256), (True, False, True)


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


class RelativeMaskHead(SnippetHead):
    """A `SnippetHead` whose outputs are places relative to the snippet: -reach ... reach.

    What it says moves with the action, so a network that has seen an action somewhere knows it everywhere, and the
    number of snippets is free.
    """

    def __init__(self, channels: int, widths: Sequence[int], reach: int) -> None:
        super().__init__(channels, widths, 2 * reach + 1, bias=False)
        self.reach = reach

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map features (B, C, T) with mask (B, T) to the masks of snippets, (B, T positions, T snippets).

        Places beyond the reach are certainly none of the action.
        """
        relative = super().forward(features, mask)  # (B, 2 reach + 1, T)
        snippets = torch.arange(features.shape[-1], device=features.device)
        place = snippets[:, None] - snippets + self.reach  # (T positions, T snippets)
        absolute = relative.gather(1, place.clamp(0, 2 * self.reach).expand(len(relative), -1, -1))
        return absolute.masked_fill((place < 0) | (place > 2 * self.reach), -CERTAIN)


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
    """H_b of Eq. 4: for each snippet the positions of its mask, (B, at least T positions, T snippets)."""
    hidden = (config.mask_width,) * (config.mask_layers - 1)
    if config.mask_head == "tags":
        return SnippetHead(width, TAGS_WIDTHS, length, active=TAGS_ACTIVE, bias=False)
    if config.mask_head == "relative":
        return RelativeMaskHead(width, hidden, config.mask_reach or length - 1)
    return SnippetHead(width, hidden, length, bias=False)
