"""Reading ahead: a source is worked off in a thread of its own while its items are used here."""

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, Full, Queue
from typing import Any, TypeVar, cast

from taltool.errors import DataError

Item = TypeVar("Item")
_END: Any = object()
# How often (seconds) a waiting thread looks whether it is still wanted, and how long items wait for others at most.
_GLANCE = 0.2
# Items are handed over in groups, this many of which may be ready: each time one thread wakes another costs both.
_GROUPS = 4


def read_ahead(items: Iterable[Item], size: int, patience: float) -> Iterator[Item]:
    """Yield the items, of which a thread keeps up to `size` ready; what it raises is raised here.

    Raises DataError where nothing comes for `patience` seconds (0 = wait forever): the thread is then left to itself,
    for a thread that waits for the operating system cannot be stopped; it does not keep the program from ending.
    """
    queue: Queue[list[Item]] = Queue(min(size, _GROUPS))
    done: Future[None] = Future()
    unwanted = threading.Event()
    groups = _grouped(items, max(1, size // _GROUPS))
    threading.Thread(target=_work_off, args=(groups, queue, done, unwanted), daemon=True).start()
    try:
        while True:
            try:
                group = queue.get(timeout=patience or None)
            except Empty:
                raise DataError(f"nothing of it could be read for {patience:g} s: given up") from None
            if group is _END:
                break
            yield from group
        done.result()
    finally:
        unwanted.set()


def _grouped(items: Iterable[Item], most: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `most`, or of what came within a glance; the last ones before any error."""
    group: list[Item] = []
    begun = time.monotonic()
    try:
        for item in items:
            group.append(item)
            if len(group) >= most or time.monotonic() - begun > _GLANCE:
                yield group
                group, begun = [], time.monotonic()
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group


def _work_off(items: Iterable[Item], queue: "Queue[Item]", done: "Future[None]", unwanted: threading.Event) -> None:
    try:
        for item in items:
            if not _put(queue, item, unwanted):
                return
        done.set_result(None)
    except Exception as error:  # Of any kind: it is raised again where the items are used.
        done.set_exception(error)
    finally:
        _put(queue, cast(Item, _END), unwanted)


def _put(queue: "Queue[Item]", item: Item, unwanted: threading.Event) -> bool:
    while not unwanted.is_set():
        try:
            queue.put(item, timeout=_GLANCE)
        except Full:
            continue
        return True
    return False
