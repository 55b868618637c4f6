"""Running independent pieces of work in processes, so that one that dies takes only itself along."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Pieces handed out per process, so that none waits; also how many are suspects when a process dies.
_AHEAD = 2


def available_cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(
    work: Callable[[Item], Result], items: Iterable[Item], jobs: int, died: Callable[[Item], Result]
) -> Iterator[Result]:
    """Yield work(item) for every item, in the order in which they are done.

    jobs processes work at once; 1 works in this process. An item whose process dies (killed, out of memory, a fault in
    a decoder) yields died(item); those that were with it are done again.
    """
    if jobs == 1:
        yield from map(work, items)
        return
    remaining = deque(items)
    while remaining:
        suspects = yield from _together(work, remaining, jobs)
        for suspect in suspects:
            yield _alone(work, suspect, died)


def _together(work: Callable[[Item], Result], remaining: deque[Item], jobs: int) -> Generator[Result, None, list[Item]]:
    """Work on `remaining`, emptying it; return the items that were in work when a process died."""
    running: dict[Future[Result], Item] = {}
    try:
        with _pool(min(jobs, len(remaining))) as pool:
            while remaining or running:
                while remaining and len(running) < jobs * _AHEAD:
                    future = pool.submit(work, remaining[0])
                    running[future] = remaining.popleft()
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    del running[future]
                    yield result
    except BrokenProcessPool:
        return list(running.values())
    return []


def _alone(work: Callable[[Item], Result], item: Item, died: Callable[[Item], Result]) -> Result:
    try:
        with _pool(1) as pool:
            return pool.submit(work, item).result()
    except BrokenProcessPool:
        return died(item)


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Not forked: this process may have threads (a progress bar), and forks copy their locks.
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_follow_parent)


def _follow_parent() -> None:
    """End this process when the user interrupts, and when its parent is gone, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)
