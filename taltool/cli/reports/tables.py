"""Tables on standard output: drawn by rich on a terminal, plain aligned columns for a pipe."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A title and rows of words under columns; the first column is flush left, the others flush right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print name and value pairs, a line each, values aligned."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print(f"{name:<{width}}  {value}")


def print_table(table: Table) -> None:
    """Print one table after an empty line."""
    if sys.stdout.isatty():
        _print_rich(table)
    else:
        print("\n" + plain(table))


def plain(table: Table) -> str:
    """The table as aligned text, without trailing blanks."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    texts = [
        "  ".join([line[0].ljust(widths[0])] + [word.rjust(w) for word, w in zip(line[1:], widths[1:], strict=True)])
        for line in lines
    ]
    return "\n".join([table.title, *(text.rstrip() for text in texts)])


def _print_rich(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=Text(table.title), title_justify="left", header_style="bold")
    for number, column in enumerate(table.columns):
        drawn.add_column(Text(column), justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console = Console(highlight=False)
    console.print()
    console.print(drawn)
