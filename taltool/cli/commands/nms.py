"""`taltool nms`: non-maximum suppression."""

from typing import Annotated

import typer

from taltool.cli.arguments import (
    JobsOption,
    LayoutOption,
    OutputOption,
    ProposalsArgument,
    ProvenanceOption,
    ShowScoresOption,
)
from taltool.ops.nms_settings import Method
from taltool.reporting import Reporter

MAN = r"""
.SH METHODS
The candidates of a video (of one class of it, unless
.BR \-\-agnostic )
are picked one by one, best score first.
Every pick
.I b
lowers the score
.I s
of each remaining candidate
.I c
by their overlap
.IR o " = tIoU(" b ", " c ") = |" b " \(ca " c "| / |" b " \(cu " c "|;"
a pair without common time has
.IR o " = 0."
A candidate whose score has fallen below
.I \-\-min\-score
is dropped.
.TP
.B hard
.IR c " is removed if " o " > " T .
.I T
is
.BR \-\-tiou ,
default 0.5: the
.I iou_threshold
of the usual code.
.TP
.B soft\-linear
.IR s " \(<- " s " (1 \- " o ")"
if
.IR o " > " T .
.I T
is
.BR \-\-tiou ,
default 0.5 (N_t in Soft\-NMS).
.TP
.B soft\-gaussian
.IR s " \(<- " s " exp(\-" o "^2 / sigma)"
if
.IR o " > " T .
.I sigma
is
.BR \-\-sigma ,
default 0.5;
.I T
is
.BR \-\-tiou ,
default 0, that is, every overlapping candidate.
.I sigma
is
.I nms_sigma
in ActionFormer and OpenTAD, the "tIoU threshold in Soft\-NMS" of AFSD's supplement,
.I alpha
in BMN and mmaction2,
.I nms_threshold
in G\-TAD, whose code all have
.IR T " = 0"
whatever their iou_threshold says.
MGNet's "threshold" (0.8, 0.65) is
.IR T ,
with sigma 0.75.
.TP
.B soft\-width
As soft\-gaussian, with
.IR T " = " t1 " + (" t2 " \- " t1 ") |" b "| / duration:"
long picks suppress only what is nearly equal to them.
.I t1
is
.B \-\-tiou
(default 0.5),
.I t2
is
.B \-\-tiou\-wide
(default 0.9),
.I sigma
defaults to 0.4: BMN's soft_nms_low_thres, soft_nms_high_thres and soft_nms_alpha.
BSN: 0.65, 0.9 and 0.75.
OpenTAD's method 3 has
.IR t1 " + " t2 " |" b "|"
in its own unit of length; its t2 is ours minus t1 only where lengths are parts of the duration.
Needs the duration of every video.
.PP
TAGS (GSMT's code) multiplies by exp(\-10
.IR o "^2) / 0.6,"
which raises scores where
.I o
is small, and has another
.IR o ;
that is not reproduced here.
The Python loops of BMN, G\-TAD and AFSD lose the last candidate; here it is kept.
Soft methods need scores from 0 on.
.SH ORDER
Equal scores are taken in the order of start, end and label, and the output has that order too, so the result does not
depend on the order of the input, nor on
.BR \-\-jobs .
These steps follow each other:
.B \-\-dedup
(of copies with equal segment and label the best stays),
.B \-\-pre\-top\-k
(per video), suppression,
.B \-\-min\-score
(a score equal to it stays),
.BR \-\-voting ,
.B \-\-top\-k\-per\-class
(of each video),
.B \-\-top\-k
(per video).
.SH VOTING
With
.BI \-\-voting " V"
the boundaries of each kept candidate become the mean over all candidates (of its class, unless
.BR \-\-agnostic )
as they were before suppression with
.IR o " \(>= " V ,
weighted by score times
.IR o .
This is ActionFormer's voting_thresh; that code votes only where it suppresses agnostically.
.SH PRESETS
.B \-\-preset
takes the settings of a published system; options beside it win.
.B "taltool nms \-\-list\-presets"
prints every row with its values and its source.
"""

