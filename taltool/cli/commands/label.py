"""`taltool label`: class-agnostic proposals become detections."""

from typing import Annotated

import typer

from taltool.cli.arguments import LayoutOption, OutputOption, ProposalsArgument, ProvenanceOption, ShowScoresOption
from taltool.ops.method_names import Combination, Vote
from taltool.reporting import Reporter

MAN = r"""
.SH SCORES
Each proposal with score
.I p
is written once for each of its
.B \-\-top\-k
best classes, with a score made of
.I p
and the score
.I c
of the class. Class scores are taken as they are; they are not normalised after the choice.
Of detections that become equal in segment and label the best is written.
.TP
.B product
.IR "p c" :
AFSD, BMN, G\-TAD, OpenTAD.
.TP
.B sqrt
the root of
.IR "p c" :
ActionFormer. The order within one file is that of product.
.TP
.B weighted
.IR p "^(1 \- " w ") " c "^" w
with
.BR \-\-weight ;
0.5 is sqrt.
.PP
With
.B \-\-keep\-labels
a detection keeps its class, and
.I c
is the score of that class, whatever
.BR \-\-top\-k ;
where it is 0 the detection is left out, and counted.
That is the other reading of "multiplied by a video classifier's scores", for a model that tells classes itself;
.B \-\-replace
takes from such a model the segments alone, which should then have been suppressed
.B \-\-agnostic
first.
.PP
With
.B \-\-from
.I c
is the share of the class in the vote of all detections of that file in the same video, each voting for its class with
its score times its tIoU with the proposal; with
.B "\-\-vote best"
it is the largest such vote for the class. The share forgets how sure the detector was, the best vote does not; it suits
proposals that nothing has suppressed yet, with
.B "\-\-combine weighted \-\-weight 0.7"
and a class\-wise
.BR taltool\-nms (1)
behind.
A proposal that no detection overlaps has no class: it is left out, and counted.
.SH "CLASS SCORES OF VIDEOS"
.B \-\-classifier
reads these layouts, told by content:
.TP
.B CUHK, OpenTAD
{"results": {ID: [scores]}, "class": [names]} ("classes" too)
.TP
.B best class
{ID: {"class": name, "score": s}}
.TP
.B classification results
{"results": {ID: [{"label": name, "score": s}, ...]}}
.TP
.B by name
{ID: {name: s, ...}}
.TP
.B UntrimmedNet
THUMOS14's 101 classes as columns (of which the 20 detection classes are taken), .npy or JSON: a row per video, found
by the number at the end of the video's name, from 1; or {ID: [101 or 20 scores]}.
.TP
.B tables
CSV or TSV, told by the first line: a column video_id and one of each class, or video_id, label and score, a row for
each class that a video lists.
.PP
Labels may be numbers, and rows without names, where
.B \-\-classes
says the names (see CLASSES in
.BR taltool\-convert (1)).
.PP
Where an id is not in the file, it is looked for with ActivityNet's v_ put in front or taken off.
All videos of a file have one layout.
With
.B \-\-softmax
the numbers are logits; the softmax of a video is over the classes that the file lists for it, and the others have score
0. Scores above 1 or below 0 are refused without it.
"""

EXAMPLES = """
taltool predict --model mgnet feats.h5 | taltool nms --preset mgnet-activitynet13 > proposals.jsonl
taltool label proposals.jsonl --classifier cuhk_val_simp_share.json --top-k 2 | taltool evaluate gt.json
taltool predict --model amnet feats.h5 | taltool nms --preset amnet-activitynet13 |
    taltool label --replace --classifier cuhk_val_simp_share.json | taltool evaluate gt.json
taltool predict --model amnet feats.h5 | taltool label --keep-labels --classifier cuhk_val_simp_share.json |
    taltool nms --preset amnet-activitynet13 --class-wise | taltool evaluate gt.json
taltool label proposals.jsonl --from afsd.jsonl | taltool evaluate gt.json
taltool predict --model mgnet feats.h5 | taltool label --from afsd.jsonl --vote best --combine weighted --weight 0.7 |
    taltool nms > detections.jsonl
"""


def label(
    proposals: ProposalsArgument = "-",
    output: OutputOption = "-",
    to: LayoutOption = None,
    show_scores: ShowScoresOption = False,
    classifier: Annotated[
        str | None, typer.Option(metavar="FILE", help="Class scores of whole videos, in any of the layouts below.")
    ] = None,
    detections: Annotated[
        str | None,
        typer.Option("--from", metavar="PROPOSALS", help="Another detector's output: overlapping detections vote."),
    ] = None,
    vote: Annotated[
        Vote, typer.Option(help="--from: a class counts by its share in the vote, or by its best detection.")
    ] = Vote.share,
    top_k: Annotated[
        int, typer.Option("--top-k", "--top-classes", metavar="K", min=1, help="Classes for each proposal.")
    ] = 2,
    combine: Annotated[
        Combination, typer.Option(help="Score of a detection, from those of the proposal and of the class.")
    ] = Combination.product,
    weight: Annotated[
        float, typer.Option(metavar="W", min=0, max=1, help="weighted: how much the class counts.")
    ] = 0.5,
    softmax: Annotated[bool, typer.Option("--softmax", help="The class scores are logits.")] = False,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="FILE",
            help="--classifier: the names of its numbers, as for convert.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace labels that proposals have.")] = False,
    keep_labels: Annotated[
        bool, typer.Option("--keep-labels", help="Keep labels; the score of the same class counts.")
    ] = False,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Write videos that have no class scores without detections.")
    ] = False,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Give class-agnostic proposals their classes, so that they become detections.

    The classes come from a classifier of whole videos (--classifier), or from another detector (--from).
    """
    from taltool.postprocessing import label as stage

    stage.label(
        proposals,
        output=output,
        to=to,
        show_scores=show_scores,
        classifier=classifier,
        detections=detections,
        vote=vote,
        top_k=top_k,
        combine=combine,
        weight=weight,
        softmax=softmax,
        classes=classes,
        replace=replace,
        keep_labels=keep_labels,
        skip_missing=skip_missing,
        provenance=provenance,
        reporter=reporter,
    )
