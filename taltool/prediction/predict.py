"""`predict`: trained networks over the videos of a feature file, proposals out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taltool.data.annotations import read_ground_truth
from taltool.data.files import STANDARD
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.data.proposal_writer import Layout, ProposalWriter
from taltool.data.provenance import InputFile, merge_chains, step
from taltool.data.records import GroundTruth, LabelVocabulary
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.experiment.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from taltool.experiment.dataset import chosen_videos, label_videos, list_some, sharded, usable_instances
from taltool.experiment.device import checked_device
from taltool.experiment.sampling import GIBIBYTE
from taltool.models import MODELS
from taltool.prediction.detector import Oracle, VideoFailure, check_features, make_detector
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter

# Ends the word of `--model` that is no checkpoint, but the file that registers a model.
_PYTHON = ".py"


@dataclass(frozen=True)
class Prediction:
    """What `predict` wrote to `output` (- is standard output): so many proposals of so many videos, and what failed."""

    output: str
    videos: int
    proposals: int
    failed: tuple[VideoFailure, ...] = ()

    def __repr__(self) -> str:
        failed = f"; failed: {list_some([each.video_id for each in self.failed])}" if self.failed else ""
        return f"Prediction({self.output}: {self.videos:,} videos, {self.proposals:,} proposals{failed})"


def predict(
    features: str | Path,
    *,
    model: str | Path | Sequence[str | Path],
    output: str | Path = STANDARD,
    to: Layout | None = None,
    subset: str | Sequence[str] | None = None,
    split: str | None = None,
    ground_truth: str | Path | None = None,
    skip_missing: bool = False,
    shard: str | None = None,
    min_score: float | None = None,
    top_k: int | None = None,
    oracle: str | Sequence[str] | None = None,
    batch_size: int = 8,
    cache: float = 0.25,
    device: str = "cpu",
    fps: float | None = None,
    stride: float | None = None,
    window: float | None = None,
    offset: float | None = None,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Prediction:
    """Find actions in the videos of a feature file: all candidates of the model, with scores, unsuppressed.

    model: checkpoints, by path or name, whose networks are averaged; a Python file among them registers their model.
    to: None = as the name of the output says. subset and split choose videos, None = all; ground_truth says what is in
    a subset, and the durations (seconds) of foreign features, whose clock fps, stride, window and offset (frames)
    complete. shard: "I/N", every N-th video from the I-th on. min_score, top_k (proposals of a video, 0 = all): None =
    as the first model was trained. oracle: answers of the model to take from the ground truth. cache: GiB of features
    that stay in memory. Names are a list, or a text with commas.

    Raises PartialFailure, whose `result` is the Prediction, when all else is written, where some videos failed;
    DataError where all did, and for files that are broken or do not fit each other; UsageError for what makes no sense.
    """
    truth = read_ground_truth(str(ground_truth)) if ground_truth else None
    answers = [name.strip() for name in oracle.split(",")] if isinstance(oracle, str) else oracle
    clock = ClockOptions(fps, stride, window, offset)
    with FeatureFile(str(features), clock, truth.durations if truth else None) as file:
        names = subset if subset is None or isinstance(subset, str) else ",".join(subset)
        video_ids = sharded(chosen_videos(file, names, split, truth, skip_missing, reporter), shard)
        device = checked_device(device)
        checkpoints = _load([model] if isinstance(model, str | Path) else model, device, reporter)
        first = checkpoints[0]
        settings = first.experiment.prediction
        if min_score is not None:
            settings = replace(settings, min_score=min_score)
        if top_k is not None:
            settings = replace(settings, top_k=top_k)
        known = _oracle(answers, first, file, video_ids, truth, reporter) if answers else None
        detector = make_detector(checkpoints, file, settings, device, int(cache * GIBIBYTE), known)
        check_features(checkpoints, detector, video_ids, reporter)
        chain = None
        if provenance:
            chain = merge_chains([file.provenance, *(checkpoint.header.provenance for checkpoint in checkpoints)])
            chain.append(step([InputFile.stat(path) for path in (file.path, *(each.path for each in checkpoints))]))
        labels = LabelVocabulary(() if first.model.is_class_agnostic else first.header.classes, complete=True)
        proposals, failed = 0, []
        with (
            ProposalWriter(str(output), labels, chain, layout=to) as writer,
            reporter.track("predict", len(video_ids)) as task,
        ):
            for found in detector.predict(video_ids, batch_size):
                if isinstance(found, VideoFailure):
                    failed.append(found)
                    reporter.warn(found.reason)
                    if found.traceback:
                        reporter.detail(found.traceback)
                else:
                    writer.write(found)
                    proposals += len(found)
                task.advance()
    if failed and len(failed) == len(video_ids):
        raise DataError(f"no video could be predicted; the first: {failed[0].reason}")
    prediction = Prediction(str(output), len(video_ids) - len(failed), proposals, tuple(failed))
    if failed:
        some = list_some([failure.video_id for failure in failed])
        message = f"{len(failed)} of {len(video_ids)} videos failed: {some}; the others are written"
        raise PartialFailure(message, prediction)
    return prediction


def _load(models: Sequence[str | Path], device: str, reporter: Reporter) -> list[Checkpoint]:
    """The checkpoints that these words mean; those that end in .py register models before."""
    words = [str(word) for word in models]
    for word in words:
        if word.endswith(_PYTHON):
            MODELS.load(word)
    checkpoints = []
    for word in words:
        if word.endswith(_PYTHON):
            continue
        checkpoints.append(load_checkpoint(find_checkpoint(word), device))
        if not checkpoints[-1].header.training.get("finished", True):
            reporter.warn(
                f"{checkpoints[-1].path} is of a training that has not ended; train --resume would go on with it"
            )
    if not checkpoints:
        raise UsageError(
            f"--model {' '.join(words)}: says how the network is made; name a checkpoint too: --model FILE"
        )
    return checkpoints


def _oracle(
    answers: Sequence[str],
    checkpoint: Checkpoint,
    file: FeatureFile,
    video_ids: Sequence[str],
    truth: GroundTruth | None,
    reporter: Reporter,
) -> Oracle:
    """The oracle that gives these answers for these videos.

    Raises UsageError for an answer that the model cannot be given, DataError for a video that `truth` does not have.
    """
    known = checkpoint.model.oracles
    for answer in answers:
        if answer not in known:
            there = f"there are: {', '.join(known)}" if known else "it has none"
            raise UsageError(
                f"--oracle {answer}: no answer of this {checkpoint.header.model} can be replaced by that"
                f"{did_you_mean(answer, list(known))} ({there})"
            )
    if truth is None:
        raise UsageError("--oracle needs --ground-truth GT, from which its answers come")
    unknown = [video_id for video_id in video_ids if video_id not in truth.videos]
    if unknown:
        raise DataError(
            f"{truth.file} does not have {len(unknown)} of the {len(video_ids)} videos: {list_some(unknown)}; --oracle "
            "needs the truth of each; choose by --subset"
        )
    truth = truth.only(video_ids)
    usable = usable_instances(truth, file, reporter)
    videos = label_videos(truth, usable, checkpoint.header.classes, reporter, "the oracle")
    reporter.warn(f"--oracle: {', '.join(answers)} from {truth.file}, not from the network")
    return Oracle(tuple(answers), {video.video_id: (video.segments, video.labels) for video in videos})
