"""From one file of proposals to another: what `nms`, `label` and `fuse` share."""

import os
from collections.abc import Callable, Iterable, Iterator

from taltool.data.proposals import ProposalReader, ProposalWriter
from taltool.data.provenance import Chain, InputFile, step
from taltool.data.records import VideoProposals
from taltool.errors import DataError
from taltool.ops.nms_settings import Suppression
from taltool.postprocessing.suppress import suppressed
from taltool.reporting import Reporter

Change = Callable[[Iterable[VideoProposals]], Iterator[VideoProposals]]


def suppress_file(
    source: str, target: str, settings: Suppression, jobs: int, with_provenance: bool, reporter: Reporter
) -> None:
    """Suppress the proposals of `source` into `target`, a batch of videos in memory at a time; 0 jobs: one per core."""
    workers = jobs or os.cpu_count() or 1
    with ProposalReader(source) as reader:
        chain = [*reader.provenance, step([InputFile.named(source)])] if with_provenance else None
        changed = suppressed(reader, settings, workers)
        write_stream(changed, reader, target, reader.classes, chain, "nms", reporter)


def write_stream(
    videos: Iterator[VideoProposals],
    reader: ProposalReader,
    target: str,
    classes: list[str] | None,
    chain: Chain | None,
    name: str,
    reporter: Reporter,
) -> None:
    """Write `videos`, which come from `reader`, and tell the progress. Adds the file's name to data errors."""
    with (
        ProposalWriter(target, classes, chain, reader.num_videos) as writer,
        reporter.track(name, reader.num_videos) as task,
    ):
        try:
            for video in videos:
                writer.write(video)
                task.advance()
        except DataError as error:
            message = str(error)
            raise error if message.startswith(reader.file) else DataError(f"{reader.file}: {message}") from error
