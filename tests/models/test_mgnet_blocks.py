"""Rows in blocks: the same numbers as all at once, gradients included, while blocks are computed a second time."""

import pytest
import torch
from torch import Tensor, nn

from taltool.models.mgnet.blocks import in_blocks
from taltool.models.mgnet.relu_dropout import relu_dropout_


@pytest.mark.parametrize("size", [1, 4, 5, 100])
def test_blocks_give_what_all_rows_at_once_give(size: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    rows = torch.randn(10, 3, dtype=torch.float64, requires_grad=True)
    wanted = (rows, *network.parameters())
    whole, blocks = network(rows), in_blocks(network, rows, size)
    torch.testing.assert_close(blocks, whole, rtol=0, atol=1e-12)
    gradients = zip(*(torch.autograd.grad(each.sin().sum(), wanted) for each in (whole, blocks)), strict=True)
    for own, plain in gradients:
        torch.testing.assert_close(own, plain, rtol=0, atol=1e-12)


def test_a_block_is_computed_again_for_its_gradient() -> None:
    sizes: list[int] = []

    def squared(rows: Tensor) -> Tensor:
        sizes.append(len(rows))
        return rows * rows

    found = in_blocks(squared, torch.ones(10, 1, requires_grad=True), 4)
    assert sizes == [4, 4, 2]
    found.sum().backward()
    assert sorted(sizes) == [2, 2, 4, 4, 4, 4]


def test_the_gradient_drops_what_was_dropped() -> None:
    torch.manual_seed(0)
    rows = torch.ones(100, 8, requires_grad=True)
    kept = in_blocks(lambda block: relu_dropout_(block * block, 0.5), rows, 30)
    kept.sum().backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad > 0, kept > 0)
    assert 0.3 < (kept == 0).float().mean() < 0.7
    assert not torch.equal(kept[:30], kept[30:60])


def test_no_rows_give_no_rows() -> None:
    assert in_blocks(nn.Linear(3, 2), torch.zeros(0, 3), 4).shape == (0, 2)
