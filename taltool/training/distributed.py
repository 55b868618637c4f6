"""Rank, world size and collectives of a distributed run.

Processes are started by `torchrun`; without it there is one. Numbers and small objects travel between processors by
gloo, gradients between GPUs by NCCL. Every process runs the same program over the same videos; the first one alone
writes files and reports.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from taltool.errors import EndedElsewhere, PartialFailure, TaltoolError, UsageError

Item = TypeVar("Item")
# What a launcher tells each process.
_ENVIRONMENT = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_LOST_MESSAGE = (
    "another process of this training is gone (killed, or out of memory?); --resume continues from the last saved state"
)
_FAILED = "taltool failed"
_SECONDS_BETWEEN_LOOKS = 0.5
# How collective operations say that another process is gone (gloo has no exception of its own).
_LOST = ("connection closed by peer", "connection reset", "broken pipe", "connection refused", "gloo", "nccl")


class ProcessGroup:
    """This process, number `rank` from 0, and the others of `world_size`; by default it is alone."""

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes."""
        if self.world_size == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values

    def all_gather(self, item: Item) -> list[Item]:
        """The `item` of every process, by rank."""
        if self.world_size == 1:
            return [item]
        items: list[Any] = [None] * self.world_size
        dist.all_gather_object(items, item)
        return items

    def broadcast(self, item: Item, source: int = 0) -> Item:
        """Broadcast `item` from rank `source`."""
        if self.world_size == 1:
            return item
        items = [item]
        dist.broadcast_object_list(items, source)
        return items[0]

    def sequential_rng(self, generator: torch.Generator, draw: Callable[[torch.Generator], Item]) -> Item:
        """draw(generator) by rank: each process goes on in the stream of numbers where the one before it has stopped.

        generator ends in the same state everywhere.
        """
        drawn: list[Item] = []
        for rank in range(self.world_size):
            if rank == self.rank:
                drawn.append(draw(generator))
            state = generator.get_state()
            dist.broadcast(state, rank)
            generator.set_state(state)
        return drawn[0]


@contextmanager
def init_distributed(device: str, environment: Mapping[str, str] = os.environ) -> Iterator[tuple[ProcessGroup, str]]:
    """Join the process group that a launcher set up, for a `with` block; yields it and the device of this process.

    Of several processes that fail for the same reason one raises its error, the others leave with its exit status.
    """
    if int(environment.get("WORLD_SIZE", "1")) < 2 or not all(name in environment for name in _ENVIRONMENT):
        yield ProcessGroup(), device
        return
    # A process that waits for the others inside gloo or NCCL would not hear a signal that Python handles.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    device = _own_device(device, int(environment["LOCAL_RANK"]))
    store, rank, count = next(iter(dist.rendezvous("env://")))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo", None, None, count, rank, store
    )
    processes = ProcessGroup(rank, count)
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    try:
        yield processes, device
    except TaltoolError as error:
        _leave_unless_first(store, error.exit_status)
        raise type(error)(f"process {rank + 1} of {count}: {error}" if rank else str(error)) from error
    except (RuntimeError, dist.DistError) as error:
        _leave_unless_first(store, PartialFailure.exit_status)
        if any(sign in str(error).lower() for sign in _LOST):
            raise PartialFailure(_LOST_MESSAGE) from error
        raise
    dist.destroy_process_group()


def _exit_with(launcher: int) -> None:
    """End this process when its launcher is gone (kill -9): a run that continues elsewhere must be the only writer."""
    while os.getppid() == launcher:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(PartialFailure.exit_status)


def _own_device(device: str, local_rank: int) -> str:
    if device != "cuda":
        if device.startswith("cuda"):
            raise UsageError(
                f"--device {device}: several processes cannot share it; say --device cuda, one GPU for each"
            )
        return device
    there = torch.cuda.device_count()
    if local_rank >= there:
        raise UsageError(
            f"--device cuda: {there} GPUs here for at least {local_rank + 1} processes; start one for each"
        )
    torch.cuda.set_device(local_rank)
    return f"cuda:{local_rank}"


def _leave_unless_first(store: dist.Store, status: int) -> None:
    """Raise EndedElsewhere where another process has failed already: its error is the one to read."""
    try:
        is_first = store.add(_FAILED, 1) == 1
    except (RuntimeError, dist.DistError):
        is_first = False  # The store went with the process that held it.
    if not is_first:
        raise EndedElsewhere(status)
