"""Attention under a mask: worked by hand, forbidden keys, and rows and vectors without anything to look at."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from taltool.models.mgnet.attention import GuidedSelfAttention, Similarity, TransformerBlock, guided_attention

QUERIES = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
KEYS = torch.tensor([[1.0, 0], [1, 1], [-1, 0]])
VALUES = torch.tensor([[1.0], [2.0], [4.0]])
COSINE = Similarity("cosine")


def attended(
    allowed: list[list[bool]] | list[bool],
    how: Similarity = COSINE,
    *,
    keys: Tensor = KEYS,
    values: Tensor = VALUES,
    valid: tuple[bool, ...] = (True, True, True),
) -> list[float]:
    """What the three queries find, one head, one sample."""
    mask = torch.tensor(allowed).view(1, -1, 3)
    found = guided_attention(
        QUERIES[None, None], keys[None, None], values[None, None], mask, torch.tensor([valid]), how
    )
    return found.flatten().tolist()


def test_an_open_mask_is_plain_cosine_attention() -> None:
    assert attended([True] * 3) == pytest.approx([1.612355, 2.248255, 1.801129], abs=1e-6)


def test_only_allowed_keys_are_looked_at() -> None:
    assert attended([True, False, True]) == pytest.approx([1.357609, 2.5, 1.586711], abs=1e-6)


@pytest.mark.parametrize("masking", ["additive", "hadamard"])
def test_a_forbidden_key_and_its_value_change_nothing(masking: str) -> None:
    how = Similarity("cosine", masking=masking)  # type: ignore[arg-type]
    other_keys, other_values = KEYS.clone(), VALUES.clone()
    other_keys[1], other_values[1] = torch.tensor([3.0, -4.0]), 99.0
    mask = [True, False, True]
    assert attended(mask, how) == pytest.approx(attended(mask, how, keys=other_keys, values=other_values), abs=1e-6)


def test_the_printed_product_would_prefer_a_forbidden_key_of_negative_similarity() -> None:
    """Eq. 10 of MGNet: -inf times a negative cosine is +inf, times zero not a number."""
    keys = KEYS.clone()
    keys[1] = torch.tensor([-1.0, -1.0])
    cosines = nn.functional.normalize(QUERIES, dim=-1) @ nn.functional.normalize(keys, dim=-1).T
    printed = cosines * torch.tensor([1.0, -torch.inf, 1.0])
    assert printed[0, 1] == torch.inf
    for masking in ("additive", "hadamard"):
        safe = attended([True, False, True], Similarity("cosine", masking=masking), keys=keys)  # type: ignore[arg-type]
        assert safe == pytest.approx([1.357609, 2.5, 1.586711], abs=1e-6)


def test_each_row_of_a_mask_is_its_own_query() -> None:
    rows = [[True, False, False], [False, True, False], [False, False, True]]
    assert attended(rows) == pytest.approx([1, 2, 4])


@pytest.mark.parametrize("masking", ["additive", "hadamard"])
def test_a_query_without_an_allowed_key_finds_the_mean_or_zero(masking: str) -> None:
    rows = [[False] * 3, [False] * 3, [True, False, False]]
    uniform, zero = (Similarity("cosine", masking=masking, empty_row=row) for row in ("uniform", "zero"))  # type: ignore[arg-type]
    assert attended(rows, uniform) == pytest.approx([7 / 3, 7 / 3, 1])
    assert attended(rows, zero) == pytest.approx([0, 0, 1])


def test_under_the_printed_product_an_orthogonal_key_stays_visible() -> None:
    """Zero times minus infinity has no value; the key keeps the similarity 0 that it had."""
    only_first = [True, False, False]
    assert attended(only_first, Similarity("cosine", masking="hadamard"))[1] == pytest.approx(2.5)
    assert attended(only_first)[1] == pytest.approx(1)


def test_padding_is_never_looked_at_even_by_a_query_without_a_key() -> None:
    rows = [[False, False, True], [True, True, True], [True, False, False]]
    assert attended(rows, valid=(True, True, False))[0] == pytest.approx(1.5)
    assert attended([True] * 3, valid=(True, False, False)) == pytest.approx([1, 1, 1])


def test_a_centred_cosine_is_a_correlation() -> None:
    queries, keys = torch.tensor([[1.0, 2, 4]]), torch.tensor([[1.0, 0, 5], [3, 1, 0]])
    wanted = torch.corrcoef(torch.cat([queries, keys]))[0, 1:].softmax(0) @ torch.tensor([1.0, 2.0])
    found = guided_attention(
        queries.expand(2, 3)[None, None],
        keys[None, None],
        torch.tensor([[1.0], [2.0]])[None, None],
        torch.ones(1, 1, 2, dtype=torch.bool),
        torch.ones(1, 2, dtype=torch.bool),
        Similarity("cosine", centred=True),
    )
    torch.testing.assert_close(found.flatten(), wanted.expand(2))


def test_a_dot_product_is_divided_by_the_root_of_the_width() -> None:
    wanted = (QUERIES @ KEYS.T / 2**0.5).softmax(-1) @ VALUES
    assert attended([True] * 3, Similarity("dot")) == pytest.approx(wanted.flatten().tolist())


@pytest.mark.parametrize(
    ("masking", "centred", "kind"),
    list(itertools.product(("additive", "hadamard"), (False, True), (torch.float32, torch.bfloat16))),
)
def test_vectors_without_direction_give_finite_gradients(masking: str, centred: bool, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    how = Similarity("cosine", centred=centred, masking=masking)  # type: ignore[arg-type]
    attention = GuidedSelfAttention(8, 2, how, masks=2)
    snippets = torch.cat([torch.zeros(1, 2, 8), torch.ones(1, 2, 8), torch.randn(1, 2, 8)], 1).requires_grad_()
    closed, some = torch.zeros(1, 1, 6, dtype=torch.bool), torch.arange(6)[None, None] == 4
    valid = torch.ones(1, 6, dtype=torch.bool)
    with torch.autocast("cpu", dtype=kind, enabled=kind != torch.float32):
        found = attention(snippets, [closed, some], valid)
    found.float().square().sum().backward()
    assert found.isfinite().all()
    assert all(each.grad.isfinite().all() for each in (snippets, *attention.parameters()))


def test_masks_share_queries_and_values_and_stand_side_by_side() -> None:
    torch.manual_seed(0)
    attention = GuidedSelfAttention(8, 2, COSINE, masks=2)
    snippets, valid = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    one, other = (torch.arange(5)[None, None] % 2 == n for n in (0, 1))
    both = attention(snippets, [one, other], valid)
    with torch.no_grad():
        attention.keys[0].weight.copy_(attention.keys[1].weight)
    swapped = attention(snippets, [other, other], valid)
    assert both.shape == (2, 5, 16)
    torch.testing.assert_close(swapped[..., :8], both[..., 8:])


@pytest.mark.parametrize("order", ["none", "pre", "post"])
def test_a_block_is_two_residual_branches_around_the_norms(order: str) -> None:
    torch.manual_seed(0)
    block = TransformerBlock(4, order)  # type: ignore[arg-type]
    snippets = torch.randn(2, 3, 4)

    def perceptron(rows: Tensor) -> Tensor:
        return block.contract(nn.functional.gelu(block.expand(rows)))

    norm = nn.LayerNorm(4, 1e-6)
    if order == "pre":
        halfway = snippets + 3 * norm(snippets)
        wanted = halfway + perceptron(norm(halfway))
    elif order == "post":
        halfway = norm(4 * snippets)
        wanted = norm(halfway + perceptron(halfway))
    else:
        wanted = 4 * snippets + perceptron(4 * snippets)
    torch.testing.assert_close(block(snippets, 3 * block.seen(snippets)), wanted)


def test_drop_path_leaves_out_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(4, "none", drop_path=0.25)
    with torch.no_grad():
        block.contract.weight.zero_()
    added = block(torch.zeros(4000, 2, 4), torch.ones(4000, 2, 4)).detach()
    assert sorted(set(added.flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert (added == added[:, :1, :1]).all()
    assert added.mean() == pytest.approx(1.0, abs=0.05)
    assert (block.eval()(torch.zeros(3, 2, 4), torch.ones(3, 2, 4)) == 1).all()
