"""What `predict` is given, where it is videos: their features are made in memory and forgotten after use.

Frames, of which a video has too many for the memory, lie in a file of a temporary folder meanwhile. It is used like a
feature file, see `.feature_input`.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from taltool.data.memory_features import MemoryFeatures
from taltool.data.provenance import Chain, InputFile, Step, step
from taltool.data.records import VideoProposals
from taltool.errors import UsageError
from taltool.experiment.checkpoint import Checkpoint
from taltool.experiment.dataset import list_some
from taltool.extraction.extract import chosen_sources, outcomes, stream_channels
from taltool.extraction.resources import Resources
from taltool.extraction.settings import ExtractionSettings
from taltool.prediction.compatibility import check_extraction, check_paces, record_of_streams
from taltool.prediction.detector import Detector, VideoFailure
from taltool.reporting import Reporter
from taltool.video.sources import VideoSource


class VideoInput:
    """Videos, extracted with the settings that made the features which the first of the checkpoints learnt from.

    Streams that none of the checkpoints uses are not computed. device, jobs and patience are as for `extract`, and
    backbone, weights and images_fps as for `ExtractionSettings.from_record`. Raises UsageError where those settings are
    not known, or cannot be had here, and where there are no videos.
    """

    cache_bytes = 0

    def __init__(
        self,
        words: Sequence[str | VideoSource],
        checkpoints: Sequence[Checkpoint],
        device: str,
        *,
        jobs: int,
        patience: float,
        backbone: str | None,
        weights: Sequence[str],
        images_fps: float | None,
        reporter: Reporter,
    ) -> None:
        self._checkpoints, first = checkpoints, checkpoints[0]
        if not first.header.extraction:
            raise UsageError(
                f"{first.path} does not say how the features that it learnt from were made, so none can be made "
                "of videos: extract them in the same way, and predict on the feature file"
            )
        used = [each.experiment.sampling.streams for each in checkpoints]
        streams = set().union(*used) if all(used) else ()
        record = record_of_streams(first.header.extraction, streams)
        for wanted in (record, first.header.extraction):
            self.settings = ExtractionSettings.from_record(
                wanted, first.path, backbone=backbone, weights=weights, images_fps=images_fps, reporter=reporter
            )
            # A network that is alone calls its stream otherwise than beside others.
            if set(streams) <= stream_channels(self.settings).keys():
                break
        self._resources, self.chain = Resources.on(device, "local", jobs=jobs, patience=patience), Chain()
        self._sources = {each.video_id: each for each in chosen_sources(words, self.settings.images_fps, reporter)}
        named = list_some([word if isinstance(word, str) else word.path for word in words])
        streams_of = stream_channels(self.settings)
        self.features = MemoryFeatures(list(self._sources), streams_of, named, self.settings.of_frames)

    def check(self, detector: Detector, video_ids: Sequence[str], force: bool, reporter: Reporter) -> None:
        """Raise DataError where other checkpoints than the first learnt from other features."""
        first, *others = self._checkpoints
        check_extraction(others, first.header.extraction, f"what {first.path} was trained on", force, reporter)

    def predictions(
        self, detector: Detector, video_ids: Sequence[str], batch_size: int, reporter: Reporter
    ) -> Iterator[VideoProposals | VideoFailure]:
        """The proposals of each video, in this order, as soon as it and those before it are done.

        A failure also where a video cannot be read.
        """
        failed: list[VideoFailure] = []
        paces: dict[str, float] = {}

        def extracted() -> Iterator[str]:
            sources = [self._sources[each] for each in video_ids]
            for outcome in outcomes(sources, self.settings, self._resources, spool=self.features.folder):
                where = f"video '{outcome.video_id}' ({outcome.source.path})"
                if outcome.features is None:
                    failed.append(VideoFailure(outcome.video_id, f"{where}: {outcome.reason}", outcome.traceback or ""))
                    continue
                if outcome.flaws:
                    reporter.warn(f"{where} {outcome.flaws}")
                paces[outcome.video_id] = outcome.features.clock.seconds_per_snippet
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
        check_paces(self._checkpoints[0], paces, self.features.path, reporter)

    def step(self, videos: int) -> Step:
        """The step of a prediction, with how the features were made."""
        files = [InputFile.stat(each.path) for each in self._checkpoints]
        return step(files, videos=videos, settings=self.settings.record())
