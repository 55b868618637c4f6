"""Work on the nodes of a Ray cluster: one task per item, done again elsewhere when a node is lost.

Results come back through Ray; what is to be kept is written here, by one process, so nodes need no common folder but
the one they read from. Ray itself repeats the tasks of nodes and processes that died, and of results that were lost
with them.
"""

import importlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from taltool import __version__
from taltool.errors import DataError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

# How often a task is repeated whose process or node died, before it is given up.
_RETRIES = 3
# Tasks that are handed to the cluster per processor: enough that none waits.
_AHEAD = 2
_LEAST_AHEAD = 8
# Seconds after which the number of processors is asked for again: nodes come and go.
_GLANCE = 5.0


class RayCluster:
    """A cluster that is running already; used as a `with` block.

    address: HOST:PORT, `ray://HOST:PORT`, or empty for the cluster that this machine belongs to. Raises UsageError
    where Ray is not installed or no cluster answers.
    """

    def __init__(self, address: str) -> None:
        self._address = address or "auto"

    def __enter__(self) -> Self:
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise UsageError("--engine ray needs Ray: pip install 'taltool[ray]'") from error
        self._ray = ray
        # A Ray that this process was connected to already (a notebook, a test) is used, and left as it is.
        self._ours = not ray.is_initialized()
        if self._ours:
            try:
                ray.init(self._address, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
                raise UsageError(
                    f"--engine ray: no Ray cluster answers at '{self._address}' ({str(error).splitlines()[0]}); start "
                    "one with 'ray start --head', or name one as --engine ray:HOST:PORT"
                ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ours:
            self._ray.shutdown()

    def imap_unordered(
        self, work: Callable[[Item], Result], items: Sequence[Item], on_gpus: bool = False
    ) -> Iterator[tuple[Item, Result | None]]:
        """Yield every item with work(item), in the order in which they are done; None where its process kept dying.

        A task takes one processor, and with on_gpus one GPU. Raises DataError where a node runs another version of
        taltool, and what work raises.
        """
        task = self._ray.remote(_versioned).options(
            num_cpus=1, num_gpus=1 if on_gpus else 0, max_retries=_RETRIES, retry_exceptions=False
        )
        shared = self._ray.put(work)
        remaining = deque(items)
        running: dict[Any, Item] = {}
        while remaining or running:
            processors = self._ray.cluster_resources().get("CPU", 0.0)
            most = max(_LEAST_AHEAD, int(processors * _AHEAD))
            while remaining and len(running) < most:
                item = remaining.popleft()
                running[task.remote(shared, item)] = item
            done, _ = self._ray.wait(list(running), timeout=_GLANCE)
            for reference in done:
                yield running.pop(reference), self._result(reference)

    def _result(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        died = (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
            errors.LocalRayletDiedError,
        )
        try:
            version, result = self._ray.get(reference)
        except died:
            return None
        except errors.RayTaskError as error:
            raise error.cause from error
        if version != __version__:
            raise DataError(f"--engine ray: a node runs taltool {version}, this one {__version__}: install one version")
        return result


def _versioned(work: Callable[[Item], Result], item: Item) -> tuple[str, Result]:
    return __version__, work(item)
