"""The label tracks of Audacity, which other editors read too: START, END and LABEL in a line, parted by tabs, seconds.

Labels may overlap, and one without length is a point. Times are written to the last digit, without an exponent.
"""

import contextlib
import re
from collections.abc import Iterator

import numpy as np

from taltool.data.files import open_output, read_lines, shown
from taltool.data.formats import FORMATS
from taltool.data.formats.captions import Event, events_of, read_events
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import segment
from taltool.errors import DataError

_NUMBER = r"-?\d+(?:\.\d*)?"
_LABEL = re.compile(rf"{_NUMBER}\t{_NUMBER}(?:\t.*)?")
# Begins a line with the frequencies of the label above.
_FREQUENCIES = "\\\t"


@FORMATS.register("audacity")
class Audacity(Format):
    """A line for each event."""

    summary = "Audacity labels of one video, a line for each segment: START, END and LABEL, parted by tabs"
    kinds = ("proposals", "annotations")
    heeds_written = frozenset({"show_scores"})
    suffixes = (".txt",)
    one_video = True

    def recognises(self, opening: Opening) -> bool:
        """A first line of two numbers and a text."""
        return _LABEL.fullmatch(opening.first_line()) is not None

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals | Annotations]:
        """Read all labels, but no frequencies."""
        notes: list[str] = []
        return read_events(_events(path, notes), path, self.suffixes, options, notes)

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: scores, unless they are shown, durations, subsets, provenance, an id that is not the file's name."""
        events, lost = events_of(content, path, options, self.suffixes)
        with open_output(path) as stream:
            for event in sorted(events):
                times = [np.format_float_positional(time, trim="0") for time in (event.start, event.end)]
                stream.write("\t".join([*times, event.text]).encode() + b"\n")
        return lost


def _events(path: str, notes: list[str]) -> Iterator[tuple[Event, str]]:
    frequencies = 0
    for number, line in read_lines(path):
        if line.startswith(_FREQUENCIES):
            frequencies += 1
            continue
        if not line.strip():
            continue
        where = f"{shown(path)}:{number}"
        start, end, text, *others = [*line.split("\t"), "", ""][:4]
        if "\t" not in line or others != [""] * len(others):
            raise DataError(f"{where}: expected START, END and LABEL, parted by tabs, found '{line[:80]}'")
        yield Event(*segment(start, end, where), text.strip()), where
    if frequencies:
        notes.append(f"{frequencies} frequency ranges")
