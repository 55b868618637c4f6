"""Ground truth in place of some of a network's answers: what a perfect part of it would bring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taltool.data.hdf5_features import FeatureFile
from taltool.data.records import GroundTruth
from taltool.errors import DataError, UsageError
from taltool.experiment.batches import SegmentsAndLabels
from taltool.experiment.dataset import label_videos, list_some, usable_instances
from taltool.models.contract import Model, Outputs, Targets
from taltool.registry import did_you_mean
from taltool.reporting import Reporter


@dataclass(frozen=True, eq=False)
class Oracle:
    """The answers, some of `Model.oracles`, that are taken from the `instances` of each video id: segments (M, 2) in
    seconds, and labels (M,) by the network's numbers."""

    answers: tuple[str, ...]
    instances: Mapping[str, SegmentsAndLabels]

    def outputs(self, model: Model, outputs: Outputs, targets: Sequence[Targets]) -> Outputs:
        """The outputs of B samples corrected by the targets of each."""
        every = Targets([own.segments[0] for own in targets], [own.labels[0] for own in targets])
        return model.with_truth(outputs, every, self.answers)


def check_answers(answers: Sequence[str], name: str, model: Model) -> None:
    """Raise UsageError, naming those that it has, for an answer that the model `name` cannot be given."""
    for answer in answers:
        if answer not in model.oracles:
            there = f"there are: {', '.join(model.oracles)}" if model.oracles else "it has none"
            hint = did_you_mean(answer, list(model.oracles))
            raise UsageError(f"--oracle {answer}: no answer of this {name} can be replaced by that{hint} ({there})")


def make_oracle(
    answers: Sequence[str],
    truth: GroundTruth,
    file: FeatureFile,
    video_ids: Sequence[str],
    classes: Sequence[str],
    reporter: Reporter,
) -> Oracle:
    """The oracle that knows these videos; raises DataError for one that the ground truth does not have."""
    unknown = [video_id for video_id in video_ids if video_id not in truth.videos]
    if unknown:
        raise DataError(
            f"{truth.file} does not have {len(unknown)} of the {len(video_ids)} videos: {list_some(unknown)}; --oracle "
            "needs the truth of each; choose by --subset"
        )
    known = truth.only(video_ids)
    videos = label_videos(known, usable_instances(known, file, reporter), classes, reporter, "the oracle")
    reporter.warn(f"--oracle: {', '.join(answers)} from {truth.file}, not from the network")
    return Oracle(tuple(answers), {video.video_id: (video.segments, video.labels) for video in videos})
