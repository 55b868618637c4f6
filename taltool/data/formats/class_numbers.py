"""The names of classes that a file gives by their numbers alone."""

from collections.abc import Callable, Mapping
from typing import Any

from taltool.data.formats.contract import FormatOptions
from taltool.errors import DataError

NUMBERED = "give the list as lines of NUMBER NAME: nl -w1 -s' ' names.txt > numbered.txt"
# The name of a number; the second argument is where it stands, for messages.
Namer = Callable[[int | float, str], str]


def class_namer(path: str, options: FormatOptions, known: Mapping[int, str] | None = None) -> Namer:
    """What gives the name of a number: that in `--classes`, or else the one in `known`.

    Raises DataError where there is neither, and where a number has no name.
    """
    names: dict[Any, str] = dict(known or {})
    if options.classes is not None:
        names = {number: name for name, number in options.classes.items()}
    elif not names:
        raise DataError(
            f"{path}: classes are numbers here; name them with --classes FILE (names by line, or a ground truth)"
        )

    def name(number: int | float, where: str) -> str:
        if number not in names:
            known = f"(there are {len(names)}, from {min(names)} to {max(names)})" if names else "(there are none)"
            counted = f"; do the numbers of the file count from 1? {NUMBERED}"
            hint = counted if names and number == len(names) and min(names) == 0 else ""
            raise DataError(f"{where}: class {number} has no name in --classes {known}{hint}")
        return names[number]

    return name
