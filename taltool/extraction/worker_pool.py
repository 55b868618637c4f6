"""Running independent pieces of work in processes, so that one that dies takes only itself along."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

from taltool.data.concurrency import process_pool

Item = TypeVar("Item")
Result = TypeVar("Result")

# Chunks handed out per process, so that none waits; also how many are suspects when a process dies.
_AHEAD = 2


def available_cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def imap_unordered(
    work: Callable[[Sequence[Item], int], Iterable[Result]],
    chunks: Sequence[Sequence[Item]],
    jobs: int,
    died: Callable[[Item], Result],
) -> Iterator[Result]:
    """Yield the results of work(chunk, number), one per item, for every chunk, in the order in which they are done.

    jobs processes, numbered from 0, work at once; a single one is this process. When a process dies (killed, out of
    memory, a fault in a decoder), the items that it had are done again one by one; one that kills it yields died(item).
    """
    if jobs == 1:
        for chunk in chunks:
            yield from work(chunk, 0)
        return
    remaining = deque(chunks)
    processes = [_Process(number, work, died) for number in range(min(jobs, len(remaining)))]
    try:
        while remaining or any(process.running for process in processes):
            for process in processes:
                process.fill(remaining)
            wait([future for process in processes for future in process.running], return_when=FIRST_COMPLETED)
            for process in processes:
                yield from process.results()
    finally:
        for process in processes:
            process.end()


class _Process(Generic[Item, Result]):
    """One process that works on one item after the other, and is replaced when it dies."""

    def __init__(
        self, number: int, work: Callable[[Sequence[Item], int], Iterable[Result]], died: Callable[[Item], Result]
    ) -> None:
        self._number, self._work, self._died, self._pool = number, work, died, _pool()
        self.running: dict[Future[list[Result]], Sequence[Item]] = {}

    def fill(self, remaining: deque[Sequence[Item]]) -> None:
        """Give it what it has to do next."""
        while remaining and len(self.running) < _AHEAD:
            try:
                future = self._pool.submit(_listed, self._work, remaining[0], self._number)
            except BrokenProcessPool:
                if self.running:
                    return  # It died of one of these; see `results`.
                self._pool = self._replaced()
            else:
                self.running[future] = remaining.popleft()

    def results(self) -> Iterator[Result]:
        """Yield what is done; of a process that died, each item that it may have died of is done again alone."""
        try:
            for future in [each for each in self.running if each.done()]:
                results = future.result()
                del self.running[future]
                yield from results
        except BrokenProcessPool:
            suspects = [item for chunk in self.running.values() for item in chunk]
            self.running.clear()
            for suspect in suspects:
                self._pool = self._replaced()
                try:
                    results = self._pool.submit(_listed, self._work, [suspect], self._number).result()
                except BrokenProcessPool:
                    results = [self._died(suspect)]
                yield from results
            self._pool = self._replaced()

    def _replaced(self) -> ProcessPoolExecutor:
        self._pool.shutdown(cancel_futures=True)
        return _pool()

    def end(self) -> None:
        """Wait for what it does now; what was not begun is left undone."""
        self._pool.shutdown(cancel_futures=True)


def _listed(
    work: Callable[[Sequence[Item], int], Iterable[Result]], chunk: Sequence[Item], number: int
) -> list[Result]:
    return list(work(chunk, number))


def _pool() -> ProcessPoolExecutor:
    return process_pool(1, _end_when_interrupted)


def _end_when_interrupted() -> None:
    """A video may take minutes: Ctrl-C, which a terminal sends to every process, ends this one at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
