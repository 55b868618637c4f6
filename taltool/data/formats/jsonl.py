"""The stream of proposals between commands: JSON Lines, with or without header and end; see taltool-proposals(5)."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Format, FormatOptions, Opening, Proposals
from taltool.data.json_documents import telling_key
from taltool.data.proposal_writer import Layout, ProposalWriter
from taltool.data.proposals import ProposalReader
from taltool.data.records import VideoProposals
from taltool.data.video_json import LABEL_KINDS
from taltool.errors import UsageError


@FORMATS.register("jsonl")
class JsonLines(Format):
    """taltool's own stream."""

    summary = (
        "the stream between commands and on standard output, one video per line, its proposals as arrays; see "
        "taltool-proposals(5)"
    )
    kinds = ("proposals",)
    heeds = frozenset({"times"})
    suffixes = (".jsonl", ".ndjson")

    def recognises(self, opening: Opening) -> bool:
        """Header, or a first line that is a video, of either version."""
        return telling_key(opening.head)[0] in ("taltool", "video_id", "proposals", "segments")

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals]:
        """Read video by video."""
        return read_proposals(path, options)

    def write(self, content: Proposals, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        write_layout(content, path, "jsonl")
        return []


@contextlib.contextmanager
def read_proposals(path: str, options: FormatOptions) -> Iterator[Proposals]:
    """The proposals of `path` in any of taltool's layouts, with what was dropped among the notes.

    Durations that it lacks come from `options`.
    """
    with ProposalReader(path, options.score, options.drop_invalid, **kind_of_labels(options, path)) as reader:
        unknown = not reader.labels and not reader.labels.complete
        content = Proposals((), reader.labels, reader.num_videos, reader.provenance, open_ended=unknown)

        def videos() -> Iterator[VideoProposals]:
            for video in reader:
                lacks = video.duration is None and video.video_id in options.durations
                yield replace(video, duration=options.durations[video.video_id]) if lacks else video
            content.provenance = reader.provenance
            if reader.num_dropped:
                content.notes.append(f"{reader.num_dropped} segments that end before they start")

        content.videos = videos()
        yield content


def kind_of_labels(options: FormatOptions, path: str) -> dict[str, Any]:
    """What a `VideoParser` must know of the labels; raises UsageError for --labels that no proposals have."""
    if options.labels is not None and options.labels not in LABEL_KINDS:
        raise UsageError(f"{path}: --labels {options.labels}: proposals may have {', '.join(LABEL_KINDS)}")
    if options.labels == "action" and options.classes is not None:
        raise UsageError("--classes names verbs or nouns; the label of an action is both numbers")
    return {"label_key": options.labels or "label", "numbered": options.classes is not None or bool(options.labels)}


def write_layout(content: Proposals, path: str, layout: Layout) -> None:
    """Write `content` in one of taltool's layouts, a video at a time."""
    with ProposalWriter(
        path, content.names, content.provenance, content.num_videos, layout, open_ended=content.open_ended
    ) as writer:
        for video in content.videos:
            writer.write(video)
