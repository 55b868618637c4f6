"""`predict`: trained networks over the videos of a feature file, or over videos themselves, proposals out."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taltool.data.annotations import read_ground_truth
from taltool.data.files import STANDARD
from taltool.data.formats.contract import FormatOptions, Proposals
from taltool.data.formats.output import write_proposals
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.data.provenance import merge_chains
from taltool.data.records import GroundTruth, LabelVocabulary, VideoProposals
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.experiment.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from taltool.experiment.dataset import chosen_videos, label_videos, list_some, sharded, usable_instances
from taltool.experiment.device import checked_device
from taltool.experiment.sampling import GIBIBYTE
from taltool.models import MODELS
from taltool.postprocessing.nms import Count, suppress_stream
from taltool.prediction.detector import Oracle, VideoFailure, make_detector
from taltool.prediction.feature_input import FeatureInput, feature_file
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter
from taltool.video.sources import VideoSource

if TYPE_CHECKING:
    from taltool.prediction.video_input import VideoInput

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
    *inputs: str | Path | VideoSource,
    model: str | Path | Sequence[str | Path],
    output: str | Path = STANDARD,
    to: str | None = None,
    nms: bool = False,
    show_scores: bool = False,
    subset: str | Sequence[str] | None = None,
    split: str | None = None,
    ground_truth: str | Path | None = None,
    skip_missing: bool = False,
    shard: str | None = None,
    min_score: float | None = None,
    top_k: int | None = None,
    oracle: str | Sequence[str] | None = None,
    force: bool = False,
    batch_size: int | None = None,
    cache: float = 0.25,
    device: str = "cpu",
    jobs: int = 0,
    patience: float = 300.0,
    backbone: str | None = None,
    weights: str | Sequence[str] = (),
    images_fps: float | None = None,
    fps: float | None = None,
    stride: float | None = None,
    window: float | None = None,
    offset: float | None = None,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Prediction:
    """Find actions in videos: all candidates of the model, with scores; unsuppressed, unless `nms` is set.

    inputs: a feature file or frame store; or videos, as `extract` takes them, whose features are made in memory as
    those were that the model learnt from, and forgotten. model: checkpoints, by path or name, whose networks are
    averaged; a Python file among them registers their model. to: the format of the output, None = as its name says;
    show_scores: formats for people tell the scores too. nms: suppress as the model's settings say; top_k and min_score
    are of what is left then.

    subset and split choose videos, None = all; ground_truth says what is in a subset, and the durations (seconds) of
    foreign features, whose clock fps, stride, window and offset (frames) complete. shard: "I/N", every N-th video from
    the I-th on. min_score, top_k (proposals of a video, 0 = all): None = as the first model was trained. oracle:
    answers of the model to take from the ground truth. force: go on with features that were made otherwise than those
    of the training. batch_size: samples that the networks see at once; None = 8, of frames 1. cache: GiB of features,
    or frames, that stay in memory. Names are a list, or a text with commas.

    Of videos: jobs are the cores to use, 0 = all; patience (seconds), weights and images_fps as for `extract`; backbone
    is the Python file that registers it. Processes are started anew: a script calls this under
    `if __name__ == "__main__":`, unless jobs is 1.

    Raises PartialFailure, whose `result` is the Prediction, when all else is written, where some videos failed;
    DataError where all did, and for files that are broken or do not fit each other; UsageError for what makes no sense.
    """
    truth = read_ground_truth(str(ground_truth)) if ground_truth else None
    answers = [name.strip() for name in oracle.split(",")] if isinstance(oracle, str) else oracle
    names = subset if subset is None or isinstance(subset, str) else ",".join(subset)
    device = checked_device(device)
    checkpoints = load_checkpoints([model] if isinstance(model, str | Path) else model, device, reporter)
    first = checkpoints[0]
    words = [each if isinstance(each, VideoSource) else str(each) for each in inputs]
    clock = ClockOptions(fps, stride, window, offset)
    given: FeatureInput | VideoInput
    if (path := feature_file(words)) is not None:
        if backbone is not None or weights or images_fps is not None:
            raise UsageError(f"{path} holds features: --backbone, --weights and --images-fps are about videos")
        given = FeatureInput(path, checkpoints, clock, truth, int(cache * GIBIBYTE))
    else:
        if clock.given() or answers:
            raise UsageError("--fps, --stride, --window, --offset and --oracle are about features, these are videos")
        # With it come the decoders and all that extraction has.
        from taltool.prediction import video_input

        given = video_input.VideoInput(
            words,
            checkpoints,
            device,
            jobs=jobs,
            patience=patience,
            backbone=backbone,
            weights=[weights] if isinstance(weights, str) else weights,
            images_fps=images_fps,
            reporter=reporter,
        )
    limits: dict[str, Any] = {
        name: each for name, each in (("min_score", min_score), ("top_k", top_k)) if each is not None
    }
    settings, suppression = first.experiment.prediction, None
    if nms:  # The limits are of what it leaves.
        suppression = replace(first.experiment.nms, **limits | ({"top_k": None} if top_k == 0 else {}))
    else:
        settings = replace(settings, **limits)
    counted, failed = Count(), list[VideoFailure]()
    with given.features as file:
        video_ids = sharded(chosen_videos(file, names, split, truth, skip_missing, reporter), shard)
        known = None
        if answers and isinstance(file, FeatureFile):
            known = _oracle(answers, first, file, video_ids, truth, reporter)
        detector = make_detector(checkpoints, file, settings, device, given.cache_bytes, known)
        given.check(detector, video_ids, force, reporter)
        at_once = batch_size or detector.usual_batch_size

        def proposals() -> Generator[VideoProposals, None, None]:
            with reporter.track("predict", len(video_ids)) as task:
                for found in given.predictions(detector, video_ids, at_once, reporter):
                    if isinstance(found, VideoFailure):
                        failed.append(found)
                        reporter.warn(found.reason)
                        if found.traceback:
                            reporter.detail(found.traceback)
                    else:
                        yield from map(counted, suppress_stream([found], suppression) if suppression else [found])
                    task.advance()
            if failed and not counted.videos:  # Raised here, it leaves what the output was before.
                raise DataError(f"no video could be predicted; the first: {failed[0].reason}")

        chain = None
        if provenance:
            chain = merge_chains([given.chain, *(checkpoint.header.provenance for checkpoint in checkpoints)])
            chain.append(given.step(len(video_ids)) | _seen(checkpoints))
        labels = LabelVocabulary(() if first.model.is_class_agnostic else first.header.classes, complete=True)
        options = FormatOptions(show_scores=show_scores)
        with closing(proposals()) as found_in_videos:  # Where writing fails, reading ends before its files go.
            content = Proposals(found_in_videos, labels, provenance=chain)
            write_proposals(content, str(output), to, options, expected=len(video_ids), reporter=reporter)
    if counted.videos and not counted.proposals:
        floor = suppression.min_score if suppression else settings.min_score
        reporter.warn(f"nothing was found with a score above {floor:g}; a lower --min-score keeps more")
    prediction = Prediction(str(output), counted.videos, counted.proposals, tuple(failed))
    if failed:
        some = list_some([failure.video_id for failure in failed])
        message = f"{len(failed)} of {len(video_ids)} videos failed: {some}; the others are written"
        raise PartialFailure(message, prediction)
    return prediction


def _seen(checkpoints: Sequence[Checkpoint]) -> dict[str, list[str]]:
    """The ids of the videos that have a part in the weights of any of them; see `CheckpointHeader.seen`."""
    seen: dict[str, set[str]] = {}
    for checkpoint in checkpoints:
        for how, video_ids in checkpoint.header.seen.items():
            seen.setdefault(how, set()).update(video_ids)
    return {how: sorted(video_ids) for how, video_ids in seen.items()}


def load_checkpoints(models: Sequence[str | Path], device: str, reporter: Reporter) -> list[Checkpoint]:
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
