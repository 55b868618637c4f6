"""What `predict` is given: a feature file, or videos, whose features are made in memory and forgotten after use.

Both are used alike: `features` is where a detector reads, `predictions` are what it finds in some of the videos, `step`
is what the chain of its output says of them.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from taltool.data.containers import VIDEO_SUFFIXES, container_name
from taltool.data.files import STANDARD, peek
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.data.memory_features import MemoryFeatures
from taltool.data.provenance import Chain, InputFile, Step, step
from taltool.data.records import GroundTruth, VideoProposals
from taltool.errors import UsageError
from taltool.experiment.checkpoint import Checkpoint
from taltool.extraction.extract import chosen_sources, outcomes, stream_channels
from taltool.extraction.resources import Resources
from taltool.extraction.settings import ExtractionSettings, record_of_streams
from taltool.prediction.compatibility import check_extraction, check_features
from taltool.prediction.detector import Detector, VideoFailure
from taltool.reporting import Reporter
from taltool.video.sources import LIST_SUFFIXES, WILD, VideoSource

Words = Sequence[str | VideoSource]


def feature_file(words: Words) -> str | None:
    """The feature file that the words name; None where they name videos.

    What is told by its content, its suffix or its kind to be no video is taken for a feature file. Raises UsageError
    for more than one, and for one among videos.
    """
    others = [str(word) for word in words if not (isinstance(word, VideoSource) or _means_videos(word))]
    if not others:
        return None
    if len(others) < len(words):
        raise UsageError(f"{others[0]} is no video, but there are videos beside it: give one kind at a time")
    if len(others) > 1:
        raise UsageError(f"{others[1]}: a second feature file; join them: taltool convert {' '.join(others)} -o all.h5")
    return others[0]


def _means_videos(word: str) -> bool:
    """Whether a word is one that `video.sources.find` takes, and no file of another kind."""
    path = Path(word)
    if word == STANDARD or path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES | LIST_SUFFIXES:
        return True
    return container_name(peek(word)) is not None if path.is_file() else "://" in word or bool(WILD & set(word))


class FeatureInput:
    """The videos of a feature file.

    clock completes that of a foreign file, with the durations of a ground truth; cache_bytes of features stay in
    memory.
    """

    def __init__(self, path: str, clock: ClockOptions, truth: GroundTruth | None, cache_bytes: int) -> None:
        self.features = FeatureFile(path, clock, truth.durations if truth else None)
        self.cache_bytes = cache_bytes

    @property
    def chain(self) -> Chain:
        """The steps that made the file."""
        return self.features.provenance

    def check(
        self,
        checkpoints: Sequence[Checkpoint],
        detector: Detector,
        video_ids: Sequence[str],
        force: bool,
        reporter: Reporter,
    ) -> None:
        """Raise DataError where the features are not what the networks learnt from; see `.compatibility`."""
        check_extraction(checkpoints, self.features.extraction, self.features.path, force, reporter)
        check_features(checkpoints, detector, video_ids, reporter)

    def predictions(
        self, detector: Detector, video_ids: Sequence[str], batch_size: int, reporter: Reporter
    ) -> Iterator[VideoProposals | VideoFailure]:
        """The proposals of each video, in this order."""
        return detector.predict(video_ids, batch_size)

    def step(self, checkpoints: Sequence[Checkpoint], videos: int) -> Step:
        """The step of a prediction."""
        return step([InputFile.stat(path) for path in (self.features.path, *(each.path for each in checkpoints))])


class VideoInput:
    """Videos, extracted with the settings that made the features which the first of the checkpoints learnt from.

    Streams that none of the checkpoints uses are not computed. backbone, weights and images_fps are as for
    `ExtractionSettings.from_record`. Raises UsageError where those settings are not known, or cannot be had here, and
    where there are no videos.
    """

    cache_bytes = 0

    def __init__(
        self,
        words: Words,
        checkpoints: Sequence[Checkpoint],
        resources: Resources,
        *,
        backbone: str | None,
        weights: Sequence[str],
        images_fps: float | None,
        reporter: Reporter,
    ) -> None:
        first = checkpoints[0]
        if not first.header.extraction:
            raise UsageError(
                f"{first.path} does not say how the features that it learnt from were made, so none can be made "
                "of videos: extract them in the same way, and predict on the feature file"
            )
        used = [each.experiment.sampling.streams for each in checkpoints]
        streams = set().union(*used) if all(used) else ()
        self.settings = ExtractionSettings.from_record(
            record_of_streams(first.header.extraction, streams),
            first.path,
            backbone=backbone,
            weights=weights,
            images_fps=images_fps,
            reporter=reporter,
        )
        self._resources, self.chain = resources, Chain()
        self._sources = {each.video_id: each for each in chosen_sources(words, self.settings.images_fps, reporter)}
        named = ", ".join(word if isinstance(word, str) else word.path for word in words)
        self.features = MemoryFeatures(list(self._sources), stream_channels(self.settings), named)

    def check(
        self,
        checkpoints: Sequence[Checkpoint],
        detector: Detector,
        video_ids: Sequence[str],
        force: bool,
        reporter: Reporter,
    ) -> None:
        """Raise DataError where other checkpoints than the first learnt from other features."""
        first = checkpoints[0]
        check_extraction(checkpoints[1:], first.header.extraction, f"what {first.path} wants", force, reporter)

    def predictions(
        self, detector: Detector, video_ids: Sequence[str], batch_size: int, reporter: Reporter
    ) -> Iterator[VideoProposals | VideoFailure]:
        """The proposals of each video, in this order, as soon as it and those before it are done.

        A failure also where a video cannot be read.
        """
        failed: list[VideoFailure] = []

        def extracted() -> Iterator[str]:
            for outcome in outcomes([self._sources[each] for each in video_ids], self.settings, self._resources):
                where = f"video '{outcome.video_id}' ({outcome.source.path})"
                if outcome.features is None:
                    failed.append(VideoFailure(outcome.video_id, f"{where}: {outcome.reason}", outcome.traceback or ""))
                    continue
                if outcome.problem:
                    reporter.warn(f"{where} {outcome.problem}")
                self.features.add(outcome.features)
                yield outcome.video_id

        def done() -> Iterator[VideoProposals | VideoFailure]:
            for found in detector.predict(extracted(), batch_size):
                self.features.remove(found.video_id)
                yield from (*failed, found)
                failed.clear()
            yield from failed

        waiting: dict[str, VideoProposals | VideoFailure] = {}
        order = deque(video_ids)
        for each in done():
            waiting[each.video_id] = each
            while order and order[0] in waiting:
                yield waiting.pop(order.popleft())

    def step(self, checkpoints: Sequence[Checkpoint], videos: int) -> Step:
        """The step of a prediction, with how the features were made."""
        files = [InputFile.stat(each.path) for each in checkpoints]
        return step(files, videos=videos, settings=self.settings.record())
