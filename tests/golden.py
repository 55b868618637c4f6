"""Weights of independent programs' golden answers: every tensor is drawn from its name and shape, in their names."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def drawn_weights(shared: Path, keys: str) -> dict[str, Tensor]:
    """The tensors of the network whose names and shapes are in golden/`keys` of the real data's folder."""
    spec = importlib.util.spec_from_file_location("golden_weights", shared / "golden/weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = module.draw(str(shared / "golden" / keys))
    return {name: torch.from_numpy(np.asarray(value)) for name, value in drawn.items()}
