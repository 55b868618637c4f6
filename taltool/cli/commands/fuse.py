"""`taltool fuse`: several models' proposals of the same videos become one."""

from typing import Annotated

import typer

from taltool.cli.arguments import (
    LayoutOption,
    OutputOption,
    ProvenanceOption,
    ShowScoresOption,
    SplitOption,
    SubsetOption,
)
from taltool.ops.method_names import FusionMethod
from taltool.reporting import Reporter

MAN = r"""
.SH METHODS
A proposal of file
.I k
with score
.I s
enters with the score
.IR w_k " " c_k ( s ),
.I w_k
being the weight of the file (default 1) and
.I c_k
its calibration, a rising map (default: none).
.TP
.B union
All proposals; then soft\-Gaussian suppression by
.B \-\-sigma
within each class, as in
.BR taltool\-nms (1),
lowers those that say the same.
With
.B \-\-no\-suppress
that is left to a
.B taltool nms
behind it.
.TP
.B rank
The same, but
.I c_k
maps a score to its quantile among all scores of the file (in 256 steps, linear between them), so that only the order
within each file counts.
.TP
.B wbf
Weighted boundary fusion.
Winners are picked by hard suppression at
.BR \-\-tiou ;
each other proposal belongs to the best winner of its class that it overlaps by more than that.
The winner's start and end become the means over its members, weighted by their scores; its score becomes the sum over
the files of the best score that the file has among the members, divided by the sum of the weights.
What only one file has found is thereby lowered.
.SH FITTING
.BI \-\-fit " GT"
chooses the weights, and whether to calibrate, by the average mAP
.RB ( activitynet
rules,
.BR \-\-map\-tiou )
of the fused proposals on the videos of
.BR \-\-subset
of
.IR GT .
Calibration by precision maps a score to the share of the thresholds at which proposals with such a score are right:
isotonic regression over 24 bins.
The fit is applied to all videos of the files.
It is told on standard error, written into the provenance, and with
.B \-\-save\-fit
into a file that
.B \-\-weights
takes, for other files of the same models.
Fit on other videos than those that you report.
"""

EXAMPLES = """
taltool fuse rgb.jsonl flow.jsonl -o both.jsonl
taltool fuse a.jsonl b.jsonl c.jsonl --weights 1,1,0.5 | taltool evaluate gt.json
# fit on the validation videos, use on the test videos
taltool fuse a-val.jsonl b-val.jsonl --fit gt.json --subset validation --save-fit ab.json -o val.jsonl
taltool fuse a-test.jsonl b-test.jsonl --weights ab.json | taltool evaluate gt.json --subset testing
"""


def fuse(
    proposals: Annotated[
        list[str], typer.Argument(metavar="PROPOSALS...", help="Two or more files of proposals of the same videos.")
    ],
    output: OutputOption = "-",
    to: LayoutOption = None,
    show_scores: ShowScoresOption = False,
    method: Annotated[FusionMethod, typer.Option(help="How proposals come together.")] = FusionMethod.union,
    weights: Annotated[
        str | None, typer.Option(metavar="W,W..|FILE", help="A weight per file, or what --save-fit wrote.")
    ] = None,
    fit: Annotated[
        str | None, typer.Option(metavar="GT", help="Fit weights and calibration to this ground truth.")
    ] = None,
    subset: SubsetOption = None,
    split: SplitOption = None,
    map_tiou: Annotated[
        str, typer.Option(metavar="LIST", help="Thresholds of the average mAP that is fitted: 0.5,0.75 or a range.")
    ] = "0.3:0.7:0.1",
    save_fit: Annotated[str | None, typer.Option(metavar="FILE", help="Write the fit for --weights.")] = None,
    tiou: Annotated[float, typer.Option(metavar="T", help="wbf: tIoU above which proposals are one.")] = 0.4,
    sigma: Annotated[float, typer.Option(metavar="S", help="union, rank: width of the Gaussian.")] = 0.5,
    suppress: Annotated[
        bool, typer.Option("--suppress/--no-suppress", help="union, rank: lower what overlaps.")
    ] = True,
    top_k: Annotated[int, typer.Option(metavar="K", min=0, help="Keep the K best of a video; 0: all.")] = 0,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Fuse the proposals of several models, streams or seeds for the same videos into one.

    Scores of different models do not compare: give --weights, or fit them with --fit. Videos may come in any order;
    memory stays flat however many they are.
    """
    from taltool.postprocessing import fuse as stage

    stage.fuse(
        *proposals,
        output=output,
        to=to,
        show_scores=show_scores,
        method=method,
        weights=weights,
        fit=fit,
        subset=subset,
        split=split,
        map_tiou=map_tiou,
        save_fit=save_fit,
        tiou=tiou,
        sigma=sigma,
        suppress=suppress,
        top_k=top_k,
        provenance=provenance,
        reporter=reporter,
    )
