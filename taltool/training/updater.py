"""The training step: one update of a network by one batch, with optimizers, learning rates and averaged weights.

Where the batch passes the network at once, in one process, `Updater.update` is the whole of it; what several parts or
processes need beside it is in `taltool.training.micro_batches`.
"""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from taltool.errors import UsageError
from taltool.experiment.device import compile_quietly
from taltool.experiment.settings import TrainingSettings
from taltool.models.contract import Model
from taltool.training.distributed import ProcessGroup
from taltool.training.micro_batches import DividedBatch, Work, stacked

_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# By what the learning rate of a group of parameters is multiplied, in what its optimizer keeps of it.
_RATE = "rate"
# A loss scale below this can no longer keep the gradient finite.
_LEAST_SCALE = 1.0


class NotFinite(Exception):
    """A loss term, or the norm of the gradient, is NaN or infinite."""

    def __init__(self, term: str, value: float, video_ids: Sequence[str]) -> None:
        super().__init__(term, value, video_ids)
        self.term, self.value, self.video_ids = term, value, video_ids


class Updater:
    """A network with its optimizers, its averaged weights and all else that an update changes."""

    def __init__(
        self, model: Model, settings: TrainingSettings, processes: ProcessGroup, device: str, is_compiled: bool = False
    ) -> None:
        self.model, self.settings, self.processes = model, settings, processes
        self.device, self._is_on_gpu = device, device.startswith("cuda")
        for name, parameter in model.named_parameters():
            if model.rate_of(name) == 0:
                parameter.requires_grad_(False)
        self.optimizers = {
            phase: make_optimizer(model.phase_parameters(phase), settings, model.decay_of, model.rate_of)
            for phase in model.phases
        }
        self.parameters = {
            phase: [each for _, each in model.phase_parameters(phase) if each.requires_grad] for phase in model.phases
        }
        self.averaged = AveragedWeights(model, settings.ema_decay) if settings.ema_decay else None
        kind, dtype = torch.device(device).type, _AUTOCAST[settings.precision]
        self.autocast: Callable[[], AbstractContextManager[object]] = (
            (lambda: torch.autocast(kind, dtype)) if dtype else nullcontext
        )
        self.scaler = torch.amp.GradScaler(kind, enabled=settings.precision == "float16")
        if is_compiled:
            compile_quietly(model)
        self.divided = DividedBatch(model, processes, device, self.autocast)

    @property
    def network(self) -> Model:
        """The weights to measure and to keep: the averaged ones where there are any."""
        return self.averaged.network if self.averaged else self.model

    def update(self, work: Work, iteration: int, learning_rate: float) -> dict[str, float]:
        """Change the weights of every phase by a batch; return the losses of the whole batch by name.

        work is the batch, or this process's parts of it. A phase that the batch has nothing for makes no step. Raises
        NotFinite, in every process, before weights change by a loss or a gradient that is not finite.
        """
        values: dict[str, float] = {}
        for phase, optimizer in self.optimizers.items():
            if not self._has_lesson(phase, work):
                continue
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group.get(_RATE, 1.0)
            self.model.zero_grad(set_to_none=True)
            if len(work) == 1 and self.processes.world_size == 1:
                with self.autocast():
                    terms = self.model.training_loss(work[0][0], phase)
                each = stacked(terms)
                self.scaler.scale(each.sum()).backward()
                losses = {name: [value] for name, value in zip(terms, each.tolist(), strict=True)}
            else:
                losses = self.divided.backward(phase, work, self.scaler)
            named = self._summed(losses, work)
            self.scaler.unscale_(optimizer)
            limit = self.settings.clip_norm or math.inf
            norm = nn.utils.clip_grad_norm_(self.parameters[phase], limit, foreach=True)
            self._check_gradient(float(norm), work)
            self.scaler.step(optimizer)
            values |= named if len(self.optimizers) == 1 else {f"{phase}.{name}": v for name, v in named.items()}
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update(iteration)
        return values

    def _has_lesson(self, phase: str, work: Work) -> bool:
        """Whether any sample of the batch, here or in another process, has something to teach in this phase."""
        if len(self.optimizers) == 1:
            return True
        taught = any(self.model.teaches(batch, phase) for batch, _ in work)
        return bool(self.processes.all_reduce_sum(torch.tensor(int(taught))))

    def _summed(self, losses: dict[str, list[float]], work: Work) -> dict[str, float]:
        """The losses of the whole batch, from those of this process's micro-batches; raises NotFinite."""
        sums = [sum(v * part.weight for v, (_, part) in zip(own, work, strict=True)) for own in losses.values()]
        if self.processes.world_size > 1:
            sums = self.processes.all_reduce_sum(torch.tensor(sums, dtype=torch.float64)).tolist()
        if not all(map(math.isfinite, sums)):
            own = [
                (name, values[number], list(batch.video_ids))
                for number, (batch, _) in enumerate(work)
                for name, values in losses.items()
                if not math.isfinite(values[number])
            ]
            # Every process hears of the first term that is not finite, wherever it is.
            raise NotFinite(*next(each for bad in self.processes.all_gather(own) for each in bad))
        return dict(zip(losses, sums, strict=True))

    def _check_gradient(self, norm: float, work: Work) -> None:
        is_scaled = self.scaler.is_enabled() and self.scaler.get_scale() >= _LEAST_SCALE
        if not math.isfinite(norm) and not is_scaled:  # Else the scaler leaves the step out and lowers the scale.
            videos = self.processes.all_gather([video_id for batch, _ in work for video_id in batch.video_ids])
            raise NotFinite("gradient", norm, [video_id for own in videos for video_id in own])

    def state(self) -> dict[str, Any]:
        """All that `restore` needs; the processes have to ask together."""
        alone = self.processes.world_size == 1
        own = torch.get_rng_state(), torch.cuda.get_rng_state(self.device) if self._is_on_gpu else None
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.network.state_dict() if self.averaged else None,
            "optimizers": {phase: optimizer.state_dict() for phase, optimizer in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
            "stream": torch.get_rng_state() if alone else self.divided.generator.get_state(),
            "random": self.processes.all_gather(own),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` said, also in another number of processes.

        What the network itself draws (dropout) is then no longer what it would have been.
        """
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.network.load_state_dict(state["averaged"])
        for phase, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][phase])
        self.scaler.load_state_dict(state["scaler"])
        if self.processes.rank < len(state["random"]):
            cpu, gpu = state["random"][self.processes.rank]
            torch.set_rng_state(cpu)
            if gpu is not None and self._is_on_gpu:
                torch.cuda.set_rng_state(gpu, self.device)
        self.divided.generator.set_state(state["stream"])
        if self.processes.world_size == 1:
            torch.set_rng_state(state["stream"])


def make_optimizer(
    parameters: Iterable[tuple[str, nn.Parameter]],
    settings: TrainingSettings,
    decay_of: Callable[[str], float | None] = lambda _: None,
    rate_of: Callable[[str], float] = lambda _: 1.0,
) -> torch.optim.Optimizer:
    """The optimizer of one phase over its named parameters; the fused kernels keep small networks fast.

    decay_of is `Model.decay_of`, for `settings.decay_by_layer`, and rate_of `Model.rate_of`.
    """
    trained = {name: parameter for name, parameter in parameters if parameter.requires_grad}
    own = {name: decay_of(name) if settings.decay_by_layer else None for name in trained}
    if settings.decay_by_layer and all(decay is None for decay in own.values()):
        raise UsageError("training.decay_by_layer: this model has no weight decay of its own for any layer")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}  # By rate and decay.
    for name, parameter in trained.items():
        common_decay = settings.weight_decay if settings.decay_everything or parameter.ndim > 1 else 0.0
        decay = own[name]
        groups.setdefault((rate_of(name), common_decay if decay is None else decay), []).append(parameter)
    kinds: list[dict[str, Any]] = []
    for rate, decay in sorted(groups, reverse=True):
        own_rate = {} if rate == 1 else {_RATE: rate}  # States of other models stay as they always were.
        kinds.append({"params": groups[rate, decay], "weight_decay": decay} | own_rate)
    common: dict[str, Any] = {"lr": settings.learning_rate, "fused": True}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(kinds, momentum=settings.momentum, **common)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(kinds, **common)


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
