"""Evaluating files of detections against one ground truth, which is read once; needs no torch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from taltool.data.annotations import read_ground_truth, read_id_list
from taltool.data.arrays import Contents, Detections, Scope, flatten, scope
from taltool.data.files import STANDARD
from taltool.data.proposals import ProposalReader
from taltool.data.public_datasets import ANY_DATASET
from taltool.data.records import Floats, GroundTruth
from taltool.data.thresholds import Thresholds, parse_thresholds
from taltool.errors import DataError, UsageError
from taltool.ops.bootstrap import Comparison, Interval, compare, interval, resample, resampled_weights
from taltool.ops.protocols import PROTOCOLS, Protocol
from taltool.ops.scorecard import MetricSelection, Scorecard
from taltool.reporting import SILENT, Reporter

Metric = Literal["map", "ar", "both"]


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate and how; the fields are the options of `taltool evaluate`.

    metric None asks for mAP where the detections have labels, else for recall. bootstrap is the number of resamples.
    """

    ground_truth: str
    predictions: tuple[str, ...] = (STANDARD,)
    protocol: str = ANY_DATASET.protocol
    subset: str | None = ANY_DATASET.evaluation
    split: str | None = None
    tious: Thresholds = field(default_factory=lambda: parse_thresholds(ANY_DATASET.tious))
    recall_tious: Thresholds = field(default_factory=lambda: parse_thresholds(ANY_DATASET.recall_tious))
    metric: Metric | None = None
    max_average: int = 100
    multiples: tuple[int, ...] = ()
    per_class: bool = False
    classes: tuple[str, ...] | None = None
    agnostic: bool = False
    exclude: str | None = None
    bootstrap: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Exclusion:
    """The list of videos that do not count: its file and hash, and how many of its ids the subset has."""

    file: str
    sha256: str
    videos: int
    listed: int


