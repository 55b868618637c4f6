"""Finding models, backbones, formats and metrics by name without importing them.

A name is a file, or a folder with a file of the registry's kind: the backbone `i3d-r50` is `i3d_r50.py`, the model
`tsa-tal` is `tsa_tal/model.py`. It registers itself with the decorator, so a newcomer adds one file or folder and edits
none; what stands beside the entries and registers nothing is none of them. Another package joins through an entry point
of the registry's group. And where a name is asked for, the path of a Python file that registers one entry will do.
"""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable
from importlib.abc import InspectLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from taltool.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
# The decorator at the beginning of a line.
_REGISTERS = re.compile(r"^@\w+\.register\(", re.MULTILINE)
# Begins the name of a module that was imported by its path.
_BY_PATH = "taltool_by_path_"


def did_you_mean(name: str, known: list[str]) -> str:
    """`; did you mean 'heads'?` or an empty string."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def source_of(module: str) -> str:
    """The text of a module that need not be imported; empty where there is none."""
    found = importlib.util.find_spec(module)
    loader = found.loader if found else None
    return (loader.get_source(module) or "") if isinstance(loader, InspectLoader) else ""


def _import_failure(what: str, error: BaseException) -> UsageError:
    """The error for a module of somebody else's that cannot be imported: where in it, and why."""
    import traceback

    if isinstance(error, SyntaxError) and error.filename:
        return UsageError(f"{what}: {error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}")
    frames = traceback.extract_tb(error.__traceback__)
    # The deepest line of the module itself; there is none where it was not even found.
    theirs = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    own = [frame for frame in theirs if frame.filename == theirs[0].filename]
    place = f"{own[-1].filename}:{own[-1].lineno}: " if own else ""
    reason = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
    return UsageError(f"{what}: {place}{reason}")


def _import_file(path: str) -> str:
    """The name of the module of a Python file, which is imported the first time.

    The name follows from where the file is, so that it is the same in every process, and no other module's.
    """
    import hashlib

    file = Path(path).resolve()
    digest = hashlib.sha256(bytes(file)).hexdigest()[:12]
    name = f"{_BY_PATH}{re.sub(r'[^A-Za-z0-9]', '_', file.stem)}_{digest}"
    if name in sys.modules:
        return name
    specification = importlib.util.spec_from_file_location(name, file)
    if specification is None or specification.loader is None or not file.is_file():
        raise UsageError(f"{path}: no such file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # Data classes look for it there while it is imported.
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        failure = _import_failure(path, error)
        raise UsageError(str(failure).replace(f"{path}: {file}:", f"{path}:", 1)) from error
    return name


class Registry:
    """Names of one kind of plug-in; each is imported when it is first asked for.

    kind is the word for error messages ("model") and for the file that registers a folder; package is the dotted folder
    of the built-in entries, group the entry-point group for other distributions.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self.package, self.group = kind, package, group
        self._entries: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}
        self._registered_by: dict[str, str] = {}

    def register(self, name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[T], T]:
        """Return the decorator that enters an object under `name`.

        Raises UsageError where a file that was named by its path takes the name of another entry.
        """
        module = sys._getframe(1).f_globals["__name__"]
        if module.startswith(_BY_PATH) and self._registered_by.get(name) != module:
            for taken in sorted({name, *aliases} & {*self.names(), *self._aliases}):
                raise UsageError(
                    f"there is a {self.kind} named '{taken}' already; if it is this very file, say {taken}, else "
                    "register another name"
                )

        def enter(entry: T) -> T:
            self._entries[name], self._registered_by[name] = entry, module
            self._aliases.update(dict.fromkeys(aliases, name))
            return entry

        return enter

    def built_in(self) -> list[str]:
        """The names of the entries of this package, sorted; imports none of them."""
        return sorted(self._built_in)

    def names(self) -> list[str]:
        """Every name, sorted, with those of files that were named by their paths; imports none of the entries."""
        return sorted({*self._built_in, *self._foreign, *self._entries})

    def canonical(self, name: str) -> str:
        """The registered name for `name`, which may be an alias, or the path of a file (it ends in .py).

        Raises UsageError, with the known names, for a name that nobody registered, and for a file that cannot be
        imported or does not register exactly one entry.
        """
        if name.endswith(".py"):
            return self._registered_by_file(name)
        if name in self._entries or name in self._built_in:
            return name  # other distributions, which are slow to ask, cannot change that
        broken = []
        if name not in {*self.names(), *self._aliases}:
            for known in self.names():  # aliases are known only to the files themselves
                try:
                    self._import(known)
                except UsageError as error:
                    broken.append(f"; {error}")
        resolved = self._aliases.get(name, name)
        if resolved not in self.names():
            there = sorted({*self.names(), *self._aliases})
            known_names = f"{did_you_mean(name, there)} (there are: {', '.join(there)})"
            raise UsageError(f"no {self.kind} is named '{name}'{known_names}{''.join(broken)}")
        return resolved

    def load(self, name: str) -> Any:
        """The object registered under `name`, one of its aliases, or by the file `name`; imported now if need be."""
        resolved = self.canonical(name)
        self._import(resolved)
        if resolved not in self._entries:
            raise UsageError(f"{self.kind} '{resolved}': its module was imported but registers no such name")
        return self._entries[resolved]

    @functools.cached_property
    def _built_in(self) -> dict[str, str]:
        """The dotted module that registers each name, found in the text of the files."""
        found = {}
        for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
            dotted = f"{self.package}.{module.name}" + (f".{self.kind}" if module.ispkg else "")
            if _REGISTERS.search(source_of(dotted)):
                found[module.name.replace("_", "-")] = dotted
        return found

    @functools.cached_property
    def _foreign(self) -> "dict[str, EntryPoint]":
        from importlib.metadata import entry_points  # Slow to load, and seldom needed.

        return {point.name: point for point in entry_points(group=self.group)}

    def _registered_by_file(self, path: str) -> str:
        module = _import_file(path)
        names = [name for name, by in self._registered_by.items() if by == module]
        if not names:
            raise UsageError(f'{path}: registers no {self.kind} (a line @{self.kind.upper()}S.register("NAME") does)')
        if len(names) > 1:
            raise UsageError(f"{path}: registers {len(names)} {self.kind}s ({', '.join(names)}); expected one")
        return names[0]

    def _import(self, name: str) -> None:
        if name in self._entries:
            return
        if name in self._built_in:
            importlib.import_module(self._built_in[name])
            return
        point = self._foreign[name]
        try:
            self._entries.setdefault(name, point.load())
        except (Exception, SystemExit) as error:
            package = f" of the package {point.dist.name}" if point.dist else ""
            raise _import_failure(f"{self.kind} '{name}'{package} cannot be imported", error) from error
