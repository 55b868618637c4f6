"""The file of measurements of a training run: a JSON line for each epoch."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from taltool.training.tensorboard import Board


class Journal:
    """Appends records to a file of JSON Lines; used as a `with` block. A new run empties the file first."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self.board: Board | None = None  # Where the same records become curves.

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
        if self.board is not None:
            self.board.close()

    def write(self, record: dict[str, Any]) -> None:
        """Append one line, at once visible to readers."""
        self._stream.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        self._stream.flush()
        self.size = self._stream.tell()
        if self.board is not None:
            self.board.write(record)
