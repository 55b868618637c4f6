"""The snippet embeddings of GSMT's ablation: what they keep, what they see, what padding may not do."""

import pytest
import torch
from torch import nn

from taltool.models.gsmt.network import DilatedEmbedding, MultiStageEmbedding

KINDS = {
    "cnn1d": lambda: DilatedEmbedding(8),
    "mstcn": lambda: MultiStageEmbedding(8, stages=2, layers=4, maps=6),
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


def test_mstcn_sees_as_far_as_its_dilations() -> None:
    """Two stages of dilations 1, 2, 4, 8: 2 * 15 snippets to each side."""
    network = made("mstcn")
    one = torch.zeros(1, 8, 81)
    other = one.clone()
    other[..., 40] = 5.0
    mask = torch.ones(1, 81, dtype=torch.bool)
    changed = (network(one, mask) != network(other, mask)).any(1)[0].nonzero().flatten().tolist()
    assert (min(changed), max(changed)) == (10, 70)
