"""`taltool diagnose`: why a detector fails, by the analyses of DETAD."""

import math
from enum import StrEnum
from typing import Annotated

import typer

from taltool.cli.arguments import GroundTruthArgument, SplitOption, SubsetOption
from taltool.cli.commands.evaluate import OnlyAnnotatedOption, ReportFormat
from taltool.errors import UsageError
from taltool.reporting import Reporter

EXAMPLES = """
taltool diagnose gt.json detections.json -o errors.png
# With the thresholds and groups of DETAD's figures, two detectors side by side.
taltool diagnose --preset thumos14 gt.json a.json b.json
taltool diagnose --groups length=2,5,10 --format json gt.json detections.json
"""
MAN = r"""
.SH "WHAT IS COUNTED"
Detections are matched as under the activitynet protocol of
.BR taltool-evaluate (1),
in its order. A detection that is no true positive is judged by the instance, of any class, that it overlaps most.
.TP
.B double detection
tIoU reaches the threshold, the label is right, but another detection has the instance.
.TP
.B wrong label
tIoU reaches the threshold, the label is wrong.
.TP
.B localization
tIoU is at least 0.1 but below the threshold, the label is right.
.TP
.B confusion
the same, and the label is wrong.
.TP
.B background
tIoU is below 0.1.
.PP
A gain is what average-mAP_N of the top 10G detections gains when all detections of that kind are removed. An instance
is missed when no detection matches it while precision_N is above 0.05. Average-mAP_N on a group counts only its
instances; detections that match another instance count neither way. Shares are means over the thresholds.
.PP
Against DETAD's own code: it judges equal overlaps by the file's order
.RB ( "--ties file" ),
judges false positives in videos without any instance by the video before, and over several thresholds drops a
detection from a group at all thresholds once it matched elsewhere at one. The last two are not repeated here.
"""


class TieRule(StrEnum):
    """Which of several equally overlapping instances a false positive is judged by."""

    own_class = "own-class"
    file = "file"


def diagnose(
    ground_truth: GroundTruthArgument,
    predictions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROPOSALS]...",
            help="Detections, JSON Lines or ActivityNet JSON; - or nothing is standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Also draw the figures: x.png, x.svg or x.pdf."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Subset, thresholds, groups as DETAD uses them on this data: thumos14, activitynet13, activitynet12."
        ),
    ] = None,
    subset: SubsetOption = None,
    split: SplitOption = None,
    tiou: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Thresholds: 0.5,0.75 or start:stop:step. Default 0.5.", show_default=False),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Part instances at these values of coverage (0 to 1), length (s) or num-instances; may be given "
            "again. Default: fifths of the instances.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option(metavar="NAME[,NAME]", help="Only these classes; may be given again.")
    ] = None,
    exclude: Annotated[
        str | None, typer.Option(metavar="FILE", help="Leave out the videos listed there, one id per line.")
    ] = None,
    only_annotated: OnlyAnnotatedOption = False,
    ties: Annotated[
        TieRule,
        typer.Option(
            help="A false positive that overlaps several instances equally is judged by one of its own class, or "
            "(as DETAD's code does) by the first in the file."
        ),
    ] = TieRule.own_class,
    format: Annotated[ReportFormat, typer.Option(help="How to print.")] = ReportFormat.table,
    *,
    reporter: Reporter,
) -> None:
    """Say why detections fail: what the false ones are, which instances are missed, and what the detector is weak at.

    False positives: of the best kG detections of each class (G = its instances, k = 1 to 10), how many are true
    positives, double detections, wrong labels, localization errors (tIoU 0.1 or more), confusions (that and the wrong
    label) and background, and by how much average-mAP_N rises without each. Missed instances and average-mAP_N are
    given by coverage, length and number of instances, and by context and agreement where the ground truth has them.

    average-mAP_N takes every class to be as frequent as the mean class; it is not mAP, which is printed beside it.
    Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018.
    """
    from taltool.cli.reports.diagnose import write_report
    from taltool.evaluation.diagnose import diagnose as diagnose_files

    diagnosis = diagnose_files(
        ground_truth,
        *(predictions or ()),
        output=output,
        preset=preset,
        subset=subset,
        split=split,
        tiou=tiou,
        groups=dict(map(_cuts, groups or ())),
        classes=",".join(classes) if classes else None,
        exclude=exclude,
        only_annotated=only_annotated,
        ties=ties.value,
        reporter=reporter,
    )
    write_report(diagnosis, format.value)


def _cuts(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, values = text.partition("=")
    try:
        cuts = tuple(float(value) for value in values.split(","))
    except ValueError:
        raise UsageError(f"--groups {text}: expected NAME=VALUE,VALUE, such as length=3,6,12,18") from None
    if not all(map(math.isfinite, cuts)):
        raise UsageError(f"--groups {text}: expected finite numbers")
    if list(cuts) != sorted(set(cuts)):
        raise UsageError(f"--groups {text}: the values must ascend")
    return name.strip(), cuts
