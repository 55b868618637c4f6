"""`taltool check`: is a file whole, and does it make sense."""

import sys
from typing import Annotated

import typer

from taltool.data.schemas import Schema, json_schema
from taltool.errors import DataError, UsageError
from taltool.reporting import Reporter

MAN = r"""
.SH "WHAT IS CHECKED"
What any command would refuse is not whole: exit status 3.
What is odd but usable is a warning, a line for each kind, with its count and the first places;
.B \-\-strict
makes it status 3 too.
.TP
.B proposals
The end line and its count, every record.
Odd: segments of zero length, before 0, past the end of their video, repeated with their label; labels and videos whose
names differ by a slip (see below); more than half of the segments past the end, as where times are frames.
.TP
.B ground truth
Every annotation, and that no video is there twice.
Odd: as of proposals; segments that are there with the same times and another label, or that overlap another one of
their label; videos without annotations, without a duration, or in no subset where others are in one; videos with
several classes, where nearly all have one; subsets that seem to be one, such as val and validation.
.TP
.B class scores
JSON, tables (CSV, TSV) and .npy: one layout for all videos, and that every score is a finite number with the name of a
class.
Odd: scores that are no probabilities (logits).
.TP
.B splits
That no video is in two subsets of a split.
.TP
.B features
That every video is complete and every value finite.
Odd: snippets past the end of a video.
.TP
.B checkpoints
The length of the file, and that every weight is finite.
Odd: an unfinished training.
.TP
.B metrics
That every line is whole.
.TP
.B videos
That every packet is there and whole in itself, and that the first frame can be decoded; of the others some keyframes
are, for their size.
Odd: a variable rate, missing frames, pictures of several sizes and the like.
.PP
With
.B \-\-ground\-truth
it is odd besides where proposals, class scores or features are of videos that it lacks (it is said how many it has
by other names: but for v_, a folder, the suffix of a file, blanks or case), lack videos of its subsets that they are
about, differ from its durations by more than half a second, or have labels that it lacks; a split that lists an
unknown video is not whole.
.PP
Labels differ by a slip where only case, blanks and signs differ, or one letter of five or more is left out, put in,
another one, or swapped with the next, and one of the two is rare.
.SH MENDING
.B \-\-fix
mends what leaves no choice, of ground truth and proposals, and says what it did; all else stays as it was.
A file of ELAN or BORIS, which has more in it than segments, is mended into another format.
.TP
.B backwards
Segments that end before they start are left out.
.TP
.B clip
Segments end at the end of their video and begin at 0 at the earliest; those that lie outside of it are left out.
Refused where most do, as where times are frames.
.B \-\-durations
gives those that the file lacks.
.TP
.B zero\-length
Segments of zero length are left out.
.TP
.B duplicates
Of segments with the same times and label one stays, of proposals the best.
.PP
Labels are renamed by
.BR "taltool convert \-\-relabel" .
.SH SCHEMAS
.B \-\-schema
prints a JSON Schema (draft 2020\-12) of a kind of file, for editors, validators, and programs that write it:
.BR annotations ,
.B proposals
(the JSON document),
.B proposals\-line
(a line of the stream, of either version),
.B class\-scores
or
.BR splits .
What a schema cannot say (that a segment does not end before it starts, that a key is there once, that the end line
counts right) is checked by this command alone.
"""

EXAMPLES = """
taltool check feats.h5 && taltool train --model afsd feats.h5 gt.json
taltool check -q *.jsonl
taltool check --strict gt.json splits.json
taltool check --ground-truth gt.json detections.jsonl
# which instances, each of them
taltool check --all gt.json 2>&1 | grep 'after their video'
taltool check --fix clip,zero-length gt.json -o mended.json
taltool check --schema annotations > annotations.schema.json
"""


def check(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Files of any kind; - is standard input.")
    ] = None,
    ground_truth: Annotated[
        str | None,
        typer.Option("--ground-truth", metavar="GT", help="Ground truth that videos, durations and labels should fit."),
    ] = None,
    durations: Annotated[
        str | None, typer.Option("--durations", metavar="FILE", help="Durations of the videos that have none.")
    ] = None,
    score: Annotated[float | None, typer.Option("--score", help="Score of proposals that have none.")] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Name every odd segment, not only the first ones.")] = False,
    fix: Annotated[
        str | None,
        typer.Option(
            "--fix",
            metavar="WHAT",
            help="Mend backwards, clip, zero-length, duplicates (with commas between), or all, of one file into -o.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Where the mended file goes.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 where anything is odd too.")] = False,
    schema: Annotated[
        Schema | None, typer.Option("--schema", help="Print the JSON Schema of this kind of file, and do no more.")
    ] = None,
    *,
    reporter: Reporter,
) -> None:
    """Tell whether files are whole and make sense: one line each, and exit status 3 if one is not whole.

    Odd but usable contents, such as segments past the end of a video, are warnings.
    """
    from taltool.inspection.check import check as run

    if schema is not None:
        if files:
            raise UsageError(f"--schema {schema}: prints one schema, and checks nothing; leave {files[0]} out")
        print(json_schema(schema), end="")
        return
    paths = files or ["-"]
    if fix and len(paths) > 1:
        raise UsageError(f"--fix mends one file at a time, not {len(paths)}")
    broken, odd = [], []
    for path in paths:
        found = run(
            path,
            ground_truth=ground_truth,
            durations=durations,
            score=score,
            show_all=show_all,
            fix=fix,
            output=output,
            reporter=reporter,
        )
        line = f"{path}: {'ok' if found.is_whole else 'not whole'}: {found.summary}"
        print(line, flush=True, file=sys.stderr if output == "-" else sys.stdout)
        if not found.is_whole:
            broken.append(path)
        if found.oddities:
            odd.append(path)
    if broken:
        raise DataError(f"{len(broken)} of {len(paths)} not whole: {', '.join(broken)}")
    if odd and strict:
        raise DataError(f"{len(odd)} of {len(paths)} odd: {', '.join(odd)}")
