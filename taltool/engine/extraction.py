"""From videos to a feature file: each video by itself, in any order, resumed where an earlier run was stopped."""

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone
from taltool.data.clock import FeatureClock
from taltool.data.features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.provenance import Step
from taltool.engine.spool import Spool
from taltool.engine.workers import each
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.reporting import SILENT, Reporter
from taltool.video.frames import FrameSequence
from taltool.video.sources import VideoSource
from taltool.video.windows import Windows

# What a dataset says beside its clock.
_ATTRIBUTES = frozenset({"num_frames", "problem", "source"})


@dataclass(frozen=True)
class ExtractionSettings:
    """How features are made; two videos belong into one file only if all of this is equal.

    fps is the rate that videos are resampled to, None = their own.
    """

    backbone: str
    config: Any
    windows: Windows
    fps: float | None = None
    dtype: Literal["float32", "float16"] = "float32"

    @classmethod
    def of(
        cls,
        backbone: str = "hog3d",
        window: int | None = None,
        stride: int | None = None,
        offset: int = 0,
        fps: float | None = None,
        dtype: Literal["float32", "float16"] = "float32",
        config: Any = None,
    ) -> "ExtractionSettings":
        """The settings for a backbone; None stands for what it prefers. Raises UsageError for what makes no sense."""
        name = BACKBONES.canonical(backbone)
        kind: type[Backbone] = BACKBONES.load(name)
        if fps is not None and not 0 < fps <= 1000:
            raise UsageError(f"--fps {fps}: must be above 0 and at most 1000 frames a second")
        windows = Windows(kind.window if window is None else window, kind.stride if stride is None else stride, offset)
        return cls(name, config or kind.Config(), windows, kind.fps if fps is None else fps, dtype)

    def record(self) -> str:
        """All of it as JSON: written into the file, and compared when an extraction is continued."""
        facts = {"backbone": self.backbone, "config": asdict(self.config), **asdict(self.windows)}
        return orjson.dumps(facts | {"fps": self.fps, "dtype": self.dtype}, option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(maxsize=1)
def encoder(settings: ExtractionSettings) -> Backbone:
    """The backbone of `settings`; a process that works on many videos makes it once."""
    made: Backbone = BACKBONES.load(settings.backbone)(settings.config)
    return made


def extract_video(source: VideoSource, settings: ExtractionSettings) -> VideoFeatures:
    """The features of one video, with its clock; the attribute `problem` tells what of it could not be decoded.

    Raises DataError where it cannot be read, and where it changes while it is read.
    """
    facts = source.facts()
    backbone = encoder(settings)
    frames = FrameSequence(source.path, backbone.frame_format, settings.fps)
    with np.errstate(over="ignore"):
        values = np.concatenate(list(backbone.encode(frames, settings.windows))).astype(settings.dtype)
    if not np.isfinite(values).all():
        raise DataError(f"its features are not all finite in {settings.dtype}")
    if source.facts() != facts:
        raise DataError("it changed while it was read")
    windows, rate = settings.windows, frames.timeline.fps
    offset = frames.timeline.first * rate + windows.offset
    clock = FeatureClock(rate, float(windows.stride), float(windows.window), offset, frames.duration)
    attributes = {"num_frames": frames.count, "source": orjson.dumps(facts).decode()}
    problem = frames.losses.summary()
    return VideoFeatures(source.video_id, values, clock, attributes | ({"problem": problem} if problem else {}))


@dataclass(frozen=True)
class Outcome:
    """What became of one video: `error` says why there are no features, `problem` what is missing of them."""

    source: VideoSource
    error: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class _Work:
    """What one process does with one video; picklable."""

    settings: ExtractionSettings
    output: str

    def __call__(self, source: VideoSource) -> Outcome:
        try:
            video = extract_video(source, self.settings)
        except (DataError, OSError) as error:
            return Outcome(source, error=str(error))
        Spool(self.output, self.settings.record()).save(video)
        return Outcome(source, problem=video.attributes.get("problem"))


def extract(
    sources: Iterable[VideoSource],
    output: str,
    settings: ExtractionSettings,
    jobs: int = 1,
    provenance: Step | None = None,
    reporter: Reporter = SILENT,
) -> None:
    """Write the features of all sources to `output`, which is made, or extended by what it lacks.

    Videos that are there already, unchanged since and made with the same settings, are not read again. Raises
    PartialFailure, with their names, when videos failed; the others are written then.
    """
    sources = list(sources)
    earlier = _earlier(output, settings)
    spool = Spool(output, settings.record())
    todo = [source for source in sources if not _is_done(source, earlier, spool)]
    if len(todo) < len(sources):
        reporter.note(f"{len(sources) - len(todo)} of {len(sources)} videos are done already")
    failed = _run(todo, settings, output, jobs, reporter)
    finished = _assemble(spool, output, earlier, settings, provenance)
    reporter.note(f"{output}: {finished} videos" if finished else f"{output} is not written: no video could be read")
    if failed:
        names = ", ".join(outcome.source.video_id for outcome in failed)
        raise PartialFailure(f"{len(failed)} of {len(sources)} videos failed: {names}")


def _run(
    todo: list[VideoSource], settings: ExtractionSettings, output: str, jobs: int, reporter: Reporter
) -> list[Outcome]:
    """Extract videos into the spool; return those that failed."""
    failed = []
    with reporter.track("extract", total=len(todo)) as task:
        for outcome in each(_Work(settings, output), todo, max(1, min(jobs, len(todo))), _died):
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


def _earlier(output: str, settings: ExtractionSettings) -> dict[str, dict[str, Any]]:
    """The facts of the source of every video that `output` holds; empty where it is not there.

    Raises UsageError where the file is not ours or was made with other settings.
    """
    if not Path(output).exists():
        return {}
    with FeatureFile(output) as file:
        made = file.attributes.get("settings")
        if made is None:
            raise UsageError(f"{output} is there and was not made by this command; give another name with -o")
        if made != settings.record():
            raise UsageError(
                f"{output} was made with other settings ({made}; now {settings.record()}); give another name with -o, "
                "or remove the file"
            )
        return {video_id: orjson.loads(file.video_attributes(video_id)["source"]) for video_id in file.ids}


def _is_done(source: VideoSource, earlier: Mapping[str, Mapping[str, Any]], spool: Spool) -> bool:
    try:
        facts = source.facts()
    except DataError:
        return False
    if earlier.get(source.video_id) == facts:
        return True
    waiting = spool.load(source.video_id)
    return waiting is not None and orjson.loads(waiting.attributes["source"]) == facts


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
        writer = close.enter_context(FeatureWriter(str(whole), facts, encoder(settings).streams, chain))
        for video_id in sorted(new.union(old.ids if old else [])):
            writer.write(_finished(video_id, new, spool, old, settings))


def _finished(
    video_id: str, new: set[str], spool: Spool, old: FeatureFile | None, settings: ExtractionSettings
) -> VideoFeatures:
    if video_id in new or old is None:
        video = spool.load(video_id)
        if video is None:
            raise DataError(f"{spool.folder}: video '{video_id}' vanished; run the command again")
    else:
        attributes = {name: value for name, value in old.video_attributes(video_id).items() if name in _ATTRIBUTES}
        values = old.read(video_id).astype(settings.dtype)
        video = VideoFeatures(video_id, values, old.clock(video_id), attributes)
    # The same order in every run: HDF5 keeps the order in which attributes were made.
    return replace(video, attributes=dict(sorted(video.attributes.items())))
