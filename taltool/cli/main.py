"""The entry point: runs a command and turns whatever stops it into one line on standard error and an exit status.

0 done; 1 some videos failed, or `--fail-under` was missed; 2 usage; 3 bad data; 130 interrupted. A closed pipe is not
an error. A traceback means a bug; for the errors above it is shown under `-v`.
"""

import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import typer

from taltool.cli.arguments import ProgressOption, QuietOption, VerboseOption
from taltool.errors import DataError, TaltoolError, UsageError

# Typer vendors Click and exports only the leaf of its usage errors; this is their common base.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit."""
    _open_missing_streams()
    try:
        from taltool.cli.app import build

        words = sys.argv[1:]
        status = run(build(words), words)
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _open_missing_streams() -> None:
    """Let a standard stream that the caller closed (`<&-`) be an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 (open until the end)


def run(app: typer.Typer, words: list[str]) -> int:
    """Run `app` on the words of a command line; return the exit status."""
    command = typer.main.get_command(app)
    try:
        status = command.main(words, prog_name="taltool", standalone_mode=False)
    except SystemExit as leaving:
        # So rich and Typer leave where the reader of a help page has gone.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except _CommandLineError as error:
        context = getattr(error, "ctx", None)
        message = error.format_message() or "name a command"  # type: ignore[attr-defined]
        _say(context.command_path if context else "taltool", message.replace("Value error, ", ""))
        _print_usage(context)
        return UsageError.exit_status
    return status if isinstance(status, int) else 0


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command's function for Typer: errors become exit statuses, and its parameter `reporter`, which the
    command line cannot give, becomes the options `--quiet`, `--verbose` and `--progress`.
    """
    from taltool.cli.console import TerminalReporter

    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in signature.parameters.values() if p.name != "reporter"]
    common = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=QuietOption),
        inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=VerboseOption),
        inspect.Parameter("progress", inspect.Parameter.KEYWORD_ONLY, default="auto", annotation=ProgressOption),
    ]

    @functools.wraps(function)
    def command(context: typer.Context, quiet: int, verbose: bool, progress: str, **arguments: Any) -> None:
        if "reporter" in signature.parameters:
            arguments["reporter"] = TerminalReporter(context.command_path, quiet, verbose, progress)
        raise typer.Exit(_status(context, functools.partial(function, **arguments), verbose))

    del command.__dict__["__wrapped__"]
    command.__signature__ = signature.replace(parameters=[*own, *common])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
    return command


def _status(context: typer.Context, function: Callable[[], None], verbose: bool) -> int:
    try:
        function()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except KeyboardInterrupt:
        _say(context.command_path, "interrupted")
        return INTERRUPTED
    except TaltoolError as error:
        if verbose:
            traceback.print_exc()
        _say(context.command_path, str(error))
        if isinstance(error, UsageError):
            _print_usage(context)
        return error.exit_status
    except OSError as error:
        if verbose:
            traceback.print_exc()
        _discard_output()
        where = f"{error.filename}: " if error.filename else ""
        _say(context.command_path, f"{where}{error.strerror or error}")
        return DataError.exit_status
    return 0


def _discard_output() -> None:
    """Nobody can read on; keep the interpreter's own flush at exit from failing too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_usage(context: typer.Context | None) -> None:
    if context is not None:
        print(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.", file=sys.stderr)


def _say(name: str, message: str) -> None:
    print(f"{name}: error: {message}", file=sys.stderr)
