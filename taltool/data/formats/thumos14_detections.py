"""The detections that the evaluation kit of THUMOS14 reads: `video start end class score` per line, seconds.

Classes are the numbers of the kit's detclasslist.txt (those of UCF-101), unless --classes gives others.
"""

import contextlib
import re
from collections.abc import Iterator

from taltool.data.files import read_lines, shown
from taltool.data.formats import FORMATS
from taltool.data.formats.class_numbers import class_namer
from taltool.data.formats.contract import Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row, RowShelf, score, segment, to_proposals, valid
from taltool.errors import DataError

_CLASSES = {
    7: "BaseballPitch", 9: "BasketballDunk", 12: "Billiards", 21: "CleanAndJerk", 22: "CliffDiving",
    23: "CricketBowling", 24: "CricketShot", 26: "Diving", 31: "FrisbeeCatch", 33: "GolfSwing", 36: "HammerThrow",
    40: "HighJump", 45: "JavelinThrow", 51: "LongJump", 68: "PoleVault", 79: "Shotput", 85: "SoccerPenalty",
    92: "TennisSwing", 93: "ThrowDiscus", 97: "VolleyballSpiking",
}  # fmt: skip
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# A first word that is a number is no video: labels of Audacity begin so. A last one without a point is no score, but a
# frame: XD-Violence lists several pairs of them behind a video.
_DETECTION = re.compile(rf"(?!{_NUMBER}\s)\S+\s+{_NUMBER}\s+{_NUMBER}\s+\d+\s+(?!-?\d\d+$|[2-9]$){_NUMBER}")


@FORMATS.register("thumos14-detections")
class Thumos14Detections(Format):
    """A line for each detection."""

    summary = (
        "what the evaluation kit of THUMOS14 reads, a line for each detection: video start end class score; the class"
        " is its number in the kit, or in --classes"
    )
    kinds = ("proposals",)
    heeds = frozenset({"times"})
    is_written = False
    tried_with = "the detections of TURN with S-CNN, as they are published"

    def recognises(self, opening: Opening) -> bool:
        """A first line of a name, two times, a whole number and a score."""
        return _DETECTION.fullmatch(opening.first_line().strip()) is not None

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals]:
        """Read all lines, which may be in any order."""
        notes: list[str] = []
        with RowShelf(valid(_rows(path, options), options, notes)) as shelf:
            yield to_proposals(shelf, options, notes)


def _rows(path: str, options: FormatOptions) -> Iterator[Row]:
    name = class_namer(path, options, _CLASSES)
    for number, line in read_lines(path):
        words = line.split()
        if not words:
            continue
        where = f"{shown(path)}:{number}"
        if len(words) != 5 or not words[3].isdecimal():
            raise DataError(f"{where}: expected 'video start end class score', found '{line.strip()[:80]}'")
        label = name(int(words[3]), where)
        yield Row(words[0], *segment(words[1], words[2], where), label, score(words[4], where), where=where)
