"""WebVTT, the subtitles of the web: each event is a cue of its own, in order of start.

Events may overlap, and so may cues: the standard has players put those of one time above each other, and browsers, VLC
and mpv do. So nothing is cut, and a cue is an event when it is read again. (In SubRip, which has no standard, it is
otherwise: see `srt`.) The standard wants each end to be after its start; an event without length lasts a millisecond.
"""

import contextlib
import html
import re
from collections.abc import Iterator

from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.captions import Event, clock, events_of, read_cues, read_events, rounded
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals

_TAG = re.compile(r"<[^>]*>")


@FORMATS.register("vtt")
class WebVtt(Format):
    """A cue for each event."""

    summary = (
        "WebVTT subtitles of one video, a cue for each segment with its label, which players show above each other "
        "where they overlap; times are milliseconds"
    )
    kinds = ("proposals", "annotations")
    heeds_written = frozenset({"show_scores"})
    tried_with = "webvtt-py 0.6.0"
    suffixes = (".vtt",)
    one_video = True
    resolution = 0.001

    def recognises(self, opening: Opening) -> bool:
        """The signature that the standard wants."""
        return opening.first_line().split(maxsplit=1)[:1] == ["WEBVTT"]

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals | Annotations]:
        """Read all cues; each line of one is an event. Settings, comments and markup are no part of it."""
        return read_events(_events(path), path, self.suffixes, options, [])

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: scores, unless they are shown, durations, subsets, provenance, an id that is not the file's name, times
        before 0."""
        events, lost = events_of(content, path, options, self.suffixes)
        cues, early = rounded(events, path)
        with open_output(path) as stream:
            stream.write(b"WEBVTT\n")
            for cue in cues:
                text = html.escape(cue.lines[0], quote=False)
                stream.write(f"\n{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{text}\n".encode())
        return lost + early


def _events(path: str) -> Iterator[tuple[Event, str]]:
    for cue in read_cues(path, ("WEBVTT", "NOTE", "STYLE", "REGION"), blanks_are_text=True):
        for line in cue.lines or [""]:
            text = html.unescape(_TAG.sub("", line)).strip()
            yield Event(cue.start / 1000, cue.end / 1000, text), cue.where
