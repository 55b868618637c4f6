"""From videos to a feature file: each video by itself, in any order, resumed where an earlier run was stopped."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Computing
from taltool.data.features import FeatureFile, FeatureWriter, VideoFeatures, unlike
from taltool.data.provenance import Step
from taltool.engine.encoding import Encoder
from taltool.engine.extraction_settings import ExtractionSettings
from taltool.engine.locking import held
from taltool.engine.pipeline import Effort, Finished, extracted
from taltool.engine.spool import Spool
from taltool.engine.weights import make
from taltool.engine.workers import available_cores, each
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter
from taltool.video.sources import VideoSource

__all__ = ["ExtractionSettings", "Running", "extract", "extract_video"]

ENGINES = ("local", "ray")
# What a dataset says beside its clock.
_ATTRIBUTES = frozenset({"num_frames", "problem", "source"})
# Videos whose snippets may share a batch, where networks run in batches.
_MOST_TOGETHER = 32
_CHUNKS_PER_PROCESS = 4


@dataclass(frozen=True)
class Running:
    """Where and how hard to work; results depend on device, batch and compile in their last digits, on nothing else.

    jobs: processor cores to use, 0 = all (where devices are not processors: processes, 0 = one per device); devices:
    what processes compute on in turn; batch: snippets encoded at once, 0 = what the backbone prefers; engine: `local`,
    or `ray[:ADDRESS]`; patience (seconds): how long a video may give nothing, 0 = forever.
    """

    jobs: int = 1
    devices: tuple[str, ...] = ("cpu",)
    engine: str = "local"
    patience: float = 300.0
    compile: bool = False
    batch: int = 0

    @classmethod
    def on(cls, device: str, engine: str, **further: Any) -> "Running":
        """What the words of `--device` and `--engine` ask for; further ones are fields of this class.

        Raises UsageError.
        """
        kind, _, _ = engine.partition(":")
        if kind not in ENGINES:
            raise UsageError(f"--engine {engine}: none of {', '.join(ENGINES)}{did_you_mean(kind, list(ENGINES))}")
        # On a cluster the nodes know what they have: each task sees the one device that it is given.
        names = device.split(",")
        devices = tuple(names[:1] if kind == "ray" else [chosen for name in names for chosen in _devices(name)])
        return cls(devices=devices, engine=engine, **further)

    @property
    def batches(self) -> bool:
        """Whether several snippets are encoded at once: processors gain nothing by it."""
        return any(not device.startswith("cpu") for device in self.devices)

    def processes(self, videos: int) -> int:
        """How many processes work on so many videos."""
        wanted = self.jobs or (len(self.devices) if self.batches else available_cores())
        return max(1, min(wanted, videos))

    def effort(self, processes: int) -> Effort:
        """What each of so many processes on this machine does at once."""
        cores = available_cores() if self.batches or not self.jobs else self.jobs
        share = max(1, cores // processes)
        # Of two threads one gathers pictures while the other waits for its GPU.
        return Effort(2 if self.batches else share, share, share if self.batches else 1, self.patience)


def _devices(name: str) -> list[str]:
    """The devices that a word names: `cuda` all of its kind."""
    if name == "cpu":
        return [name]
    import torch

    from taltool.engine.device import checked_device

    checked_device(name)
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if name == "cuda" else [name]


@lru_cache(maxsize=1)
def encoder(settings: ExtractionSettings, computing: Computing, batch: int = 0) -> Encoder:
    """The encoder of `settings`; a process that works on many videos makes it once."""
    kind = BACKBONES.load(settings.backbone)
    weights = settings.weights or (None,) * len(settings.streams)
    backbones = [
        make(kind, settings.config, stream, chosen, computing)
        for stream, chosen in zip(settings.streams, weights, strict=True)
    ]
    preferred = 1 if computing.device.startswith("cpu") else max(backbone.batch for backbone in backbones)
    return Encoder(backbones, settings.flow, batch or preferred)


@lru_cache(maxsize=1)
def _channels(settings: ExtractionSettings) -> dict[str, tuple[int, int]]:
    """The channels of each stream; raises UsageError where the backbone cannot take such snippets."""
    kind = BACKBONES.load(settings.backbone)
    unprepared = Encoder([kind(settings.config, stream) for stream in settings.streams], settings.flow, 1)
    unprepared.check(settings.windows)
    return unprepared.streams


def extract_video(source: VideoSource, settings: ExtractionSettings, running: Running = Running()) -> VideoFeatures:
    """The features of one video, with its clock; the attribute `problem` tells what of it could not be decoded.

    Raises DataError where it cannot be read, and where it changes while it is read.
    """
    finished = _Work(settings, running, running.effort(1)).alone(source)
    if finished.features is None:
        raise DataError(finished.error or "was not read")
    return finished.features


@dataclass(frozen=True)
class Outcome:
    """What became of one video: `error` says why there are no features, `problem` what is missing of them."""

    source: VideoSource
    error: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class _Work:
    """What one of the processes does with some videos; picklable."""

    settings: ExtractionSettings
    running: Running
    effort: Effort
    output: str = ""

    def __call__(self, sources: Sequence[VideoSource], number: int) -> list[Outcome]:
        spool = Spool(self.output, self.settings.record())
        return [_saved(finished, spool) for finished in self.finished(sources, number)]

    def alone(self, source: VideoSource) -> Finished:
        """What becomes of one video, on the first device."""
        return next(self.finished([source], 0))

    def finished(self, sources: Sequence[VideoSource], number: int) -> Iterator[Finished]:
        """Yield what becomes of each video in the process of this number (from 0)."""
        device = self.running.devices[number % len(self.running.devices)]
        computing = Computing(device, self.settings.precision, self.running.compile)
        made = encoder(self.settings, computing, self.running.batch)
        return extracted(sources, self.settings, made, self.effort)


def _saved(finished: Finished, spool: Spool) -> Outcome:
    if finished.features is None:
        return Outcome(finished.source, error=finished.error)
    spool.save(finished.features)
    return Outcome(finished.source, problem=finished.features.attributes.get("problem"))


def extract(
    sources: Iterable[VideoSource],
    output: str,
    settings: ExtractionSettings,
    running: Running = Running(),
    provenance: Step | None = None,
    reporter: Reporter = SILENT,
) -> None:
    """Write the features of all sources to `output`, which is made, or extended by what it lacks.

    Videos that are there already, unchanged since and made with the same settings, are not read again. Raises
    PartialFailure, with their names, when videos failed; the others are written then. Raises UsageError where another
    process is writing `output`.
    """
    sources = list(sources)
    _refuse_unrated(sources, settings)
    _channels(settings)
    for device in running.devices:
        Computing(device, settings.precision, running.compile)  # Refuses what cannot be computed.
    _refuse_other(output, settings)
    with held(Spool.folder_of(output), output, reporter):
        earlier, spool = _earlier(output, settings), Spool(output, settings.record())
        todo = [source for source in sources if not _is_done(source, earlier, spool)]
        if len(todo) < len(sources):
            reporter.note(f"{len(sources) - len(todo)} of {len(sources)} videos are done already")
        failed = _told(_outcomes(todo, settings, output, running), len(todo), reporter)
        finished = _assemble(spool, output, earlier, settings, provenance)
    reporter.note(f"{output}: {finished} videos" if finished else f"{output} is not written: no video could be read")
    if failed:
        names = ", ".join(outcome.source.video_id for outcome in failed)
        raise PartialFailure(f"{len(failed)} of {len(sources)} videos failed: {names}")


def _refuse_unrated(sources: Sequence[VideoSource], settings: ExtractionSettings) -> None:
    folders = [source.path for source in sources if source.is_frame_folder]
    if folders and settings.images_fps is None:
        raise UsageError(
            f"{folders[0]} is a folder of images, which do not tell when they were taken: give their rate with --fps, "
            "or with --images-fps if snippets are to be cut at another one"
        )


def _outcomes(
    todo: list[VideoSource], settings: ExtractionSettings, output: str, running: Running
) -> Iterator[Outcome]:
    """Extract videos into the spool; yield what became of each."""
    if running.engine != "local":
        yield from _on_cluster(todo, settings, output, running)
        return
    processes = running.processes(len(todo))
    size = min(_MOST_TOGETHER, len(todo) // (processes * _CHUNKS_PER_PROCESS)) if running.batches else 1
    pieces = [todo[first : first + max(1, size)] for first in range(0, len(todo), max(1, size))]
    yield from each(_Work(settings, running, running.effort(processes), output), pieces, processes, _died)


def _on_cluster(
    todo: list[VideoSource], settings: ExtractionSettings, output: str, running: Running
) -> Iterator[Outcome]:
    from taltool.engine.ray_cluster import Cluster

    spool = Spool(output, settings.record())
    # A task is given one processor.
    work = _Work(settings, running, Effort(patience=running.patience))
    with Cluster(running.engine.partition(":")[2]) as cluster:
        for source, finished in cluster.each(work.alone, todo, running.batches):
            yield _died(source) if finished is None else _saved(finished, spool)


def _told(outcomes: Iterable[Outcome], total: int, reporter: Reporter) -> list[Outcome]:
    """Tell of each video; return those that failed."""
    failed = []
    with reporter.track("extract", total=total) as task:
        for outcome in outcomes:
            where = f"video '{outcome.source.video_id}' ({outcome.source.path})"
            if outcome.error:
                reporter.warn(f"{where} failed: {outcome.error}")
                failed.append(outcome)
            elif outcome.problem:
                reporter.warn(f"{where} {outcome.problem}")
            task.advance(1)
    return sorted(failed, key=lambda outcome: outcome.source.video_id)


def _died(source: VideoSource) -> Outcome:
    return Outcome(source, error="the process that read it died (out of memory, or a fault in a decoder)")


def _refuse_other(output: str, settings: ExtractionSettings) -> None:
    """Raise UsageError where there is a file that is not ours or was made with other settings."""
    if not Path(output).exists():
        return
    with FeatureFile(output) as file:
        made = file.attributes.get("settings")
    if made is None:
        raise UsageError(f"{output} is there and was not made by this command; give another name with -o")
    if made != settings.record():
        raise UsageError(
            f"{output} was made with other settings (now {unlike(settings.record(), made)}); give another name "
            "with -o, or remove the file"
        )


def _earlier(output: str, settings: ExtractionSettings) -> dict[str, dict[str, Any]]:
    """The facts of the source of every video that `output` holds; empty where it is not there."""
    _refuse_other(output, settings)
    if not Path(output).exists():
        return {}
    with FeatureFile(output) as file:
        return {video_id: orjson.loads(file.video_attributes(video_id)["source"]) for video_id in file.ids}


def _is_done(source: VideoSource, earlier: Mapping[str, Mapping[str, Any]], spool: Spool) -> bool:
    try:
        facts = source.facts()
    except DataError:
        return False
    if earlier.get(source.video_id) == facts:
        return True
    waiting = spool.source(source.video_id)
    return waiting is not None and orjson.loads(waiting) == facts


def _assemble(
    spool: Spool, output: str, earlier: Mapping[str, Any], settings: ExtractionSettings, provenance: Step | None
) -> int:
    """Make `output` of what it held and what waits in the spool, remove the spool; return the number of videos."""
    new = set(spool.ids())
    if new:
        # Written inside the spool, so that a killed run leaves nothing else behind.
        whole = spool.folder / "whole.h5"
        try:
            _write(whole, new, spool, output if earlier else None, settings, provenance)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise DataError(
                f"{output}: cannot be written: {reason}; finished videos wait in {spool.folder}: make room and run the "
                "command again"
            ) from error
        whole.replace(output)
    spool.remove()
    return len(new | earlier.keys())


def _write(
    whole: Path, new: set[str], spool: Spool, earlier: str | None, settings: ExtractionSettings, provenance: Step | None
) -> None:
    with ExitStack() as close:
        old = close.enter_context(FeatureFile(earlier)) if earlier else None
        chain = None if provenance is None else [*(old.provenance if old else []), provenance]
        facts = {"backbone": settings.backbone, "settings": settings.record()}
        writer = close.enter_context(FeatureWriter(str(whole), facts, _channels(settings), chain))
        for video_id in sorted(new.union(old.ids if old else [])):
            writer.write(_finished(video_id, new, spool, old, settings))


def _finished(
    video_id: str, new: set[str], spool: Spool, old: FeatureFile | None, settings: ExtractionSettings
) -> VideoFeatures:
    if video_id in new or old is None:
        video = spool.load(video_id)
        if video is None:
            raise DataError(
                f"{spool.folder}: the features of video '{video_id}' were damaged or removed there: run the command "
                "again, which makes them anew"
            )
    else:
        attributes = {name: value for name, value in old.video_attributes(video_id).items() if name in _ATTRIBUTES}
        values = old.read(video_id).astype(settings.dtype)
        video = VideoFeatures(video_id, values, old.clock(video_id), attributes)
    # The same order in every run: HDF5 keeps the order in which attributes were made.
    return replace(video, attributes=dict(sorted(video.attributes.items())))
