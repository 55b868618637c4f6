"""The blocks of MGNet: foreground mask generation (FMG), mask-guided transformers (MGT), local convolutions."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from taltool.models.mgnet.attention import GuidedSelfAttention, Similarity, TransformerBlock, truncated_linear
from taltool.models.mgnet.config import MGNetConfig, MixKind
from taltool.nn.attention import PositionalEncoding
from taltool.nn.conv import Axis, ConvBlock, SameConv1d

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


class LocalConvs(nn.Module):
    """Two convolutions of kernel 3 with ReLU, inputs -> 2 * width -> width (section 3.4.2, and H_m's first two)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, 2 * width, 3, norm="none")
        self.second = ConvBlock(2 * width, width, 3, norm="none")

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map (B, inputs, T) with mask (B, T) to (B, width, T), zero in padding."""
        axis = Axis.single(mask)
        return self.second(self.first(features, axis), axis)


class Embedding(nn.Module):
    """Features projected to the width of a transformer, with their places added: (B, C, T) to (B, T, width)."""

    def __init__(self, inputs: int, width: int, length: int, places: Literal["sin", "learned"]) -> None:
        super().__init__()
        self.project = SameConv1d(inputs, width, 1)
        self.place = PositionalEncoding(places, width, length)

    def forward(self, features: Tensor) -> Tensor:
        """Embed."""
        return self.place(self.project(features)).transpose(1, 2)


class Foreground(NamedTuple):
    """What FMG says of one stream: features (B, width, T) behind H_m's convolutions; logits (B, T) of its auxiliary
    head, None without one."""

    features: Tensor
    auxiliary: Tensor | None


class ForegroundEncoder(nn.Module):
    """Global-aware attention (Eq. 1 to 4) and the convolutions of H_m (Eq. 5) on one stream.

    The logits themselves are the caller's, since one of the three heads looks at all streams.
    """

    def __init__(self, config: MGNetConfig, inputs: int, length: int) -> None:
        super().__init__()
        width = config.width
        self.embed = Embedding(inputs, width, length, "sin")
        how = Similarity(config.fmg_attention, centred=config.center_cosine)
        self.attention = GuidedSelfAttention(width, config.fmg_heads, how)
        self.project = truncated_linear(width, width)
        self.block = TransformerBlock(width, config.fmg_norm, activation=ACTIVATIONS[config.fmg_activation])
        # The norm behind both branches of a "post" block is the last one already.
        self.norm = nn.LayerNorm(width, 1e-6) if config.fmg_norm == "pre" else nn.Identity()
        self.convs = LocalConvs(width, config.feature_width)
        self.auxiliary = SideHead(width, config.feature_width, 1) if config.supervision == "every_head" else None

    def forward(self, features: Tensor, mask: Tensor) -> Foreground:
        """Look at features (B, C, T) with mask (B, T)."""
        snippets = self.embed(features)
        attended = self.project(self.attention(self.block.seen(snippets), [mask[:, None]], mask))
        encoded = self.norm(self.block(snippets, attended)).transpose(1, 2) * mask[:, None]
        side = None if self.auxiliary is None else self.auxiliary(encoded, mask).squeeze(1)
        return Foreground(self.convs(encoded, mask), side)


class SideHead(nn.Module):
    """A hidden layer of kernel 1 with ReLU and logits, by which the code teaches FMG's encoder."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.output = ConvBlock(inputs, width, 1, norm="none"), SameConv1d(width, outputs, 1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map (B, inputs, T) to (B, outputs, T)."""
        return self.output(self.hidden(features, Axis.single(mask)))


class ResidualConvs(nn.Module):
    """The code's H_b: two convolutions of kernel 3 with ReLU beside a third one as a shortcut."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first, self.second = (ConvBlock(i, width, 3, norm="none") for i in (inputs, width))
        self.shortcut = SameConv1d(inputs, width, 3)

    def forward(self, features: Tensor, axis: Axis) -> Tensor:
        """Map (B, inputs, P) to (B, width, P)."""
        return self.shortcut(features) + self.second(self.first(features, axis), axis)


class Joiner(nn.Module):
    """What joins the findings of an MGT's masks, (B, T, masks * C) to (B, T, C) (H_b of Eq. 12).

    plain is the text: a projection for one mask, one convolution for two; conv is the code: a convolution with ReLU
    for one, a residual block for two.
    """

    def __init__(self, width: int, masks: int, kind: MixKind) -> None:
        super().__init__()
        if kind == "plain":
            self.layer: nn.Module = SameConv1d(masks * width, width, 1 if masks == 1 else 3)
        elif masks == 1:
            self.layer = ConvBlock(width, width, 3, norm="none")
        else:
            self.layer = ResidualConvs(masks * width, width)

    def forward(self, attended: Tensor, mask: Tensor) -> Tensor:
        """Join; mask (B, T) bool."""
        rows = attended.transpose(1, 2) * mask[:, None]
        joined = self.layer(rows) if isinstance(self.layer, SameConv1d) else self.layer(rows, Axis.single(mask))
        return joined.transpose(1, 2)


class GuidedLayer(nn.Module):
    """One layer of an MGT: attention through its masks, joined, and a perceptron, both residual (Eq. 8 to 13)."""

    def __init__(self, config: MGNetConfig, masks: int, drop_path: float) -> None:
        super().__init__()
        how = Similarity("cosine", config.center_cosine, config.logit_scale, config.masking, config.empty_row)
        # The code norms the two keys of the boundary MGT, not the one of the action MGT.
        key_norm = config.key_norm and masks > 1
        self.attention = GuidedSelfAttention(config.width, config.mgt_heads, how, masks=masks, key_norm=key_norm)
        self.join = Joiner(config.width, masks, config.mgt_mixing)
        self.block = TransformerBlock(config.width, config.mgt_norm, dropout=config.dropout, drop_path=drop_path)

    def forward(self, snippets: Tensor, allowed: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Map snippets (B, T, C) to (B, T, C)."""
        attended = self.attention(self.block.seen(snippets), allowed, mask)
        return self.block(snippets, self.join(attended, mask))


class MaskGuidedTransformer(nn.Module):
    """Action-MGT (one mask) or Boundary-MGT (two) on one stream, and the projection to the fused features' width."""

    def __init__(self, config: MGNetConfig, inputs: int, masks: int, length: int) -> None:
        super().__init__()
        self.embed = Embedding(inputs, config.width, length, config.mgt_places)
        self.dropout = nn.Dropout(config.embedding_dropout)
        steps = max(1, config.mgt_layers - 1)
        rates = [config.drop_path * layer / steps for layer in range(config.mgt_layers)]
        self.layers = nn.ModuleList(GuidedLayer(config, masks, rate) for rate in rates)
        self.norm = nn.LayerNorm(config.width, 1e-6) if config.mgt_norm == "pre" else nn.Identity()
        self.reduce = ConvBlock(config.width, config.feature_width, 1, norm="none")

    def forward(self, features: Tensor, allowed: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Map features (B, C, T) and masks (B, T or 1, T) bool to (B, feature_width, T)."""
        snippets = self.dropout(self.embed(features))
        for layer in self.layers:
            snippets = layer(snippets, allowed, mask)
        return self.reduce(self.norm(snippets).transpose(1, 2), Axis.single(mask))


class FusedStream(nn.Module):
    """MGTs and local convolutions of one stream, joined as `config.fusion` says (section 3.4, Table 5).

    Both outputs share the local convolutions. In series the second module takes what the first one says.
    """

    def __init__(self, config: MGNetConfig, inputs: int, length: int) -> None:
        super().__init__()
        self.fusion = config.fusion
        width = config.feature_width
        after_mgt, after_conv = self.fusion == "mgt_then_conv", self.fusion == "conv_then_mgt"
        has_mgt, has_conv = self.fusion != "conv_only", self.fusion != "mgt_only"
        self.local = LocalConvs(width if after_mgt else inputs, width) if has_conv else None
        mgt_inputs = width if after_conv else inputs
        self.action, self.boundary = (
            MaskGuidedTransformer(config, mgt_inputs, masks, length) if has_mgt else None for masks in (1, 2)
        )
        self.mix = nn.ModuleList(SameConv1d(2 * width, width, 1) for _ in range(2 * (self.fusion == "parallel_concat")))

    def forward(self, features: Tensor, allowed: Sequence[Tensor], mask: Tensor) -> "FusedFeatures":
        """Look at features (B, C, T) through the masks of action, start and end, each (B, T or 1, T) bool."""
        if self.action is None or self.boundary is None:
            local = self._local(features, mask)
            return FusedFeatures(local, local, None, None)
        source = self._local(features, mask) if self.fusion == "conv_then_mgt" else features
        guided = [self.action(source, allowed[:1], mask), self.boundary(source, allowed[1:], mask)]
        if self.fusion == "mgt_then_conv":
            fused = [self._local(each, mask) for each in guided]
        elif self.fusion.startswith("parallel"):
            fused = self._beside(guided, self._local(features, mask), mask)
        else:
            fused = guided
        return FusedFeatures(*fused, *guided)

    def _local(self, features: Tensor, mask: Tensor) -> Tensor:
        assert self.local is not None
        return self.local(features, mask)

    def _beside(self, guided: Sequence[Tensor], local: Tensor, mask: Tensor) -> list[Tensor]:
        if self.fusion == "parallel_sum":
            return [each + local for each in guided]
        joined = [mix(torch.cat([each, local], 1)) for mix, each in zip(self.mix, guided, strict=True)]
        return [each * mask[:, None] for each in joined]


class FusedFeatures(NamedTuple):
    """F^af and F^bf of one stream, and what its two MGTs alone say (None without MGT): (B, feature_width, T) each."""

    action: Tensor
    boundary: Tensor
    guided_action: Tensor | None
    guided_boundary: Tensor | None


class SumHeads(nn.Module):
    """Logits of kernel 1 on the features of every stream, and on their sum where there are several.

    only_sum: on their sum alone.
    """

    def __init__(self, width: int, outputs: int, streams: int, *, only_sum: bool = False) -> None:
        super().__init__()
        count = 1 if only_sum else streams + (streams > 1)
        self.heads = nn.ModuleList(SameConv1d(width, outputs, 1) for _ in range(count))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map features (B, width, T) of each stream to (B, heads, outputs, T), the sum's head last."""
        seen = [*features, sum(features[1:], start=features[0])] if len(features) > 1 else features
        own = seen[-len(self.heads) :]
        return torch.stack([head(each) for head, each in zip(self.heads, own, strict=True)], dim=1)
