"""Scaled dot-product self-attention over the snippets of a padded batch.

Snippets run along the second axis here, (B, T, C), as matrix products want them.
"""

import math

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
