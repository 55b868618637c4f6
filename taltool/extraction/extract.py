"""From videos to a feature file: each video by itself, in any order, resumed where an earlier run was stopped."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Computing
from taltool.data.hdf5_features import VideoFeatures
from taltool.data.provenance import Step
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.extraction.assemble import FeatureFileBuilder, refuse_other
from taltool.extraction.encoder import Encoder
from taltool.extraction.lock import exclusive_lock
from taltool.extraction.pipeline import Concurrency, Finished, extract_features
from taltool.extraction.resources import Resources
from taltool.extraction.resume import PartialResults, sources_in, videos_left_to_extract
from taltool.extraction.settings import ExtractionSettings
from taltool.extraction.weights import make_backbone
from taltool.extraction.worker_pool import imap_unordered
from taltool.reporting import SILENT, Reporter
from taltool.video.sources import VideoSource

__all__ = ["ExtractionSettings", "Resources", "extract", "extract_video"]
# Videos whose snippets may share a batch, where networks run in batches.
_MOST_TOGETHER = 32
_CHUNKS_PER_PROCESS = 4


@lru_cache(maxsize=1)
def encoder(settings: ExtractionSettings, computing: Computing, batch: int = 0) -> Encoder:
    """The encoder of `settings`; a process that works on many videos makes it once."""
    kind = BACKBONES.load(settings.backbone)
    weights = settings.weights or (None,) * len(settings.streams)
    backbones = [
        make_backbone(kind, settings.config, stream, chosen, computing)
        for stream, chosen in zip(settings.streams, weights, strict=True)
    ]
    preferred = 0 if computing.device.startswith("cpu") else max(backbone.batch for backbone in backbones)
    return Encoder(backbones, settings.flow, settings.windows, batch or preferred)


@lru_cache(maxsize=1)
def _channels(settings: ExtractionSettings) -> dict[str, tuple[int, int]]:
    """The channels of each stream; raises UsageError where the backbone cannot take such snippets."""
    kind = BACKBONES.load(settings.backbone)
    unprepared = [kind(settings.config, stream) for stream in settings.streams]
    return Encoder(unprepared, settings.flow, settings.windows, batch=1).streams


def extract_video(
    source: VideoSource, settings: ExtractionSettings, resources: Resources = Resources()
) -> VideoFeatures:
    """The features of one video, with its clock; the attribute `problem` tells what of it could not be decoded.

    Raises DataError where it cannot be read, and where it changes while it is read.
    """
    finished = _ExtractionTask(settings, resources, resources.concurrency(1)).alone(source)
    if finished.features is None:
        raise DataError(finished.error or "was not read")
    return finished.features


@dataclass(frozen=True)
class Outcome:
    """What became of one video: `error` says why there are no features, `problem` what is missing of them, `trace`
    where an error was that nobody foresaw."""

    source: VideoSource
    error: str | None = None
    problem: str | None = None
    trace: str | None = None


@dataclass(frozen=True)
class _ExtractionTask:
    """What one of the processes does with some videos; picklable."""

    settings: ExtractionSettings
    resources: Resources
    concurrency: Concurrency
    output: str = ""

    def __call__(self, sources: Sequence[VideoSource], number: int) -> list[Outcome]:
        partial_results = PartialResults(self.output, self.settings.record())
        return [_saved(finished, partial_results) for finished in self.finished(sources, number)]

    def alone(self, source: VideoSource) -> Finished:
        """What becomes of one video, on the first device."""
        return next(self.finished([source], 0))

    def finished(self, sources: Sequence[VideoSource], number: int) -> Iterator[Finished]:
        """Yield what becomes of each video in the process of this number (from 0)."""
        device = self.resources.devices[number % len(self.resources.devices)]
        computing = Computing(device, self.settings.precision, self.resources.compile)
        made = encoder(self.settings, computing, self.resources.batch)
        return extract_features(sources, self.settings, made, self.concurrency)


def _saved(finished: Finished, partial_results: PartialResults) -> Outcome:
    if finished.features is None:
        return Outcome(finished.source, error=finished.error, trace=finished.trace)
    partial_results.save(finished.features)
    return Outcome(finished.source, problem=finished.features.attributes.get("problem"))


def extract(
    sources: Iterable[VideoSource],
    output: str,
    settings: ExtractionSettings,
    resources: Resources = Resources(),
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
    streams = _channels(settings)
    if resources.engine == "local":
        for device in resources.devices:
            Computing(device, settings.precision, resources.compile)  # Refuses what cannot be computed.
    refuse_other(output, settings)
    with exclusive_lock(PartialResults.folder_of(output), output, reporter):
        refuse_other(output, settings)
        earlier, partial_results = sources_in(output), PartialResults(output, settings.record())
        todo = videos_left_to_extract(sources, earlier, partial_results)
        if len(todo) < len(sources):
            reporter.note(f"{len(sources) - len(todo)} of {len(sources)} videos are done already")
        failed = _report_outcomes(_outcomes(todo, settings, output, resources), len(todo), reporter)
        finished = FeatureFileBuilder(output, partial_results, settings, streams, provenance).complete(earlier)
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
    todo: list[VideoSource], settings: ExtractionSettings, output: str, resources: Resources
) -> Iterator[Outcome]:
    """Extract videos into the partial results; yield what became of each."""
    if resources.engine != "local":
        yield from _on_cluster(todo, settings, output, resources)
        return
    processes = resources.processes(len(todo))
    size = min(_MOST_TOGETHER, len(todo) // (processes * _CHUNKS_PER_PROCESS)) if resources.batches else 1
    chunks = [todo[first : first + max(1, size)] for first in range(0, len(todo), max(1, size))]
    yield from imap_unordered(
        _ExtractionTask(settings, resources, resources.concurrency(processes), output), chunks, processes, _died
    )


def _on_cluster(
    todo: list[VideoSource], settings: ExtractionSettings, output: str, resources: Resources
) -> Iterator[Outcome]:
    from taltool.extraction.ray_cluster import RayCluster

    partial_results = PartialResults(output, settings.record())
    # A task is given one processor.
    work = _ExtractionTask(settings, resources, Concurrency(patience=resources.patience))
    with RayCluster(resources.engine.partition(":")[2]) as cluster:
        for source, finished in cluster.imap_unordered(work.alone, todo, resources.batches):
            yield _died(source) if finished is None else _saved(finished, partial_results)


def _report_outcomes(outcomes: Iterable[Outcome], total: int, reporter: Reporter) -> list[Outcome]:
    """Tell of each video; return those that failed."""
    failed = []
    with reporter.track("extract", total=total) as task:
        for outcome in outcomes:
            where = f"video '{outcome.source.video_id}' ({outcome.source.path})"
            if outcome.error:
                reporter.warn(f"{where} failed: {outcome.error}")
                if outcome.trace:
                    reporter.detail(outcome.trace)
                failed.append(outcome)
            elif outcome.problem:
                reporter.warn(f"{where} {outcome.problem}")
            task.advance(1)
    return sorted(failed, key=lambda outcome: outcome.source.video_id)


def _died(source: VideoSource) -> Outcome:
    return Outcome(source, error="the process that read it died (out of memory, or a fault in a decoder)")
