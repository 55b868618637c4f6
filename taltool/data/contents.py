"""Whole contents of files: those of several files made one, and those of two data sets made to speak of one set of
classes."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Any, TypeVar, cast

import numpy as np
import orjson

from taltool.data.formats.contract import Annotations, Content, Features, Proposals
from taltool.data.provenance import merge_chains
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError

Item = TypeVar("Item")
# A whole number, as programs write it that know no others.
_NUMBER = re.compile(r"(-?\d{1,20})(?:\.0*)?", re.ASCII)


def concatenate(contents: Sequence[Content], paths: Sequence[str]) -> Content:
    """One content of all; raises DataError where two hold the same video, kinds mix, or features differ in settings."""
    if len(contents) == 1:
        return contents[0]
    for content, path in zip(contents, paths, strict=True):
        if content.kind != contents[0].kind:
            raise DataError(f"{path} holds {content.kind}, {paths[0]} {contents[0].kind}: one kind at a time")
    if isinstance(contents[0], Features):
        return _joined_features(cast(Sequence[Features], contents), paths)
    if isinstance(contents[0], Annotations):
        return _joined_annotations(cast(Sequence[Annotations], contents), paths)
    every = cast(Sequence[Proposals], contents)
    chain = merge_chains(content.provenance for content in every)
    names = LabelVocabulary(name for content in every for name in content.names)
    joined = Proposals((), names, None, chain, open_ended=True)
    videos = _each_once((content.videos for content in every), attrgetter("video_id"), paths)
    joined.videos = _noting(videos, joined, contents)
    return joined


def _each_once(
    groups: Iterable[Iterable[Item]], video_id_of: Callable[[Item], str], paths: Sequence[str]
) -> Iterator[Item]:
    """What the files hold, one after the other; raises DataError for a video in two."""
    owners: dict[str, str] = {}
    for items, path in zip(groups, paths, strict=True):
        for item in items:
            video_id = video_id_of(item)
            if video_id in owners:
                raise DataError(f"{path}: video '{video_id}' is in {owners[video_id]} too; leave one of them out")
            owners[video_id] = path
            yield item


def _noting(items: Iterable[Item], joined: Annotations | Proposals, contents: Sequence[Content]) -> Iterator[Item]:
    """The items of `joined`; what the contents noted of theirs on the way stands among its notes in the end."""
    yield from items
    joined.notes[:0] = [note for content in contents for note in content.notes]


def _joined_annotations(contents: Sequence[Annotations], paths: Sequence[str]) -> Annotations:
    head = contents[0].head
    joined = Annotations((), head)
    for content, path in zip(contents[1:], paths[1:], strict=True):
        other = [key for key, value in content.head.items() if key != "database" and value != head.get(key)]
        if other:
            joined.notes.append(f"{', '.join(other)} of {path}")
    entries = _each_once((content.entries for content in contents), itemgetter(0), paths)
    joined.entries = _noting(entries, joined, contents)
    return joined


def _joined_features(contents: Sequence[Features], paths: Sequence[str]) -> Features:
    ids = sorted(_each_once((content.ids for content in contents), str, paths))
    first = _settings(contents[0])
    for content, path in zip(contents[1:], paths[1:], strict=True):
        theirs = _settings(content)
        for name in sorted({*first, *theirs}):
            if theirs.get(name) != first.get(name):
                raise DataError(
                    f"{path}: {name} is {theirs.get(name)}, in {paths[0]} it is {first.get(name)}; "
                    "only files of one extraction can be joined"
                )
    owner = {video_id: content for content in contents for video_id in content.ids}
    return replace(
        contents[0],
        ids=ids,
        shape=lambda video_id: owner[video_id].shape(video_id),
        clock=lambda video_id: owner[video_id].clock(video_id),
        values=lambda video_id: owner[video_id].values(video_id),
        extras=lambda video_id: owner[video_id].extras(video_id),
        frame_size=lambda video_id: owner[video_id].frame_size(video_id),
        provenance=merge_chains(content.provenance for content in contents),
    )


def _settings(content: Features) -> dict[str, str]:
    """What must be equal in files that are joined, as text."""
    kept: dict[str, str] = {}
    for name, value in content.attributes.items():
        if name == "settings":  # The record of an extraction: what differs is told one by one.
            kept |= {key: str(each) for key, each in orjson.loads(value).items()}
        elif name != "shard":  # In which two parts of one extraction differ.
            kept[name] = str(value)
    channels = {str(content.shape(video_id)[1]) for video_id in content.ids[:1]}
    held = ", ".join("frames" if content.frame_size(video_id) else "features" for video_id in content.ids[:1])
    return {"content": held} | kept | {"streams": str(content.streams), "number of channels": ", ".join(channels)}


def relabelled(content: Content, names: Mapping[str, str]) -> Content:
    """The content with only the labels in `names`, renamed; what was left out is among its notes.

    Videos whose annotations are all left out go too: what happens in them is none of the classes' business.
    Raises UsageError for features, which have no labels.
    """
    if isinstance(content, Features):
        raise UsageError("--relabel: features have no labels")
    if isinstance(content, Annotations):
        # The taxonomy is of the old labels.
        head = {key: value for key, value in content.head.items() if key != "taxonomy"}
        return Annotations(_relabelled_entries(content, names), head, content.notes)
    kept = LabelVocabulary((names[name] for name in content.names if name in names), complete=content.names.complete)
    changed = replace(content, videos=(), names=kept)
    changed.videos = _relabelled_videos(content, changed, names)
    return changed


def _relabelled_entries(content: Annotations, names: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    dropped = gone = kept = 0
    for video_id, entry in content.entries:
        before = entry.get("annotations") or []
        after = [each | {"label": names[each["label"]]} for each in before if each.get("label") in names]
        for each in after:
            each.pop("label_id", None)  # The number of the old label.
        dropped += len(before) - len(after)
        kept += len(after)
        if after or not before:
            yield video_id, entry | {"annotations": after}
        else:
            gone += 1
    _demand_some(kept, dropped, names)
    if dropped:
        content.notes.append(f"{dropped} annotations of other labels, and {gone} videos that had no others")


def _relabelled_videos(content: Proposals, changed: Proposals, names: Mapping[str, str]) -> Iterator[VideoProposals]:
    dropped = left = 0
    for video in content.videos:
        if video.labels is None and not len(video):
            yield video
            continue
        if video.labels is None:
            raise DataError(f"--relabel: video '{video.video_id}' has proposals without labels")
        old = video.names.names
        kept = video.take(np.array([old[label] in names for label in video.labels], bool))
        dropped += len(video) - len(kept)
        left += len(kept)
        labels = changed.names.numbered([names[old[label]] for label in video.labels if old[label] in names])
        yield replace(kept, labels=labels, names=changed.names)
    _demand_some(left, dropped, names)
    if dropped:
        changed.notes.append(f"{dropped} detections of other labels")


def named(content: Content, classes: Mapping[str, int], path: str) -> Content:
    """The content in which labels that are numbers are the names of these classes; labels that are names stay.

    Raises DataError, which begins with `path` and the video, for a number without a name, and where some labels are
    numbers and some are names that the classes do not have.
    """
    if isinstance(content, Features):
        return content
    names = _Names(classes)
    if isinstance(content, Annotations):
        return replace(content, entries=_named_entries(content, names, path))
    known = [names(name, path) for name in content.names]
    changed = replace(content, videos=(), names=LabelVocabulary(known, complete=content.names.complete))
    changed.videos = _named_videos(content, changed.names, names, path)
    return changed


class _Names:
    """The name of each label, which may be the number of a class."""

    def __init__(self, classes: Mapping[str, int]) -> None:
        self._classes, self._names = classes, {number: name for name, number in classes.items()}
        self._kinds: dict[bool, str] = {}

    def __call__(self, label: str, where: str) -> str:
        if label in self._classes:
            return label
        number = _NUMBER.fullmatch(label)
        self._kinds.setdefault(number is not None, label)
        if len(self._kinds) > 1:
            one, other = self._kinds[True], self._kinds[False]
            raise DataError(f"{where}: some labels are numbers ('{one}'), and '{other}' is no class of --classes")
        if number is None:
            return label
        if (name := self._names.get(int(number[1]))) is None:
            span = f"from {min(self._names)} to {max(self._names)}" if self._names else "none"
            raise DataError(f"{where}: label {label} has no name in --classes (there are {len(self._names)}, {span})")
        return name


def _named_entries(content: Annotations, names: _Names, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for video_id, entry in content.entries:
        for each in entry.get("annotations") or []:
            each["label"] = names(each["label"], f"{path}: video '{video_id}'")
        yield video_id, entry


def _named_videos(
    content: Proposals, vocabulary: LabelVocabulary, names: _Names, path: str
) -> Iterator[VideoProposals]:
    for video in content.videos:
        if video.labels is not None:
            new = [names(name, f"{path}: video '{video.video_id}'") for name in video.names]
            video = replace(video, labels=vocabulary.numbered(new)[video.labels], names=vocabulary)
        yield video


def _demand_some(kept: int, dropped: int, names: Mapping[str, str]) -> None:
    """Raise DataError where nothing is left of the labels."""
    if dropped and not kept:
        listed = ", ".join(f"'{name}'" for name in [*names][:5])
        raise DataError(f"none of the labels to keep ({listed}{', ...' if len(names) > 5 else ''}) is in the input")
