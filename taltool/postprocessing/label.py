"""Proposals become detections: classes from a classifier of whole videos, or from another detector.

`label` is the command: files in and out. `labelled` is for proposals in memory.

Models of proposals (BMN, G-TAD, MGNet) say where something happens, not what. On ActivityNet, whose videos have one
class as a rule, the field takes the class from a classifier of the whole video (CUHK's, UntrimmedNet's); where videos
have several, the detections of another model that overlap a proposal say more about it. Either way a proposal has a
score for each class, its "shares" (K,), and `taltool.ops.labelling` makes detections of both.

Detections that have labels may get others in their place, or keep them: then the share of their own class counts alone.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taltool.data.class_lists import read_classes
from taltool.data.class_scores import read_class_scores
from taltool.data.files import STANDARD
from taltool.data.formats.contract import FormatOptions, Proposals
from taltool.data.formats.output import write_proposals
from taltool.data.near_ids import renaming
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import InputFile, merge_chains, step
from taltool.data.records import Floats, Integers, LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.ops.labelling import best_classes, best_votes, combined, distinct, of_own_class, voted_shares
from taltool.ops.method_names import Combination, Vote
from taltool.ops.nms_settings import choice
from taltool.postprocessing.nms import Count, errors_naming
from taltool.postprocessing.shelf import Shelf
from taltool.reporting import SILENT, Reporter


@dataclass(frozen=True)
class Labelled:
    """What `label` did: how many videos, proposals before and detections after, and what had to be left out.

    missing: videos that the source of the classes lacks; unlabelled: proposals that it has no class for.
    """

    videos: int
    proposals: int
    detections: int
    missing: int
    unlabelled: int
    output: str

    def __repr__(self) -> str:
        made = f"{self.proposals:,} proposals -> {self.detections:,} detections"
        left_out = f"{self.missing:,} videos missing, {self.unlabelled:,} proposals unlabelled"
        return f"Labelled({self.videos:,} videos: {made}, {left_out}, {self.output})"


def label(
    proposals: str | Path = STANDARD,
    *,
    output: str | Path = STANDARD,
    to: str | None = None,
    show_scores: bool = False,
    classifier: str | Path | None = None,
    detections: str | Path | None = None,
    vote: str = Vote.share,
    top_k: int = 2,
    combine: str = Combination.product,
    weight: float = 0.5,
    softmax: bool = False,
    classes: str | Path | Mapping[str, int] | None = None,
    replace: bool = False,
    keep_labels: bool = False,
    skip_missing: bool = False,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Labelled:
    """Write the proposals of a file as detections, best first, as `taltool label` does; a video is in memory at a time.

    proposals and output: files, "-" is standard input and output; to: the format of the output, None: as its name says,
    see `taltool.data.formats.output.write_proposals`; show_scores: in subtitles, beside the labels.
    The classes are those of a file of class scores (classifier; softmax: they are logits; classes: the
    numbers of the classes, or the file of them, where it has numbers) or of overlapping detections
    (the option --from; they count by `vote`, a `Vote` or its name), one of both. Each proposal gets its top_k best
    classes with scores that `combine`, a `Combination` or its name, makes of the proposal's and the class's;
    weight, in [0, 1], belongs to weighted. Of detections that are equal in segment and label the best is written.
    replace: labels that are there give way; keep_labels: they stay, and the score of the same class counts, whatever
    top_k; skip_missing: videos without classes are written without detections.

    Raises UsageError where options do not fit each other, and DataError where a file is broken, and for labels and
    missing videos that are not asked to be replaced or skipped.
    """
    how, counted = choice(Combination, combine, "--combine"), choice(Vote, vote, "--vote")
    if (classifier is None) == (detections is None):
        raise UsageError("give the classes with --classifier FILE, or with --from FILE, one of both")
    if classes is not None and classifier is None:
        raise UsageError("--classes names the classes of --classifier; give that too")
    if keep_labels and replace:
        raise UsageError("--keep-labels and --replace: labels stay, or give way; give one of both")
    if top_k < 1:
        raise UsageError(f"--top-k {top_k}: expected at least 1")
    if not 0 <= weight <= 1:
        raise UsageError(f"--weight {weight}: expected a number between 0 and 1")
    read, written, missing, unlabelled = Count(), Count(), 0, 0
    with ExitStack() as opened:
        source: _VideoScores | _Voters
        voters = None
        if classifier is not None:
            numbers = read_classes(str(classes)) if isinstance(classes, str | Path) else classes
            source = _VideoScores(str(classifier), softmax, numbers)
        elif detections is not None:
            voters = opened.enter_context(ProposalReader(str(detections)))
            source = _Voters(voters, opened.enter_context(Shelf()), counted)
        reader = opened.enter_context(ProposalReader(str(proposals)))
        chain = None
        if provenance:
            # Labels of another detector carry what it has seen.
            before = [reader.provenance, voters.provenance if voters else None]
            chain = [*merge_chains(before), step(map(InputFile.named, (str(proposals), source.file)))]
        task = opened.enter_context(reporter.track("label", reader.num_videos))

        def detected() -> Iterator[VideoProposals]:
            nonlocal missing, unlabelled
            with errors_naming(reader.file):
                for video in map(read, reader):
                    _check(video, replace, keep_labels)
                    shares = source.shares(video)  # (N, K)
                    if shares is not None and keep_labels:
                        shares = of_own_class(shares, _numbers(video, source.names))
                    if shares is not None:
                        unlabelled += int(np.count_nonzero(shares.max(1, initial=0.0) <= 0))
                    elif skip_missing:
                        missing += 1
                        shares = np.zeros((len(video), len(source.names)))
                    else:
                        named = renaming([video.video_id], source.video_ids)
                        raise DataError(
                            f"video '{video.video_id}' is not in {source.file} "
                            "(write such videos without detections with --skip-missing)" + (named and f"; {named}")
                        )
                    yield written(labelled(video, shares, source.names, 1 if keep_labels else top_k, how, weight))
                    task.advance()

        content = Proposals(detected(), source.names, reader.num_videos, chain)
        write_proposals(content, str(output), to, FormatOptions(show_scores=show_scores), reporter=reporter)
    if missing:
        reporter.warn(f"{missing} videos are not in {source.file}: written without detections")
    if unlabelled:
        reporter.warn(f"{unlabelled} proposals left out: {source.file} has no class for them")
    return Labelled(
        videos=read.videos,
        proposals=read.proposals,
        detections=written.proposals,
        missing=missing,
        unlabelled=unlabelled,
        output=str(output),
    )


def _check(video: VideoProposals, replace: bool, keep_labels: bool) -> None:
    """Raise DataError for labels that nobody said what to do with, none where they are to stay, and negative scores."""
    if video.labels is not None and not (replace or keep_labels):
        raise DataError(
            f"video '{video.video_id}' has labels already; put others in their place with --replace, or let them stay "
            "with --keep-labels"
        )
    if video.labels is None and keep_labels and len(video):
        raise DataError(f"video '{video.video_id}' has proposals without labels; --keep-labels wants labels to keep")
    if video.scores.min(initial=0.0) < 0:
        raise DataError(f"video '{video.video_id}': score {float(video.scores.min())!r} is negative")


def _numbers(video: VideoProposals, names: LabelVocabulary) -> Integers:
    """The labels of the proposals (N) as numbers into `names`, -1 for those that it lacks."""
    if video.labels is None:
        return np.zeros(0, np.int64)
    numbers = np.array([names.numbers.get(name, -1) for name in video.names], np.int64)
    return numbers[video.labels]


def labelled(
    video: VideoProposals,
    shares: Floats,
    names: LabelVocabulary,
    top_k: int = 2,
    how: Combination = Combination.product,
    weight: float = 0.5,
) -> VideoProposals:
    """The detections, best first, that the proposals (N) of a video become with class scores `shares` (N, K).

    names are those of the K classes. Each proposal comes once with each of its top_k best classes, but with none that
    has score 0; of equal classes the first by name is taken, whatever its number. Where several become equal in segment
    and label, as those of one place that differed in their own labels, the best stays.
    """
    by_name = np.argsort(names.alphabetical_ranks())
    classes = by_name[best_classes(shares[:, by_name], top_k)]  # (N, top_k)
    of_class = np.take_along_axis(shares, classes, axis=1)
    scores = combined(video.scores[:, None], of_class, how, weight)
    proposal, place = np.nonzero(of_class > 0)
    taken = dataclasses.replace(video, labels=None).take(proposal, scores[proposal, place])
    ranked = dataclasses.replace(taken, labels=classes[proposal, place], names=names).ranked()
    assert ranked.labels is not None
    return ranked.take(distinct(ranked.segments, ranked.labels))


class _VideoScores:
    """Every proposal of a video gets the video's class scores, those of all K classes in the file."""

    def __init__(self, file: str, softmax: bool, classes: Mapping[str, int] | None) -> None:
        self.file, self._scores = file, read_class_scores(file, softmax, classes)
        self.names = LabelVocabulary(self._scores.names, complete=True)
        self.video_ids = list(self._scores.row_of or ())

    def shares(self, video: VideoProposals) -> Floats | None:
        """Class scores (N, K) of the proposals, None where the file lacks the video."""
        found = self._scores.find(video.video_id)
        return None if found is None else np.broadcast_to(found, (len(video), len(found)))


