"""Batches divided over parts and processes: every sample once, weighing the same."""

from hypothesis import given
from hypothesis import strategies as st

from taltool.training.division import Division

counts = st.integers(1, 7)


def test_a_batch_of_five_over_two_processes() -> None:
    first, second = (Division(processes=2, rank=rank).pieces(range(10, 15)) for rank in (0, 1))
    assert [(list(p.places), p.weight) for p in first] == [([10, 11], 0.4)]
    assert [(list(p.places), p.weight) for p in second] == [([12, 13, 14], 0.6)]


def test_a_batch_of_six_in_two_parts_over_two_processes() -> None:
    pieces = Division(parts=2, processes=2, rank=1).pieces(range(6))
    assert [list(p.places) for p in pieces] == [[1, 2], [4, 5]]
    assert [p.weight for p in pieces] == [1 / 3, 1 / 3]


def test_a_process_without_a_sample_takes_one_that_does_not_count() -> None:
    (idle,) = Division(processes=2, rank=0).pieces(range(4, 5))
    (busy,) = Division(processes=2, rank=1).pieces(range(4, 5))
    assert (list(idle.places), idle.weight) == ([4], 0.0)
    assert (list(busy.places), busy.weight) == ([4], 1.0)


@given(first=st.integers(0, 9), size=st.integers(1, 20), parts=counts, processes=counts)
def test_every_sample_is_computed_once_and_in_order(first: int, size: int, parts: int, processes: int) -> None:
    batch = range(first, first + size)
    divided = [Division(parts, processes, rank).pieces(batch) for rank in range(processes)]
    assert len({len(pieces) for pieces in divided}) == 1  # the processes take the same number of turns
    turns = list(zip(*divided, strict=True))
    assert [place for turn in turns for piece in turn if piece.weight for place in piece.places] == list(batch)
    assert abs(sum(piece.weight for turn in turns for piece in turn) - 1) < 1e-9
    assert all(piece.weight == 0 or abs(piece.weight - len(piece.places) / size) < 1e-9 for t in turns for piece in t)
