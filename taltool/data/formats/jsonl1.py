"""Version 1 of the stream of proposals: one video per line, an object per proposal; see taltool-proposals(5)."""

import contextlib

from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Format, FormatOptions, Opening, Proposals
from taltool.data.formats.jsonl import read_proposals, write_layout


@FORMATS.register("jsonl1")
class JsonLinesOfObjects(Format):
    """What earlier releases wrote, and what is handy for jq: labels are names."""

    summary = (
        "that stream in its first version, in which each proposal is an object with its label: what older releases "
        "wrote, and handier for jq(1)"
    )
    kinds = ("proposals",)
    heeds = frozenset({"times"})

    def recognises(self, opening: Opening) -> bool:
        """Never by itself: the format jsonl reads both versions."""
        return False

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals]:
        """Read video by video."""
        return read_proposals(path, options)

    def write(self, content: Proposals, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        write_layout(content, path, "jsonl1")
        return []
