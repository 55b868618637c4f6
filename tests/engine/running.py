"""What tests of runs share: making one, killing it, and hearing what it says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from taltool.engine.training import Trainer
from taltool.reporting import Reporter, Task

MakeTrainer = Callable[..., Trainer]


class Listener(Reporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.told: list[dict[str, Any]] = []

    def note(self, message: str) -> None:
        self.heard.append(message)

    def warn(self, message: str) -> None:
        self.heard.append(message)

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "videos") -> Iterator[Task]:
        yield self

    def advance(self, amount: float = 1, **status: object) -> None:
        self.told.append(status)


class Killed(BaseException):
    """What kill -9 is to the trainer: nothing below catches it, and nothing is written on its way out."""


def killed_after(trainer: Trainer, updates: int) -> None:
    """Let a run of trainer die right after so many updates."""
    whole_update, done = trainer._update, 0

    def update(*arguments: object) -> object:
        nonlocal done
        if done == updates:
            raise Killed
        done += 1
        return whole_update(*arguments)  # type: ignore[arg-type]

    trainer._update = update  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        trainer.run()
