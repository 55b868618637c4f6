"""Ids of videos that two files write differently: it is said, with what makes them alike, and they are never joined."""

import shlex
import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath

from taltool.data.containers import VIDEO_SUFFIXES


def renaming(strangers: Collection[str], known: Collection[str]) -> str:
    """How ids that are not known would be, in words, with the option of `convert` where there is one.

    Empty where none is known but for a folder, the suffix of a file, ActivityNet's `v_`, blanks, case, or the form of
    its letters.
    """
    known_by = {_bare(each): each for each in known if each} if strangers else {}
    near = [(each, known_by[_bare(each)]) for each in strangers if _bare(each) in known_by]
    if not near:
        return ""
    how, _ = Counter(_option(*pair) for pair in near).most_common(1)[0]
    one, other = next(pair for pair in near if _option(*pair) == how)
    amount = "most" if 2 * len(near) > len(strangers) else f"{len(near)} of them"
    return f"{amount} have other names there ({one!r} is {other!r}): {how or 'write the ids alike in both files'}"


def _bare(video_id: str) -> str:
    name = PurePosixPath(unicodedata.normalize("NFC", video_id).strip().replace("\\", "/")).name
    suffix = PurePosixPath(name).suffix
    return (name.removesuffix(suffix) if suffix.lower() in VIDEO_SUFFIXES else name).removeprefix("v_").casefold()


def _option(video_id: str, known: str) -> str:
    """What makes the known id of another; empty where no option does."""
    before, found, behind = video_id.partition(known)
    options = {"--strip-prefix": before, "--strip-suffix": behind}
    if not found and video_id:
        before, found, behind = known.partition(video_id)
        options = {"--add-prefix": before}
        found = "" if behind else found
    said = [f"{option} {shlex.quote(text)}" for option, text in options.items() if text]
    return f"taltool convert {' '.join(said)}" if found else ""
