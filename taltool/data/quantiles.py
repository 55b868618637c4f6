"""Quantiles of more numbers than memory should hold: exact, from a temporary file."""

import tempfile
from types import TracebackType
from typing import Self

import numpy as np

from taltool.data.records import Floats, Integers

# Numbers that are looked at together; so many are kept in memory.
_BLOCK = 1 << 18
# Bits by which the search narrows down in each pass over the numbers.
_BITS = 16


class Quantiles:
    """Collects numbers; used as a `with` block. The file grows by 8 bytes a number, memory does not."""

    def __enter__(self) -> Self:
        self._file = tempfile.SpooledTemporaryFile(8 * _BLOCK)
        self.count = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, values: Floats) -> None:
        """Take in numbers (N,), all of them finite."""
        bits = np.ascontiguousarray(values + 0.0, np.float64).view(np.int64)  # + 0.0 makes one zero of the two
        # Without sign, and in the order of the numbers.
        codes = (bits ^ ((bits >> 63) | np.int64(-(1 << 63)))).view(np.uint64)
        self._file.write(codes.tobytes())
        self.count += len(values)

    def at(self, shares: list[float]) -> list[float]:
        """The quantiles at `shares`, as numpy.quantile interpolates them; nothing where there are no numbers."""
        if not self.count:
            return []
        places = np.array(shares) * (self.count - 1)
        below = np.floor(places).astype(np.int64)
        above = np.minimum(below + 1, self.count - 1)
        ranks = np.unique(np.concatenate([below, above]))
        value = dict(zip(ranks.tolist(), self._ranked(ranks).tolist(), strict=True))
        # Numpy's own interpolation, between the two numbers that matter.
        with np.errstate(over="ignore", invalid="ignore"):
            return [
                float(np.quantile([value[low], value[high]], place - low))
                for low, high, place in zip(below.tolist(), above.tolist(), places.tolist(), strict=True)
            ]

    def _ranked(self, ranks: Integers) -> Floats:
        """The numbers at `ranks` (R,), counted from 0 in ascending order, found digit by digit."""
        prefixes, left = np.zeros(len(ranks), np.uint64), ranks.copy()
        for shift in range(64 - _BITS, -1, -_BITS):
            counts = np.zeros((len(ranks), 1 << _BITS), np.int64)
            self._file.seek(0)
            while block := self._file.read(8 * _BLOCK):
                shifted = np.frombuffer(block, np.uint64) >> np.uint64(shift)
                digits = (shifted & np.uint64((1 << _BITS) - 1)).astype(np.int64)
                for row, prefix in enumerate(prefixes):
                    alike = digits if shift == 64 - _BITS else digits[shifted >> np.uint64(_BITS) == prefix]
                    counts[row] += np.bincount(alike, minlength=1 << _BITS)
            total = np.cumsum(counts, axis=1)
            digit = np.array([np.searchsorted(row, rank, "right") for row, rank in zip(total, left, strict=True)])
            left -= np.where(digit > 0, total[np.arange(len(ranks)), digit - 1], 0)
            prefixes = (prefixes << np.uint64(_BITS)) | digit.astype(np.uint64)
        bits = prefixes.view(np.int64)
        return (bits ^ (~(bits >> 63) | np.int64(-(1 << 63)))).view(np.float64)
