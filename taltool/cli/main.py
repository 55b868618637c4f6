"""The program: the list of commands, built from the files of `commands` (NAME.py holds the function NAME), and what
runs one of them and turns whatever stops it into one line on standard error and an exit status.

0 done; 1 some videos failed, or `--fail-under` was missed; 2 usage; 3 bad data; 4 unexpected; 130 interrupted; 143
terminated. A closed pipe is not an error. Tracebacks are shown under `-v`.
"""

import errno
import functools
import importlib
import inspect
import io
import math
import os
import pkgutil
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, get_type_hints

import typer

from taltool.cli.arguments import ProgressOption, QuietOption, VerboseOption
from taltool.cli.help_page import Command, Group
from taltool.errors import DataError, EndedElsewhere, TaltoolError, UsageError
from taltool.registry import source_of
from taltool.reporting import printable

_COMMANDS = "taltool.cli.commands"
# The order of the pipeline; a command that is not listed comes after these, by name.
_ORDER = ("extract", "train", "predict", "nms", "label", "fuse", "evaluate", "diagnose", "plot", "convert")
UNEXPECTED, INTERRUPTED, TERMINATED = 4, 130, 143
_HELP = {"help_option_names": ["-h", "--help"]}
# Typer vendors Click and exports only the leaf of its usage errors; this is their common base.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]


class Terminated(BaseException):
    """Raised where SIGTERM arrives (a scheduler, `timeout`): like Ctrl-C it lets nothing half-written lie about.

    It is no KeyboardInterrupt, of which Typer would make one of its own before the command begins.
    """


def command_names() -> list[str]:
    """The names of all commands in the order of the help page; a file without a function of its name is none."""
    package = importlib.import_module(_COMMANDS)
    files = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = {name for name in files if re.search(rf"^def {name}\(", source_of(f"{_COMMANDS}.{name}"), re.M)}
    return [name for name in _ORDER if name in found] + sorted(found - set(_ORDER))


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The Typer application for a command line: with the command that its first word names, or else with every one.

    Loading one command instead of all makes the start a quick one.
    """
    names = command_names()
    app = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=_HELP)
    app.callback()(_taltool)
    for name in [word for word in words[:1] if word in names] or names:
        module = importlib.import_module(f"{_COMMANDS}.{name}")
        app.command(name, cls=Command, context_settings=_HELP)(exit_with_status(getattr(module, name)))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from taltool import __version__

        print(f"taltool {__version__}")
        raise typer.Exit


def _taltool(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Temporal action localization: find when which action happens in long, untrimmed videos.

    Commands read and write standard files, so stages combine with pipes and with other programs:

    taltool extract videos/ -o feats.h5

    taltool train --model afsd feats.h5 gt.json

    taltool predict --model afsd feats.h5 | taltool nms | taltool evaluate gt.json
    """


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
        except Terminated:
            say(context.command_path, "terminated")
            raise typer.Exit(TERMINATED) from None
        except (typer.Exit, typer.Abort, _CommandLineError):
            raise
        except (Exception, SystemExit) as error:  # Nothing that a library raises ends in a traceback.
            if verbose:
                traceback.print_exc()
            raise typer.Exit(_report(context.command_path, error, context)) from error

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


def _report(name: str, error: BaseException, context: typer.Context | None = None) -> int:
    """Say what went wrong in the command `name`; returns the exit status for it."""
    if isinstance(error, TaltoolError):
        if not isinstance(error, EndedElsewhere):
            say(name, str(error))
        if isinstance(error, UsageError):
            print_usage(context)
        return error.exit_status
    _discard_output()
    if isinstance(error, OSError):
        # What is opened for writing can be written to, but for the output that was closed from the beginning.
        place = error.filename or ("standard output" if error.errno == errno.EBADF else "")
        say(name, f"{place}: {error.strerror or error}" if place else error.strerror or str(error))
        return DataError.exit_status
    place = _file_at_hand(error)
    where = f" in {place}" if place else ""
    detail = f": {error}" if str(error) else ""
    say(name, f"unexpected {type(error).__name__}{where}{detail}; -v shows the traceback")
    return UNEXPECTED


def _file_at_hand(error: BaseException) -> str:
    """The file that was read or written where an unexpected error arose, by the variable that names it; or nothing."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        known = frame.f_locals
        path = known.get("path", getattr(known.get("self"), "path", None))
        found = str(path) if isinstance(path, str | Path) else found
    return found


def _discard_output() -> None:
    """Nobody can read on; keep the interpreter's own flush at exit from failing too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_usage(context: typer.Context | None) -> None:
    """Say on standard error how a command is used, where one is known."""
    if context is not None:
        print(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.", file=sys.stderr)


def say(name: str, message: str) -> None:
    """One line about an error on standard error."""
    print(f"{name}: error: {printable(message)}", file=sys.stderr)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of this process; returns the exit status."""
    _open_streams()
    # Alone, the program shows what there is.
    words = (sys.argv[1:] if words is None else words) or ["--help"]
    try:
        with _terminable():
            command = typer.main.get_command(build(words))
            status = command.main(words, prog_name="taltool", standalone_mode=False)
            sys.stdout.flush()
    except Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:
        # So rich and Typer leave where the reader of a help page has gone.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except OSError as error:
        return _report("taltool", error)
    except _CommandLineError as error:
        context = getattr(error, "ctx", None)
        message = error.format_message() or "name a command"  # type: ignore[attr-defined]
        say(context.command_path if context else "taltool", message.replace("Value error, ", ""))
        print_usage(context)
        return UsageError.exit_status
    return status if isinstance(status, int) else 0


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise Terminated in a `with` block, unless somebody cares for it already; a second one kills."""

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        # Else their work, a video of minutes, would be waited for.
        for process in sys.modules["multiprocessing"].active_children() if "multiprocessing" in sys.modules else ():
            process.terminate()
        raise Terminated

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _open_streams() -> None:
    """Let a standard input that the caller closed (`<&-`) be an empty one, and writing to such an output an error;
    what an output's encoding does not have is written out (\\xe9).
    """
    for name, mode, writable in (("stdin", "r", False), ("stdout", "w", False), ("stderr", "w", True)):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_WRONLY if writable else os.O_RDONLY)
            setattr(sys, name, os.fdopen(descriptor, mode))  # Open until the end.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
