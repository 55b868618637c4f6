"""Runs of activated snippets, against a hand-worked row and a loop over snippets."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from taltool.models.decoding import Runs, likely_boundaries, run_means, runs

ROW = torch.tensor([[0.05, 0.3, 0.75, 0.9, 0.6, 0.85, 0.2, 0.55, 0.1, 0.0]])
ROWS_OF_BITS = st.integers(1, 9).flatmap(
    lambda length: st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=4)
)


def listed(found: Runs) -> list[tuple[int, int, int]]:
    return [tuple(row) for row in torch.stack(found).T.tolist()]


def runs_by_loop(rows: list[list[bool]]) -> list[tuple[int, int, int]]:
    found = []
    for number, row in enumerate(rows):
        position = 0
        for is_active, group in itertools.groupby(row):
            length = len(list(group))
            if is_active:
                found.append((number, position, position + length))
            position += length
    return found


def test_runs_of_a_row_at_three_thresholds() -> None:
    assert listed(runs(ROW >= 0.5)) == [(0, 2, 6), (0, 7, 8)]
    assert listed(runs(ROW >= 0.8)) == [(0, 3, 4), (0, 5, 6)]
    assert listed(runs(ROW >= 0.1)) == [(0, 1, 9)]


def test_means_over_runs() -> None:
    torch.testing.assert_close(run_means(ROW, runs(ROW >= 0.5)), torch.tensor([0.775, 0.55]))


def test_means_of_several_channels() -> None:
    values = torch.stack([ROW, 1 - ROW], dim=-1)
    torch.testing.assert_close(run_means(values, runs(ROW >= 0.5)), torch.tensor([[0.775, 0.225], [0.55, 0.45]]))


def test_a_row_without_activation_gives_nothing() -> None:
    assert listed(runs(torch.zeros(2, 4, dtype=torch.bool))) == []


@given(ROWS_OF_BITS)
def test_runs_equal_a_loop_over_snippets(rows: list[list[bool]]) -> None:
    active = torch.tensor(rows)
    expected = runs_by_loop(rows)
    assert listed(runs(active)) == expected
    values = torch.rand(active.shape, generator=torch.Generator().manual_seed(0))
    means = [float(values[r, a:b].mean()) for r, a, b in expected]
    torch.testing.assert_close(run_means(values, runs(active)), torch.tensor(means).view(-1))


def test_likely_boundaries_are_peaks_high_scores_and_the_ends() -> None:
    scores = torch.tensor([[0.1, 0.3, 0.2, 0.2, 0.9, 0.6, 0.1, 0.05]])
    mask = torch.arange(8)[None] < 7
    assert likely_boundaries(scores, mask).int().tolist() == [[1, 1, 0, 0, 1, 1, 1, 0]]


def test_half_of_the_highest_score_is_not_above_half_and_a_plateau_is_no_peak() -> None:
    """BSN: higher than 0.5 * max, or higher than both neighbours; the first and the last snippet count in any case."""
    scores = torch.tensor([[0.1, 0.5, 1.0, 0.5, 0.2, 0.3, 0.3, 0.1, 0.4, 0.1]])
    found = likely_boundaries(scores, torch.ones(1, 10, dtype=torch.bool))
    assert found.int().tolist() == [[1, 0, 1, 0, 0, 0, 0, 0, 1, 1]]
    scores[0, 1] += 0.01
    assert likely_boundaries(scores, torch.ones(1, 10, dtype=torch.bool)).int().tolist()[0][:4] == [1, 1, 1, 0]


def test_each_row_has_its_own_highest_score() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.6, 0.9, 0.1], [0.01, 0.02, 0.06, 0.09, 0.01]])
    found = likely_boundaries(scores, torch.ones(2, 5, dtype=torch.bool))
    assert found.int().tolist() == [[1, 0, 1, 1, 1]] * 2
