"""The stream of proposals between commands: JSON Lines, with or without header and end; see taltool-proposals(5)."""

import contextlib
from collections.abc import Iterator

from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Format, FormatOptions, Opening, Proposals
from taltool.data.formats.sniffing import json_key
from taltool.data.proposals import Layout, ProposalReader, ProposalWriter
from taltool.data.records import VideoProposals


@FORMATS.register("jsonl")
class JsonLines(Format):
    """taltool's own stream."""

    summary = "the stream between commands: JSON Lines, one video per line"
    kinds = ("proposals",)
    suffixes = (".jsonl", ".ndjson")

    def recognises(self, opening: Opening) -> bool:
        """Header, or a first line that is a video."""
        return json_key(opening)[0] in ("taltool", "video_id", "proposals")

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals]:
        """Read video by video."""
        return read_proposals(path, options)

    def write(self, content: Proposals, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        write_proposals(content, path, "jsonl")
        return []


@contextlib.contextmanager
def read_proposals(path: str, options: FormatOptions) -> Iterator[Proposals]:
    """The proposals of `path` in either of taltool's layouts, with what was dropped among the notes."""
    with ProposalReader(path, options.score, options.drop_invalid) as reader:
        content = Proposals((), reader.classes, reader.num_videos, reader.provenance)
        content.videos = _noting(reader, content)
        yield content


def _noting(reader: ProposalReader, content: Proposals) -> Iterator[VideoProposals]:
    yield from reader
    if reader.num_dropped:
        content.notes.append(f"{reader.num_dropped} segments that end before they start")


def write_proposals(content: Proposals, path: str, layout: Layout) -> None:
    """Write `content` in either of taltool's layouts; a class list that is not known yet is gathered first."""
    videos, classes, number = content.videos, content.classes, content.num_videos
    if classes is None:
        videos = list(videos)
        classes = gathered_classes(videos)
        number = len(videos)
    with ProposalWriter(path, classes, content.provenance, number, layout) as writer:
        for video in videos:
            writer.write(video)


def gathered_classes(videos: list[VideoProposals]) -> list[str] | None:
    """The label names of all videos in order of first appearance; None where no video has labels."""
    if not any(video.labels is not None for video in videos):
        return None
    return list(dict.fromkeys(name for video in videos for name in video.names))
