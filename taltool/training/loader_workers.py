"""Worker processes that make the batches of a training.

A worker opens the feature file for itself, for an HDF5 handle cannot be shared, and hands the features of a batch over
in shared memory. A batch follows from its place in the training alone, so it is the same whoever makes it.
"""

import functools
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch
import torch.multiprocessing  # Teaches connections to hand tensors over in shared memory.
from torch import Tensor

from taltool.data.hdf5_features import FeatureFile
from taltool.data.processes import process_pool
from taltool.errors import PartialFailure, UsageError
from taltool.models.contract import Batch, Targets

# Epoch, and the places of the samples in its order.
Place = tuple[int, range]
MakeBatch = Callable[[int, range], Batch]
# Batches that each worker is asked for before they are used.
_AHEAD = 2


class Workers:
    """`count` processes that make batches ahead by `make`, which reads from `file` (not yet open)."""

    def __init__(self, make: MakeBatch, file: FeatureFile, count: int) -> None:
        self._pool = process_pool(count, _prepare, make, file)
        self._ahead = _AHEAD * count

    def batches(self, places: Iterable[Place]) -> Iterator[Batch]:
        """The batches of `places`, in order; what a worker raises is raised here, PartialFailure where one is gone."""
        waiting: deque[Future[tuple[Any, ...]]] = deque()
        try:
            for place in places:
                waiting.append(self._pool.submit(_make, place))
                if len(waiting) > self._ahead:
                    yield _unpacked(*waiting.popleft().result())
            while waiting:
                yield _unpacked(*waiting.popleft().result())
        except BrokenProcessPool as error:
            raise PartialFailure(
                "a process that reads features is gone (killed, or out of memory?); fewer --workers need less, "
                "--workers 0 none; --resume continues from the last saved state"
            ) from error

    def close(self) -> None:
        """End the processes, once what they make now is made."""
        self._pool.shutdown(cancel_futures=True)


# What a worker process makes batches with; there `_prepare` puts it, for tasks can bring only what is small.
_own: list[tuple[MakeBatch, FeatureFile]] = []


def _prepare(make: MakeBatch, file: FeatureFile) -> None:
    torch.set_num_threads(1)
    sys.excepthook = _silent_about_lost_connections
    _own.append((make, file))


@functools.cache
def _maker() -> MakeBatch:
    """The worker's own, once its file is open; what is wrong with the file is raised for whoever asks for a batch."""
    make, file = _own[0]
    file.__enter__()
    return make


def _make(place: Place) -> tuple[Any, ...]:
    """Make a batch in a worker, ready for its way between processes: the little beside the features as plain arrays."""
    batch = _maker()(*place)
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


def _silent_about_lost_connections(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """What the thread that hands memory over says: not that the training was killed while it took some."""
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)
