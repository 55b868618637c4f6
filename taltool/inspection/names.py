"""Names that are probably meant to be one: labels, subsets and video ids that differ by a slip."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator

from taltool.data.containers import VIDEO_SUFFIXES

_SIGNS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")
# Of shorter names most are one edit apart: codes such as G1, ab, run.
_LEAST = 5
# Words that stand for one subset.
_SUBSETS = (("training", "train"), ("validation", "valid", "val"), ("testing", "test"))


def plain(name: str) -> str:
    """The name without case, blanks and signs."""
    return _SIGNS.sub("", name.casefold()) or name


def slips(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names that differ in case, blanks and signs alone, or by one letter left out, put in, other or swapped
    with the next, digits apart: `stage 1` and `stage 2` differ on purpose."""
    spelt_with: dict[str, list[str]] = {}
    spellings: dict[str, str] = {}  # the first name of each spelling, without case, blanks and signs
    for name in names:
        spelling = plain(name)
        if spelling in spellings:
            yield spellings[spelling], name
            continue
        spellings[spelling] = name
        near: set[str] = set()
        if len(spelling) >= _LEAST:
            shorter = {spelling[:n] + spelling[n + 1 :] for n in range(len(spelling))}
            for each in shorter | {spelling}:
                near.update(spelt_with.get(each, ()))
                spelt_with.setdefault(each, []).append(spelling)
        for other in sorted(near):
            if _DIGITS.findall(spelling) == _DIGITS.findall(other) and _one_edit_apart(spelling, other):
                yield spellings[other], name


def _one_edit_apart(one: str, other: str) -> bool:
    """Whether two different texts differ in a single place, by one letter or by two that are swapped."""
    start = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    swapped = len(one) > 1 and one[1::-1] == other[:2] and one[2:] == other[2:]
    return swapped or one[1:] == other[1:] or one[1:] == other or one == other[1:]


def subset_slips(subsets: Collection[str]) -> Iterator[tuple[str, str]]:
    """Pairs of subsets that are probably one: as labels, or two words for one, such as `val` and `validation`."""
    yield from slips(subsets)
    for words in _SUBSETS:
        there = {subset.strip().casefold(): subset for subset in reversed(list(subsets))}
        same = [there[word] for word in words if word in there]
        yield from ((same[0], other) for other in same[1:])


def plain_id(video_id: str) -> str:
    """A video id without ActivityNet's `v_` in front of it, the suffix of a video's file, case, and the form in which
    letters are written."""
    video_id = unicodedata.normalize("NFC", video_id).casefold()
    stem, _, suffix = video_id.rpartition(".")
    return (stem if stem and f".{suffix}" in VIDEO_SUFFIXES else video_id).removeprefix("v_")
