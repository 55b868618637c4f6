"""The list of commands, built from the files of `commands`: NAME.py holds the function NAME."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from taltool.cli.exit_status import exit_with_status
from taltool.registry import source_of

_COMMANDS = "taltool.cli.commands"
# The order of the pipeline; a command that is not listed comes after these, by name.
_ORDER = ("extract", "train", "predict", "nms", "label", "fuse", "evaluate", "diagnose", "plot", "convert")


def command_names() -> list[str]:
    """The names of all commands in the order of the help page; a file without a function of its name is none."""
    package = importlib.import_module(_COMMANDS)
    files = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = {name for name in files if re.search(rf"^def {name}\(", source_of(f"{_COMMANDS}.{name}"), re.M)}
    return [name for name in _ORDER if name in found] + sorted(found - set(_ORDER))


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The Typer application for a command line: with the command that its first word names, or else with every one.

    Loading one command instead of all, and drawing help with rich only on a terminal, makes the start a quick one.
    """
    names = command_names()
    style: Literal["rich"] | None = "rich" if sys.stdout.isatty() else None
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=style, pretty_exceptions_enable=False)
    app.callback()(_taltool)
    for name in [word for word in words[:1] if word in names] or names:
        module = importlib.import_module(f"{_COMMANDS}.{name}")
        app.command(name)(exit_with_status(getattr(module, name)))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from taltool import __version__

        print(f"taltool {__version__}")
        raise typer.Exit


def _taltool(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Temporal action localization: find when which action happens in long, untrimmed videos.

    Commands read and write standard files, so stages combine with pipes and with other programs:

    taltool extract videos/ -o feats.h5

    taltool train --model afsd feats.h5 gt.json

    taltool predict --model afsd feats.h5 | taltool nms | taltool evaluate gt.json
    """
