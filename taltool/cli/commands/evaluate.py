"""`taltool evaluate`: mAP, average recall and their confidence, under a named protocol."""

import math
from enum import StrEnum
from typing import Annotated

import typer

from taltool.cli.arguments import GroundTruthArgument, SeedOption, SplitOption, SubsetOption
from taltool.errors import PartialFailure, UsageError
from taltool.registry import did_you_mean
from taltool.reporting import Reporter

MAN = r"""
.SH PROTOCOLS
Detections of one class are put in one order: score down, then video id, start and end up, whether the ground truth has
the video or not. So a number never depends on the order of a file.
.TP
.B activitynet
The rules of the ActivityNet kit, which nearly all papers follow today, on THUMOS14 too.
Each detection in turn takes the free instance of its video and class that it overlaps most, if their tIoU reaches the
threshold; everything else is a false positive. AP is the area under the precision\-recall curve made non\-increasing.
.TP
.B activitynet\-kit
The same with two accidents of the kit, for reproducing a number that it printed: equal scores stand as numpy's
unstable sort leaves them (which depends on the order of the file, on numpy and on the processor), and a range of
thresholds is that of numpy.linspace, whose 0.4 is 0.39999999999999997.
.TP
.B thumos14
The updated kit of THUMOS14, which papers of 2016 to 2018 used. Each instance in turn, in the order of the ground
truth, takes the free detection that it overlaps most, whatever its score, if their tIoU exceeds the threshold. False
positives that overlap a segment labelled
.B Ambiguous
are forgotten. AP is the sum of the precisions at true positives over the number of instances.
.TP
.B thumos14\-2014
The kit of the 2014 challenge: as above, but among equal scores true positives come first, and AP is the mean of the
best precision at recall 0, 0.1, ... 1.
.SH "WHAT COUNTS"
.IP \(bu 2
mAP is the mean over the classes that have instances in the chosen videos. A class without detections counts as 0.
.IP \(bu 2
Instances of videos without detections count: what was not found is missed.
.IP \(bu 2
Detections in videos of other subsets of the same ground truth, in excluded videos, and of classes that
.B \-\-classes
does not choose are left out. Detections in videos that the ground truth does not have are false positives, or with
.B \-\-only\-annotated
left out, as where a few of many videos were annotated.
.IP \(bu 2
Videos that the models were trained on, or by which their epochs were chosen, count as they stand, but each report says
how many they are: a number from them is no test. Checkpoints know what they have seen, and proposals carry it in their
provenance through every command.
.IP \(bu 2
Detections whose label no instance has cannot change any AP; they are proposals like the others in AR.
.IP \(bu 2
Duplicates count, in the ground truth and among detections. Segments of zero length never match, though instances of
zero length are waited for. (The kit divides 0 by 0 and calls that a match.)
.IP \(bu 2
Thresholds are the decimals as written, compared in float64.
.IP \(bu 2
No video is dropped unless
.B \-\-exclude
names it; the report then holds the hash of the list.
.IP \(bu 2
Where two classes share a segment, as Diving and CliffDiving of THUMOS14 do, class\-agnostic recall counts it twice.
.PP
All of this is said in the report, with the counts.
.SH METRICS
.B \-\-metric
names what is measured, several with commas; numbers and tables come in that order.
.TP
.B map
mAP at each threshold of
.BR \-\-tiou ,
and their mean,
.IR average_mAP .
It needs labels.
.TP
.B ar
AR@N, AUC and recall@topK at the thresholds of
.BR \-\-ar\-tiou .
.TP
.B kx
R@Kx for the K of
.BR \-\-kx ,
or 1 and 5. Where
.B \-\-kx
is given it is measured beside the others.
.TP
.B both
The same as
.BR map,ar .
.TP
.IR PATH .py
A metric of your own: a file in which a class registers itself and says its name and its values.
Everything here knows them then: tables, JSON, CSV,
.BR \-\-per\-class ,
.BR \-\-bootstrap ,
comparisons and
.BR \-\-fail\-under .
.PP
A metric says which values are better.
.B \-\-fail\-under
.IR METRIC = VALUE
exits 1 where a number is below
.IR VALUE ,
or above it where lower is better; in a comparison that file is ahead whose number is the better one.
.SH RECALL
Three different things go by similar names.
.TP
.BR AR@N " and " AUC
The rule of the ActivityNet proposal kit. N is an average: each video gives the same fraction of its own proposals, so
a video with many gives more than N. AUC is in percent; it begins at N = 1, so that perfect proposals reach 99.
.TP
.B recall@topK
The K best proposals of every video.
.TP
.B R@Kx
With
.BR \-\-kx :
in each video and class, the K times n best detections, n being the number of instances there; the mean over classes.
One detection may serve several instances.
.PP
Each is averaged over the thresholds of
.B \-\-ar\-tiou
(R@Kx is given at each of
.BR \-\-tiou ).
Some papers average AR on THUMOS14 over 0.5:1.0:0.05.
.SH CONFIDENCE
.B \-\-bootstrap
.I N
draws the videos of the subset with replacement
.I N
times and prints the central 95 % of each metric. A class of which no instance was drawn stays out of that mean.
All files are measured on the same draws, so the interval of their difference is free of the luck that they share, and
the share of draws in which one is ahead answers whether it is better.
.SH "JSON AND CSV"
Values are fractions, only AUC is in percent. JSON holds
.IR protocol ", " subset ", " ground_truth ", " thresholds ", " predictions
and
.IR metrics ;
with several files, a list
.I results
of the last two, and with
.B \-\-bootstrap
.I intervals
and
.IR comparisons .
.I detections
are those that counted;
.I left_out
says what did not.
.I seen
says how many of the videos the models were trained on, and how many chose the epoch; null, and in CSV nothing, where
the provenance of the file does not say. CSV has a row per file, and with
.B \-\-per\-class
a row per class whose
.I class
is filled.
"""

