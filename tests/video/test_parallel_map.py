"""Pieces of work that are under way at once come back in their order."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from taltool.video.parallel_map import parallel_map


def test_results_keep_the_order_of_their_items_whichever_is_done_first() -> None:
    def slow(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number

    with ThreadPoolExecutor(4) as threads:
        assert list(parallel_map(threads, slow, range(30), 5)) == list(range(30))
        assert list(parallel_map(threads, slow, [], 5)) == []


def test_only_so_many_are_under_way_before_a_result_is_taken() -> None:
    taken = []
    with ThreadPoolExecutor(4) as threads:
        results = parallel_map(threads, abs, (taken.append(n) or n for n in range(100)), 5)
        next(results)
        assert len(taken) == 6


def test_what_a_piece_raises_is_raised_in_its_place() -> None:
    with ThreadPoolExecutor(2) as threads:
        results = parallel_map(threads, lambda n: 1 / n, [1, 0, 2], 5)
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)
