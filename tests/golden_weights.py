"""Golden answers: what independent programs say of the same input with the same weights; folder `golden`.

No checkpoint is needed, because weights are drawn: each tensor from its own name and shape, under the other program's
names. What is in the folder, and from which input, is in its README.
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FOLDER = Path(__file__).resolve().parent / "golden"


def golden_answers(file: str) -> dict[str, NDArray[np.float32]]:
    """The arrays of golden/`file`, by name."""
    with np.load(FOLDER / file) as arrays:
        return dict(arrays)


def golden_shapes(file: str) -> dict[str, list[int]]:
    """The shape of every tensor of the other program's network, listed in golden/`file`."""
    shapes: dict[str, list[int]] = json.loads((FOLDER / file).read_text())
    return shapes


def drawn_weights(file: str) -> dict[str, Tensor]:
    """The tensors of the network whose names and shapes are in golden/`file`."""
    return {name: torch.from_numpy(_drawn(name, shape)) for name, shape in golden_shapes(file).items()}


def _drawn(name: str, shape: list[int]) -> NDArray[np.generic]:
    """One tensor: float32 normal numbers from the CRC-32 of its name, scaled so that signals keep their size.

    Filters are divided by the root of half their inputs and matrices by the root of their inputs. Gains and running
    variances lie around 1 (variances not below), biases and running means around 0, a tenth as far; batches are not
    counted yet.
    """
    if name.endswith(".num_batches_tracked"):
        return np.zeros(shape, np.int64)
    normal = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if len(shape) > 1:
        gain = 1.0 if len(shape) == 2 else 2.0
        return normal * np.float32(math.sqrt(gain / math.prod(shape[1:])))
    small = np.float32(0.1) * normal
    if name.endswith("running_var"):
        return np.float32(1) + np.abs(small)
    return np.float32(1) + small if name.endswith(("weight", "scale")) else small
