"""MGNet's dense heads against the plain ones: values, and gradients, with dropout too."""

import copy

import pytest
import torch
from mgnet_heads_twin import PlainHeads
from torch import Tensor

from taltool.models.mgnet.heads import BoundaryHead, CompletenessHead
from taltool.nn.proposal_sampling import ProposalGrid

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
