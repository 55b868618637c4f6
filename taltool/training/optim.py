"""Optimizers, learning rates as a function of the iteration, and averaged weights."""

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from taltool.errors import UsageError
from taltool.experiment.settings import TrainingSettings
from taltool.models.contract import Model


def make_optimizer(
    parameters: Iterable[tuple[str, nn.Parameter]],
    settings: TrainingSettings,
    decay_of: Callable[[str], float | None] = lambda _: None,
) -> torch.optim.Optimizer:
    """The optimizer of one phase over its named parameters; the fused kernels keep small networks fast.

    decay_of is `Model.decay_of`, for `settings.decay_by_layer`.
    """
    trained = {name: parameter for name, parameter in parameters if parameter.requires_grad}
    own = {name: decay_of(name) if settings.decay_by_layer else None for name in trained}
    if settings.decay_by_layer and all(decay is None for decay in own.values()):
        raise UsageError("training.decay_by_layer: this model has no weight decay of its own for any layer")
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in trained.items():
        common_decay = settings.weight_decay if settings.decay_everything or parameter.ndim > 1 else 0.0
        decay = own[name]
        groups.setdefault(common_decay if decay is None else decay, []).append(parameter)
    return _optimizer(
        [{"params": groups[decay], "weight_decay": decay} for decay in sorted(groups, reverse=True)], settings
    )


def _optimizer(groups: list[dict[str, Any]], settings: TrainingSettings) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": settings.learning_rate, "fused": True}
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
