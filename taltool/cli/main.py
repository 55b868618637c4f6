"""The entry point: runs a command and turns whatever stops it into one line on standard error and an exit status.

0 done; 1 some videos failed, or `--fail-under` was missed; 2 usage; 3 bad data; 130 interrupted. A closed pipe is not
an error. A traceback means a bug; for the errors above it is shown under `-v`.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from taltool.cli.exit_status import INTERRUPTED, print_usage, say
from taltool.errors import UsageError

# Typer vendors Click and exports only the leaf of its usage errors; this is their common base.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of this process; returns the exit status."""
    _open_missing_streams()
    words = sys.argv[1:] if words is None else words
    try:
        from taltool.cli.app import build

        command = typer.main.get_command(build(words))
        status = command.main(words, prog_name="taltool", standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:
        # So rich and Typer leave where the reader of a help page has gone.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except _CommandLineError as error:
        context = getattr(error, "ctx", None)
        message = error.format_message() or "name a command"  # type: ignore[attr-defined]
        say(context.command_path if context else "taltool", message.replace("Value error, ", ""))
        print_usage(context)
        return UsageError.exit_status
    return status if isinstance(status, int) else 0


def _open_missing_streams() -> None:
    """Let a standard stream that the caller closed (`<&-`) be an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 (open until the end)
