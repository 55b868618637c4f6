"""What evaluation, diagnosis and figures read: one ground truth, and files of detections as seen from it.

A number is about a part of the ground truth, the scope: the videos of a subset, and the classes that occur there or
were chosen. Detections outside of it are left out and counted; those in videos that the ground truth does not know at
all stay, as false positives. So every report can say what it is about.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taltool.data.annotations import read_id_list
from taltool.data.arrays import Contents, DetectionColumns, Detections, Scope, scope
from taltool.data.files import STANDARD
from taltool.data.proposals import ProposalReader
from taltool.data.provenance import SeenVideos, seen_videos
from taltool.data.records import GroundTruth, Lateness
from taltool.errors import DataError, UsageError
from taltool.ops.protocols import ACTIVITYNET, PROTOCOLS, Protocol
from taltool.reporting import Reporter


@dataclass(frozen=True)
class Exclusion:
    """The list of videos that do not count: its file and hash, and how many of its ids the subset has."""

    file: str
    sha256: str
    videos: int
    listed: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Truth:
    """A ground truth, and the part of it that numbers are about.

    whole: all of the file. scope: the part, as arrays.
    subset: the names of its subsets; None where the ground truth has none, and all videos count.
    split, classes, exclusion: how else it was chosen; None where nobody asked.
    """

    whole: GroundTruth
    scope: Scope
    subset: str | None
    split: str | None
    classes: tuple[str, ...] | None
    exclusion: Exclusion | None

    def __repr__(self) -> str:
        videos, instances = len(self.scope.video_ids), len(self.scope.truth)
        return f"{self.subset or 'all videos'}: {videos:,} videos, {instances:,} instances"


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluatedFile:
    """Which file of detections, its hash, what of it counted, and what its models have seen of the videos."""

    file: str
    sha256: str
    contents: Contents
    seen: SeenVideos

    def remarks(self) -> list[str]:
        """What a reader must know before the numbers are believed, one line each."""
        return [*self.seen.warnings("evaluated", "their number is no test"), *remarks(self.contents)]


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectionFile(EvaluatedFile):
    """The detections of one file that count within a scope."""

    detections: Detections

    @property
    def lacks_labels(self) -> bool:
        """Whether it holds detections, none of them with a label."""
        return not self.contents.labelled and len(self.detections) > 0


def files_to_read(ground_truth: str | Path, predictions: Sequence[str | Path]) -> tuple[str, ...]:
    """The files of predictions as text, standard input where none is named.

    Raises UsageError where standard input would be read twice.
    """
    paths = tuple(map(str, predictions)) or (STANDARD,)
    if [str(ground_truth), *paths].count(STANDARD) > 1:
        raise UsageError("standard input (-) can be read only once; name the other files")
    return paths


def names_in(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """The names in a comma-separated text, or as they are given; None for none."""
    if not given:
        return None
    return tuple(name.strip() for name in given.split(",")) if isinstance(given, str) else tuple(given)


def chosen_part(
    whole: GroundTruth,
    *,
    subset: str | None,
    split: str | None,
    protocol: Protocol = ACTIVITYNET,
    classes: tuple[str, ...] | None = None,
    agnostic: bool = False,
    exclude: str | None = None,
    only_annotated: bool = False,
    reporter: Reporter,
) -> Truth:
    """The part of a ground truth that counts; the options are those of `taltool evaluate`.

    split says where the subsets of `whole` come from. What looks wrong is told to `reporter` as a warning. Raises
    DataError for a subset, class or file that is not there, and where no instance is left.
    """
    excluded, exclusion = list[str](), None
    if exclude is not None:
        excluded, sha256 = read_id_list(exclude)
        there = whole.subset(subset).videos
        exclusion = Exclusion(exclude, sha256, sum(key in there for key in excluded), len(excluded))
        absent = exclusion.listed - exclusion.videos
        if absent:
            reporter.warn(f"{exclude}: {absent} of {exclusion.listed} listed videos are not among those evaluated")
    within = scope(whole, subset, excluded=excluded, classes=classes, excused=protocol.excused, agnostic=agnostic)
    within = replace(within, only_known=only_annotated)
    if not len(within.truth):
        where = f"subset '{subset}'" if whole.subsets else "it"
        raise DataError(f"{whole.file}: no instance in {where} (are its labels withheld, or all videos excluded?)")
    lateness = Lateness()
    for video in whole.only(within.video_ids).videos.values():
        lateness.add(video.segments, video.duration)
    if late := lateness.remark("instances"):
        reporter.warn(f"{whole.file}: {late}")
    # A label that another protocol excuses may be counted as a class here.
    rules = next((each for each in PROTOCOLS.values() if each.excused in within.class_names), None)
    if rules is not None:
        reporter.warn(
            f"{whole.file}: under {protocol.name} '{rules.excused}' is a class like any other; "
            f"choose --protocol {rules.name} to excuse it, or --classes"
        )
    return Truth(
        whole=whole,
        scope=within,
        subset=subset if whole.subsets else None,
        split=split,
        classes=classes,
        exclusion=exclusion,
    )


def read_detections(path: str, within: Scope, reporter: Reporter) -> DetectionFile:
    """The detections of a file that count within a scope; what was left out or looks wrong is a warning.

    Raises DataError.
    """
    columns = DetectionColumns(within)
    with ProposalReader(path, hashed=True) as reader:
        for video in reader:
            columns.add(video)
    detections, contents = columns.finish()
    seen = seen_videos(reader.provenance, within.video_ids, path)
    found = DetectionFile(file=path, sha256=reader.sha256, contents=contents, seen=seen, detections=detections)
    for line in found.remarks():
        reporter.warn(f"{path}: {line}")
    return found


def remarks(contents: Contents) -> Iterator[str]:
    """What a reader must know about detections that did not count as usual, one line each."""
    for reason, amount in contents.left_out.items():
        yield f"left out: {amount.detections} detections of {reason} ({amount.videos} videos)"
    if contents.left_out and not contents.counted.detections:
        yield "nothing is left to evaluate; is this the right --subset?"
    strange = contents.unknown_videos
    if strange.detections:
        yield (
            f"counted as false positives: {strange.detections} detections in {strange.videos} videos that the ground "
            "truth does not have (--only-annotated leaves them out)"
            + (f"; {contents.renaming}" if contents.renaming else "")
        )
    if contents.unknown_labels:
        total, names = sum(contents.unknown_labels.values()), list(contents.unknown_labels)
        shown = ", ".join(f"'{name}'" for name in names[:3]) + (", ..." if len(names) > 3 else "")
        yield f"without effect on mAP: {total} detections of {len(names)} labels that no instance has ({shown})"
    if contents.labelled and contents.unlabelled:
        yield f"without effect on mAP: {contents.unlabelled} detections without a label"
    if late := contents.lateness.remark("detections"):
        yield late
    if contents.zero_length:
        yield f"never matched: {contents.zero_length} detections of zero length"
