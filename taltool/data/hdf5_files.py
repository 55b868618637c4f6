"""HDF5 files of anybody: opened without trust in their links, listed, and written so that a full disk is an error."""

import contextlib
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from taltool.data.files import NO_LOCKS
from taltool.errors import DataError

# Groups in groups, deeper than any id has folders.
_DEEPEST = 100


def open_hdf5(path: str | Path) -> h5py.File:
    """The file, locked against writers; without a lock where its file system (NFS, Lustre) has none to give."""
    path = Path(path).resolve()  # HDF5 looks for what it links to where it was opened.
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return h5py.File(path, "r", locking=False)


def contents(
    group: Any, path: str, follow: bool = False, prefix: str = "", within: tuple[int, ...] = ()
) -> Iterator[tuple[str, bool]]:
    """Yield the name of every dataset below a group (h5py.h5g.GroupID), and False; and of every soft and external link,
    and True, unless those are followed as well.

    within: the addresses of the groups around this one. Raises DataError for a link that leads to nothing, or back,
    and for groups that are nested too deeply.
    """
    links: list[tuple[bytes, int]] = []
    try:
        within = (*within, h5py.h5o.get_info(group).addr)
        group.links.iterate(lambda name, info: links.append((name, info.type)), info=True)
    except (KeyError, OSError, RuntimeError) as error:
        raise DataError(f"{path}: broken at group '/{prefix}' ({error}); copy or extract it again") from error
    if len(within) > _DEEPEST:
        raise DataError(f"{path}: its groups are nested more than {_DEEPEST} deep")
    for raw, kind in links:
        name = prefix + raw.decode("utf-8", "surrogateescape")
        if kind != h5py.h5l.TYPE_HARD and not follow:
            yield name, True
            continue
        try:
            found = h5py.h5o.get_info(group, raw)
        except (KeyError, OSError, RuntimeError) as error:
            raise DataError(f"{path}: its link '{name}' leads to nothing; remove it") from error
        if found.type == h5py.h5o.TYPE_GROUP:
            if found.addr in within:
                raise DataError(f"{path}: its link '{name}' leads back to a group around it")
            yield from contents(h5py.h5g.open(group, raw), path, follow, f"{name}/", within)
        elif found.type == h5py.h5o.TYPE_DATASET:
            yield name, False


def open_linked(
    file: h5py.File, path: str, found: Mapping[str, bool], opened: contextlib.ExitStack, linked: list[h5py.File]
) -> None:
    """Open each file in which datasets of `file`, whose `contents` these are, lie, and those that theirs lie in; add
    them to `linked`, those that are open already.

    Raises DataError where one is missing, or not in the folder of the file that links to it, or below.
    """
    folder = Path(path).resolve().parent
    links = (file.get(name, getlink=True) for name, is_link in found.items() if is_link)
    named = Counter(link.filename for link in links if isinstance(link, h5py.ExternalLink))
    for name, count in named.items():
        target = (folder / name).resolve()
        if not target.is_relative_to(folder):
            raise DataError(
                f"{path}: {count} of its links lead to {name}, out of its folder, and are not followed; give that "
                "file itself, or move the two together"
            )
        if any(str(target) == other.filename for other in linked):
            continue
        try:
            if not target.is_file():
                raise OSError("no file")
            other = opened.enter_context(open_hdf5(target))
        except OSError as error:
            reason = f"is not a readable HDF5 file ({error})" if target.exists() else "is not there"
            raise DataError(
                f"{path}: {count} of its {len(found)} videos lie in {name}, which {reason}; put it back, or "
                "join the files again"
            ) from error
        linked.append(other)
        open_linked(other, str(target), dict(contents(other.id, str(target))), opened, linked)


def refuse_hollow(dataset: h5py.Dataset, where: str) -> None:
    """Raise DataError for a dataset whose numbers are not, or not all, in its own file: HDF5 reads zeros, or whatever
    another file holds."""
    if dataset.is_virtual or dataset.external:
        raise DataError(f"{where} lies in other files (external or virtual); copy it into one: h5repack, or h5py")
    if dataset.chunks is None:
        written, whole = dataset.id.get_storage_size(), dataset.size * dataset.dtype.itemsize
    else:
        written = dataset.id.get_num_chunks()
        whole = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    if written < whole:
        kind = "bytes" if dataset.chunks is None else "chunks"
        raise DataError(f"{where}: of its {whole} {kind} {written} were written; extract it again")


class Disk(io.FileIO):
    """The file that HDF5 writes to. The first failure to write is kept, and all further bytes are let go: HDF5 cannot
    close a file that it cannot write, and would end the process when it is told to."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`; returns its length, also where that failed."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self.failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file."""
        try:
            return super().truncate(size) if self.failure is None else size or 0
        except OSError as error:
            self.failure = error
            return size or 0


def plain(value: Any) -> Any:
    """An HDF5 attribute as a Python value; raises UnicodeDecodeError for a text that is not UTF-8."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
