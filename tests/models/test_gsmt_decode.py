"""Stretches of activated snippets as GSMT scores them, by hand and against a loop over rows."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from taltool.models.decoding import Runs, run_maxima, runs, spans

ROW = torch.tensor([[0.05, 0.3, 0.75, 0.9, 0.6, 0.85, 0.2, 0.55, 0.1, 0.0]])
NOTHING = torch.zeros(2, 4, dtype=torch.bool)
ROWS_OF_BITS = st.integers(1, 9).flatmap(
    lambda length: st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=4)
)


def listed(found: Runs) -> list[tuple[int, int, int]]:
    return [tuple(row) for row in torch.stack(found).T.tolist()]


def test_spans_of_a_row_at_three_thresholds() -> None:
    assert listed(spans(ROW >= 0.5)) == [(0, 2, 8)]
    assert listed(spans(ROW >= 0.8)) == [(0, 3, 6)]
    assert listed(spans(ROW >= 0.1)) == [(0, 1, 9)]


def test_maxima_over_runs() -> None:
    torch.testing.assert_close(run_maxima(ROW, runs(ROW >= 0.5)), torch.tensor([0.9, 0.55]))


def test_a_row_without_activation_gives_nothing() -> None:
    assert listed(spans(NOTHING)) == []
    assert run_maxima(NOTHING.float(), runs(NOTHING)).tolist() == []


@given(ROWS_OF_BITS)
def test_spans_reach_from_first_to_last(rows: list[list[bool]]) -> None:
    expected = [(n, row.index(True), len(row) - row[::-1].index(True)) for n, row in enumerate(rows) if any(row)]
    assert listed(spans(torch.tensor(rows))) == expected


@given(ROWS_OF_BITS)
def test_maxima_equal_a_loop_over_runs(rows: list[list[bool]]) -> None:
    active = torch.tensor(rows)
    values = torch.rand(active.shape, generator=torch.Generator().manual_seed(0))
    maxima = [float(values[row, start:end].max()) for row, start, end in listed(runs(active))]
    torch.testing.assert_close(run_maxima(values, runs(active)), torch.tensor(maxima).view(-1))
