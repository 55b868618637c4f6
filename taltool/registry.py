"""Finding models, backbones and formats by name without importing them.

A name is a file: `tsa-tal` is `tsa_tal.py` in the registry's package. The file registers itself with the decorator, so
a newcomer adds one file and edits none. Another package joins through an entry point of the registry's group.
"""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from taltool.errors import UsageError

T = TypeVar("T")


def did_you_mean(name: str, known: list[str]) -> str:
    """`; did you mean 'heads'?` or an empty string."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


class Registry:
    """Names of one kind of plug-in; each is imported when it is first asked for.

    kind is the word for error messages ("model"), package the dotted folder whose files are the built-in entries,
    group the entry-point group for other distributions. Files that are not entries start with an underscore or are
    listed in `shared`.
    """

    def __init__(self, kind: str, package: str, group: str, shared: tuple[str, ...] = ()) -> None:
        self.kind, self.package, self.group, self.shared = kind, package, group, shared
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
        return sorted({*self._built_in(), *self._foreign, *self._entries})

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

    def _built_in(self) -> dict[str, str]:
        path = importlib.import_module(self.package).__path__
        modules = [module.name for module in pkgutil.iter_modules(path)]
        return {m.replace("_", "-"): m for m in modules if not m.startswith("_") and m not in self.shared}

    @functools.cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def _import(self, name: str) -> None:
        if name in self._entries:
            return
        built_in = self._built_in()
        if name in built_in:
            importlib.import_module(f"{self.package}.{built_in[name]}")
        else:
            self._entries.setdefault(name, self._foreign[name].load())
