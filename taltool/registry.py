"""Finding models, backbones and formats by name without importing them.

A name is a file, or a folder with a file of the registry's kind: the backbone `i3d-r50` is `i3d_r50.py`, the model
`tsa-tal` is `tsa_tal/model.py`. It registers itself with the decorator, so a newcomer adds one file or folder and edits
none; what stands beside the entries and registers nothing is none of them. Another package joins through an entry point
of the registry's group.
"""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable
from importlib.abc import InspectLoader
from typing import TYPE_CHECKING, Any, TypeVar

from taltool.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
# The decorator at the beginning of a line.
_REGISTERS = re.compile(r"^@\w+\.register\(", re.MULTILINE)


def did_you_mean(name: str, known: list[str]) -> str:
    """`; did you mean 'heads'?` or an empty string."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def source_of(module: str) -> str:
    """The text of a module that need not be imported; empty where there is none."""
    found = importlib.util.find_spec(module)
    loader = found.loader if found else None
    return (loader.get_source(module) or "") if isinstance(loader, InspectLoader) else ""


class Registry:
    """Names of one kind of plug-in; each is imported when it is first asked for.

    kind is the word for error messages ("model") and for the file that registers a folder; package is the dotted folder
    of the built-in entries, group the entry-point group for other distributions.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self.package, self.group = kind, package, group
        self._entries: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[T], T]:
        """Return the decorator that enters an object under `name`."""

        def enter(entry: T) -> T:
            self._entries[name] = entry
            self._aliases.update(dict.fromkeys(aliases, name))
            return entry

        return enter

    def names(self) -> list[str]:
        """Every name, sorted; imports none of the entries."""
        return sorted({*self._built_in, *self._foreign, *self._entries})

    def canonical(self, name: str) -> str:
        """The registered name for `name`, which may be an alias.

        Raises UsageError, with the known names, for a name that nobody registered.
        """
        if name not in self.names():
            for known in self.names():  # aliases are known only to the files themselves
                self._import(known)
        resolved = self._aliases.get(name, name)
        if resolved not in self.names():
            there = sorted({*self.names(), *self._aliases})
            raise UsageError(
                f"no {self.kind} is named '{name}'{did_you_mean(name, there)} (there are: {', '.join(there)})"
            )
        return resolved

    def load(self, name: str) -> Any:
        """The object registered under `name` or one of its aliases, imported now if need be."""
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

    def _import(self, name: str) -> None:
        if name in self._entries:
            return
        if name in self._built_in:
            importlib.import_module(self._built_in[name])
        else:
            self._entries.setdefault(name, self._foreign[name].load())
