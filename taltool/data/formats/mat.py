"""Features as a folder of MATLAB files, one video each, ID.mat, of versions 5 to 7; later ones are HDF5.

Such a file is a header and one element after the other: a tag, of a type and a size, and so many bytes. An element is a
matrix, or one that is compressed; a matrix is elements again: flags, sizes, name and numbers, column after column.
"""

import contextlib
import mmap
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.feature_arrays import ArrayVideos, Source, files_below, is_folder_of, keyed
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.errors import DataError

_HEADER, _TAG = 128, 8
_ORDERS = {b"IM": "<", b"MI": ">"}
_VERSION, _VERSION_OF_HDF5 = 1, 2
_MATRIX, _COMPRESSED = 14, 15
# Types of stored numbers, which are the smallest that hold them, and of the matrices that they are of, by their codes.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MEANT = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x800
_WIDEST = 8
# Bytes of a compressed matrix in which its name stands.
_OUTLINE = 1 << 12


@FORMATS.register("mat")
class Mat(Format):
    """Variables of MATLAB."""

    summary = (
        "a folder of MATLAB's ID.mat (versions 5 to 7), in each a variable (snippets, channels), or several that "
        "--dataset names, see FEATURES"
    )
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    is_folder = True
    is_written = False
    tried_with = "scipy 1.17.1"

    def recognises(self, opening: Opening) -> bool:
        """A folder of nothing else."""
        return is_folder_of(opening, ".mat")

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        files, notes = files_below(path, ".mat")
        sources = {}
        for name, file in files.items():
            keys = [variable.name for variable, _ in _variables(file)]
            for key, ending in zip(keys, keyed(keys, options, str(file)), strict=False):
                sources[name + ending] = Source(str(file), partial(_array, file, key))
        return contextlib.nullcontext(ArrayVideos(sources, options, path, notes).features())


@dataclass(frozen=True)
class _Variable:
    """What a matrix says of itself: its name, the code of what it is, whether it is complex, and its sizes.

    numbers: the element of its numbers, as far as it was unpacked.
    """

    name: str
    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    numbers: memoryview


def _array(file: Path, key: str) -> NDArray[Any]:
    """The variable `key` of a file; raises DataError where it is no whole array of real numbers."""
    where = f"{file}: variable '{key}'"
    for variable, order in _variables(file, key):
        if variable.kind not in _MEANT or variable.is_complex:
            raise DataError(f"{where} is no array of real numbers")
        code, content, _ = _element(variable.numbers, 0, order, str(file))
        stored = np.dtype(order + _STORED.get(code, "V1"))
        if stored.kind == "V" or len(content) != prod(variable.shape) * stored.itemsize:
            raise DataError(f"{where} is broken: {len(content)} bytes of numbers for the shape {variable.shape}")
        values = np.frombuffer(content, stored).astype(_MEANT[variable.kind])
        return values.reshape(variable.shape, order="F")
    raise DataError(f"{where} is gone")


def _variables(file: Path, key: str | None = None) -> Iterator[tuple[_Variable, str]]:
    """Yield the variables of a file, or the one called `key`, whose numbers alone are unpacked, and the order of bytes.

    Raises DataError for what is no such file.
    """
    where = str(file)
    with file.open("rb") as stream:
        try:
            content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError as error:
            raise DataError(f"{file}: empty, not a file of MATLAB") from error
    order = _ORDERS.get(bytes(content[_HEADER - 2 : _HEADER]))
    version = 0 if order is None else int(np.frombuffer(content[_HEADER - 4 : _HEADER - 2], order + "u2")[0]) >> 8
    if version == _VERSION_OF_HDF5:
        raise DataError(
            f"{file}: of MATLAB 7.3, which is HDF5: --from hdf5-folder reads it, as a rule with --channels-first, for "
            "MATLAB lays down columns first"
        )
    if order is None or version != _VERSION:
        raise DataError(f"{file}: not a file of MATLAB 5 to 7; save it there with -v7")
    at = _HEADER
    while at < len(content):
        code, inside, at = _element(content, at, order, where)
        packed = inside if code == _COMPRESSED else None
        if packed is not None:
            inside = _unpacked(packed, _OUTLINE, where)[_TAG:]
        if code not in (_MATRIX, _COMPRESSED) or not inside:
            continue
        variable = _outlined(inside, order, where)
        if variable.name and key in (None, variable.name):
            if packed is not None and key is not None:
                # No more than its sizes ask for, whatever else was packed.
                most = min(_OUTLINE + _WIDEST * prod(variable.shape), sys.maxsize)
                variable = _outlined(_unpacked(packed, most, where)[_TAG:], order, where)
            yield variable, order


def _unpacked(packed: memoryview, most: int, where: str) -> memoryview:
    """The first bytes, `most` at most, of what was compressed."""
    try:
        return memoryview(zlib.decompressobj().decompress(packed, most))
    except zlib.error as error:
        raise DataError(f"{where}: broken ({error}); copy it again") from error


def _outlined(matrix: memoryview, order: str, where: str) -> _Variable:
    """What a matrix says of itself."""
    _, flags, at = _element(matrix, 0, order, where)
    _, sizes, at = _element(matrix, at, order, where)
    _, name, at = _element(matrix, at, order, where)
    if len(flags) < 4 or len(sizes) % 4:
        raise DataError(f"{where}: broken; copy it again")
    said = int(np.frombuffer(flags[:4], order + "u4")[0])
    shape = tuple(np.frombuffer(sizes, order + "i4").tolist())
    if not shape or min(shape) < 0:
        raise DataError(f"{where}: broken: a variable of the shape {shape}; copy it again")
    text = bytes(name).decode("utf-8", "replace")
    return _Variable(text, said & 0xFF, bool(said & _COMPLEX), shape, matrix[at:])


def _element(content: memoryview, at: int, order: str, where: str) -> tuple[int, memoryview, int]:
    """The type and the content of the element at a place, and the place of the next one."""
    begin = at + _TAG
    if begin > len(content):
        raise DataError(f"{where}: cut short; copy it again")
    code, size = np.frombuffer(content[at:begin], order + "u4").tolist()
    if code >> 16:  # A small one, whose four bytes stand beside type and size.
        return code & 0xFFFF, content[at + 4 : at + 4 + min(code >> 16, 4)], begin
    if size > len(content) - begin:
        raise DataError(f"{where}: cut short; copy it again")
    padding = 0 if code == _COMPRESSED else -size % _TAG
    return code, content[begin : begin + size], begin + size + padding
