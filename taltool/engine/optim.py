"""Optimizers, learning rates as a function of the iteration, and averaged weights."""

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from taltool.engine.settings import TrainingSettings
from taltool.models.contract import Model


def make_optimizer(parameters: Iterable[tuple[str, nn.Parameter]], settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer of one phase over its named parameters; the fused kernels keep small networks fast."""
    trained = [parameter for _, parameter in parameters if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": trained}]
    if not settings.decay_everything:
        groups = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
    groups = [group for group in groups if group["params"]]
    common: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum, **common)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, **common)


def learning_rate(settings: TrainingSettings, iteration: int, steps_per_epoch: int) -> float:
    """The learning rate of iteration 0, 1, ...: a linear warm-up, then constant, cosine to 0, or steps."""
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if iteration < warmup:
        return settings.learning_rate * (iteration + 1) / warmup
    if settings.schedule == "cosine":
        total = max(settings.epochs * steps_per_epoch - warmup, 1)
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(iteration - warmup, total) / total))
    if settings.schedule == "step":
        return settings.learning_rate * settings.step_factor ** (iteration // (settings.step_epochs * steps_per_epoch))
    return settings.learning_rate


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Use `value` for every parameter group from the next update on."""
    for group in optimizer.param_groups:
        group["lr"] = value


class AveragedWeights:
    """The exponential moving average of a network's weights, as a network.

    The decay grows as (1 + n) / (10 + n) over the first updates n, so that the start is soon forgotten.
    """

    def __init__(self, network: Model, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self.network.requires_grad_(False).eval()
        self.decay = decay
        self._averaged: list[Tensor] = [p.data for p in self.network.parameters()]
        self._current: list[Tensor] = [p.data for p in network.parameters()]
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    def update(self, iteration: int) -> None:
        """Take in the weights after update number `iteration` (from 0)."""
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        torch._foreach_lerp_(self._averaged, self._current, 1 - decay)
        for averaged, current in self._buffers:
            averaged.copy_(current)
