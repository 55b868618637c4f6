"""`taltool help`: the manual, without man(1)."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
# what there is to read
taltool help
taltool help tutorial
# the page of a command, of a file format, as text
taltool help nms
taltool help proposals > proposals.txt
"""


def help(
    topic: Annotated[
        str, typer.Argument(metavar="[TOPIC]", help="A command, a guide or a file format. Default: list them.")
    ] = "",
) -> None:
    """Show a page of the manual: a command, a guide, or a file format.

    On a terminal through a pager ($MANPAGER, $PAGER, else less), otherwise as plain text. The pages are those that man
    shows; this works where man is not installed or does not find them.
    """
    import pydoc
    import shutil

    from taltool.cli.manual import overstruck, pages
    from taltool.errors import UsageError
    from taltool.registry import did_you_mean

    known, name = pages(), topic.removeprefix("taltool-")
    width = min(shutil.get_terminal_size().columns, 80) - 2
    if not topic:
        _list_topics(known, width)
    elif name in known:
        pydoc.pager(overstruck(known[name].read_text(encoding="utf-8"), width))
    else:
        raise UsageError(f"no page is named '{topic}'{did_you_mean(name, list(known))}; `taltool help` lists all")


def _list_topics(known: dict[str, Path], width: int) -> None:
    """Print every topic with what it is about, the commands first."""
    import textwrap

    from taltool.cli.main import command_names
    from taltool.cli.manual import summary

    known = {name: known[name] for name in sorted(known, key=["taltool", *command_names(), *known].index)}
    for heading, section in (("Commands", ".1"), ("Guides", ".7"), ("File formats", ".5")):
        print(f"{heading}:")
        for topic, page in known.items():
            if page.suffix == section:
                lead = f"  {topic:13}"
                print(textwrap.fill(lead + summary(page), width, subsequent_indent=" " * len(lead)))
