"""Multi-head attention from one sequence of snippets to another, over everything or within a window.

Both run on the fused kernel, `scaled_dot_product_attention`, with the validity of the keys as its mask: (B, 1, 1, T)
for everything, so that no tensor of queries x keys is made where the kernel makes none, and (blocks, 1, W, 3W) for a
window. Snippets run along the second axis, (B, T, C).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.errors import UsageError
from taltool.nn.attention import attendable, split_heads

# Queries of a window are treated in blocks of at least this many, for the sake of the matrix products.
LEAST_BLOCK = 16


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(C / heads)) V of each head, concatenated and projected (Vaswani et al., Eq. 1 and 5).

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
        found = (self.query(queries), self.key(context), self.value(context))
        q, k, v = (split_heads(each, self.heads) for each in found)
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