EXAMPLES = """
taltool predict --model afsd feats.h5 | taltool nms | taltool evaluate gt.json
taltool evaluate --preset thumos14 gt.json detections.json
taltool evaluate --protocol thumos14 --subset testing --tiou 0.1:0.5:0.1 gt.json detections.json
# Is B better than A?
taltool evaluate --bootstrap 1000 gt.json a.json b.json
taltool evaluate --metric ar --an 100 gt.json proposals.jsonl
# Of many videos only some are annotated.
taltool evaluate --only-annotated gt.json detections.jsonl
taltool evaluate --fail-under average_mAP=0.5 --format json gt.json detections.jsonl
# A metric of your own beside mAP
taltool evaluate --metric map,./f1.py gt.json detections.json
"""


class ProtocolName(StrEnum):
    """The rows of taltool.ops.protocols, by name."""

    activitynet = "activitynet"
    activitynet_kit = "activitynet-kit"
    thumos14 = "thumos14"
    thumos14_2014 = "thumos14-2014"


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
    typer.Option(
        help="Subset and thresholds as papers on this data set use them: thumos14, activitynet13, activitynet12."
    ),
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
    str | None,
    typer.Option(
        metavar="NAME[,NAME]",
        help="What to measure: map, ar, kx, both (map and ar), or the path of a file that holds a metric "
        "(./my_metric.py). Default: map where there are labels, else ar.",
        show_default=False,
    ),
]
AverageNumberOption = Annotated[
    int, typer.Option("--an", min=2, help="Largest average number of proposals per video, of AR and AUC.")
]
MultiplesOption = Annotated[
    str | None,
    typer.Option("--kx", metavar="K[,K]", help="Also print R@kx: recall of the k*n best of a class in a video."),
]
PerClassOption = Annotated[
    bool, typer.Option("--per-class", help="Also print what metrics have for each class, such as AP.")
]
ClassesOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME[,NAME]", help="Only these classes; may be given again.")
]
AgnosticOption = Annotated[bool, typer.Option("--agnostic", help="Make one class of all labels.")]
ExcludeOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Leave out the videos listed there, one id per line.")
]
OnlyAnnotatedOption = Annotated[
    bool,
    typer.Option(
        "--only-annotated", help="Leave out detections in videos that the ground truth does not have, and count them."
    ),
]
BootstrapOption = Annotated[
    int, typer.Option(metavar="N", min=0, help="95 % intervals from N resamples of the videos, paired over files.")
]
FormatOption = Annotated[ReportFormat, typer.Option("--format", help="How to print.")]
FailUnderOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC=VALUE",
        help="Exit 1 where a number is worse: lower, or higher where lower is better; may be given again.",
    ),
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
    only_annotated: OnlyAnnotatedOption = False,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = 0,
    layout: FormatOption = ReportFormat.table,
    fail_under: FailUnderOption = None,
    *,
    reporter: Reporter,
) -> None:
    """Say how good detections are, and by which rules.

    Prints mAP at each tIoU threshold, or (without labels, or with --metric ar) recall: AR@AN and AUC by the ActivityNet
    kit's ratio rule, and that of the K best proposals of every video. Every report names its protocol, subset, ground
    truth and hashes, counts, and what was left out. Several files give one table.

    Detections in videos of other subsets are left out; those in videos that the ground truth does not have are false
    positives. Segments of zero length never match; duplicates count; the order of a file does not matter.
    """
    from taltool.cli.reports.evaluate import write_report
    from taltool.evaluation.evaluate import evaluate as evaluate_files

    demands = [_demand(text) for text in fail_under or ()]
    evaluation = evaluate_files(
        ground_truth,
        *(predictions or ()),
        protocol=protocol.value if protocol else None,
        preset=preset,
        subset=subset,
        split=split,
        tiou=tiou,
        ar_tiou=ar_tiou,
        metric=metric,
        an=an,
        kx=kx,
        per_class=per_class,
        classes=",".join(classes) if classes else None,
        agnostic=agnostic,
        exclude=exclude,
        only_annotated=only_annotated,
        bootstrap=bootstrap,
        seed=seed,
        reporter=reporter,
    )
    for name, _ in demands:
        if name not in evaluation.metric_of:
            known = list(evaluation.metric_of)
            raise UsageError(
                f"--fail-under {name}: no such metric here{did_you_mean(name, known)} (there are: {', '.join(known)})"
            )
    write_report(evaluation, layout.value)
    for result in evaluation.results:
        for name, bound in demands:
            value, lower_is_better = result.metrics[name], evaluation.metric_of[name].better == "lower"
            # A value that is not a number is worse than everything.
            if not (value <= bound if lower_is_better else value >= bound):
                side = "above" if lower_is_better else "below"
                raise PartialFailure(f"{result.file}: {name} is {value:.5f}, {side} {bound:g}")


def _demand(text: str) -> tuple[str, float]:
    """The name and the bound of METRIC=VALUE."""
    name, equals, value = text.rpartition("=")
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not equals or not math.isfinite(bound):
        raise UsageError(f"--fail-under {text}: expected METRIC=VALUE, a finite number, such as average_mAP=0.5")
    return name.strip(), bound
