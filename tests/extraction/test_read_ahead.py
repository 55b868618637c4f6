"""Reading ahead changes nothing but the thread in which the reading is done."""

import threading
import time
from collections.abc import Iterator

import pytest

from taltool.errors import DataError
from taltool.extraction.read_ahead import read_ahead


def test_items_come_in_order_and_whole() -> None:
    assert list(read_ahead(range(1000), 3, 10.0)) == list(range(1000))
    assert list(read_ahead(range(1001), 32, 10.0)) == list(range(1001))
    assert list(read_ahead([], 3, 10.0)) == []


def test_items_do_not_wait_for_others_that_are_slow() -> None:
    stuck = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        time.sleep(0.3)
        yield 2
        stuck.wait(60)

    items = read_ahead(source(), 40, 10.0)
    assert [next(items), next(items)] == [1, 2]
    stuck.set()


@pytest.mark.parametrize("size", [3, 40])
def test_what_the_source_raises_is_raised_after_its_items(size: int) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    items = read_ahead(broken(), size, 10.0)
    assert next(items) == 1
    with pytest.raises(ValueError, match="torn"):
        next(items)


def test_only_so_many_items_are_kept_ready() -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    items = read_ahead(source(), 4, 10.0)
    assert next(items) == 0
    time.sleep(0.2)
    # Four wait, one is in the source's hand.
    assert len(taken) <= 6


def test_a_source_that_gives_nothing_is_given_up() -> None:
    stuck = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        stuck.wait(60)
        yield 2

    items = read_ahead(source(), 4, 0.2)
    assert next(items) == 1
    with pytest.raises(DataError, match=r"nothing of it could be read for 0\.2 s"):
        next(items)
    stuck.set()


def test_a_source_that_nobody_wants_any_more_is_left() -> None:
    before = threading.active_count()
    items = read_ahead(iter(range(10**9)), 4, 10.0)
    next(items)
    items.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
