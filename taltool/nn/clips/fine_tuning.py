"""What training a network over clips takes: norms that stay as they were learned, activations that are not kept."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class FrozenNorm3d(nn.BatchNorm3d):
    """A batch norm that a few clips do not change: it keeps its running statistics under `train()`, and its affine."""

    def train(self, mode: bool = True) -> "FrozenNorm3d":
        """Stay in eval mode."""
        return super().train(False)


def freeze_norms(network: nn.Module) -> nn.Module:
    """`network`, changed in place: every `BatchNorm3d` became a `FrozenNorm3d` with the same tensors and names.

    Its parameters ask for no gradient; nothing else changes.
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm3d) and not isinstance(module, FrozenNorm3d):
            frozen = FrozenNorm3d(module.num_features, eps=module.eps).to(module.weight)
            frozen.load_state_dict(module.state_dict())
            parent, _, own_name = name.rpartition(".")
            setattr(network.get_submodule(parent), own_name, frozen.requires_grad_(False).eval())
    return network


def recomputed(function: Callable[[Tensor], Tensor], volume: Tensor) -> Tensor:
    """`function(volume)`; where gradients are wanted, what it computes inside is not kept but computed once more.

    The same outputs and gradients for less memory and, in training, a third more time. The function draws no random
    numbers, and changes neither its argument nor any state.
    """
    if not torch.is_grad_enabled():
        return function(volume)
    result: Tensor = checkpoint(function, volume, use_reentrant=False, preserve_rng_state=False)
    return result
