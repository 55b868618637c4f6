"""Self-attention against torch's own, and what padding may not do."""

import math

import torch
from torch import nn

from taltool.nn.attention import SelfAttention


def snippets(length: int = 6, channels: int = 8) -> torch.Tensor:
    return torch.randn(2, length, channels, generator=torch.Generator().manual_seed(0))


def test_split_heads_attend_like_torch_multi_head_attention() -> None:
    torch.manual_seed(0)
    ours, theirs = SelfAttention(8, heads=2, head_width=4), nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
    weights = torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
    theirs.in_proj_weight = nn.Parameter(weights)
    theirs.out_proj.weight = nn.Parameter(torch.eye(8))
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 4:] = False
    expected, _ = theirs(snippets(), snippets(), snippets(), key_padding_mask=~mask)
    torch.testing.assert_close(ours(snippets(), mask).transpose(1, 2).flatten(2), expected)


def test_a_head_of_full_width_divides_by_the_root_of_that_width() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(8, heads=3, head_width=8)
    mask = torch.ones(2, 6, dtype=torch.bool)
    q, k, v = (f(snippets())[..., 8:16] for f in (attention.query, attention.key, attention.value))
    expected = (q @ k.transpose(1, 2) / math.sqrt(8)).softmax(-1) @ v
    torch.testing.assert_close(attention(snippets(), mask)[:, 1], expected)


def test_a_sample_of_padding_only_is_finite_with_finite_gradients() -> None:
    attention = SelfAttention(8, heads=2, head_width=4)
    found = attention(snippets(), torch.zeros(2, 6, dtype=torch.bool))
    found.sum().backward()
    assert found.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attention.parameters())


def test_equal_snippets_attend_uniformly() -> None:
    attention = SelfAttention(8, heads=2, head_width=4)
    same = snippets()[:, :1].expand(-1, 6, -1)
    found = attention(same, torch.ones(2, 6, dtype=torch.bool))
    torch.testing.assert_close(found, found[:, :, :1].expand_as(found))
