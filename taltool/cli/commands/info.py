"""`taltool info`: what is in a file."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from taltool.reporting import Reporter

EXAMPLES = """
taltool info feats.h5
taltool info feats.h5 gt.json detections.jsonl model.safetensors model.metrics.jsonl
taltool info --format json gt.json | jq .subsets
taltool predict --model afsd feats.h5 | taltool info
"""

_MOST_ROWS = 30


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
    """Show what is in features, proposals, ground truth, checkpoints and metrics.

    Counts, classes, durations, clocks, quantiles of scores, and the chain of steps that made the file.
    """
    import orjson

    from taltool.data.info import info as run

    for file in files or ["-"]:
        found = run(file, score=score)
        record = {"file": found.file, "kind": found.kind, **found.facts}
        print(orjson.dumps(record).decode() if layout is Layout.json else "\n".join(table(record)))


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
        else:
            lines.append(f"{title:<{width + len(indent)}}  {_text(value)}")
    if len(shown) > _MOST_ROWS:
        lines.append(f"{indent}... {len(shown) - _MOST_ROWS} more (--format json shows all)")
    return lines


def _is_short(value: dict[str, Any]) -> bool:
    return len(value) <= 5 and not any(isinstance(each, dict | str) for each in value.values())


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
