"""Reading ahead: a source is worked off in a thread of its own while its items are used here."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, Full, Queue
from typing import Any, TypeVar, cast

from taltool.errors import DataError

Item = TypeVar("Item")
_END: Any = object()
# How often (seconds) a waiting thread looks whether it is still wanted.
_GLANCE = 0.2


def ahead(items: Iterable[Item], size: int, patience: float) -> Iterator[Item]:
    """Yield the items, of which a thread keeps up to `size` ready; what it raises is raised here.

    Raises DataError where nothing comes for `patience` seconds (0 = wait forever): the thread is then left to itself,
    for a thread that waits for the operating system cannot be stopped; it does not keep the program from ending.
    """
    queue: Queue[Item] = Queue(size)
    done: Future[None] = Future()
    unwanted = threading.Event()
    threading.Thread(target=_work_off, args=(items, queue, done, unwanted), daemon=True).start()
    try:
        while True:
            try:
                item = queue.get(timeout=patience or None)
            except Empty:
                raise DataError(f"nothing of it could be read for {patience:g} s: given up") from None
            if item is _END:
                break
            yield item
        done.result()
    finally:
        unwanted.set()


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
