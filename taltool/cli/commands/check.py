"""`taltool check`: is a file whole."""

from typing import Annotated

import typer

from taltool.errors import DataError
from taltool.reporting import Reporter

MAN = r"""
.SH "WHAT IS CHECKED"
.TP
.B proposals
The end line and its count, every record; repeated, empty, and out-of-range segments are warnings.
.TP
.B ground truth
Every annotation, and that no video is there twice; repeated, empty, and out-of-range instances are warnings.
.TP
.B features
That every video is complete and every value finite; snippets past the end of a video are warnings.
.TP
.B checkpoints
The length of the file, and that every weight is finite; an unfinished training is a warning.
.TP
.B metrics
That every line is whole.
.TP
.B videos
That every packet is there and whole in itself, and that the first frame can be decoded; the others are not decoded.
A variable rate, missing frames and the like are warnings.
"""

EXAMPLES = """
taltool check feats.h5 && taltool train --model afsd feats.h5 gt.json
taltool check -q *.jsonl
"""


def check(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Files of any kind; - is standard input.")
    ] = None,
    score: Annotated[float | None, typer.Option("--score", help="Score of proposals that have none.")] = None,
    *,
    reporter: Reporter,
) -> None:
    """Tell whether files are whole: one line each, and exit status 3 if one is not.

    Odd but usable contents, such as segments past the end of a video, are warnings.
    """
    from taltool.inspection.check import check as run

    paths = files or ["-"]
    broken = []
    for path in paths:
        found = run(path, score=score, reporter=reporter)
        print(f"{path}: {'ok' if found.is_whole else 'not whole'}: {found.summary}", flush=True)
        if not found.is_whole:
            broken.append(path)
    if broken:
        raise DataError(f"{len(broken)} of {len(paths)} not whole: {', '.join(broken)}")
