"""Where networks run, and whether they compute the same bits each time."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from taltool.errors import UsageError


def checked_device(name: str) -> str:
    """`name` if torch can compute there; raises UsageError otherwise."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: torch cannot compute there ({reason}); use cpu, cuda or cuda:N") from error
    return name


@contextmanager
def deterministic(is_wanted: bool) -> Iterator[None]:
    """Use only operations that give the same bits each time, for a `with` block.

    On a CPU they do anyway, with the same number of threads. Raises UsageError for one that has no such version.
    """
    if not is_wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    # The matrix library of GPUs reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise UsageError(f"--deterministic: {str(error).splitlines()[0]}") from error
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def peak_memory(device: str) -> int | None:
    """The most bytes of its device's memory that this process has held so far; None where nobody says (Windows)."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ModuleNotFoundError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def compile_quietly(network: nn.Module) -> None:
    """Let torch.compile make kernels of its own for `network` at its first call; names of weights stay as they are.

    The compiler's remarks on what it leaves uncompiled are for whoever writes networks, not for whoever trains them.
    """
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"torch\._dynamo")
    network.compile()


def is_compiler_failure(error: BaseException) -> bool:
    """Whether an error means that torch.compile could not make a kernel."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
