"""Looking into a folder of text files, so that layouts which are such folders know theirs."""

from collections.abc import Iterator
from pathlib import Path

# The bytes of a file that are read.
_BEGINNING = 1 << 12


def first_lines(folder: str, suffix: str) -> Iterator[tuple[Path, str]]:
    """The files below a folder whose names end so, in alphabetical order, each with its first line that is not blank.

    Nothing is raised: what cannot be read has the line "".
    """
    try:
        files = sorted(file for file in Path(folder).rglob(f"*{suffix}") if file.is_file())
    except OSError:
        return
    for file in files:
        try:
            with file.open("rb") as stream:
                text = stream.read(_BEGINNING).decode("utf-8", "replace").lstrip("\ufeff")
        except OSError:
            text = ""
        yield file, next((line.strip() for line in text.splitlines() if line.strip()), "")