class _Voters:
    """Every proposal gets the classes of the detections that overlap it, by their votes, score times tIoU.

    The file is read in step with the proposals; what it lists earlier than they do waits on `shelf`. Where its header
    does not list the classes, or lists none, as that of an empty stream before another, it is read to its end first.
    """

    def __init__(self, reader: ProposalReader, shelf: Shelf, vote: Vote) -> None:
        self.file, self._votes = reader.file, voted_shares if vote is Vote.share else best_votes
        self._shelf, self._ahead, self.names = shelf, iter(reader), reader.labels
        if not (self.names.complete and len(self.names)):
            for video in self._ahead:
                shelf.put(video.video_id, video)
            self.names.complete = True
        if not len(self.names):
            raise DataError(f"{self.file}: these proposals have no labels to vote with")

    @property
    def video_ids(self) -> list[str]:
        """The videos whose detections wait."""
        return self._shelf.keys()

    def _find(self, video_id: str) -> VideoProposals | None:
        """The detections of a video: from the shelf, or by reading on, where what is in between goes to the shelf."""
        if video_id in self._shelf:
            return self._shelf.take(video_id)
        for video in self._ahead:
            if video.video_id == video_id:
                return video
            self._shelf.put(video.video_id, video)
        return None

    def shares(self, video: VideoProposals) -> Floats | None:
        """Class scores (N, K) of the proposals, None where the file lacks the video."""
        voters = self._find(video.video_id)
        if voters is None:
            return None
        if voters.labels is None:  # No detections, or none with a label.
            return np.zeros((len(video), len(self.names)))
        if voters.scores.min(initial=0.0) < 0:
            raise DataError(f"{self.file}: video '{video.video_id}' has negative scores; votes want scores from 0 on")
        return self._votes(video.segments, voters.segments, voters.scores, voters.labels, len(self.names))
