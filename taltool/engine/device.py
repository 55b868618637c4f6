"""Where networks run."""

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
