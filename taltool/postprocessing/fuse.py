"""Fusing files of proposals: their streams are merged video by video.

`fuse` is the command: files in and out. `fuse_videos` is for proposals in memory, `align_streams` brings the videos of
several sources together.

The way of a video: its proposals from every file that has it (`Parts`) are numbered into one vocabulary of labels,
their scores are calibrated and weighted (`taltool.postprocessing.fusion_weights` says by what), and
`taltool.ops.fusion` makes one set of them. A video that a file lacks is fused from the others, and counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from pathlib import Path

import numpy as np
import orjson

from taltool.data.files import STANDARD, open_output
from taltool.data.formats.contract import FormatOptions, Proposals
from taltool.data.formats.output import write_proposals
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import InputFile, merge_chains, step
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.ops.fusion import Fusion, Source, fuse_batch
from taltool.ops.method_names import FusionMethod
from taltool.ops.nms import ProposalBatch
from taltool.ops.nms_settings import Method, Suppression, choice
from taltool.ops.protocols import parse_thresholds
from taltool.postprocessing import fusion_weights
from taltool.postprocessing.nms import BATCH_SIZE, Count
from taltool.postprocessing.shelf import Shelf
from taltool.reporting import SILENT, Reporter

# A video: its proposals from each source, None where a source lacks it.
Parts = Sequence[VideoProposals | None]


@dataclass(frozen=True)
class Fused:
    """What `fuse` did: how many videos, proposals of all files before, and of the fusion after (kept).

    missing: for each file the number of videos that only others have. settings: with the weights and calibrations that
    were given or fitted; average_map: what the fit reached on its videos, None without one.
    """

    videos: int
    proposals: int
    kept: int
    missing: tuple[int, ...]
    settings: Fusion
    average_map: float | None
    output: str

    def __repr__(self) -> str:
        weights = ", ".join(f"{source.weight:.3g}" for source in self.settings.sources)
        fitted = "" if self.average_map is None else f", fitted to average mAP {self.average_map:.5f}"
        made = f"{self.videos:,} videos: {self.proposals:,} proposals -> {self.kept:,} kept"
        return f"Fused({made}, {self.settings.method.value} with weights {weights}{fitted}, {self.output})"


def fuse(
    *proposals: str | Path,
    output: str | Path = STANDARD,
    to: str | None = None,
    show_scores: bool = False,
    method: str = FusionMethod.union,
    weights: str | Path | Sequence[float] | None = None,
    fit: str | Path | None = None,
    subset: str | None = None,
    split: str | None = None,
    map_tiou: str | Sequence[float] = "0.3:0.7:0.1",
    save_fit: str | Path | None = None,
    tiou: float = 0.4,
    sigma: float = 0.5,
    suppress: bool = True,
    top_k: int = 0,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Fused:
    """Fuse two or more files of proposals of the same videos into one, as `taltool fuse` does.

    The files are read in step, and what is ahead in one of them waits on disk, so that memory holds a batch of videos.
    A fit, and the method rank, read the files once more beforehand.

    proposals and output: files, "-" (for one of them) is standard input, and output; to: the format of the output,
    None: as its name says, see `taltool.data.formats.output.write_proposals`; show_scores: in subtitles, beside the
    labels. method: a `FusionMethod` or its name; tiou belongs to wbf, sigma and suppress to union and
    rank. weights: a number above 0 for each file, the same as text ("1,0.5"), or a file that save_fit wrote; None: 1.
    fit: a ground truth, on the videos of its `subset` (of `split`, "FILE:NAME") the weights and calibrations are fitted
    by average mAP over the thresholds map_tiou, numbers or their text. top_k: keep so many of each video, 0 all.

    Raises UsageError where options do not fit each other, and DataError where a file is broken, scores are negative, or
    some proposals of a video have labels and others have none.
    """
    paths = [str(path) for path in proposals]
    how = choice(FusionMethod, method, "--method")
    suppression = Suppression(Method.soft_gaussian, sigma=sigma) if suppress else None
    settings = Fusion(tuple(Source() for _ in paths), how, tiou, suppression)
    if top_k < 0:
        raise UsageError(f"--top-k {top_k}: expected 0 or more")
    if len(paths) < 2:
        raise UsageError("fuse needs at least two files of proposals")
    if paths.count(STANDARD) > 1:
        raise UsageError("standard input (-) can be only one of the files")
    if weights is not None and fit is not None:
        raise UsageError("--weights and --fit exclude each other")
    if save_fit and fit is None:
        raise UsageError("--save-fit needs --fit")
    # What a source's scores are worth: as given, as fitted, or all the same.
    average_map = None
    if weights is not None:
        settings = replace(
            settings, sources=fusion_weights.given(str(weights) if isinstance(weights, Path) else weights, paths, how)
        )
    if fit is not None:
        text = map_tiou if isinstance(map_tiou, str) else ",".join(map(str, map_tiou))
        tious = parse_thresholds(text, "--map-tiou").values
        settings, average_map = fusion_weights.fitted(
            settings, paths, str(fit), subset=subset, split=split, tious=tious, reporter=reporter
        )
    elif how is FusionMethod.rank and not settings.sources[0].calibration.before:
        settings = replace(settings, sources=fusion_weights.ranked(settings.sources, paths))
    described = fusion_weights.record(settings)
    if save_fit:
        with open_output(str(save_fit)) as stream:
            stream.write(orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    reads = [Count() for _ in paths]
    with ExitStack() as stack:
        readers = [stack.enter_context(ProposalReader(path)) for path in paths]
        chain = None
        if provenance:  # What several files have in common of their past is told once.
            before = merge_chains(reader.provenance for reader in readers)
            chain = [*before, step(map(InputFile.named, paths), fusion=described)]
        names = _names(readers)
        promised = [reader.num_videos for reader in readers if reader.num_videos is not None]
        written = Count(stack.enter_context(reporter.track("fuse", max(promised, default=None))))
        aligned = align_streams([map(read, reader) for read, reader in zip(reads, readers, strict=True)])
        fused = fuse_videos(aligned, names, settings)
        kept = (written(video.take(np.arange(len(video))[: top_k or None])) for video in fused)
        content = Proposals(kept, names, provenance=chain)
        write_proposals(content, str(output), to, FormatOptions(show_scores=show_scores), reporter=reporter)
    missing = tuple(written.videos - read.videos for read in reads)
    for path, count in zip(paths, missing, strict=True):
        if count:
            reporter.warn(f"{path} lacks {count} of the videos that other files have; they are fused without it")
    return Fused(
        videos=written.videos,
        proposals=sum(read.proposals for read in reads),
        kept=written.proposals,
        missing=missing,
        settings=settings,
        average_map=average_map,
        output=str(output),
    )


def _names(readers: Sequence[ProposalReader]) -> LabelVocabulary:
    """All classes of all headers; none yet if a reader does not know its classes beforehand.

    The header of the output lists them, which can be written at once only where they are complete.
    """
    if not all(reader.labels.complete or len(reader.labels) for reader in readers):
        return LabelVocabulary()
    complete = all(reader.labels.complete for reader in readers)
    return LabelVocabulary((name for reader in readers for name in reader.labels), complete=complete)


def align_streams(readers: Sequence[Iterable[VideoProposals]]) -> Iterator[Parts]:
    """For each video its proposals from each reader, None where a reader lacks it; first come, first out.

    One video of each reader is read in turn. A video is held back until every reader has delivered it or has ended, and
    what waits lies on disk: files in the same order wait for nothing, in opposite order half of each is laid down.
    """
    waiting: dict[str, set[int]] = {}  # which readers have delivered a video that others have not
    with Shelf() as shelf:

        def joined(key: str, parts: dict[int, VideoProposals]) -> Parts:
            laid = {number: shelf.take((key, number)) for number in waiting.get(key, ())}
            return [(laid | parts).get(number) for number in range(len(readers))]

        for row in zip_longest(*readers):
            # Readers may deliver the same video in the same turn.
            arrived: dict[str, dict[int, VideoProposals]] = {}
            for number, video in enumerate(row):
                if video is not None:
                    arrived.setdefault(video.video_id, {})[number] = video
            for key, parts in arrived.items():
                if len(parts) + len(waiting.get(key, ())) == len(readers):
                    yield joined(key, parts)
                    waiting.pop(key, None)
                    continue
                waiting.setdefault(key, set()).update(parts)
                for number, video in parts.items():
                    shelf.put((key, number), video)
        # Every reader has ended: what still waits is lacking somewhere.
        for key in waiting:
            yield joined(key, {})


def fuse_videos(videos: Iterable[Parts], names: LabelVocabulary, settings: Fusion) -> Iterator[VideoProposals]:
    """Fuse videos, each given as its proposals from every source; a batch of them is in memory at a time.

    `names` numbers the labels of the result and learns new ones. The sources of `settings` are in the order of the
    proposals of a video. Segments are in seconds; of what comes out the best is first. Raises DataError where one
    source has labels and another has none, or scores are negative.
    """
    read = Count()

    def alike(parts: Parts) -> tuple[int, bool]:
        """What the videos of a batch have in common: its number, and whether they are without labels."""
        filled = [read(part) for part in parts if part is not None and len(part)]
        for part in filled:
            if (part.labels is None) != (filled[0].labels is None):
                raise DataError(
                    f"video '{part.video_id}': one file has labels, another has none; use taltool label first"
                )
        for part in filled:
            if part.scores.min() < 0:
                worst = float(part.scores.min())
                raise DataError(f"video '{part.video_id}': score {worst!r} is negative; fuse wants scores from 0 on")
        return read.proposals // BATCH_SIZE, bool(filled) and filled[0].labels is None

    for (_, unlabelled), batch in groupby(videos, key=alike):
        yield from _fused(list(batch), None if unlabelled else names, settings)


def _fused(batch: Sequence[Parts], names: LabelVocabulary | None, settings: Fusion) -> Iterator[VideoProposals]:
    """Fuse the videos of a batch; names are None where proposals have no labels.

    A duration is that of the first source that knows it. Classes compare in ties by name, so they are numbered by the
    alphabet for `fuse_batch` and back afterwards.
    """
    videos = [[part for part in video if part is not None] for video in batch]
    parts = [part for video in videos for part in video]
    labels = None
    if names is not None:
        numbers = [names.numbered(part.names)[part.labels] for part in parts if part.labels is not None]
        labels = np.concatenate([np.empty(0, np.int64), *numbers])
    shared = LabelVocabulary() if names is None else names
    ranks = shared.alphabetical_ranks()
    candidates = ProposalBatch(
        segments=np.concatenate([part.segments for part in parts]),  # (N, 2) seconds
        scores=np.concatenate([part.scores for part in parts]),
        videos=np.repeat(np.arange(len(videos)), [sum(map(len, video)) for video in videos]),
        classes=None if labels is None else ranks[labels],
        durations=np.full(len(videos), np.nan),
        video_ids=[video[0].video_id for video in videos],
    )
    sources = [number for video in batch for number, part in enumerate(video) if part is not None]
    fused = fuse_batch(candidates, np.repeat(sources, [len(part) for part in parts]), settings)
    labels = None if fused.classes is None else np.argsort(ranks)[fused.classes]
    edges = np.searchsorted(fused.videos, np.arange(len(videos) + 1))
    for number, video in enumerate(videos):
        own = slice(edges[number], edges[number + 1])
        yield VideoProposals(
            video_id=video[0].video_id,
            segments=fused.segments[own],
            scores=fused.scores[own],
            labels=None if labels is None else labels[own],
            names=shared,
            duration=next((part.duration for part in video if part.duration is not None), None),
        )
