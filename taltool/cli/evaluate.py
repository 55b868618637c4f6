"""`taltool evaluate`: mAP, average recall and their confidence, under a named protocol."""

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from taltool.cli.arguments import GroundTruthArgument, SeedOption, SplitOption, SubsetOption
from taltool.errors import PartialFailure, UsageError
from taltool.reporting import Reporter

if TYPE_CHECKING:
    from taltool.engine.evaluation import Evaluation


class ProtocolName(StrEnum):
    """The rows of taltool.ops.protocols, by name."""

    activitynet = "activitynet"
    activitynet_kit = "activitynet-kit"
    thumos14 = "thumos14"
    thumos14_2014 = "thumos14-2014"


class MetricName(StrEnum):
    """Which families of numbers."""

    map = "map"
    ar = "ar"
    both = "both"


class ReportFormat(StrEnum):
    """How the report is written."""

    table = "table"
    json = "json"
    csv = "csv"


PredictionsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROPOSALS",
        help="Detections or proposals, JSON Lines or ActivityNet JSON; - or nothing is standard input.",
        show_default=False,
    ),
]
ProtocolOption = Annotated[
    ProtocolName | None,
    typer.Option(
        help="Whose rules: activitynet (default), activitynet-kit (with the kit's order of ties and thresholds), "
        "thumos14 (the updated kit), thumos14-2014 (11-point AP).",
        show_default=False,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(help="Subset and thresholds as papers on this data set use them: thumos14, activitynet13."),
]
TiouOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Thresholds of mAP: 0.5,0.75 or start:stop:step. Default 0.3:0.7:0.1. With --metric ar: of recall.",
        show_default=False,
    ),
]
RecallTiouOption = Annotated[
    str | None,
    typer.Option("--ar-tiou", metavar="LIST", help="Thresholds of recall. Default 0.5:0.95:0.05.", show_default=False),
]
MetricOption = Annotated[
    MetricName | None,
    typer.Option(help="Default: map where there are labels, else ar.", show_default=False),
]
AverageNumberOption = Annotated[
    int, typer.Option("--an", min=2, help="Largest average number of proposals per video, of AR and AUC.")
]
MultiplesOption = Annotated[
    str | None,
    typer.Option("--kx", metavar="K[,K]", help="Also print R@kx: recall of the k*n best of a class in a video."),
]
PerClassOption = Annotated[bool, typer.Option("--per-class", help="Also print the AP of each class.")]
ClassesOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME[,NAME]", help="Only these classes; may be given again.")
]
AgnosticOption = Annotated[bool, typer.Option("--agnostic", help="Make one class of all labels.")]
ExcludeOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Leave out the videos listed there, one id per line.")
]
BootstrapOption = Annotated[
    int, typer.Option(metavar="N", min=0, help="95 % intervals from N resamples of the videos, paired over files.")
]
FormatOption = Annotated[ReportFormat, typer.Option("--format", help="How to print.")]
FailUnderOption = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC=VALUE", help="Exit 1 where a metric is lower; may be given again."),
]


def evaluate(
    ground_truth: GroundTruthArgument,
    predictions: PredictionsArgument = None,
    protocol: ProtocolOption = None,
    preset: PresetOption = None,
    subset: SubsetOption = None,
    split: SplitOption = None,
    tiou: TiouOption = None,
    ar_tiou: RecallTiouOption = None,
    metric: MetricOption = None,
    an: AverageNumberOption = 100,
    kx: MultiplesOption = None,
    per_class: PerClassOption = False,
    classes: ClassesOption = None,
    agnostic: AgnosticOption = False,
    exclude: ExcludeOption = None,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = 0,
    layout: FormatOption = ReportFormat.table,
    fail_under: FailUnderOption = None,
    *,
    reporter: Reporter,
) -> None:
    """Say how good detections are, and by which rules.

    Prints mAP at each tIoU threshold, or (without labels, or with --metric ar) average recall: AR@AN and AUC by the
    ActivityNet kit's ratio rule, and recall@topK with exactly K proposals a video. Every report names the protocol,
    the subset, the ground truth and its hash, the counts, and what was left out. Several files give one table.

    Detections in videos of other subsets are left out; those in videos that the ground truth does not have are false
    positives. Segments of zero length never match; duplicates count. Equal scores are ordered by video, start and
    end, so the number does not depend on the order of the file (except under activitynet-kit).
    """
    from taltool.cli.evaluate_report import write_report
    from taltool.data.datasets import dataset_facts
    from taltool.data.thresholds import parse_thresholds
    from taltool.engine.evaluation import Request, evaluate_files

    facts = dataset_facts(preset)
    demands = [_demand(text) for text in fail_under or ()]
    for_recall = tiou if metric is MetricName.ar and ar_tiou is None else None
    request = Request(
        ground_truth,
        tuple(predictions or ("-",)),
        protocol=protocol.value if protocol else facts.protocol,
        subset=subset or facts.evaluation,
        split=split,
        tious=parse_thresholds(tiou or facts.tious),
        recall_tious=parse_thresholds(for_recall or ar_tiou or facts.recall_tious, "--ar-tiou"),
        metric=metric.value if metric else None,
        max_average=an,
        multiples=_multiples(kx),
        per_class=per_class,
        classes=names_of(classes),
        agnostic=agnostic,
        exclude=exclude,
        bootstrap=bootstrap,
        seed=seed,
    )
    evaluation = evaluate_files(request, reporter)
    _check_names(demands, evaluation)
    write_report(evaluation, layout.value)
    _check_demands(demands, evaluation)


def _multiples(text: str | None) -> tuple[int, ...]:
    words = text.split(",") if text else []
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise UsageError(f"--kx {text}: expected positive whole numbers, such as 1,5")
    return tuple(int(word) for word in words)


def names_of(texts: list[str] | None) -> tuple[str, ...] | None:
    """The names in comma-separated texts; None for none."""
    return tuple(name.strip() for text in texts for name in text.split(",")) if texts else None


def _demand(text: str) -> tuple[str, float]:
    name, equals, value = text.rpartition("=")
    try:
        least = float(value)
    except ValueError:
        least = math.nan
    if not equals or math.isnan(least):
        raise UsageError(f"--fail-under {text}: expected METRIC=VALUE, such as average_mAP=0.5")
    return name.strip(), least


def _check_names(demands: list[tuple[str, float]], evaluation: "Evaluation") -> None:
    from taltool.registry import did_you_mean

    known = list(evaluation.results[0].metrics)
    for name, _ in demands:
        if name not in known:
            raise UsageError(
                f"--fail-under {name}: no such metric here{did_you_mean(name, known)} (there are: {', '.join(known)})"
            )


def _check_demands(demands: list[tuple[str, float]], evaluation: "Evaluation") -> None:
    for result in evaluation.results:
        for name, least in demands:
            # A value that is not a number is below everything.
            if not result.metrics[name] >= least:
                raise PartialFailure(f"{result.file}: {name} is {result.metrics[name]:.5f}, below {least:g}")
