"""Multi-head attention against torch's own and a plain masked softmax, and the memory that it must not need."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from taltool.errors import UsageError
from taltool.models.amnet.network import MultiHeadAttention, windowed_attention
from taltool.nn.attention import split_heads


def attention(window: int = 0) -> MultiHeadAttention:
    torch.manual_seed(0)
    return MultiHeadAttention(8, heads=2, window=window)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation gives, counted by its own storage."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, tuple | list) else [found]:
            if isinstance(each, Tensor):
                self.numel = max(self.numel, each.untyped_storage().nbytes() // each.element_size())
        return found


def test_cross_attention_is_torch_multi_head_attention() -> None:
    ours, theirs = attention(), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight = nn.Parameter(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
    theirs.out_proj.weight = ours.project.weight
    queries, context = drawn(2, 5, 8), drawn(2, 7, 8)
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    expected, _ = theirs(queries, context, context, key_padding_mask=~mask)
    torch.testing.assert_close(ours(queries, context, mask), expected)


def test_two_snippets_by_hand() -> None:
    # q = k = v = x, one head of width 1: x = (0, ln 3); scores of query 2: 0 and (ln 3)^2 = 1.206949.
    q = torch.tensor([0.0, math.log(3)]).view(1, 1, 2, 1)
    found = windowed_attention(q, q, q, torch.ones(1, 2, dtype=torch.bool), reach=1)
    weight = math.exp(math.log(3) ** 2) / (1 + math.exp(math.log(3) ** 2))
    torch.testing.assert_close(found.flatten(), torch.tensor([math.log(3) / 2, weight * math.log(3)]))


def test_one_repeated_key_gives_its_value_to_every_query() -> None:
    layer, token = attention(), drawn(1, 1, 8)
    found = layer(drawn(1, 5, 8), token.expand(-1, 9, -1), torch.ones(1, 9, dtype=torch.bool))
    torch.testing.assert_close(found, layer.project(layer.value(token)).expand(-1, 5, -1))


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 50), valid=st.integers(0, 50), reach=st.integers(0, 40))
def test_a_window_is_a_masked_softmax(length: int, valid: int, reach: int) -> None:
    q, k, v = (drawn(2, 3, length, 4) + number for number in range(3))
    mask = torch.arange(length) < torch.tensor([[length], [min(valid, length)]])
    place = torch.arange(length)
    allowed = ((place[:, None] - place).abs() <= reach) & mask[:, None, None]
    scores = (q @ k.transpose(2, 3) / 2).masked_fill(~allowed, -torch.inf)
    expected = scores.softmax(-1) @ v
    found = windowed_attention(q, k, v, mask, reach)
    rows = mask[:, None, :, None].expand_as(found)
    torch.testing.assert_close(found[rows], expected[rows])
    assert found.isfinite().all()


def test_a_window_as_wide_as_the_sequence_is_global() -> None:
    whole, narrow = attention(), attention(window=200)
    snippets, mask = drawn(2, 70, 8), torch.arange(70) < torch.tensor([[70], [33]])
    found, expected = narrow(snippets, snippets, mask), whole(snippets, snippets, mask)
    torch.testing.assert_close(found[mask], expected[mask])


@settings(max_examples=20, deadline=None)
@given(extra=st.integers(1, 40), window=st.sampled_from([0, 1, 5, 19]))
def test_padding_changes_no_valid_output(extra: int, window: int) -> None:
    layer, snippets, mask = attention(window), drawn(2, 21, 8), torch.arange(21) < torch.tensor([[21], [13]])
    padded = torch.cat([snippets, 1e3 * drawn(2, extra, 8)], 1)
    padded_mask = torch.cat([mask, torch.zeros(2, extra, dtype=torch.bool)], 1)
    found = layer(padded, padded, padded_mask)[:, :21]
    torch.testing.assert_close(found[mask], layer(snippets, snippets, mask)[mask], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("window", [0, 7])
def test_a_sample_of_padding_only_is_finite_with_finite_gradients(window: int) -> None:
    layer, snippets = attention(window), drawn(2, 20, 8)
    found = layer(snippets, snippets, torch.zeros(2, 20, dtype=torch.bool))
    found.sum().backward()
    assert found.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("window", [0, 19])
def test_no_tensor_of_queries_times_keys_is_made(window: int) -> None:
    length = 2048
    layer, snippets = attention(window), drawn(1, length, 8).requires_grad_()
    mask = torch.arange(length)[None] < length - 100
    with Largest() as seen:
        layer(snippets, snippets, mask).sum().backward()
    # A head's scores alone would be length^2 = 4.2 million.
    assert 8 * length <= seen.numel <= length**2 / 8


def test_the_watch_sees_a_plain_attention() -> None:
    q = split_heads(drawn(1, 256, 8), 2)
    with Largest() as seen:
        (q @ q.transpose(2, 3)).softmax(-1) @ q
    assert seen.numel == 2 * 256 * 256


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    layer, snippets, mask = MultiHeadAttention(8, 2, dropout=0.5), drawn(1, 9, 8), torch.ones(1, 9, dtype=torch.bool)
    assert not torch.equal(layer(snippets, snippets, mask), layer(snippets, snippets, mask))
    layer.eval()
    torch.testing.assert_close(layer(snippets, snippets, mask), layer(snippets, snippets, mask))


def test_heads_must_share_the_width() -> None:
    with pytest.raises(UsageError, match="heads = 3"):
        MultiHeadAttention(8, heads=3)
