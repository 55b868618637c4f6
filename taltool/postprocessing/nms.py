"""Non-maximum suppression of a stream of proposals, a batch of videos at a time.

`nms` is the command: files in and out. `suppress_stream` is for proposals in memory, and `suppress_batch` of
`taltool.ops.nms` for plain arrays.

Videos are put together until they have 65,536 proposals, because a call of NumPy costs about the same for ten numbers
as for some hundreds. What comes out does not depend on where a batch ends: suppression never looks beyond a video.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from taltool.data.concurrency import parallel_map
from taltool.data.files import STANDARD
from taltool.data.formats.contract import FormatOptions, Proposals
from taltool.data.formats.output import write_proposals
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import InputFile, step
from taltool.data.records import Integers, LabelVocabulary, Lateness, VideoProposals
from taltool.errors import DataError
from taltool.ops.nms import ProposalBatch, suppress_batch
from taltool.ops.nms_settings import Suppression, resolve
from taltool.ops.nms_voting import vote
from taltool.reporting import SILENT, Reporter, Task

# Proposals that are treated together: enough for NumPy's calls to pay, few enough for a flat and small memory.
BATCH_SIZE = 1 << 16


@dataclass(frozen=True)
class Suppressed:
    """What `nms` did: how many videos it wrote to `output`, and their proposals before and after (kept)."""

    videos: int
    proposals: int
    kept: int
    settings: Suppression
    output: str

    def __repr__(self) -> str:
        return f"Suppressed({self.videos:,} videos: {self.proposals:,} proposals -> {self.kept:,} kept, {self.output})"


def nms(
    proposals: str | Path = STANDARD,
    *,
    output: str | Path = STANDARD,
    to: str | None = None,
    show_scores: bool = False,
    method: str | None = None,
    tiou: float | None = None,
    sigma: float | None = None,
    tiou_wide: float | None = None,
    min_score: float | None = None,
    top_k: int | None = None,
    top_k_per_class: int | None = None,
    pre_top_k: int | None = None,
    agnostic: bool | None = None,
    dedup: bool | None = None,
    voting: float | None = None,
    preset: str | None = None,
    jobs: int = 1,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Suppressed:
    """Suppress the proposals of a file into another, as `taltool nms` does; a batch of videos is in memory at a time.

    proposals and output: files, "-" is standard input and output; to: the format of the output, None: as its name says,
    see `taltool.data.formats.output.write_proposals`; show_scores: in subtitles, beside the labels.
    method (a `Method` or its name) to voting are the fields of `Suppression`: None means as the preset says, or without
    one the default; a limit of 0 means none. jobs: threads, 0 one per core; the output is the same for all.

    Raises UsageError where options do not fit each other or name nothing, and DataError where the file is broken,
    soft-width lacks a duration, or a soft method meets a negative score.
    """
    source, target = str(proposals), str(output)
    settings = resolve(
        preset,
        method=method,
        tiou=tiou,
        sigma=sigma,
        tiou_wide=tiou_wide,
        min_score=min_score,
        top_k=top_k,
        top_k_per_class=top_k_per_class,
        pre_top_k=pre_top_k,
        agnostic=agnostic,
        dedup=dedup,
        voting=voting,
    )
    threads = jobs or os.cpu_count() or 1
    # The header of the input is read here, so that the output can begin with what it says.
    with ProposalReader(source) as reader, reporter.track("nms", reader.num_videos) as task:
        chain = [*reader.provenance, step([InputFile.named(source)])] if provenance else None
        read, written, lateness = Count(), Count(task), Lateness()

        def timed(video: VideoProposals) -> VideoProposals:
            lateness.add(video.segments, video.duration)
            return read(video)

        def videos() -> Iterator[VideoProposals]:
            with errors_naming(reader.file):
                yield from map(written, suppress_stream(map(timed, reader), settings, threads))

        content = Proposals(videos(), reader.labels, reader.num_videos, chain)
        write_proposals(content, target, to, FormatOptions(show_scores=show_scores), reporter=reporter)
    if late := lateness.remark("proposals"):
        reporter.warn(f"{reader.file}: {late}")
    return Suppressed(
        videos=written.videos, proposals=read.proposals, kept=written.proposals, settings=settings, output=target
    )


def suppress_stream(videos: Iterable[VideoProposals], settings: Suppression, jobs: int = 1) -> Iterator[VideoProposals]:
    """What suppression leaves of each video, in the order of the input, best first.

    Holds `jobs` + 1 batches in memory. The jobs are threads: NumPy lets go of the interpreter in its loops, and the
    parsing of the next batch runs meanwhile. Raises DataError, naming the video, as `suppress_batch` does.
    """
    read = Count()

    def alike(video: VideoProposals) -> tuple[int, LabelVocabulary | None]:
        """What the videos of a batch have in common: its number, and what their labels are numbers into."""
        return read.proposals // BATCH_SIZE, None if video.labels is None else video.names

    def batches() -> Iterator[tuple[list[VideoProposals], Integers | None]]:
        for (_, names), batch in groupby(map(read, videos), key=alike):
            # The ranks are an array of their own, as reading on may enter new names meanwhile.
            yield list(batch), None if names is None else names.alphabetical_ranks()

    if jobs == 1:
        for together, ranks in batches():
            yield from _suppress(together, ranks, settings)
        return
    with ThreadPoolExecutor(jobs) as threads:
        for left in parallel_map(threads, lambda batch: _suppress(*batch, settings), batches(), most=jobs):
            yield from left


def _suppress(videos: list[VideoProposals], ranks: Integers | None, settings: Suppression) -> list[VideoProposals]:
    """What is left of each video.

    ranks (K,): the alphabetical place of each label, None where there are no labels. Ties compare labels by name, so
    that the answer does not depend on the order in which names arrived.
    """
    labels = [video.labels for video in videos if video.labels is not None]
    candidates = ProposalBatch(
        segments=np.concatenate([video.segments for video in videos]),  # (N, 2) seconds
        scores=np.concatenate([video.scores for video in videos]),
        videos=np.repeat(np.arange(len(videos)), [len(video) for video in videos]),
        classes=None if ranks is None else ranks[np.concatenate(labels)],
        durations=np.array([np.nan if video.duration is None else video.duration for video in videos]),
        video_ids=[video.video_id for video in videos],
    )
    kept, scores = suppress_batch(candidates, settings)  # (K,), by video and best first
    segments = candidates.segments[kept]
    if settings.voting is not None:
        segments = vote(candidates, kept, settings.voting, settings.agnostic)
    # Where the candidates of a video begin in the batch, and where what is left of it begins and ends.
    first = np.searchsorted(candidates.videos, np.arange(len(videos)))
    edges = np.searchsorted(candidates.videos[kept], np.arange(len(videos) + 1))
    result = []
    for number, video in enumerate(videos):
        own = slice(edges[number], edges[number + 1])
        left = video.take(kept[own] - first[number])
        result.append(replace(left, segments=segments[own], scores=scores[own]))
    return result


class Count:
    """Counts videos, and their proposals, as they pass through it: `map(count, videos)`; a task advances with them.

    So a stage says what it read and wrote, though it sees everything once and holds none of it.
    """

    def __init__(self, task: Task | None = None) -> None:
        self.videos = self.proposals = 0
        self._task = task

    def __call__(self, video: VideoProposals) -> VideoProposals:
        """The video itself."""
        self.videos += 1
        self.proposals += len(video)
        if self._task is not None:
            self._task.advance()
        return video


@contextmanager
def errors_naming(file: str) -> Iterator[None]:
    """A block whose data errors begin with the name of the file.

    Reading says itself which file and line is broken; what is found out later, as a negative score, knows the video.
    """
    try:
        yield
    except DataError as error:
        message = str(error)
        raise error if message.startswith(file) else DataError(f"{file}: {message}") from error
