"""The log of a training run: a JSON line for each epoch, and the same numbers as curves of TensorBoard."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import orjson

from taltool.errors import UsageError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TrainingLogWriter:
    """Appends records to a file of JSON Lines; used as a `with` block. A new run empties the file first."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self.tensorboard: TensorBoardWriter | None = None  # Where the same records become curves.

    def truncate(self, size: int) -> None:
        """Continue after the first `size` bytes of the file: what came later will be written again."""
        self.size = size

    def __enter__(self) -> Self:
        self.path.touch()
        self._stream = self.path.open("r+b")
        self._stream.truncate(self.size)
        self._stream.seek(self.size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if self.tensorboard is not None:
            self.tensorboard.close()

    def write(self, record: dict[str, Any]) -> None:
        """Append one line, at once visible to readers."""
        self._stream.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        self._stream.flush()
        self.size = self._stream.tell()
        if self.tensorboard is not None:
            self.tensorboard.write(record)


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of one record of the log, by the name of their curve: `losses/class`, `validation/mAP`, ..."""
    counters = ("epoch", "iteration", "best_epoch")
    return {name: value for name, value in _numbers(record, "") if name not in counters}


def _numbers(record: dict[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield prefix + name, float(value)


def require_tensorboard() -> type["SummaryWriter"]:
    """TensorBoard's writer; raises UsageError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs TensorBoard: pip install 'taltool[tensorboard]'") from error
    return SummaryWriter


class TensorBoardWriter:
    """Writes records of the log to a folder of TensorBoard; raises UsageError where that is not installed.

    What a resumed run repeats replaces what was written of the same epochs.
    """

    def __init__(self, folder: str | Path, first_epoch: int = 0) -> None:
        self._writer = require_tensorboard()(str(folder), purge_step=first_epoch + 1)

    def write(self, record: dict[str, Any]) -> None:
        """Add the numbers of an epoch to their curves, at once visible to readers."""
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()
