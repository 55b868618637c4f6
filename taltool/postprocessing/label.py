"""Proposals become detections: classes from a classifier of whole videos, or from another detector."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from taltool.data.class_scores import ClassScores, read_class_scores
from taltool.data.proposal_writer import Layout, ProposalWriter
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import InputFile, step
from taltool.data.records import Floats, Integers, LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.ops.labelling import best_classes, best_votes, combined, voted_shares
from taltool.ops.method_names import Combination, Vote
from taltool.postprocessing.nms import write_stream
from taltool.postprocessing.shelf import Shelf
from taltool.reporting import Reporter


@dataclass(frozen=True)
class LabelRequest:
    """What a user asks of `label`: exactly one of classifier and detections is given."""

    proposals: str
    output: str
    classifier: str | None = None
    detections: str | None = None
    top_classes: int = 2
    how: Combination = Combination.product
    weight: float = 0.5
    vote: Vote = Vote.share
    softmax: bool = False
    replace_labels: bool = False
    skip_missing: bool = False
    with_provenance: bool = True
    layout: Layout | None = None


class FromClassifier:
    """Every proposal of a video gets the video's class scores."""

    def __init__(self, scores: ClassScores) -> None:
        self.scores, self.file = scores, scores.file
        self.names = LabelVocabulary(scores.names, complete=True)

    def shares(self, video: VideoProposals) -> Floats | None:
        """Class scores (N, K) of the proposals, None where the file lacks the video."""
        found = self.scores.find(video.video_id)
        return None if found is None else np.broadcast_to(found, (len(video), len(found)))


class FromDetections:
    """Every proposal gets the classes of the detections that overlap it.

    The file is read in step with the proposals; what it lists earlier than they do waits on `shelf`. Where its header
    does not list the classes, or lists none, as that of an empty stream before another, it is read to its end first.
    """

    def __init__(self, reader: ProposalReader, shelf: Shelf, vote: Vote) -> None:
        self.file, self.votes = reader.file, voted_shares if vote is Vote.share else best_votes
        self.shelf, self.ahead, self.names = shelf, iter(reader), reader.labels
        if not (self.names.complete and len(self.names)):
            for video in self.ahead:
                shelf.put(video.video_id, video)
            self.names.complete = True
        if not len(self.names):
            raise DataError(f"{self.file}: these proposals have no labels to vote with")

    def _find(self, video_id: str) -> VideoProposals | None:
        if video_id in self.shelf:
            return self.shelf.take(video_id)
        for video in self.ahead:
            if video.video_id == video_id:
                return video
            self.shelf.put(video.video_id, video)
        return None

    def shares(self, video: VideoProposals) -> Floats | None:
        """Class scores (N, K) of the proposals, None where the file lacks the video."""
        voters = self._find(video.video_id)
        if voters is None:
            return None
        if voters.labels is None:
            return np.zeros((len(video), len(self.names)))
        if voters.scores.min(initial=0.0) < 0:
            raise DataError(f"{self.file}: video '{video.video_id}' has negative scores; votes want scores from 0 on")
        return self.votes(video.segments, voters.segments, voters.scores, voters.labels, len(self.names))


def label_file(request: LabelRequest, reporter: Reporter) -> None:
    """Write the proposals of a file as detections, best first; one video of it is in memory at a time.

    Raises DataError where a video is missing in the source of the classes, unless that is to be skipped, and where
    proposals have labels already, unless those are to be replaced.
    """
    if (request.classifier is None) == (request.detections is None):
        raise UsageError("give the classes with --classifier FILE, or with --from FILE, one of both")
    with ExitStack() as opened:
        source: FromClassifier | FromDetections
        if request.classifier is not None:
            source = FromClassifier(read_class_scores(request.classifier, request.softmax, reporter))
        elif request.detections is not None:
            voters = opened.enter_context(ProposalReader(request.detections))
            source = FromDetections(voters, opened.enter_context(Shelf()), request.vote)
        labeller = _Labeller(request, source)
        reader = opened.enter_context(ProposalReader(request.proposals))
        chain = None
        if request.with_provenance:
            classes_from = InputFile.named(request.classifier or request.detections or "")
            chain = [*reader.provenance, step([InputFile.named(request.proposals), classes_from])]
        writer = ProposalWriter(request.output, source.names, chain, reader.num_videos, request.layout)
        write_stream(labeller(reader), reader, writer, "label", reporter)
    labeller.tell(reporter)


class _Labeller:
    """Labels videos and counts what could not be labelled."""

    def __init__(self, request: LabelRequest, source: FromClassifier | FromDetections) -> None:
        self.request, self.source = request, source
        self.missing_videos = self.unlabelled = 0

    def __call__(self, videos: Iterable[VideoProposals]) -> Iterator[VideoProposals]:
        for video in videos:
            yield self._label(video)

    def _label(self, video: VideoProposals) -> VideoProposals:
        if video.labels is not None and not self.request.replace_labels:
            raise DataError(f"video '{video.video_id}' has labels already; put others in their place with --replace")
        if video.scores.min(initial=0.0) < 0:
            raise DataError(f"video '{video.video_id}': score {float(video.scores.min())!r} is negative")
        shares = self.source.shares(video)
        if shares is None:
            if not self.request.skip_missing:
                raise DataError(
                    f"video '{video.video_id}' is not in {self.source.file} "
                    "(write such videos without detections with --skip-missing)"
                )
            self.missing_videos += 1
            shares = np.zeros((len(video), len(self.source.names)))
        else:
            self.unlabelled += int(np.count_nonzero(shares.max(1, initial=0.0) <= 0))
        return self._detections(video, shares)

    def _detections(self, video: VideoProposals, shares: Floats) -> VideoProposals:
        # Of equal classes the first by name, whatever number the file gave it.
        by_name = np.argsort(self.source.names.alphabetical_ranks())
        classes = by_name[best_classes(shares[:, by_name], self.request.top_classes)]
        of_class = np.take_along_axis(shares, classes, axis=1)
        scores = combined(video.scores[:, None], of_class, self.request.how, self.request.weight)
        proposal, place = np.nonzero(of_class > 0)
        labels: Integers = classes[proposal, place]
        taken = replace(video, labels=None).take(proposal, scores[proposal, place])
        return replace(taken, labels=labels, names=self.source.names).ranked()

    def tell(self, reporter: Reporter) -> None:
        """Say what was left out."""
        if self.missing_videos:
            reporter.warn(f"{self.missing_videos} videos are not in {self.source.file}: written without detections")
        if self.unlabelled:
            reporter.warn(f"{self.unlabelled} proposals left out: {self.source.file} has no class for them")
