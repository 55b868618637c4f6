"""Fusing files of proposals: merging their streams video by video, and fitting the weights to a ground truth."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import Any

import numpy as np
import orjson

from taltool.data.annotations import read_ground_truth
from taltool.data.arrays import Detections, flatten, scope
from taltool.data.files import STANDARD, open_output, read_bytes
from taltool.data.json_text import parsed_document
from taltool.data.proposal_writer import Layout, ProposalWriter
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import InputFile, merge_chains, step
from taltool.data.records import Integers, LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.ops.fusion import Calibration, Fusion, Source, by_rank, fuse_batch
from taltool.ops.fusion_fit import FitData, fit
from taltool.ops.method_names import FusionMethod
from taltool.ops.nms import ProposalBatch
from taltool.postprocessing.nms import BATCH_SIZE
from taltool.postprocessing.shelf import Shelf
from taltool.reporting import Reporter


@dataclass(frozen=True)
class FitRequest:
    """The ground truth to fit to, which of its videos, and the thresholds of the average mAP."""

    ground_truth: str
    subset: str | None
    split: str | None
    tious: Sequence[float]


@dataclass(frozen=True)
class FuseRequest:
    """What a user asks of `fuse`. weights: one number per file, or the name of a file that a fit was saved to."""

    paths: Sequence[str]
    output: str
    settings: Fusion
    top_k: int | None = None
    weights: str | None = None
    fit: FitRequest | None = None
    save_fit: str | None = None
    with_provenance: bool = True
    layout: Layout | None = None


def fuse_files(request: FuseRequest, reporter: Reporter) -> None:
    """Fuse files into one.

    Reads them in step, and what is ahead in one of them waits on disk, so that memory holds a batch of videos. A fit,
    and the method rank, read the files once more beforehand.
    """
    if len(request.paths) < 2:
        raise UsageError("fuse needs at least two files of proposals")
    if list(request.paths).count(STANDARD) > 1:
        raise UsageError("standard input (-) can be only one of the files")
    settings = _prepared(request, reporter)
    with ExitStack() as stack:
        readers = [stack.enter_context(ProposalReader(path)) for path in request.paths]
        chain = None
        if request.with_provenance:
            before = merge_chains(reader.provenance for reader in readers)
            chain = [*before, step(map(InputFile.named, request.paths), fusion=described(settings))]
        names = _names(readers)
        writer = stack.enter_context(ProposalWriter(request.output, names, chain, layout=request.layout))
        promised = [reader.num_videos for reader in readers if reader.num_videos is not None]
        task = stack.enter_context(reporter.track("fuse", max(promised, default=None)))
        missing = [0] * len(readers)
        for fused in fuse_videos(_counted(align_streams(readers), missing), names, settings):
            writer.write(fused.take(np.arange(len(fused))[: request.top_k]))
            task.advance()
    for path, count in zip(request.paths, missing, strict=True):
        if count:
            reporter.warn(f"{path} lacks {count} of the videos that other files have; they are fused without it")


def align_streams(readers: Sequence[Iterable[VideoProposals]]) -> Iterator[list[VideoProposals | None]]:
    """For each video its proposals from each reader, None where a reader lacks it; first come, first out.

    A video is held back until every reader has delivered it or has ended.
    """
    waiting: dict[str, set[int]] = {}  # which readers have delivered a video that others have not
    with Shelf() as shelf:

        def joined(key: str, parts: dict[int, VideoProposals]) -> list[VideoProposals | None]:
            laid = {number: shelf.take((key, number)) for number in waiting.get(key, ())}
            return [(laid | parts).get(number) for number in range(len(readers))]

        for row in zip_longest(*readers):
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
        for key in waiting:
            yield joined(key, {})


def fuse_videos(
    videos: Iterable[Sequence[VideoProposals | None]], names: LabelVocabulary, settings: Fusion
) -> Iterator[VideoProposals]:
    """Fuse videos, each given as its proposals from every source; a batch of them is in memory at a time.

    `names` numbers the labels of the result and learns new ones. Raises DataError where one source has labels and
    another has none, or scores are negative.
    """
    for unlabelled, alike in groupby(videos, key=_is_unlabelled):
        batch: list[list[tuple[int, VideoProposals]]] = []
        size = 0
        for parts in alike:
            batch.append([(number, part) for number, part in enumerate(parts) if part is not None])
            size += sum(len(part) for _, part in batch[-1])
            if size >= BATCH_SIZE:
                yield from _fused(batch, None if unlabelled else names, settings)
                batch, size = [], 0
        yield from _fused(batch, None if unlabelled else names, settings)


def _is_unlabelled(parts: Sequence[VideoProposals | None]) -> bool:
    filled = [part for part in parts if part is not None and len(part)]
    if len({part.labels is None for part in filled}) > 1:
        raise DataError(f"video '{filled[0].video_id}': one file has labels, another has none; use taltool label first")
    for part in filled:
        if part.scores.min() < 0:
            worst = float(part.scores.min())
            raise DataError(f"video '{part.video_id}': score {worst!r} is negative; fuse wants scores from 0 on")
    return bool(filled) and filled[0].labels is None


def _fused(
    batch: list[list[tuple[int, VideoProposals]]], names: LabelVocabulary | None, settings: Fusion
) -> Iterator[VideoProposals]:
    """Fuse the (source, proposals) of each video; names are None where proposals have no labels."""
    if not batch:
        return
    parts = [part for video in batch for _, part in video]
    durations = [next((part.duration for _, part in video if part.duration is not None), None) for video in batch]
    labels = None if names is None else np.concatenate([_renumbered(part, names) for part in parts])
    ranks = LabelVocabulary().alphabetical_ranks() if names is None else names.alphabetical_ranks()
    candidates = ProposalBatch(
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.repeat(np.arange(len(batch)), [sum(len(part) for _, part in video) for video in batch]),
        None if labels is None else ranks[labels],
        np.full(len(batch), np.nan),
    )
    sources = np.repeat([number for video in batch for number, _ in video], [len(part) for part in parts])
    fused = fuse_batch(candidates, sources, settings)
    classes = None if fused.classes is None else np.argsort(ranks)[fused.classes]
    edges = np.searchsorted(fused.videos, np.arange(len(batch) + 1))
    for number, (video, duration) in enumerate(zip(batch, durations, strict=True)):
        own = slice(edges[number], edges[number + 1])
        own_classes = None if classes is None else classes[own]
        shared = LabelVocabulary() if names is None else names
        yield VideoProposals(
            video[0][1].video_id, fused.segments[own], fused.scores[own], own_classes, shared, duration
        )


def _renumbered(part: VideoProposals, names: LabelVocabulary) -> Integers:
    return np.empty(0, np.int64) if part.labels is None else names.numbered(part.names)[part.labels]


def _names(readers: Sequence[ProposalReader]) -> LabelVocabulary:
    """All classes of all headers; none yet if a reader does not know its classes beforehand."""
    if not all(reader.labels.complete or len(reader.labels) for reader in readers):
        return LabelVocabulary()
    complete = all(reader.labels.complete for reader in readers)
    return LabelVocabulary((name for reader in readers for name in reader.labels), complete=complete)


def _counted(
    videos: Iterable[list[VideoProposals | None]], missing: list[int]
) -> Iterator[list[VideoProposals | None]]:
    """Pass the videos on, and count for each source the videos that it lacks."""
    for parts in videos:
        for number, part in enumerate(parts):
            missing[number] += part is None
        yield parts


def _prepared(request: FuseRequest, reporter: Reporter) -> Fusion:
    """The settings with weights as given or fitted, and with the quantiles of the method rank."""
    settings = replace(request.settings, sources=tuple(Source() for _ in request.paths))
    if request.weights is not None and request.fit is not None:
        raise UsageError("--weights and --fit exclude each other")
    if request.save_fit and request.fit is None:
        raise UsageError("--save-fit needs --fit")
    if request.weights is not None:
        settings = with_weights(settings, request.weights, request.paths)
    if request.fit is not None:
        settings = _fitted(request.paths, request.fit, settings, reporter)
        if request.save_fit:
            with open_output(request.save_fit) as stream:
                stream.write(orjson.dumps(described(settings), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    elif settings.method is FusionMethod.rank and not settings.sources[0].calibration.before:
        settings = replace(settings, sources=tuple(_ranked(request.paths, settings.sources)))
    return settings


def _ranked(paths: Sequence[str], sources: Sequence[Source]) -> Iterator[Source]:
    for path, source in zip(paths, sources, strict=True):
        with _reopened(path) as reader:
            scores = [video.scores for video in reader]
        joined = np.concatenate(scores) if scores else np.empty(0)
        yield replace(source, calibration=by_rank(joined) if len(joined) else Calibration())


def _reopened(path: str) -> ProposalReader:
    if path == STANDARD:
        raise UsageError("a fit and the method rank read each file twice: name a file instead of standard input")
    return ProposalReader(path)


def _fitted(paths: Sequence[str], request: FitRequest, settings: Fusion, reporter: Reporter) -> Fusion:
    truth = read_ground_truth(request.ground_truth, request.split)
    within = scope(truth, request.subset)
    found: list[Detections] = []
    for path in paths:
        with _reopened(path) as reader:
            detections, contents = flatten(reader, within)
        if not contents.labelled:
            raise DataError(f"{path}: --fit measures mAP, and these proposals have no labels; use taltool label first")
        found.append(detections)
    sources = np.repeat(np.arange(len(found)), [len(each) for each in found])
    if not len(sources):
        raise DataError(f"{request.ground_truth}: no file has detections in the videos to fit on; see --subset")
    joined = Detections(
        np.concatenate([each.videos for each in found]),
        np.concatenate([each.labels for each in found]),
        np.concatenate([each.segments for each in found]),
        np.concatenate([each.scores for each in found]),
    )
    # Labels that the ground truth does not know cannot count for or against any fusion.
    order = np.argsort(joined.videos, kind="stable")
    order = order[joined.labels[order] >= 0]
    joined = Detections(joined.videos[order], joined.labels[order], joined.segments[order], joined.scores[order])
    with reporter.track("fit", unit="tries") as task:
        data = FitData(joined, sources[order], within.truth, request.tious)
        best, value = fit(data, settings, lambda _, reached: task.advance(average_mAP=reached))
    weights = ", ".join(f"{path} {source.weight:.3g}" for path, source in zip(paths, best.sources, strict=True))
    how = "calibrated by precision" if best.sources[0].calibration.before else "plain scores"
    how = "quantiles" if best.method is FusionMethod.rank else how
    reporter.note(f"fitted on {len(within.video_ids)} videos: average mAP {value:.5f} with {how}, weights {weights}")
    return best


def described(settings: Fusion) -> dict[str, Any]:
    """What makes the fusion, ready for JSON: the method and each source's weight and calibration."""
    sources = [
        {"weight": source.weight, "before": source.calibration.before, "after": source.calibration.after}
        for source in settings.sources
    ]
    return {"method": settings.method.value, "sources": sources}


def with_weights(settings: Fusion, text: str, paths: Sequence[str]) -> Fusion:
    """The settings with the weights in `text`: "1,0.5", or a file that --save-fit wrote.

    Raises UsageError where the number of weights is not that of the files, or a weight is not a positive number.
    """
    try:
        sources = [Source(float(word)) for word in text.split(",")]
    except ValueError:
        sources = _saved(settings, text)
    if len(sources) != len(paths):
        raise UsageError(f"--weights {text}: {len(sources)} weights for {len(paths)} files")
    if not all(0 < source.weight < np.inf for source in sources):
        raise UsageError(f"--weights {text}: expected positive numbers")
    return replace(settings, sources=tuple(sources))


def _saved(settings: Fusion, path: str) -> list[Source]:
    try:
        saved = parsed_document(read_bytes(path)[0], path)
        method = saved["method"]
        sources = [
            Source(float(each["weight"]), Calibration(tuple(each["before"]), tuple(each["after"])))
            for each in saved["sources"]
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected numbers such as 1,0.5, or a file written by --save-fit: {error}") from error
    if method != settings.method.value:
        raise UsageError(f"--weights {path}: it was fitted for --method {method}, not {settings.method.value}")
    return sources
