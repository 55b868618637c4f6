"""Who makes the batches of a training beside this thread: one that reads ahead, or worker processes.

A worker opens the feature file for itself, for an HDF5 handle cannot be shared, and hands the features of a batch over
in shared memory. A batch follows from its place in the training alone, so it is the same whoever makes it.
"""

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch
import torch.multiprocessing  # Teaches connections to hand tensors over in shared memory.
from torch import Tensor

from taltool.data.hdf5_features import FeatureFile
from taltool.errors import PartialFailure, TaltoolError, UsageError
from taltool.models.contract import Batch, Targets

T = TypeVar("T")
# Epoch, and the places of the samples in its order.
Place = tuple[int, range]
MakeBatch = Callable[[int, range], Batch]
# Batches that each worker is asked for before they are used.
_AHEAD = 2
_LOST = (
    "a process that reads features is gone (killed, or out of memory?); fewer --workers need less, "
    "--workers 0 none; --resume continues from the last saved state"
)


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one being made in a thread while the last one is used."""
    with ThreadPoolExecutor(1) as pool:
        absent = object()
        upcoming = pool.submit(next, items, absent)
        while (item := upcoming.result()) is not absent:
            upcoming = pool.submit(next, items, absent)
            yield item  # type: ignore[misc]


class Workers:
    """`count` processes that make batches ahead by `make`, which reads from `file` (not yet open).

    They end with `close`, or by themselves when this process is gone.
    """

    def __init__(self, make: MakeBatch, file: FeatureFile, count: int) -> None:
        with _interrupts_blocked():
            self._workers = [_Worker() for _ in range(count)]
        for worker in self._workers:  # They have begun to load what they need side by side.
            worker.ask((make, file))
        self._waiting: deque[_Worker] = deque()  # One entry for each batch that is asked for, in order.

    def batches(self, places: Iterable[Place]) -> Iterator[Batch]:
        """The batches of `places`, in order; what a worker raises for the user is raised here."""
        while self._waiting:  # What an earlier caller did not take.
            self._waiting.popleft().answer()
        workers, left = cycle(self._workers), iter(places)
        for place in islice(left, _AHEAD * len(self._workers)):
            self._ask(next(workers), place)
        while self._waiting:
            worker = self._waiting.popleft()
            made = worker.answer()
            for place in islice(left, 1):
                self._ask(worker, place)
            if isinstance(made, Exception):
                raise made
            yield _unpacked(*made)

    def _ask(self, worker: "_Worker", place: Place) -> None:
        worker.ask(place)
        self._waiting.append(worker)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()


class _Worker:
    """A process that answers each question with a batch, in order."""

    def __init__(self) -> None:
        # Not forked: this process has threads (a progress bar), and forks copy their locks.
        context = torch.multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # So that its end is noticed here.

    def ask(self, question: Any) -> None:
        try:
            self._connection.send(question)
        except OSError as error:
            raise PartialFailure(_LOST) from error

    def answer(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise PartialFailure(_LOST) from error

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self._connection.close()


def _answer(connection: Connection) -> None:
    """What a worker does until the training is gone."""
    torch.set_num_threads(1)
    sys.excepthook = _silent_about_lost_connections
    with suppress(EOFError, ConnectionError):
        make, file = connection.recv()
        opened = False
        while True:
            place = connection.recv()
            try:
                if not opened:
                    file.__enter__()
                    opened = True
                made: Any = _packed(make(*place))
            except (TaltoolError, OSError, MemoryError) as error:
                made = error  # For the user.
            connection.send(made)


def _silent_about_lost_connections(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """What the thread that hands memory over says: not that the training was killed while it took some."""
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)


def _packed(batch: Batch) -> tuple[Any, ...]:
    """A batch for the way between processes: features in shared memory, the little rest as plain arrays."""
    segments, labels = ([each.numpy() for each in own] for own in (batch.targets.segments, batch.targets.labels))
    return _shared(batch.features), batch.mask.numpy(), segments, labels, batch.video_ids, batch.shortest_instances


def _shared(features: Tensor) -> Tensor:
    """The features, moved to shared memory; raises UsageError where there is none left."""
    try:
        return features.share_memory_()
    except RuntimeError as error:
        raise UsageError(
            f"no shared memory is left for a batch of {features.nbytes / (1 << 20):.1f} MiB (a container may be given "
            "more: docker run --shm-size); fewer --workers need less, --workers 0 none"
        ) from error


def _unpacked(features: Tensor, mask: Any, segments: list[Any], labels: list[Any], *known: Any) -> Batch:
    targets = Targets([torch.from_numpy(each) for each in segments], [torch.from_numpy(each) for each in labels])
    return Batch(features, torch.from_numpy(mask), targets, *known)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold Ctrl-C back for a `with` block: processes that start in it never feel it, their parent ends them."""
    if sys.platform == "win32":  # Knows no masks of signals.
        yield
        return
    resource_tracker.ensure_running()  # Else the first process starts it, and it lets them through again.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
