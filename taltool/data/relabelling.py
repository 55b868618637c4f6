"""Choosing and renaming the labels of annotations and proposals: two data sets made to speak of the same classes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from taltool.data.formats.contract import Annotations, Content, Features, Proposals
from taltool.data.formats.tables import read_table
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError


def read_relabelling(path: str) -> dict[str, str]:
    """The new label of each label that stays, from a CSV of label,new_label.

    Raises DataError for a label with two different new ones, or for a file without rows.
    """
    names: dict[str, str] = {}
    for where, row in read_table(path, ("label", "new_label"))[1]:
        label, new = row["label"], row["new_label"]
        if names.setdefault(label, new) != new:
            raise DataError(f"{where}: label '{label}' becomes '{new}' here and '{names[label]}' above")
    if not names:
        raise DataError(f"{path}: names no label; give a CSV of label,new_label")
    return names


def relabelled(content: Content, names: Mapping[str, str]) -> Content:
    """The content with only the labels in `names`, renamed; what was left out is among its notes.

    Videos whose annotations are all left out go too: what happens in them is none of the classes' business.
    Raises UsageError for features, which have no labels.
    """
    if isinstance(content, Features):
        raise UsageError("--relabel: features have no labels")
    return _annotations(content, names) if isinstance(content, Annotations) else _proposals(content, names)


def _annotations(content: Annotations, names: Mapping[str, str]) -> Annotations:
    # The taxonomy is of the old labels.
    head = {key: value for key, value in content.head.items() if key != "taxonomy"}
    return Annotations(_kept_entries(content, names), head, content.notes)


def _kept_entries(content: Annotations, names: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    dropped = gone = 0
    for video_id, entry in content.entries:
        before = entry.get("annotations") or []
        after = [_renamed(each, names) for each in before if each.get("label") in names]
        dropped += len(before) - len(after)
        if after or not before:
            yield video_id, entry | {"annotations": after}
        else:
            gone += 1
    if dropped:
        content.notes.append(f"{dropped} annotations of other labels, and {gone} videos that had no others")


def _renamed(annotation: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The annotation with its new label, and without the number of the old one."""
    kept = {key: value for key, value in annotation.items() if key != "label_id"}
    return kept | {"label": names[annotation["label"]]}


def _proposals(content: Proposals, names: Mapping[str, str]) -> Proposals:
    kept = LabelVocabulary((names[name] for name in content.names if name in names), complete=content.names.complete)
    changed = replace(content, videos=(), names=kept)
    changed.videos = _renaming(content, changed, names)
    return changed


def _renaming(content: Proposals, changed: Proposals, names: Mapping[str, str]) -> Iterator[VideoProposals]:
    dropped = 0
    for video in content.videos:
        if video.labels is None and not len(video):
            yield video
            continue
        if video.labels is None:
            raise DataError(f"--relabel: video '{video.video_id}' has proposals without labels")
        old = video.names.names
        kept = video.take(np.array([old[label] in names for label in video.labels], bool))
        dropped += len(video) - len(kept)
        labels = changed.names.numbered([names[old[label]] for label in video.labels if old[label] in names])
        yield replace(kept, labels=labels, names=changed.names)
    if dropped:
        changed.notes.append(f"{dropped} detections of other labels")
