"""What `predict` is given, where it is a feature file; of videos see `.video_input`, which is used alike.

`features` is where a detector reads, `predictions` are what it finds in some of the videos, `step` is what the chain of
its output says of them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from taltool.data.containers import VIDEO_SUFFIXES, container_name
from taltool.data.feature_checks import compare_clocks
from taltool.data.files import STANDARD, peek
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.data.provenance import Chain, InputFile, Step, step
from taltool.data.records import GroundTruth, VideoProposals
from taltool.errors import UsageError
from taltool.experiment.checkpoint import Checkpoint
from taltool.prediction.compatibility import check_extraction, check_features, check_kind
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

    def __init__(
        self,
        path: str,
        checkpoints: Sequence[Checkpoint],
        clock: ClockOptions,
        truth: GroundTruth | None,
        cache_bytes: int,
    ) -> None:
        self.features = FeatureFile(path, clock, truth.durations if truth else None)
        self.cache_bytes, self._checkpoints = cache_bytes, checkpoints

    @property
    def chain(self) -> Chain:
        """The steps that made the file."""
        return self.features.provenance

    def check(self, detector: Detector, video_ids: Sequence[str], force: bool, reporter: Reporter) -> None:
        """Raise DataError where the features are not what the networks learnt from, see `.compatibility`, or their
        clock cannot be what the user said.

        Raises UsageError where they learnt from frames and these are features, or the other way.
        """
        check_kind(self._checkpoints, detector, video_ids)
        file = self.features
        for hint in file.hints():
            reporter.warn(f"{file.path}: {hint}")
        is_said = bool(file.clock_options.given())
        compare_clocks(file, video_ids, file.path, reporter, durations=file.durations, is_said=is_said)
        check_extraction(self._checkpoints, self.features.extraction, self.features.path, force, reporter)
        check_features(self._checkpoints, detector, video_ids, reporter)

    def predictions(
        self, detector: Detector, video_ids: Sequence[str], batch_size: int, reporter: Reporter
    ) -> Iterator[VideoProposals | VideoFailure]:
        """The proposals of each video, in this order."""
        return detector.predict(video_ids, batch_size)

    def step(self, videos: int) -> Step:
        """The step of a prediction."""
        return step([InputFile.stat(path) for path in (self.features.path, *(each.path for each in self._checkpoints))])
