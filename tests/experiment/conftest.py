"""The fixtures `tiny` and `trainer`."""

from training_runs import tiny, trainer  # noqa: F401
