"""From what a user asks of `predict` to a stream of proposals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taltool.data.hdf5_features import FeatureFile
from taltool.data.proposal_writer import Layout, ProposalWriter
from taltool.data.provenance import Chain, InputFile, merge_chains, step
from taltool.data.records import GroundTruth, LabelVocabulary
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.experiment.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from taltool.experiment.dataset import chosen_videos, list_some, sharded
from taltool.experiment.device import checked_device
from taltool.prediction.detector import Detector, VideoFailure, check_features, make_detector
from taltool.prediction.oracle import Oracle, check_answers, make_oracle
from taltool.reporting import Reporter


@dataclass(frozen=True)
class PredictRequest:
    """What a user asks of `predict`; None in min_score and top_k means: as the first model was trained.

    oracle: the answers that come from the ground truth instead of the networks.
    """

    models: Sequence[str]
    output: str = "-"
    subset: str | None = None
    split: str | None = None
    shard: str | None = None
    skip_missing: bool = False
    min_score: float | None = None
    top_k: int | None = None
    batch_size: int = 8
    cache_bytes: int = 0
    device: str = "cpu"
    oracle: tuple[str, ...] = ()
    layout: Layout | None = None


def write_predictions(
    request: PredictRequest, file: FeatureFile, truth: GroundTruth | None, with_provenance: bool, reporter: Reporter
) -> None:
    """Write the proposals of the wanted videos; raises PartialFailure, when all others are written, for broken ones."""
    video_ids = chosen_videos(file, request.subset, request.split, truth, request.skip_missing, reporter)
    video_ids = sharded(video_ids, request.shard)
    device = checked_device(request.device)
    checkpoints = [load_checkpoint(find_checkpoint(name), device) for name in request.models]
    for checkpoint in checkpoints:
        if not checkpoint.header.training.get("finished", True):
            reporter.warn(f"{checkpoint.path} is of a training that has not ended; train --resume would go on with it")
    settings = checkpoints[0].experiment.prediction
    if request.min_score is not None:
        settings = replace(settings, min_score=request.min_score)
    if request.top_k is not None:
        settings = replace(settings, top_k=request.top_k)
    oracle = _oracle(request, checkpoints[0], file, video_ids, truth, reporter)
    detector = make_detector(checkpoints, file, settings, device, request.cache_bytes, oracle)
    check_features(checkpoints, detector, video_ids, reporter)
    classes = () if detector.first.model.is_class_agnostic else checkpoints[0].header.classes
    labels = LabelVocabulary(classes, complete=True)
    chain = _chain(file, checkpoints) if with_provenance else None
    with ProposalWriter(request.output, labels, chain, layout=request.layout) as writer:
        failed = _write_all(detector, video_ids, request.batch_size, writer, reporter)
    if failed and len(failed) == len(video_ids):
        raise DataError(f"no video could be predicted; the first: {failed[0].reason}")
    if failed:
        names = list_some([failure.video_id for failure in failed])
        raise PartialFailure(f"{len(failed)} of {len(video_ids)} videos failed: {names}; the others are written")


def _oracle(
    request: PredictRequest,
    checkpoint: Checkpoint,
    file: FeatureFile,
    video_ids: Sequence[str],
    truth: GroundTruth | None,
    reporter: Reporter,
) -> Oracle | None:
    if not request.oracle:
        return None
    check_answers(request.oracle, checkpoint.header.model, checkpoint.model)
    if truth is None:
        raise UsageError("--oracle needs --ground-truth GT, from which its answers come")
    return make_oracle(request.oracle, truth, file, video_ids, checkpoint.header.classes, reporter)


def _write_all(
    detector: Detector, video_ids: Sequence[str], batch_size: int, writer: ProposalWriter, reporter: Reporter
) -> list[VideoFailure]:
    failed = []
    with reporter.track("predict", len(video_ids)) as task:
        for found in detector.predict(video_ids, batch_size):
            if isinstance(found, VideoFailure):
                failed.append(found)
                reporter.warn(found.reason)
                if found.traceback:
                    reporter.detail(found.traceback)
            else:
                writer.write(found)
            task.advance()
    return failed


def _chain(file: FeatureFile, checkpoints: Sequence[Checkpoint]) -> Chain:
    before = merge_chains([file.provenance, *(checkpoint.header.provenance for checkpoint in checkpoints)])
    inputs = [InputFile.stat(file.path), *(InputFile.stat(checkpoint.path) for checkpoint in checkpoints)]
    return [*before, step(inputs)]
