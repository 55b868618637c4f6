"""`extract`: videos in, a feature file out; each video by itself, in any order, resumed where an earlier run ended."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from taltool.backbones.contract import Computing
from taltool.data.files import STANDARD
from taltool.data.hdf5_features import VideoFeatures
from taltool.data.locking import exclusive_lock
from taltool.data.provenance import step
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.extraction.assemble import assemble, identities_in, refuse_other
from taltool.extraction.encoder import Encoder
from taltool.extraction.pipeline import Outcome, extract_features
from taltool.extraction.resources import Concurrency, Resources
from taltool.extraction.resume import PartialResults
from taltool.extraction.settings import ExtractionSettings
from taltool.extraction.weights import make_backbone
from taltool.extraction.worker_pool import imap_unordered
from taltool.reporting import SILENT, Reporter
from taltool.video.sources import Shard, VideoSource, find

# Videos whose snippets may share a batch, where networks run in batches.
_MOST_TOGETHER = 32
_CHUNKS_PER_PROCESS = 4


@dataclass(frozen=True)
class Extraction:
    """What `extract` did: `output` holds so many videos, of which so many are new; and which videos failed, and why."""

    output: str
    videos: int
    new: int
    failed: tuple[Outcome, ...] = ()

    def __repr__(self) -> str:
        failed = f"; failed: {', '.join(each.video_id for each in self.failed)}" if self.failed else ""
        return f"Extraction({self.output}: {self.videos:,} videos, {self.new:,} of them new{failed})"


def extract(
    *videos: str | Path | VideoSource,
    output: str | Path,
    preset: str | None = None,
    backbone: str | None = None,
    stream: Literal["rgb", "flow", "both"] | None = None,
    flow: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    offset: int = 0,
    fps: float | str | None = None,
    images_fps: float | None = None,
    set_: str | Sequence[str] = (),
    weights: str | Sequence[str] = (),
    precision: Literal["float32", "bf16", "fp16"] = "float32",
    compile_: bool = False,
    dtype: Literal["float32", "float16"] = "float32",
    device: str = "cpu",
    batch: int = 0,
    shard: str = "1/1",
    engine: str = "local",
    patience: float = 300.0,
    jobs: int = 0,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Extraction:
    """Write the features of all videos to the HDF5 file `output`, which is made, or extended by what it lacks.

    Videos that are there already, unchanged since and made with the same settings, are not read again.

    videos: what `video.sources.find` takes: files, folders, patterns, lists. None in preset, backbone, stream, flow,
    window, stride (frames), fps and images_fps (frames a second) is left to the preset, and then to the backbone; fps
    may also be "own", or "768/video": the whole video as 768 frames, at most at its own rate. set_:
    "backbone.short_side=128" and the like, over all others; weights: FILE, "auto", "random", or "rgb=FILE". batch:
    snippets at once, 0 = what the backbone prefers; shard: "I/N", every N-th video from the I-th on; patience: seconds
    that a video may give nothing, 0 = forever; jobs: cores to use, 0 = all. Processes are started anew: a script calls
    this under `if __name__ == "__main__":`, unless jobs is 1.

    Raises PartialFailure, whose `result` is the Extraction, when all else is written, where videos failed; UsageError
    for what makes no sense, and where another process is writing `output`; DataError for broken files.
    """
    output = str(output)
    if output == STANDARD:
        raise UsageError("features are HDF5, which cannot go through a pipe: give -o FILE.h5")
    resources = Resources.on(device, engine, jobs=jobs, patience=patience, compile=compile_, batch=batch)
    settings = ExtractionSettings.of(
        backbone,
        preset=preset,
        stream=stream,
        flow=flow,
        window=window,
        stride=stride,
        offset=offset,
        fps=fps,
        images_fps=images_fps,
        set_=[set_] if isinstance(set_, str) else set_,
        weights=[weights] if isinstance(weights, str) else weights,
        precision=precision,
        dtype=dtype,
        reporter=reporter,
    )
    if settings.of_frames and (compile_ or batch):
        raise UsageError(f"{'--compile' if compile_ else '--batch'}: frames pass no network; leave it out")
    if settings.of_frames and resources.engine != "local":
        raise UsageError(
            f"--engine {engine}: frames are too large to come back through a cluster; start the command on each "
            "machine with its own --shard I/N"
        )
    part = Shard.parse(shard)
    found = chosen_sources(videos, settings.images_fps, reporter)
    sources = part.part(found)
    if not sources:
        raise UsageError(f"--shard {shard}: there are only {len(found)} videos")
    streams = stream_channels(settings)
    if resources.engine == "local":
        for each in resources.devices:
            Computing(each, settings.precision, resources.compile)  # Refuses what cannot be computed.
    added = step(videos=len(sources), settings=settings.record()) if provenance else None
    refuse_other(output, settings)
    with exclusive_lock(PartialResults.folder_of(output), output, reporter):
        refuse_other(output, settings)
        earlier, partial_results = identities_in(output), PartialResults(output, settings.record())
        todo = [source for source in sources if not _is_done(source, earlier.get(source.video_id), partial_results)]
        if len(todo) < len(sources):
            reporter.note(f"{len(sources) - len(todo)} of {len(sources)} videos are done already")
        failed = []
        with reporter.track("extract", total=len(todo)) as task:
            for outcome in outcomes(todo, settings, resources, output):
                where = f"video '{outcome.video_id}' ({outcome.source.path})"
                if outcome.reason:
                    failed.append(outcome)
                    reporter.warn(f"{where} failed: {outcome.reason}")
                    if outcome.traceback:
                        reporter.detail(outcome.traceback)
                elif outcome.flaws:
                    reporter.warn(f"{where} {outcome.flaws}")
                task.advance(1)
        total = assemble(output, partial_results, earlier, settings, streams, added)
    reporter.note(f"{output}: {total} videos" if total else f"{output} is not written: no video could be read")
    failed.sort(key=lambda outcome: outcome.video_id)
    extraction = Extraction(output, total, len(todo) - len(failed), tuple(failed))
    if failed:
        names = ", ".join(outcome.video_id for outcome in failed)
        raise PartialFailure(f"{len(failed)} of {len(sources)} videos failed: {names}", extraction)
    return extraction


def extract_video(
    source: VideoSource, settings: ExtractionSettings, resources: Resources = Resources()
) -> VideoFeatures:
    """The features of one video, with its clock; the attribute `problem` tells what of it could not be decoded.

    Frames, too, are in memory, all of them.

    Raises DataError where it cannot be read, and where it changes while it is read.
    """
    outcome = _ExtractionTask(settings, resources, resources.concurrency(1)).alone(source)
    if outcome.features is None:
        raise DataError(outcome.reason or "was not read")
    return outcome.features


def chosen_sources(
    videos: Iterable[str | Path | VideoSource], images_fps: float | None, reporter: Reporter
) -> list[VideoSource]:
    """The videos that are named, by id; raises UsageError as `find` does, and for images of which no rate is known."""
    sources, ignored = find(each if isinstance(each, VideoSource) else str(each) for each in videos)
    if ignored:
        reporter.note(f"{len(ignored)} files without the suffix of a video are passed over: {', '.join(ignored[:5])}")
    folders = [source.path for source in sources if source.is_frame_folder]
    if folders and images_fps is None:
        raise UsageError(
            f"{folders[0]} is a folder of images, which do not tell when they were taken: give their rate with "
            "--images-fps (a number for --fps says it too)"
        )
    return sources


@lru_cache(maxsize=1)
def encoder(settings: ExtractionSettings, computing: Computing, batch: int = 0) -> Encoder:
    """The encoder of `settings`; a process that works on many videos makes it once."""
    backbones = [
        make_backbone(each.load(), each.config, stream, weights, computing)
        for each in settings.backbones
        for stream, weights in each.networks()
    ]
    preferred = 0 if computing.device.startswith("cpu") else max(backbone.batch for backbone in backbones)
    return Encoder(backbones, settings.flow, settings.windows, batch or preferred, settings.names)


def stream_channels(settings: ExtractionSettings) -> dict[str, tuple[int, int]]:
    """The channels [first, last) of each stream; raises UsageError where a backbone declares none, or takes no such
    snippets."""
    unprepared = [each.load()(each.config, stream) for each in settings.backbones for stream in each.streams]
    return Encoder(unprepared, settings.flow, settings.windows, 1, settings.names).streams


def _is_done(source: VideoSource, earlier: object, partial_results: PartialResults) -> bool:
    """Whether the features of a video are there; earlier says of what those in the feature file were made."""
    try:
        identity = source.identity()
    except Exception:  # Of any kind: it is told when this video is read.
        return False
    return identity == earlier or identity == partial_results.identity(source.video_id)


def outcomes(
    sources: Sequence[VideoSource],
    settings: ExtractionSettings,
    resources: Resources,
    output: str | None = None,
    spool: Path | None = None,
) -> Iterator[Outcome]:
    """What becomes of each video, in the order in which they are done.

    Features are in the outcome, or, with an `output`, among its partial results. Frames without an output lie in files
    in the folder `spool`, see `extract_features`.
    """
    spool = spool if output is None else PartialResults.folder_of(output)
    task = _ExtractionTask(settings, resources, Concurrency(patience=resources.patience), output, spool)
    if resources.engine != "local":
        yield from _on_cluster(sources, task)
        return
    processes = resources.processes(len(sources))
    size = min(_MOST_TOGETHER, len(sources) // (processes * _CHUNKS_PER_PROCESS)) if resources.batches else 1
    chunks = [sources[first : first + max(1, size)] for first in range(0, len(sources), max(1, size))]
    yield from imap_unordered(replace(task, concurrency=resources.concurrency(processes)), chunks, processes, _died)


def _on_cluster(sources: Sequence[VideoSource], task: "_ExtractionTask") -> Iterator[Outcome]:
    from taltool.extraction.ray_cluster import RayCluster

    resources = task.resources  # A task is given one processor.
    with RayCluster(resources.engine.partition(":")[2]) as cluster:
        for source, outcome in cluster.imap_unordered(replace(task, output=None).alone, sources, resources.batches):
            yield _died(source) if outcome is None else task.kept(outcome)


@dataclass(frozen=True)
class _ExtractionTask:
    """What one of the processes does with some videos; picklable."""

    settings: ExtractionSettings
    resources: Resources
    concurrency: Concurrency
    output: str | None = None
    spool: Path | None = None

    def __call__(self, sources: Sequence[VideoSource], number: int) -> Iterator[Outcome]:
        """Extract videos, in the process of this number (from 0)."""
        return map(self.kept, self._extracted(sources, number))

    def alone(self, source: VideoSource) -> Outcome:
        """What becomes of one video, on the first device."""
        return next(self._extracted([source], 0))

    def _extracted(self, sources: Iterable[VideoSource], number: int) -> Iterator[Outcome]:
        device = self.resources.devices[number % len(self.resources.devices)]
        computing = Computing(device, self.settings.precision, self.resources.compile)
        made = encoder(self.settings, computing, self.resources.batch)
        return extract_features(sources, self.settings, made, self.concurrency, self.spool)

    def kept(self, outcome: Outcome) -> Outcome:
        """The outcome; where there is an output without its features, which are among the partial results then."""
        if outcome.features is None or self.output is None:
            return outcome
        PartialResults(self.output, self.settings.record()).save(outcome.features)
        return replace(outcome, features=None)


def _died(source: VideoSource) -> Outcome:
    return Outcome(
        source,
        reason="the process that read it died (out of memory, a fault in a decoder, or a "
        'script that calls this outside of `if __name__ == "__main__":`)',
    )
