"""MGNet's dense heads against the plain ones: values, and gradients, with dropout too."""

import copy

import pytest
import torch
from mgnet_heads_twin import PlainHeads
from torch import Tensor, nn

from taltool.models.mgnet.heads import BoundaryHead, CompletenessHead, ProposalGrid, chunked_checkpoint, relu_dropout_

SAMPLES, CHANNELS = 2, 3


def heads(dropout: float = 0.0) -> tuple[CompletenessHead, BoundaryHead]:
    torch.manual_seed(0)
    return CompletenessHead(8, dropout).double(), BoundaryHead(CHANNELS, 5, 8, dropout).double()


def inputs(length: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((SAMPLES, length), (SAMPLES, CHANNELS, length))
    action, features = (torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in shapes)
    return action.sigmoid(), features


def logits(completeness: CompletenessHead, boundary: BoundaryHead, given: tuple[Tensor, Tensor]) -> Tensor:
    """All three kinds of logits, (3, B, N)."""
    action, features = given
    grid = ProposalGrid.of(action.shape[1], torch.device("cpu"))
    return torch.stack([completeness(action, grid), *boundary(features, grid)])


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("length", [1, 2, 13])
def test_heads_equal_those_that_sample_everything_first(
    length: int, kind: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taltool.models.mgnet.heads.CELLS_PER_BLOCK", 50)
    completeness, boundary = (each.to(kind) for each in heads())
    twin = PlainHeads(copy.deepcopy(completeness), copy.deepcopy(boundary), length)
    given, twin_given = ([each.to(kind).requires_grad_() for each in inputs(length)] for _ in range(2))
    fast = logits(completeness, boundary, given)  # type: ignore[arg-type]
    first, last = torch.triu_indices(length, length)
    plain = torch.stack([each[:, first, last] for each in twin(*twin_given)])
    torch.testing.assert_close(fast, plain, rtol=0, atol=tolerance)
    for each in (fast, plain):
        torch.nn.functional.softplus(each).mean().backward()
    own = [*given, *completeness.parameters(), *boundary.parameters()]
    wanted = [
        *twin_given,
        *(p for name in ("completeness", "points", "boundary") for p in twin.get_submodule(name).parameters()),
    ]
    for one, other in zip(own, wanted, strict=True):
        assert one.grad is not None
        torch.testing.assert_close(one.grad, other.grad.view_as(one), rtol=0, atol=tolerance)


def test_the_gradient_is_that_of_what_dropout_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taltool.models.mgnet.heads.CELLS_PER_BLOCK", 4)
    completeness, boundary = heads(dropout=0.4)

    def drawn(action: Tensor, features: Tensor) -> Tensor:
        torch.manual_seed(7)
        return logits(completeness, boundary, (action, features))

    given = inputs(3)
    assert not torch.equal(drawn(*given), logits(completeness, boundary, given))
    assert torch.autograd.gradcheck(drawn, [each.requires_grad_() for each in given])


@pytest.mark.parametrize("size", [1, 4, 5, 100])
def test_blocks_give_what_all_rows_at_once_give(size: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    rows = torch.randn(10, 3, dtype=torch.float64, requires_grad=True)
    wanted = (rows, *network.parameters())
    whole, blocks = network(rows), chunked_checkpoint(network, rows, size)
    torch.testing.assert_close(blocks, whole, rtol=0, atol=1e-12)
    gradients = zip(*(torch.autograd.grad(each.sin().sum(), wanted) for each in (whole, blocks)), strict=True)
    for own, plain in gradients:
        torch.testing.assert_close(own, plain, rtol=0, atol=1e-12)


def test_a_block_is_computed_again_for_its_gradient() -> None:
    sizes: list[int] = []

    def squared(rows: Tensor) -> Tensor:
        sizes.append(len(rows))
        return rows * rows

    found = chunked_checkpoint(squared, torch.ones(10, 1, requires_grad=True), 4)
    assert sizes == [4, 4, 2]
    found.sum().backward()
    assert sorted(sizes) == [2, 2, 4, 4, 4, 4]


def test_the_gradient_drops_what_was_dropped() -> None:
    torch.manual_seed(0)
    rows = torch.ones(100, 8, requires_grad=True)
    kept = chunked_checkpoint(lambda block: relu_dropout_(block * block, 0.5), rows, 30)
    kept.sum().backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad > 0, kept > 0)
    assert 0.3 < (kept == 0).float().mean() < 0.7
    assert not torch.equal(kept[:30], kept[30:60])


def test_no_rows_give_no_rows() -> None:
    assert chunked_checkpoint(nn.Linear(3, 2), torch.zeros(0, 3), 4).shape == (0, 2)


def test_without_a_rate_it_is_relu() -> None:
    values = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    kept = relu_dropout_(values * 1, 0.0)
    kept.backward(torch.tensor([5.0, 7.0, 11.0]))
    assert kept.tolist() == [0, 0, 3]
    assert values.grad.tolist() == [0, 0, 11]


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.9])
def test_the_share_that_is_dropped_is_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    kept = relu_dropout_(torch.ones(1001, 777), rate)
    assert (kept == 0).float().mean() == pytest.approx(rate, abs=3e-3)
    assert kept.mean() == pytest.approx(1.0, abs=3e-2)
    assert kept.max() == pytest.approx(1 / (1 - rate))


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (relu_dropout_(torch.ones(400_000), 0.5) == 0).float()
    for step in (1, 2, 3, 4, 8):
        assert (dropped[step:] * dropped[:-step]).mean() == pytest.approx(0.25, abs=5e-3)


def test_the_gradient_flows_where_a_positive_value_was_kept() -> None:
    torch.manual_seed(0)
    values = torch.randn(64, 8, dtype=torch.float64, requires_grad=True)
    kept = relu_dropout_(values * 1, 0.3)
    kept.sum().backward()
    torch.testing.assert_close(values.grad, (kept > 0).double() / 0.7)


def test_a_seed_fixes_what_is_dropped() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(relu_dropout_(torch.ones(33), 0.5))
    assert torch.equal(*drawn)
