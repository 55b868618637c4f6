"""The proposal lists of SSN and those after it: a block for each video, with its annotations and its proposals.

    # 1
    path/of/video_id
    2140                                frames of the video, or 1: times are shares of the video
    1                                   the number by which that is to be multiplied
    1                                   annotations, a line each: class start end
    7 120 310
    2                                   proposals, a line each: class tIoU overlap start end
    7 0.6129 0.8421 100 310
    0 0.0000 0.0000 900 960

Times are frames, which become seconds by --fps, or as shares of the durations. Classes are numbers from 1.
"""

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from taltool.data.columns import plain_number
from taltool.data.files import read_lines, shown
from taltool.data.formats import FORMATS
from taltool.data.formats.class_numbers import class_namer
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row, RowShelf, segment, to_annotations, to_proposals, valid
from taltool.errors import DataError

_BEGINNING = re.compile(rb"\s*#\s*\d+[ \t]*\r?\n[^\r\n]+\r?\n\s*\d+\s*\r?\n\s*[\d.]+\s*\r?\n\s*\d+\s*\r?\n")
_BLOCK = re.compile(r"#\s*\d+")


@dataclass
class _Block:
    """What stands of a video: its id, frames (1: times are shares), and lines of words with their places."""

    video_id: str
    frames: float
    annotations: list[tuple[str, list[str]]] = field(default_factory=list)
    proposals: list[tuple[str, list[str]]] = field(default_factory=list)


@FORMATS.register("ssn")
class Ssn(Format):
    """A block for each video."""

    summary = (
        "the proposal lists of SSN, a block for each video: read as ground truth, with --classes, or with --score as "
        "proposals; needs --durations, or --fps where times are frames"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"fps"})
    is_written = False
    tried_with = "the normalized list that SSN ships for the validation videos of ActivityNet 1.2"

    def recognises(self, opening: Opening) -> bool:
        """A first block with its numbers of frames and annotations."""
        return _BEGINNING.match(opening.head) is not None

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read the annotations of all videos, or their proposals where these get a score."""
        notes: list[str] = []
        durations: dict[str, float] = {}
        if options.score is None:
            rows = _annotated(path, options, durations, notes)
        else:
            rows = _proposed(path, options, durations, notes)
        with RowShelf(valid(rows, options, notes)) as shelf:
            timed = replace(options, durations=dict(options.durations) | durations)
            if options.score is None:
                yield to_annotations(shelf, timed, "from a list of SSN", notes, durations)
            else:
                yield to_proposals(shelf, timed, notes, durations)


def _annotated(path: str, options: FormatOptions, durations: dict[str, float], notes: list[str]) -> Iterator[Row]:
    """The annotations; the durations of videos are entered as they pass."""
    name = class_namer(path, options)
    proposals = 0
    for block in _blocks(path):
        second = _seconds_of_unit(block, options, durations, path)
        for where, (number, start, end) in block.annotations:
            first, last = segment(start, end, where)
            label = name(_whole(number, where), where)
            yield Row(block.video_id, first * second, last * second, label, where=where)
        proposals += len(block.proposals)
    if proposals:
        notes.append(f"{proposals} proposals (read them with --score 1.0)")


def _proposed(path: str, options: FormatOptions, durations: dict[str, float], notes: list[str]) -> Iterator[Row]:
    """The proposals, without labels: the class beside one is that of the annotation it overlaps."""
    annotations = 0
    for block in _blocks(path):
        second = _seconds_of_unit(block, options, durations, path)
        for where, (*_, start, end) in block.proposals:
            first, last = segment(start, end, where)
            yield Row(block.video_id, first * second, last * second, where=where)
        annotations += len(block.annotations)
    if annotations:
        notes.append(f"{annotations} annotations (read them without --score)")


def _seconds_of_unit(block: _Block, options: FormatOptions, durations: dict[str, float], path: str) -> float:
    """The seconds that the unit of a video's times lasts; its duration is entered."""
    where = f"{path}: video '{block.video_id}'"
    if block.video_id in durations:
        raise DataError(f"{where} is there twice; remove one block")
    duration, fps = options.durations.get(block.video_id), options.clock.get("fps")
    if block.frames > 1 and fps is not None:
        durations[block.video_id] = block.frames / fps if duration is None else duration
        return 1 / fps
    if duration is None:
        what, mend = ("shares of the video", "") if block.frames == 1 else ("frames", ", or --fps")
        raise DataError(f"{where}: times are {what}, and its duration is not known: give --durations FILE{mend}")
    durations[block.video_id] = duration
    return duration / block.frames


def _blocks(path: str) -> Iterator[_Block]:
    """The blocks of a list, with lines still to be read as numbers."""
    lines = ((f"{shown(path)}:{number}", line.strip()) for number, line in read_lines(path) if line.strip())
    for where, line in lines:
        if _BLOCK.fullmatch(line) is None:
            raise DataError(f"{where}: expected the number of a video, like '# 1', found '{line[:80]}'")
        _, name = _next(lines, where, "the path of the video")
        frames, factor = (_positive(*_next(lines, where, what)) for what in ("its frames", "their factor"))
        block = _Block(PurePosixPath(name).name, frames * factor)
        for found, words in ((block.annotations, 3), (block.proposals, 5)):
            place, count = _next(lines, where, "a number of lines")
            for _ in range(_whole(count, place)):
                place, line = _next(lines, where, "a segment")
                if len(line.split()) != words:
                    raise DataError(f"{place}: expected {words} numbers, found '{line[:80]}'")
                found.append((place, line.split()))
        yield block


def _next(lines: Iterator[tuple[str, str]], where: str, what: str) -> tuple[str, str]:
    found = next(lines, None)
    if found is None:
        raise DataError(f"{where}: the file ends within this block; expected {what} (was it cut short?)")
    return found


def _whole(text: str, where: str) -> int:
    if not text.isdecimal():
        raise DataError(f"{where}: '{text}' is not a whole number")
    return int(text)


def _positive(where: str, text: str) -> float:
    try:
        number = plain_number(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise DataError(f"{where}: '{text}' is not a positive number")
    return number
