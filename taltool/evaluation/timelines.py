"""Which videos timelines show, the predictions that are kept of each, and where the page finds the video files."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from taltool.data.files import STANDARD
from taltool.data.proposals import ProposalReader
from taltool.data.records import GroundTruth, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.ops.timeline import FIRST_SHOWN, Timeline, prediction_row, truth_row
from taltool.registry import did_you_mean
from taltool.reporting import Reporter
from taltool.video.sources import find


@dataclass(frozen=True, eq=False)
class BestPredictions:
    """What timelines need of a file: the best predictions by video id, and how many there are of every video."""

    best: dict[str, VideoProposals]
    counts: dict[str, int]


def read_best(path: str, asked: Sequence[str], count: Callable[[str], int]) -> BestPredictions:
    """The best `count(video_id)` predictions of each video, or of those asked for; the rest is not kept in memory.

    Raises DataError for a file that is broken.
    """
    best, counts = {}, {}
    with ProposalReader(path, default_score=1.0) as reader:
        for video in reader:
            counts[video.video_id] = len(video)
            if not asked or video.video_id in asked:
                best[video.video_id] = video.take(video.ranking()[: count(video.video_id)])
    return BestPredictions(best, counts)


def usual_count(truth: GroundTruth | None, video_id: str) -> int:
    """How many predictions of a video and file a figure shows: as many as the video has instances, else 20."""
    annotated = truth.videos.get(video_id) if truth else None
    return (0 if annotated is None else len(annotated)) or FIRST_SHOWN


def chosen_videos(
    truth: GroundTruth | None, files: dict[str, BestPredictions], subset: str | None, asked: Sequence[str], where: str
) -> list[str]:
    """The ids of the videos to show: those asked for, or all that have predictions.

    With a ground truth: those of its subset and those that it does not know, videos with instances first; without
    predictions, those of its subset that have instances. `where` names the files for DataError, which is raised for a
    video that is nowhere, and where no video is left.
    """
    annotated = {} if truth is None else truth.videos
    predicted = {video_id: None for file in files.values() for video_id in file.counts}
    for video_id in asked:
        if video_id not in annotated and video_id not in predicted:
            close = did_you_mean(video_id, [*annotated, *predicted])
            raise DataError(f"{where}: no video '{video_id}'{close}")
    if asked:
        return list(dict.fromkeys(asked))
    found = list(predicted)
    if truth is not None:
        part = truth.subset(subset).videos
        with_instances = [video_id for video_id, video in part.items() if len(video)]
        without = [video_id for video_id, video in part.items() if not len(video)] if files else []
        there = [video_id for video_id in (*with_instances, *without) if not files or video_id in predicted]
        found = there + [video_id for video_id in predicted if video_id not in annotated]
    if not found:
        of = "a video" if truth is None else "a video of the subset" if files else "an instance"
        raise DataError(f"{where}: nothing to draw, no {'prediction of ' if files else ''}{of}")
    return found


def timelines(
    truth: GroundTruth | None,
    files: dict[str, BestPredictions],
    video_ids: Sequence[str],
    count: Callable[[str], int],
) -> list[Timeline]:
    """The timelines of videos; files holds the predictions by the name of their row.

    At most `count(video_id)` predictions of a file are shown.
    """
    found = []
    for video_id in video_ids:
        annotated = truth.videos.get(video_id) if truth else None
        instances = None if truth is None or annotated is None else truth_row(annotated, truth.names.names)
        # A file that lacks the video has an empty row: it found nothing there.
        nothing = VideoProposals(video_id, np.empty((0, 2)), np.empty(0))
        kept = {name: file.best.get(video_id, nothing) for name, file in files.items()}
        rows = [
            prediction_row(name, each, instances, files[name].counts.get(video_id, 0)).top(count(video_id))
            for name, each in kept.items()
        ]
        said = (each.duration for each in kept.values() if each.duration is not None)
        duration = next(said, None) if annotated is None else annotated.duration
        found.append(Timeline(video_id, duration, rows if instances is None else [instances, *rows]))
    return found


def video_addresses(
    page: str, video_files: Sequence[str], video_ids: Sequence[str], reporter: Reporter
) -> dict[str, str]:
    """Where the page finds the videos, by id, relative to its own folder.

    video_files are ID=PATH, or files, folders and patterns as `taltool extract` takes them. The id of a path is the one
    that `extract` gives it, else the longest end of it that is an id of the page; the only file goes with the only
    video. Files of other videos are passed over; where a PATH names no video of the page at all, that is a warning.
    Raises UsageError for a path that is not there, and for two files of one video.
    """
    ids, paths = set(video_ids), dict[str, str]()
    for operand in video_files:
        found = list(_files(operand))
        only = len(found) == len(video_files) == len(ids) == 1
        named = {path: video_ids[0] if only else _known(path, video_id, ids) for video_id, path in found}
        for path, video_id in named.items():
            if video_id is not None and paths.setdefault(video_id, path) != path:
                raise UsageError(f"--video-file: two files of the video '{video_id}', {paths[video_id]} and {path}")
        if not any(video_id is not None for video_id in named.values()):
            theirs = _listed([video_id for video_id, _ in found])
            reporter.warn(
                f"--video-file {operand}: of no video in the page; it is of {theirs}, the page has "
                f"{_listed(video_ids)} (ID=PATH says which)"
            )
    # Like a browser, relpath takes `..` by the letter, whatever symbolic links say.
    folder = "." if page == STANDARD else Path(page).parent
    return {video_id: quote(os.fsencode(os.path.relpath(path, folder))) for video_id, path in paths.items()}


def _files(operand: str) -> Iterator[tuple[str, str]]:
    """The video files that an operand names, as (id, path)."""
    video_id, equals, path = operand.partition("=")
    if equals and not Path(operand).exists():
        if not Path(path).is_file():
            raise UsageError(f"--video-file {operand}: {path} is no file")
        yield video_id, path
        return
    for source in find([operand])[0]:
        # No browser plays a folder of images.
        if not source.is_frame_folder:
            yield source.video_id, source.path


def _known(path: str, video_id: str, ids: set[str]) -> str | None:
    """The id of the page that a file has: its own, or the longest end of its path, without the suffix."""
    parts = Path(path).with_suffix("").parts
    ends = ("/".join(parts[first:]) for first in range(len(parts)))
    return next((each for each in (video_id, *ends) if each in ids), None)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown or "no video file"
