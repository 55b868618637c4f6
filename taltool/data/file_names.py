"""Names of files and of what they hold: either may come out of somebody else's data, and neither leads elsewhere."""

from pathlib import Path, PurePath
from typing import BinaryIO

from taltool.data.files import shown
from taltool.errors import DataError


def utf8_stem(path: Path, below: Path) -> str:
    """The path of a file below a folder, without its suffix, as the name of something.

    Raises DataError where it is not UTF-8.
    """
    name = path.relative_to(below).with_suffix("").as_posix()
    if name != shown(name):
        raise DataError(f"{shown(str(path))}: the name of this file is not UTF-8, and names something; rename it")
    return name


def file_name(name: str, where: str) -> str:
    """`name`, which comes out of some file, where it can be the name of a file or folder.

    Raises DataError, which begins with `where`, for a name that would lead to another folder (`..`, a path) or nowhere.
    """
    if name in ("", "..") or "\0" in name or PurePath(name).name != name:
        raise DataError(f"{where} '{name}' cannot be the name of a file or folder; rename it")
    return name


def path_below(folder: Path, name: str, suffix: str, where: str) -> Path:
    """The path in `folder` of a file `name`, which comes out of some file, and `suffix`.

    A `/` in the name makes subfolders, which are there then.

    Raises DataError, which begins with `where`, for a name that leads out of `folder`, and where one of its folders is
    a file.
    """
    parts = [file_name(part, f"{where} '{name}'") for part in name.split("/")]
    path = folder / f"{'/'.join(parts)}{suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{where} '{name}': a file of that name is there already; rename one of the two") from error
    return path


def create_below(folder: Path, name: str, suffix: str, where: str) -> BinaryIO:
    """A new file at the path that `path_below` gives, open for writing.

    Raises DataError, which begins with `where`, where another file has it: to some file systems `A` and `a` are one
    name.
    """
    try:
        return path_below(folder, name, suffix, where).open("xb")
    except FileExistsError as error:
        raise DataError(f"{where} '{name}': a file of that name is there already; rename one of the two") from error
