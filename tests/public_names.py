"""What public programs call the tensors of our networks, and weights that depend on these names alone."""

import zlib

import numpy as np
import torch
from torch import Tensor


def as_torchvision(name: str) -> str:
    """A tensor of our ResNet-50 as torchvision and the conversion of video-nonlocal-net call it."""
    parts = name.split(".")
    if parts[0] == "classifier":
        parts[0] = "fc"
    elif parts[-3].startswith("conv"):  # conv1.conv.weight, conv1.bn.weight
        parts[-3:-1] = [parts[-3].replace("conv", "bn") if parts[-2] == "bn" else parts[-3]]
    else:  # downsample.conv.weight, downsample.bn.weight
        parts[-2] = {"conv": "0", "bn": "1"}[parts[-2]]
    return ".".join(parts)


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor that is the same wherever its name and its shape (but for axes of length 1) are."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith("running_var"):
        values = 1 + np.float32(0.1) * np.abs(values)
    elif len(shape) >= 2:
        values *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
    elif name.endswith("weight"):
        values = 1 + np.float32(0.1) * values
    else:
        values *= np.float32(0.1)
    return torch.from_numpy(values)
