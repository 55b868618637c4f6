"""Counts of what is odd in a file, each with the first places where it was seen."""

from collections.abc import Callable

from taltool.reporting import Reporter

# How many places of each kind are named beside its count.
_NAMED = 3


class Oddities:
    """What is odd, by kind, in order of first appearance; with `show_all` every place is warned of as it is found.

    notes: phrases about the file as a whole, which have no place in it.
    """

    def __init__(self, file: str, reporter: Reporter, show_all: bool = False) -> None:
        self.notes: list[str] = []
        self._file, self._reporter, self._show_all = file, reporter, show_all
        self._counts: dict[str, int] = {}
        self._first: dict[str, list[str]] = {}

    def add(self, what: str, count: int, place: Callable[[int], str]) -> None:
        """Count `what`, count times; place(number) says where, for each number below count."""
        if not count:
            return
        self._counts[what] = self._counts.get(what, 0) + count
        named = self._first.setdefault(what, [])
        named += map(place, range(min(count, _NAMED - len(named))))
        if self._show_all:
            for number in range(count):
                self._reporter.warn(f"{self._file}: {place(number)}: of the {what}")

    def add_video(self, what: str, video_id: str) -> None:
        """Count a video."""
        self.add(what, 1, lambda _: f"video '{video_id}'")

    def told(self) -> list[str]:
        """One phrase for each kind."""
        return self.notes + [self._phrase(what, count) for what, count in self._counts.items()]

    def _phrase(self, what: str, count: int) -> str:
        named = self._first[what]
        rest = "" if count <= len(named) or self._show_all else "; --all names each"
        return f"{count} {what} (first: {', '.join(named)}{rest})"
