"""Reading named tensors from checkpoints: safetensors, or what torch.save wrote, of which no code is ever run."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from taltool.errors import DataError

SAFETENSORS = ".safetensors"
# Where training programs keep the tensors in what they save.
_NESTED = ("state_dict", "model_state_dict", "model")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file by name; raises DataError for what is none, and for one that is not finite."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a readable safetensors file ({error})") from error
    check_finite(tensors, path)
    return tensors


def read_tensors(path: str) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name: safetensors, or what torch.save wrote, of which no code is ever run.

    Raises DataError for what is neither, holds more than tensors and plain values, or a tensor that is not finite.
    """
    if Path(path).suffix == SAFETENSORS:
        return read_weights(path)
    tensors = _tensors(_loaded(path), path)
    check_finite(tensors, path)
    return tensors


def check_finite(tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise DataError, naming the file and the tensor, unless all values of all tensors are finite.

    A network with such weights gives NaN, which comparisons drop without a word.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise DataError(f"{path}: tensor '{name}' holds values that are not finite")


def _loaded(path: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError, LookupError) as error:
        # torch names what is neither a tensor nor a plain value, in the midst of its advice.
        foreign = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        if foreign is None:
            raise DataError(f"{path}: not a checkpoint that torch can read") from error
        raise DataError(
            f"{path}: holds {foreign[1]} beside tensors, which could run code and is not read; where you trust the "
            "file, store its tensors alone: safetensors.torch.save_file(state_dict, 'weights.safetensors')"
        ) from error


def _tensors(loaded: Any, path: str) -> dict[str, Tensor]:
    """The tensors in what was loaded, which may lie one level down."""
    for name in _NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if isinstance(loaded, Mapping):
        tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise DataError(f"{path}: holds no tensors with names")
