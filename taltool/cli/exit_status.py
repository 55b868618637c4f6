"""A command's function as Typer wants it: whatever stops it becomes one line on standard error and an exit status."""

import functools
import inspect
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import typer

from taltool.cli.arguments import ProgressOption, QuietOption, VerboseOption
from taltool.errors import DataError, TaltoolError, UsageError

INTERRUPTED = 130


def exit_with_status(function: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command's function for Typer: errors become exit statuses, and its parameter `reporter`, which the
    command line cannot give, becomes the options `--quiet`, `--verbose` and `--progress`.
    """
    from taltool.cli.progress import TerminalReporter

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
        _refuse_not_finite(context, arguments)
        if "reporter" in signature.parameters:
            arguments["reporter"] = TerminalReporter(context.command_path, quiet, verbose, progress)
        try:
            function(**arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_output()
        except KeyboardInterrupt:
            say(context.command_path, "interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except (TaltoolError, OSError) as error:
            if verbose:
                traceback.print_exc()
            raise typer.Exit(_report(context, error)) from error

    del command.__dict__["__wrapped__"]
    command.__signature__ = signature.replace(parameters=[*own, *common])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
    return command


def _refuse_not_finite(context: typer.Context, arguments: Mapping[str, Any]) -> None:
    """Raise BadParameter, naming it, for an option that is NaN or infinite: comparisons with it would do nothing."""
    for parameter in context.command.params:
        value = arguments.get(parameter.name or "")
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                hint = f"'{parameter.opts[0]}'"
                raise typer.BadParameter(f"{number} is not a finite number.", context, param_hint=hint)


def _report(context: typer.Context, error: TaltoolError | OSError) -> int:
    """Say what went wrong; returns the exit status for it."""
    if isinstance(error, OSError):
        _discard_output()
        where = f"{error.filename}: " if error.filename else ""
        say(context.command_path, f"{where}{error.strerror or error}")
        return DataError.exit_status
    say(context.command_path, str(error))
    if isinstance(error, UsageError):
        print_usage(context)
    return error.exit_status


def _discard_output() -> None:
    """Nobody can read on; keep the interpreter's own flush at exit from failing too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_usage(context: typer.Context | None) -> None:
    """Say on standard error how a command is used, where one is known."""
    if context is not None:
        print(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.", file=sys.stderr)


def say(name: str, message: str) -> None:
    """One line about an error on standard error."""
    print(f"{name}: error: {message}", file=sys.stderr)
