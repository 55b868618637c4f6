"""What a user can do when a training cannot go on: which setting to change, and to what."""

from pathlib import Path

import torch

from taltool.experiment.settings import Experiment
from taltool.training.updater import NotFinite

# How the allocators of processors say it; GPUs have an exception of their own.
_CPU_SIGNS = ("can't allocate memory", "not enough memory", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory, of a GPU or of the machine, is used up."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _CPU_SIGNS)


def out_of_memory(experiment: Experiment, samples: int, snippets: int, where: str, state: Path) -> str:
    """The message for samples of that many snippets that one process passed through the network at a time."""
    if samples > 1:
        parts = experiment.training.accumulation * 2
        mend = f"--set training.accumulation={parts} passes {-(-samples // 2)} at a time and learns the same"
        mend += " (with --resume it continues)" if state.exists() else ""
    else:
        mend = f"--set sampling.length={max(snippets // 2, 1)} halves the sample"
    return f"{where}: out of memory with {samples} samples of {snippets} snippets at a time; {mend}"


def not_finite(error: NotFinite, where: str, kept: str) -> str:
    """The message for a loss or gradient that is NaN or infinite."""
    videos = ", ".join(dict.fromkeys(error.video_ids))
    return (
        f"{where}: loss term '{error.term}' is {error.value} (videos: {videos}); "
        f"lower training.learning_rate or training.clip_norm; {kept}"
    )