@dataclass(frozen=True, eq=False)
class FileResult:
    """The numbers of one file: metrics by name, ap (K, L) if it was asked for, intervals of the bootstrap."""

    file: str
    sha256: str
    contents: Contents
    metrics: dict[str, float]
    ap: Floats | None
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class PairComparison:
    """Each metric of the file `second` against the file `first`, on the same resamples."""

    first: str
    second: str
    metrics: dict[str, Comparison]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Everything that a report says. subset is None where the ground truth has no subsets; question as answered."""

    request: EvaluationRequest
    selection: MetricSelection
    subset: str | None
    truth_file: str
    truth_sha256: str
    scope: Scope
    exclusion: Exclusion | None
    results: list[FileResult]
    comparisons: list[PairComparison]


@dataclass(frozen=True, eq=False)
class DetectionFile:
    """The detections of one file that count within a scope, and what the rest was."""

    file: str
    sha256: str
    detections: Detections
    contents: Contents


@dataclass(frozen=True, eq=False)
class Inputs:
    """A ground truth, the part of it that counts, and the files of detections seen from there."""

    truth: GroundTruth
    scope: Scope
    exclusion: Exclusion | None
    files: list[DetectionFile]


def evaluate_files(request: EvaluationRequest, reporter: Reporter = SILENT) -> Evaluation:
    """Answer `request` for every file of predictions.

    What was left out or looks wrong is told to `reporter` as a warning. Raises UsageError and DataError.
    """
    inputs = read_inputs(request, reporter)
    truth, within, files = inputs.truth, inputs.scope, inputs.files
    selection = _selection(request, PROTOCOLS[request.protocol], files)
    cards = [Scorecard(within, each.detections, selection) for each in files]
    resamples = _resamples(cards, request, within)
    results = [_result(*each, request.per_class) for each in zip(files, cards, resamples, strict=True)]
    return Evaluation(
        request,
        selection,
        request.subset if truth.subsets else None,
        truth.file,
        truth.sha256,
        within,
        inputs.exclusion,
        results,
        _comparisons(results, resamples) if request.bootstrap else [],
    )


def read_inputs(request: EvaluationRequest, reporter: Reporter = SILENT) -> Inputs:
    """Read the ground truth once, then every file of predictions.

    What was left out or looks wrong is told to `reporter` as a warning. Raises UsageError and DataError.
    """
    _check_standard_input(request)
    truth = read_ground_truth(request.ground_truth, request.split)
    within, exclusion = _scope(truth, request, PROTOCOLS[request.protocol], reporter)
    return Inputs(truth, within, exclusion, [_read(path, within, reporter) for path in request.predictions])


def _check_standard_input(request: EvaluationRequest) -> None:
    if [request.ground_truth, *request.predictions].count(STANDARD) > 1:
        raise UsageError("standard input (-) can be read only once; name the other files")


def _scope(
    truth: GroundTruth, request: EvaluationRequest, protocol: Protocol, reporter: Reporter
) -> tuple[Scope, Exclusion | None]:
    excluded, exclusion = _exclusion(truth, request, reporter)
    within = scope(
        truth,
        request.subset,
        excluded=excluded,
        classes=request.classes,
        excused=protocol.excused,
        agnostic=request.agnostic,
    )
    if not len(within.truth):
        where = f"subset '{request.subset}'" if truth.subsets else "it"
        raise DataError(f"{truth.file}: no instance in {where} (are its labels withheld, or all videos excluded?)")
    _warn_of_excusable_class(within, protocol, truth.file, reporter)
    return within, exclusion


def _exclusion(
    truth: GroundTruth, request: EvaluationRequest, reporter: Reporter
) -> tuple[list[str], Exclusion | None]:
    if request.exclude is None:
        return [], None
    excluded, sha256 = read_id_list(request.exclude)
    present = truth.subset(request.subset).videos
    exclusion = Exclusion(request.exclude, sha256, sum(key in present for key in excluded), len(excluded))
    if exclusion.videos < exclusion.listed:
        absent = exclusion.listed - exclusion.videos
        reporter.warn(f"{request.exclude}: {absent} of {exclusion.listed} listed videos are not among those evaluated")
    return excluded, exclusion


def _warn_of_excusable_class(within: Scope, protocol: Protocol, file: str, reporter: Reporter) -> None:
    """Say so where a label that another protocol excuses is counted as a class."""
    for rules in PROTOCOLS.values():
        if rules.excused in within.class_names:
            reporter.warn(
                f"{file}: under {protocol.name} '{rules.excused}' is a class like any other; "
                f"choose --protocol {rules.name} to excuse it, or --classes"
            )
            return


def _read(path: str, within: Scope, reporter: Reporter) -> DetectionFile:
    with ProposalReader(path, hashed=True) as reader:
        detections, contents = flatten(reader, within)
        for line in remarks(contents):
            reporter.warn(f"{path}: {line}")
        return DetectionFile(path, reader.sha256, detections, contents)


def remarks(contents: Contents) -> Iterable[str]:
    """What a reader must know about detections that did not count as usual, one line each."""
    for reason, amount in contents.left_out.items():
        yield f"left out: {amount.detections} detections of {reason} ({amount.videos} videos)"
    if contents.left_out and not contents.counted.detections:
        yield "nothing is left to evaluate; is this the right --subset?"
    strange = contents.unknown_videos
    if strange.detections:
        yield (
            f"counted as false positives: {strange.detections} detections in {strange.videos} videos that the ground "
            f"truth does not have"
        )
    if contents.unknown_labels:
        total, names = sum(contents.unknown_labels.values()), list(contents.unknown_labels)
        shown = ", ".join(f"'{name}'" for name in names[:3]) + (", ..." if len(names) > 3 else "")
        yield f"without effect on mAP: {total} detections of {len(names)} labels that no instance has ({shown})"
    if contents.labelled and contents.unlabelled:
        yield f"without effect on mAP: {contents.unlabelled} detections without a label"
    if contents.zero_length:
        yield f"never matched: {contents.zero_length} detections of zero length"


def _selection(request: EvaluationRequest, protocol: Protocol, files: list[DetectionFile]) -> MetricSelection:
    """What to ask about all files alike. Raises UsageError where labels are needed and missing."""
    unlabelled = [file.file for file in files if not file.contents.labelled and len(file.detections)]
    metric = request.metric
    if metric is None:
        metric = "ar" if len(unlabelled) == len(files) and not request.agnostic else "map"
    if metric != "ar" and unlabelled and not request.agnostic:
        raise UsageError(f"{unlabelled[0]}: no labels, so no mAP; ask for --metric ar, or for --agnostic")
    return MetricSelection(
        protocol,
        request.tious,
        request.recall_tious,
        precision=metric != "ar",
        recall=metric != "map",
        max_average=request.max_average,
        multiples=request.multiples,
    )


def _resamples(cards: list[Scorecard], request: EvaluationRequest, within: Scope) -> list[dict[str, Floats]]:
    if not request.bootstrap:
        return [{} for _ in cards]
    weights = resampled_weights(len(within.video_ids), request.bootstrap, request.seed)
    return [resample(card.metrics, weights, card.rows_at_once) for card in cards]


def _result(file: DetectionFile, card: Scorecard, resamples: dict[str, Floats], per_class: bool) -> FileResult:
    metrics = {name: float(values[0]) for name, values in card.metrics().items()}
    ap = card.class_precisions() if per_class and card.selection.precision else None
    intervals = {name: interval(values) for name, values in resamples.items()}
    return FileResult(file.file, file.sha256, file.contents, metrics, ap, intervals)


def _comparisons(results: list[FileResult], resamples: list[dict[str, Floats]]) -> list[PairComparison]:
    return [
        PairComparison(
            results[a].file,
            results[b].file,
            {
                name: compare(resamples[a][name], resamples[b][name], value - results[a].metrics[name])
                for name, value in results[b].metrics.items()
            },
        )
        for a, b in combinations(range(len(results)), 2)
    ]
