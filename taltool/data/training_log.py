"""Reading the measurements of training runs: JSON Lines, an object per epoch or step, numbers at any depth."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from taltool.data.files import open_input, read_bytes
from taltool.data.records import Floats
from taltool.errors import DataError

# What a line may be counted by, best first; what counts is not measured.
_COUNTERS = ("epoch", "iteration", "step")
_BOOKKEEPING = frozenset((*_COUNTERS, "best_epoch"))


@dataclass(frozen=True, eq=False)
class TrainingLog:
    """counter is the name of x ("epoch", or "line"); quantities: dotted name -> x (N,) and values (N,)."""

    counter: str
    quantities: dict[str, tuple[Floats, Floats]]


def read_training_log(path: str) -> TrainingLog:
    """Read NAME.metrics.jsonl, or any JSON Lines of numbers.

    Only finite or not finite numbers count: texts, flags and lists are passed over. Raises DataError, with the line,
    for what is not JSON, and where no number is found.
    """
    records = []
    for number, line in enumerate(read_bytes(path)[0].splitlines(), start=1):
        if not line.strip():
            continue
        try:
            parsed = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise DataError(f"{path}:{number}: expected an object, found {type(parsed).__name__}")
        records.append(dict(_numbers(parsed, "")))
    counter = next((name for name in _COUNTERS if records and all(name in each for each in records)), "line")
    columns: dict[str, tuple[list[float], list[float]]] = {}
    for number, record in enumerate(records, start=1):
        for name, value in record.items():
            if name not in _BOOKKEEPING:
                x, y = columns.setdefault(name, ([], []))
                x.append(record.get(counter, number))
                y.append(value)
    if not columns:
        raise DataError(f"{path}: no measurements; expected a JSON object with numbers on each line")
    return TrainingLog(counter, {name: (np.array(x, float), np.array(y, float)) for name, (x, y) in columns.items()})


def read_epochs(path: str) -> list[dict[str, Any]]:
    """The lines of a training's measurements; raises DataError, naming the line, for one that is not whole."""
    rows = []
    with open_input(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                rows.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON ({error}); the training was cut short here") from error
    return rows


def _numbers(record: dict[str, object], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}.")
        elif value is None:
            yield prefix + name, float("nan")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, float(value)
