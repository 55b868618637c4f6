"""Where networks run, and whether they compute the same bits each time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
