"""Work beside this thread: items read ahead, and worker processes that never outlive the program that started them."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from taltool.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")
_END: Any = object()


def prefetch(items: Iterable[Item], ahead: int = 1, patience: float | None = None) -> Iterator[Item]:
    """Yield the same items, up to `ahead` of them made before they are asked for; what their source raises comes here.

    The thread ends with this iterator, which waits for the item that it is making. A source that may hang, such as a
    file on a network drive, is given `patience` (seconds): DataError is raised where nothing comes for so long, and
    nobody waits for the thread, for one that waits for the operating system cannot be stopped; it does not keep the
    program from ending.
    """
    made: SimpleQueue[Future[Item]] = SimpleQueue()
    slots, unwanted = threading.Semaphore(ahead), threading.Event()
    thread = threading.Thread(target=_make, args=(iter(items), made, slots, unwanted), daemon=True)
    thread.start()
    try:
        while (item := made.get(timeout=patience).result()) is not _END:
            slots.release()
            yield item
    except Empty:
        raise DataError(f"nothing of it could be read for {patience:g} s: given up") from None
    finally:
        unwanted.set()
        slots.release()
        if patience is None:
            thread.join()


def _make(
    items: Iterator[Item], made: "SimpleQueue[Future[Item]]", slots: threading.Semaphore, unwanted: threading.Event
) -> None:
    """Put each item as soon as there is a slot for it, and last the end, or the error that ended them."""
    item: Any = None
    while item is not _END:
        slots.acquire()
        if unwanted.is_set():
            return
        outcome: Future[Item] = Future()
        try:
            item = next(items, _END)
            outcome.set_result(item)
        except BaseException as error:  # Of any kind: it is raised again where the items are used.
            item = _END
            outcome.set_exception(error)
        made.put(outcome)


def parallel_map(
    threads: Executor, work: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[Result]:
    """Yield work(item) of every item, in order; `most` items are under way before the first result is waited for."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(threads.submit(work, item))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def process_pool(count: int, prepare: Callable[..., object] | None = None, *arguments: Any) -> ProcessPoolExecutor:
    """`count` processes, each of which first calls prepare(*arguments); they have begun to start.

    Ctrl-C is their parent's business, unless `prepare` makes it theirs; when the parent is gone, however that ended,
    they end by themselves.
    """
    # Not forked: this process may have threads (a progress bar), and forks copy their locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(prepare, arguments))
    with _interrupts_blocked():
        for _ in range(count):
            pool.submit(int)  # Each piece of work starts a process, where none is idle.
    return pool


def _begin(prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()
    if prepare is not None:
        prepare(*arguments)


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold Ctrl-C back for a `with` block: processes that start in it do not feel it until they are ready for it."""
    if sys.platform == "win32":  # Knows no masks of signals.
        yield
        return
    resource_tracker.ensure_running()  # Else the first process starts it, and it lets them through again.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
