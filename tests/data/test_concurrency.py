"""Working ahead changes nothing but the thread in which the work is done."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from taltool.data.concurrency import parallel_map, prefetch
from taltool.errors import DataError


def test_items_come_in_order_and_whole() -> None:
    assert list(prefetch(range(1000))) == list(range(1000))
    assert list(prefetch(range(1001), 32, 10.0)) == list(range(1001))
    assert list(prefetch(range(10), patience=threading.TIMEOUT_MAX)) == list(range(10))
    assert list(prefetch([], 3, 10.0)) == []


@pytest.mark.parametrize("patience", [None, 10.0])
def test_what_the_source_raises_is_raised_after_its_items(patience: float | None) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    items = prefetch(broken(), 3, patience)
    assert next(items) == 1
    with pytest.raises(ValueError, match="torn"):
        next(items)


@pytest.mark.parametrize("ahead", [1, 4])
def test_only_so_many_items_are_made_ahead(ahead: int) -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    items = prefetch(source(), ahead)
    assert next(items) == 0
    time.sleep(0.2)
    assert taken == list(range(1 + ahead))


def test_the_next_item_is_made_while_the_last_one_is_used() -> None:
    made = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    items = prefetch(source())
    assert next(items) == 1
    assert made.wait(10)


def test_a_source_that_gives_nothing_is_given_up() -> None:
    stuck = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        stuck.wait(60)
        yield 2

    items = prefetch(source(), 4, 0.2)
    assert next(items) == 1
    with pytest.raises(DataError, match=r"nothing of it could be read for 0\.2 s"):
        next(items)
    stuck.set()


@pytest.mark.parametrize("patience", [None, 10.0])
def test_the_thread_ends_where_nobody_wants_more(patience: float | None) -> None:
    before = set(threading.enumerate())
    items = prefetch(iter(range(10**9)), 4, patience)
    next(items)
    (thread,) = set(threading.enumerate()) - before
    items.close()  # type: ignore[attr-defined]
    thread.join(10)
    assert not thread.is_alive()


def test_the_item_that_is_being_made_is_waited_for() -> None:
    begun, finished = threading.Event(), []

    def source() -> Iterator[int]:
        yield 1
        begun.set()
        time.sleep(0.3)
        finished.append(2)
        yield 2

    items = prefetch(source())
    next(items)
    begun.wait(10)
    items.close()  # type: ignore[attr-defined]
    assert finished == [2]


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
