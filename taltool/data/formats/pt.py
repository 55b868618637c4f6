"""Features as a folder of PyTorch's files, one video each, ID.pt or ID.pth: a tensor, or several by name.

Such a file is an archive of numbers and of a pickle that says what they are. A pickle may call any function, so here
only those are known to it that make tensors and dicts: all that a file can do is to hold some. PyTorch is not needed.
"""

import contextlib
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from taltool.data.feature_arrays import ArrayVideos, Source, files_below, is_folder_of, keyed
from taltool.data.formats import FORMATS
from taltool.data.formats.array_folders import write_arrays
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.errors import DataError

_SUFFIXES = (".pt", ".pth")
# Number types by the classes of storages; NumPy has no bfloat16, which is the upper half of a float32.
_TYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "<u2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
}  # fmt: skip
_BFLOAT16 = "BFloat16Storage"


@FORMATS.register("pt")
class Pt(Format):
    """What torch.save writes since PyTorch 1.6."""

    summary = (
        "a folder of ID.pt or ID.pth, in each a tensor (snippets, channels), or several that --dataset names, see "
        "FEATURES; of PyTorch 1.6 and later, whose tensors alone are read: no code is run"
    )
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    is_folder = True
    tried_with = "torch 2.13"

    def recognises(self, opening: Opening) -> bool:
        """A folder of nothing else."""
        return is_folder_of(opening, *_SUFFIXES)

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Features]:
        """Read video by video; the clock comes from `options`."""
        files, notes = files_below(path, *_SUFFIXES)
        sources = {}
        for name, file in files.items():
            keys = list(_tensors(file)) if options.dataset else [""]
            for key in keys:
                sources[name + f"/{key}" * bool(key)] = Source(str(file), partial(_tensor, file, key))
        return contextlib.nullcontext(ArrayVideos(sources, options, path, notes).features())

    def write(self, content: Features, path: str, options: FormatOptions) -> list[str]:
        """Lost: clocks, streams, and all attributes."""
        return write_arrays(content, path, ".pt", _save)


def _tensor(file: Path, key: str) -> NDArray[Any]:
    """The tensor of this name; the only one, where it has none."""
    found = _tensors(file)
    if not key:
        keyed(list(found), FormatOptions(), str(file))
        (key,) = found
    return found[key]


def _tensors(file: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file by name, a single one without; raises DataError for what holds anything else."""
    try:
        with zipfile.ZipFile(file) as archive:
            held = _Unpickler(archive).load()
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{file}: not what torch.save writes since PyTorch 1.6; load it there and save it again"
        ) from error
    except Exception as error:  # A pickle breaks in any way that its commands can.
        raise DataError(f"{file}: cannot be read as tensors ({type(error).__name__}: {error})") from error
    tensors = held if isinstance(held, Mapping) else {"": held}
    others = [each for each in tensors.values() if not isinstance(each, np.ndarray)]
    if len(others) == len(tensors) or not all(isinstance(name, str) for name in tensors):
        found = type(others[0] if others else held).__name__
        raise DataError(f"{file}: holds {found}, expected a tensor, or a dict of them by name")
    # What stands beside tensors, a frame rate say, has a name to be left out by, and a shape that no features have.
    return {
        name: each if isinstance(each, np.ndarray) else np.array(type(each).__name__) for name, each in tensors.items()
    }


def _save(stream: BinaryIO, values: NDArray[Any]) -> None:
    """Write a tensor (T, C) as torch.save does: its numbers as they are, and a pickle that says what they are."""
    values = np.ascontiguousarray(values, "<f2" if values.dtype == np.float16 else "<f4")
    length, channels = map(_whole, values.shape)
    # _rebuild_tensor_v2(("storage", kind, key, "cpu", count), offset, size, stride, requires_grad, backward_hooks)
    kind = b"ctorch\nHalfStorage\n" if values.dtype == np.float16 else b"ctorch\nFloatStorage\n"
    storage = b"(" + _text("storage") + kind + _text("0") + _text("cpu") + _whole(values.size) + b"tQ"
    shape = length + channels + pickle.TUPLE2 + channels + _whole(1) + pickle.TUPLE2
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _whole(0) + shape + pickle.NEWFALSE
    data = {
        "data.pkl": b"\x80\2" + call + b"ccollections\nOrderedDict\n)RtR.",
        "byteorder": b"little",
        "version": b"3\n",
    }
    with zipfile.ZipFile(stream, "w") as archive:
        for name, held in (data | {"data/0": values.tobytes()}).items():
            archive.writestr(zipfile.ZipInfo(f"features/{name}"), held)


def _whole(number: int) -> bytes:
    return pickle.LONG1 + b"\x08" + int(number).to_bytes(8, "little")


def _text(text: str) -> bytes:
    return pickle.BINUNICODE + len(text).to_bytes(4, "little") + text.encode()


class _Unpickler(pickle.Unpickler):
    """Reads the pickle of an archive of torch.save, whose tensors become arrays; refuses all but tensors and dicts."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        (name,) = (each for each in archive.namelist() if each.split("/")[1:] == ["data.pkl"])
        self._folder = name.partition("/")[0]
        super().__init__(archive.open(name))

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        """What a name in the pickle means; raises UnpicklingError for all that is not needed for a tensor."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _array
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        """The numbers that a tensor shows a part of."""
        _, kind, key, *_ = pid
        stored = np.frombuffer(self._archive.read(f"{self._folder}/data/{key}"), _TYPES[kind])
        return (stored.astype("<u4") << 16).view("<f4") if kind == _BFLOAT16 else stored


def _array(stored: NDArray[Any], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> NDArray[Any]:
    """The array of this size that begins at `offset`, and whose steps along each axis are `stride`, in numbers."""
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= len(stored)):
        raise pickle.UnpicklingError("a tensor is larger than its numbers")
    shown = np.lib.stride_tricks.as_strided(stored[offset:], size, [step * stored.itemsize for step in stride])
    return shown.copy()
