"""Non-maximum suppression of a stream of proposals, a batch of videos at a time.

`write_stream`, from one file of proposals to another, serves labelling too.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from taltool.data.proposal_writer import Layout, ProposalWriter
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import InputFile, step
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError
from taltool.ops.nms import ProposalBatch, suppress_batch
from taltool.ops.nms_settings import Method, Suppression
from taltool.ops.nms_voting import vote
from taltool.reporting import SILENT, Reporter

# Candidates that are treated together: enough for NumPy's calls to pay, few enough for a flat and small memory.
BATCH_SIZE = 1 << 16
Change = Callable[[Iterable[VideoProposals]], Iterator[VideoProposals]]


def suppress_stream(
    videos: Iterable[VideoProposals], settings: Suppression, jobs: int = 1, reporter: Reporter = SILENT
) -> Iterator[VideoProposals]:
    """What suppression leaves of each video, in the order of the input, best first.

    Holds `jobs` + 1 batches in memory. The jobs are threads: NumPy lets go of the interpreter in its loops, and the
    parsing of the next batch runs meanwhile. Raises DataError, naming the video, as `suppress_batch` does.
    """
    batches = map(_agreeing, _batches(videos))
    if jobs == 1:
        for batch in batches:
            yield from _suppress(batch, settings)
        return
    with ThreadPoolExecutor(jobs) as pool:
        waiting: deque[Future[list[VideoProposals]]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_suppress, batch, settings))
            if len(waiting) > jobs:
                yield from waiting.popleft().result()
        for future in waiting:
            yield from future.result()


def _batches(videos: Iterable[VideoProposals]) -> Iterator[list[VideoProposals]]:
    batch: list[VideoProposals] = []
    size = 0
    for video in videos:
        batch.append(video)
        size += len(video)
        if size >= BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _agreeing(batch: list[VideoProposals]) -> tuple[list[VideoProposals], LabelVocabulary]:
    """The batch with a copy of its label names: reading on in another thread may add new ones."""
    return batch, LabelVocabulary(batch[0].names)


def _suppress(batch: tuple[list[VideoProposals], LabelVocabulary], settings: Suppression) -> list[VideoProposals]:
    videos, names = batch
    groups = itertools.groupby(range(len(videos)), key=lambda number: videos[number].labels is None)
    result: list[VideoProposals] = []
    for unlabelled, numbers in groups:
        result += _suppress_alike([videos[number] for number in numbers], None if unlabelled else names, settings)
    return result


def _suppress_alike(
    videos: list[VideoProposals], names: LabelVocabulary | None, settings: Suppression
) -> list[VideoProposals]:
    """Suppress videos all of which have labels (numbers into `names`), or none of which has."""
    candidates = _candidates(videos, names)
    _check(videos, settings)
    kept, scores = suppress_batch(candidates, settings)
    segments = candidates.segments[kept]
    if settings.voting is not None:
        segments = vote(candidates, kept, settings.voting, settings.agnostic)
    first = np.searchsorted(candidates.videos, np.arange(len(videos)))
    edges = np.searchsorted(candidates.videos[kept], np.arange(len(videos) + 1))
    result = []
    for number, video in enumerate(videos):
        part = slice(edges[number], edges[number + 1])
        left = video.take(kept[part] - first[number], scores[part])
        result.append(replace(left, segments=segments[part]))
    return result


def _candidates(videos: list[VideoProposals], names: LabelVocabulary | None) -> ProposalBatch:
    classes = None
    if names is not None:
        ranks = names.alphabetical_ranks()
        classes = ranks[np.concatenate([video.labels for video in videos if video.labels is not None])]
    return ProposalBatch(
        np.concatenate([video.segments for video in videos]),
        np.concatenate([video.scores for video in videos]),
        np.repeat(np.arange(len(videos)), [len(video) for video in videos]),
        classes,
        np.array([np.nan if video.duration is None else video.duration for video in videos]),
    )


def _check(videos: list[VideoProposals], settings: Suppression) -> None:
    for video in videos:
        if settings.method is Method.soft_width and video.duration is None and len(video):
            raise DataError(
                f"video '{video.video_id}' has no duration, and soft-width measures lengths in parts of it; "
                "add durations with taltool convert --durations GT, or choose another --method"
            )
        if settings.method is not Method.hard and video.scores.min(initial=0.0) < 0:
            raise DataError(
                f"video '{video.video_id}': score {float(video.scores.min())!r} is negative, and "
                f"{settings.method.value} would raise it; use --method hard, or scores from 0 on"
            )


def suppress_file(
    source: str,
    target: str,
    settings: Suppression,
    jobs: int,
    with_provenance: bool,
    reporter: Reporter,
    layout: Layout | None = None,
) -> None:
    """Suppress the proposals of `source` into `target`, a batch of videos in memory at a time; 0 jobs: one per core."""
    workers = jobs or os.cpu_count() or 1
    with ProposalReader(source) as reader:
        chain = [*reader.provenance, step([InputFile.named(source)])] if with_provenance else None
        changed = suppress_stream(reader, settings, workers)
        writer = ProposalWriter(target, reader.labels, chain, reader.num_videos, layout)
        write_stream(changed, reader, writer, "nms", reporter)


def write_stream(
    videos: Iterator[VideoProposals], reader: ProposalReader, writer: ProposalWriter, name: str, reporter: Reporter
) -> None:
    """Write `videos`, which come from `reader`, and tell the progress. Adds the file's name to data errors."""
    with writer as output, reporter.track(name, reader.num_videos) as task:
        try:
            for video in videos:
                output.write(video)
                task.advance()
        except DataError as error:
            message = str(error)
            raise error if message.startswith(reader.file) else DataError(f"{reader.file}: {message}") from error
