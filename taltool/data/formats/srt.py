"""SubRip (.srt), the subtitles that every player and editor takes.

No standard says what happens to cues that overlap: of such files some players show one cue only, some print one over
the other. So time is cut wherever an event starts or ends, and a cue has the lines of all events that run then, one
under the other in order of start. A line that goes on in the next cue, without a gap, is one event when it is read
again; hence events of one text that touch or overlap are one event here, and players show their line once.

The markup that players know, <i> and the like, is no part of a line when it is read. Nothing can be escaped here, so a
label that looks like markup is not written.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.captions import Cue, Event, clock, events_of, read_cues, read_events, rounded
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.errors import DataError

# Of HTML, and of other subtitles: {\an8} says where a line stands.
_MARKUP = re.compile(r"</?(?:[bius]|font\b[^>]*)>|\{\\[^}]*\}", re.IGNORECASE)
# Perhaps times, such as 00:00:60.5 --> 1:05.
_TIMED = re.compile(r"\s*[-+\d][\d:.,]*\s*-->")


@FORMATS.register("srt")
class SubRip(Format):
    """Numbered cues that do not overlap."""

    summary = (
        "SubRip subtitles of one video, cues with the labels of all segments that run then, cut where one starts or "
        "ends; times are milliseconds"
    )
    kinds = ("proposals", "annotations")
    heeds_written = frozenset({"show_scores"})
    tried_with = "srt 3.5.3"
    suffixes = (".srt",)
    one_video = True
    resolution = 0.001

    def recognises(self, opening: Opening) -> bool:
        """A line of times, right or wrong, perhaps below a number; or nothing, by its name."""
        text = opening.head[:1000].decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
        if not text:
            return bool(opening.head) and opening.path.lower().endswith(self.suffixes)
        first, *others = text.splitlines()
        timed = others[0] if others and first.strip().isdecimal() else first
        return _TIMED.match(timed) is not None

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals | Annotations]:
        """Read all cues; each line of one is an event, or goes on with that of the cue before."""
        return read_events(joined(map(_plain, read_cues(path))), path, self.suffixes, options, [])

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: scores, unless they are shown, durations, subsets, provenance, an id that is not the file's name, times
        before 0, and where events of one text touch or overlap."""
        events, lost = events_of(content, path, options, self.suffixes)
        for event in events:
            if "-->" in event.text or _MARKUP.search(event.text):
                raise DataError(
                    f"{path}: label '{event.text}' does not fit into this format: no --> and no markup in it; rename it"
                )
        every, early = rounded(events, path)
        cues = united(every)
        with open_output(path) as stream:
            if not cues:  # An empty file is taken for a failure.
                stream.write(b"\n")
            for number, cue in enumerate(stacked(cues), start=1):
                times = f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}"
                stream.write("\n".join([str(number), times, *cue.lines, "\n"]).encode())
        if len(cues) < len(every):
            lost.append(f"{len(every) - len(cues)} boundaries of segments that touch or overlap others of their label")
        return lost + early


def _plain(cue: Cue) -> Cue:
    """The cue without markup."""
    return cue._replace(lines=[text for line in cue.lines if (text := _MARKUP.sub("", line).strip())])


def united(cues: Iterable[Cue]) -> list[Cue]:
    """Cues of one line, in order of time; those of one text that touch or overlap are one."""
    last: dict[str, Cue] = {}
    found: list[Cue] = []
    for cue in sorted(cues):
        (text,) = cue.lines
        before = last.get(text)
        if before is not None and cue.start <= before.end:
            last[text] = before._replace(end=max(before.end, cue.end))
            continue
        if before is not None:
            found.append(before)
        last[text] = cue
    return sorted([*found, *last.values()])


def stacked(cues: list[Cue]) -> Iterator[Cue]:
    """The sorted cues, cut wherever one starts or ends: none overlaps another, and each has the lines of all."""
    boundaries = sorted({boundary for cue in cues for boundary in (cue.start, cue.end)})
    running: list[Cue] = []
    begun = 0
    for start, end in pairwise(boundaries):
        while begun < len(cues) and cues[begun].start <= start:
            running.append(cues[begun])
            begun += 1
        running = [cue for cue in running if cue.end > start]
        if running:
            yield Cue(start, end, [line for cue in running for line in cue.lines])


def joined(cues: Iterable[Cue]) -> Iterator[tuple[Event, str]]:
    """The events of cues, each with its place: a line that stands in the cue that begins where it ended goes on."""
    running: dict[str, Cue] = {}
    for cue in cues:
        for line in dict.fromkeys(cue.lines or [""]):
            before = running.get(line)
            if before is not None and before.end == cue.start:
                running[line] = before._replace(end=cue.end)
                continue
            if before is not None:
                yield _event(before, line)
            running[line] = cue
    for line, cue in running.items():
        yield _event(cue, line)


def _event(cue: Cue, text: str) -> tuple[Event, str]:
    return Event(cue.start / 1000, cue.end / 1000, text), cue.where
