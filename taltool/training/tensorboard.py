"""The measurements of a training run as curves of TensorBoard (the extra `tensorboard`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taltool.errors import UsageError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of one record of the journal, by the name of their curve: `losses/class`, `validation/mAP`, ..."""
    counters = ("epoch", "iteration", "best_epoch")
    return {name: value for name, value in _numbers(record, "") if name not in counters}


def _numbers(record: dict[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield prefix + name, float(value)


def demand_tensorboard() -> type["SummaryWriter"]:
    """TensorBoard's writer; raises UsageError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs TensorBoard: pip install 'taltool[tensorboard]'") from error
    return SummaryWriter


class Board:
    """Writes records of the journal to a folder of TensorBoard; raises UsageError where that is not installed.

    What a resumed run repeats replaces what was written of the same epochs.
    """

    def __init__(self, folder: str | Path, first_epoch: int = 0) -> None:
        self._writer = demand_tensorboard()(str(folder), purge_step=first_epoch + 1)

    def write(self, record: dict[str, Any]) -> None:
        """Add the numbers of an epoch to their curves, at once visible to readers."""
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()
