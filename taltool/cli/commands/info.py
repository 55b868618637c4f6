"""`taltool info`: what is in a file."""

from enum import StrEnum
from itertools import zip_longest
from typing import Annotated, Any

import typer

from taltool.errors import DataError
from taltool.reporting import Reporter

MAN = r"""
.SH VIDEOS
A video is told by its first bytes, whatever its name is.
Every packet of it is looked at, but only its first frame is decoded.
.TP
.B seconds, fps, frames
Those that snippets are cut by.
.B seconds
is what the file says, or the end of its last frame where that is later;
.B header seconds
what the header alone says.
.B fps
is the rate on which its frames lie;
.B fps average
is told where it is another one, as where frames are missing.
.TP
.B damage
What is not whole: an end that is missing, broken packets, a beginning that cannot be decoded.
.B "taltool check"
fails where there is any.
.TP
.B oddities
What is whole but unusual: a variable rate, a turned picture, frames that are missing, several video streams,
interlaced or transparent pictures, pixels that are not square, a high dynamic range, a clock that does not start at 0.
"""

EXAMPLES = """
taltool info feats.h5
taltool info feats.h5 gt.json detections.jsonl model.safetensors model.metrics.jsonl
taltool info movie.mp4
taltool info videos/
taltool info --format json gt.json | jq .subsets
taltool predict --model afsd feats.h5 | taltool info
"""

# The rows of facts of one kind, and the values in a line, that a table shows; --format json shows all.
_MOST_ROWS, _MOST_IN_LINE = 30, 20
# Facts that are lists of phrases, which have a line each.
_PHRASES = ("audio", "subtitles", "damage", "oddities", "not_read")


class Layout(StrEnum):
    """How the facts are printed."""

    table = "table"
    json = "json"


def info(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Files of any kind; - is standard input.")
    ] = None,
    layout: Annotated[
        Layout, typer.Option("--format", help="table for reading, or json: one object per file, a line each.")
    ] = Layout.table,
    score: Annotated[float | None, typer.Option("--score", help="Score of proposals that have none.")] = None,
    *,
    reporter: Reporter,
) -> None:
    """Show what is in features, proposals, ground truth, checkpoints, metrics and videos.

    Counts, classes, durations, clocks, quantiles of scores, and the chain of steps that made the file. Of a video:
    length, rate, size, streams, what is damaged and what is odd. A folder of videos is summed up; a folder of images is
    a video.
    """
    import orjson

    from taltool.inspection.info import info as run

    paths = files or ["-"]
    broken = []
    for path in paths:
        try:
            found = run(path, score=score)
        except DataError as error:
            if len(paths) == 1:
                raise
            reporter.warn(str(error))
            broken.append(path)
            continue
        record = {"file": found.file, "kind": found.kind, **found.facts}
        print(orjson.dumps(record).decode() if layout is Layout.json else "\n".join(table(record)), flush=True)
    if broken:
        raise DataError(f"{len(broken)} of {len(paths)} cannot be read: {', '.join(broken)}")


def table(record: dict[str, Any]) -> list[str]:
    """The lines of a table of named facts; facts of facts are indented, empty ones left out."""
    facts = dict(record)
    head, chain = f"{facts.pop('file')}: {facts.pop('kind')}", facts.pop("provenance", [])
    lines = [head, *_rows(facts, "  ")]
    if chain:
        lines.append("  provenance")
        lines += [
            f"    {each.get('time', '')}  {each.get('tool', '')} {each.get('version', '')}  {each.get('command', '')}"
            for each in chain
        ]
    return lines


def _rows(facts: dict[str, Any], indent: str) -> list[str]:
    shown = {name: value for name, value in facts.items() if value not in (None, {}, [], "")}
    width = max((len(str(name)) for name in shown), default=0)
    lines = []
    for name, value in list(shown.items())[:_MOST_ROWS]:
        title = f"{indent}{str(name).replace('_', ' ') if indent == '  ' else name}"
        if isinstance(value, dict) and not _is_short(value):
            lines += [title, *_rows(value, indent + "  ")]
        elif name in _PHRASES:
            lines += [
                f"{head:<{width + len(indent)}}  {each}" for head, each in zip_longest([title], value, fillvalue="")
            ]
        else:
            lines.append(f"{title:<{width + len(indent)}}  {_text(value)}")
    if len(shown) > _MOST_ROWS:
        lines.append(f"{indent}... {len(shown) - _MOST_ROWS} more (--format json shows all)")
    return lines


def _is_short(value: dict[str, Any]) -> bool:
    lists_names = any(isinstance(each, list) and each and isinstance(each[0], str) for each in value.values())
    return len(value) <= 5 and not lists_names and not any(isinstance(each, dict | str) for each in value.values())


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        shown = ", ".join(map(_text, value[:_MOST_IN_LINE]))
        return shown + (f", ... {len(value) - _MOST_IN_LINE} more" if len(value) > _MOST_IN_LINE else "")
    return f"{value:.6g}" if isinstance(value, float) else str(value)
