"""Worker processes that never outlive the program that started them."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any


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
