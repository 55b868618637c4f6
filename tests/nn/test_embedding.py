"""The transformer in front of a network and the places of snippets: what they keep, what padding may not do."""

import math

import pytest
import torch
from torch import nn

from taltool.nn.attention import PositionalEncoding, TransformerEmbedding, sine_table

KINDS = {
    "transformer, pre": lambda: TransformerEmbedding(8, heads=2),
    "transformer, post": lambda: TransformerEmbedding(8, heads=2, order="post", head_residual=False),
}


def made(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return KINDS[kind]().eval()


def features(length: int) -> torch.Tensor:
    return torch.randn(2, 8, length, generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 7])
def test_length_and_width_are_kept(kind: str, length: int) -> None:
    assert made(kind)(features(length), torch.ones(2, length, dtype=torch.bool)).shape == (2, 8, length)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: str) -> None:
    network, mask = made(kind), torch.tensor([[True] * 7 + [False] * 4] * 2)
    padded = features(11) * mask[:, None]
    found = network(padded, mask)
    torch.testing.assert_close(found[..., :7], network(padded[..., :7], mask[:, :7]))
    assert found[..., 7:].abs().max() == 0


def test_the_order_of_the_text_is_that_of_its_equations() -> None:
    """A_h = F + softmax(LN(F) Wq (LN(F) Wk)^T / sqrt d) LN(F) Wv, E = F + fc(LN([A_1 A_2])), for one sample."""
    network = made("transformer, pre")
    F = features(5)[0].T  # (T, d)
    normed = nn.functional.layer_norm(F, (8,))
    heads = []
    for h in range(2):
        q, k, v = (
            normed @ f.weight[8 * h : 8 * h + 8].T
            for f in (
                network.attention.query,
                network.attention.key,
                network.attention.value,
            )
        )
        heads.append(F + (q @ k.T / math.sqrt(8)).softmax(-1) @ v)
    joined = nn.functional.layer_norm(torch.cat(heads, dim=1), (16,))
    expected = F + joined @ network.project.weight.T + network.project.bias
    torch.testing.assert_close(network(F.T[None], torch.ones(1, 5, dtype=torch.bool))[0].T, expected)


def test_a_constant_video_stays_constant() -> None:
    same = features(1).expand(-1, -1, 6)
    found = made("transformer, pre")(same, torch.ones(2, 6, dtype=torch.bool))
    torch.testing.assert_close(found, found[..., :1].expand_as(found))


def test_sines_of_the_first_places() -> None:
    """Four channels: sin i, cos i, sin(i / 100), cos(i / 100)."""
    expected = [[0, math.sin(1)], [1, math.cos(1)], [0, math.sin(0.01)], [1, math.cos(0.01)]]
    torch.testing.assert_close(sine_table(4, 2), torch.tensor(expected))
    assert sine_table(3, 5).shape == (3, 5)


def test_places_are_added_and_only_learned_ones_are_parameters() -> None:
    fixed, learned = PositionalEncoding("sin", 8, 20), PositionalEncoding("learned", 8, 20)
    torch.testing.assert_close(fixed(features(5)) - features(5), sine_table(8, 20)[:, :5].expand(2, -1, -1))
    assert not list(fixed.parameters())
    assert sum(p.numel() for p in learned.parameters()) == 160
