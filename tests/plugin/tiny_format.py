"""Proposals as lines of tabs, VIDEO START END SCORE, below a first line `spans`."""

import contextlib
from collections.abc import Iterator

from taltool.data.files import open_output, read_lines
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row, RowShelf, score, segment, to_proposals, valid
from taltool.errors import DataError


@FORMATS.register("spans")
class Spans(Format):
    """One proposal per line, without its label."""

    summary = "one proposal per line: VIDEO, START, END and SCORE, parted by tabs"
    kinds = ("proposals",)
    suffixes = (".spans",)

    def recognises(self, opening: Opening) -> bool:
        """A first line that says so."""
        return opening.first_line() == "spans"

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals]:
        """Read all lines; those of a video may stand anywhere."""
        notes: list[str] = []
        with RowShelf(valid(_rows(path), options, notes)) as shelf:
            yield to_proposals(shelf, options, notes)

    def write(self, content: Proposals, path: str, options: FormatOptions) -> list[str]:
        """Lost: everything but segments and scores."""
        with open_output(path) as stream:
            stream.write(b"spans\n")
            for video in content.videos:
                for (start, end), score in zip(video.segments.tolist(), video.scores.tolist(), strict=True):
                    stream.write(f"{video.video_id}\t{start}\t{end}\t{score}\n".encode())
        return ["the labels", "the durations", "the provenance"]


def _rows(path: str) -> Iterator[Row]:
    lines = ((number, line) for number, line in read_lines(path) if line.strip())
    next(lines, None)  # The name of the format.
    for number, line in lines:
        fields, where = line.split("\t"), f"{path}:{number}"
        if len(fields) != 4:
            raise DataError(f"{where}: expected VIDEO, START, END and SCORE, found '{line}'")
        start, end = segment(fields[1], fields[2], where)
        yield Row(fields[0], start, end, score=score(fields[3], where), where=where)