EXAMPLES = """
taltool predict --model afsd feats.h5 | taltool nms --preset afsd-thumos14 | taltool evaluate gt.json
taltool nms --method hard --tiou 0.6 --top-k 100 proposals.json -o kept.json
# what a player shows beside movie.mp4
taltool nms --method hard --min-score 0.3 movie.jsonl --show-scores -o movie.vtt
# every setting is an option: the best threshold is found without a GPU
for s in 0.3 0.5 0.7; do taltool nms --sigma $s p.jsonl | taltool evaluate gt.json --format csv; done
"""


def nms(
    proposals: ProposalsArgument = "-",
    output: OutputOption = "-",
    to: LayoutOption = None,
    show_scores: ShowScoresOption = False,
    method: Annotated[
        Method | None, typer.Option(help="How overlap lowers a score. Default: soft-gaussian.", show_default=False)
    ] = None,
    tiou: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="tIoU above which a candidate is lowered: hard, soft-linear and soft-width 0.5, soft-gaussian 0.",
        ),
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(metavar="S", help="Width of the Gaussian: soft-gaussian 0.5, soft-width 0.4.")
    ] = None,
    tiou_wide: Annotated[
        float | None, typer.Option(metavar="T2", help="soft-width: the T of a pick as long as the video (0.9).")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(metavar="M", help="Drop what ends below this score; default: nothing.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", min=0, help="Keep the K best of each video; 0 and default: all.")
    ] = None,
    top_k_per_class: Annotated[
        int | None, typer.Option(metavar="K", min=0, help="Keep the K best of each class of a video; 0: all.")
    ] = None,
    pre_top_k: Annotated[
        int | None, typer.Option(metavar="P", min=0, help="Consider only the P best of each video; 0: all.")
    ] = None,
    agnostic: Annotated[
        bool | None,
        typer.Option(
            "--agnostic/--class-wise", help="Do classes suppress each other? Default: no.", show_default=False
        ),
    ] = None,
    dedup: Annotated[
        bool | None,
        typer.Option("--dedup/--no-dedup", help="First drop exact copies (segment and label).", show_default=False),
    ] = None,
    voting: Annotated[
        float | None, typer.Option(metavar="V", help="Average the boundaries of candidates with tIoU of at least V.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="A paper's own settings, such as afsd-thumos14.")
    ] = None,
    list_presets: Annotated[bool, typer.Option("--list-presets", help="Print the presets and exit.")] = False,
    jobs: JobsOption = 1,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Remove or down-weight duplicate detections by non-maximum suppression (NMS).

    Of proposals that overlap, the best is kept and the others lose score or are dropped, class by class unless
    --agnostic. With no option: soft-gaussian with sigma 0.5, and nothing is dropped; a detector's paper usually also
    wants --top-k 200 --min-score 0.001. The formulas are in taltool-nms(1).
    """
    from taltool.postprocessing import nms as stage

    if list_presets:
        _print_presets()
        return
    stage.nms(
        proposals,
        output=output,
        to=to,
        show_scores=show_scores,
        method=method,
        tiou=tiou,
        sigma=sigma,
        tiou_wide=tiou_wide,
        min_score=min_score,
        top_k=top_k,
        top_k_per_class=top_k_per_class,
        pre_top_k=pre_top_k,
        agnostic=agnostic,
        dedup=dedup,
        voting=voting,
        preset=preset,
        jobs=jobs,
        provenance=provenance,
        reporter=reporter,
    )


def _print_presets() -> None:
    from dataclasses import asdict

    from taltool.ops.nms_settings import PRESETS

    for name, row in PRESETS.items():
        values = {key: value for key, value in asdict(row.settings).items() if value not in (None, False)}
        words = " ".join(f"--{key.replace('_', '-')} {value}".removesuffix(" True") for key, value in values.items())
        print(f"{name}: {words}\n    {row.source}")
