"""Input on which losses and gradients are not finite in many a published code, and the step that must survive it."""

from typing import NamedTuple

import torch
from torch import Tensor

from taltool.models.contract import Batch, Model, Targets

CHANNELS, LENGTH = 8, 12
AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Degenerate(NamedTuple):
    """Instances (M, 2) on a grid of `length` snippets, whose features are drawn, or the same everywhere."""

    segments: list[list[float]]
    length: int = LENGTH
    has_equal_features: bool = False

    @property
    def features(self) -> Tensor:
        """(1, CHANNELS, length)."""
        if self.has_equal_features:
            return torch.ones(1, CHANNELS, self.length)
        return torch.randn(1, CHANNELS, self.length, generator=torch.Generator().manual_seed(self.length))


CASES = {
    "no action": Degenerate([]),
    "one-snippet actions": Degenerate([[2.4, 2.6], [0.0, 1.0], [11.0, 12.0]]),
    "the whole video": Degenerate([[0.0, 12.0]]),
    "a single snippet": Degenerate([[0.0, 1.0]], length=1),
    "a single snippet without action": Degenerate([], length=1),
    "an empty instance": Degenerate([[3.5, 3.5]]),
    "equal features": Degenerate([[2.0, 6.0]], has_equal_features=True),
    "equal features without action": Degenerate([], has_equal_features=True),
}


# Those that a lower precision is most likely to break.
HARD_CASES = ("no action", "one-snippet actions", "equal features without action")


def assert_learns(model: Model, features: Tensor, segments: Tensor, autocast: str | None = None) -> None:
    """One training step, under autocast if named: every term and every gradient is there and finite.

    Beside the sample with `features` (1, C, T) and `segments` (M, 2) of classes 0, 1, ... stands one without actions.
    """
    mask = torch.ones(2, features.shape[-1], dtype=torch.bool)
    targets = Targets([segments, torch.zeros(0, 2)], [torch.arange(len(segments)), torch.zeros(0, dtype=torch.int64)])
    batch = Batch(features.expand(2, -1, -1), mask, targets, ["a", "b"])
    model.train()
    with torch.autocast("cpu", AUTOCAST.get(autocast or ""), enabled=autocast is not None):
        terms = model.training_loss(batch, "all")
    torch.stack([term.float() for term in terms.values()]).sum().backward()
    assert all(term.isfinite() for term in terms.values()), terms
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()]


def assert_learns_from(model: Model, case: str, autocast: str | None = None) -> None:
    """`assert_learns` on one of CASES."""
    given = CASES[case]
    assert_learns(model, given.features, torch.tensor(given.segments).view(-1, 2), autocast)
