"""Sidecar files of a conversion: durations of videos, numbers of classes, new names of labels."""

import math
import re

from taltool.data.files import peek, read_text
from taltool.data.formats.contract import Annotations, Features
from taltool.data.formats.sniffing import open_content
from taltool.data.formats.tables import read_table
from taltool.errors import DataError

_NUMBERED = re.compile(r"\d+[\s,:]+\S")


def read_durations(path: str) -> dict[str, float]:
    """Seconds by video id, from a ground truth, a feature file, proposals, or a CSV of video_id,duration."""
    if b"duration" in peek(path).partition(b"\n")[0] and not peek(path).lstrip().startswith(b"{"):
        found = {}
        for where, row in read_table(path, ("video_id", "duration"))[1]:
            try:
                seconds = float(row["duration"])
            except ValueError:
                seconds = math.nan
            if not 0 < seconds < math.inf:
                raise DataError(f"{where}: duration '{row['duration']}' is not a positive, finite number of seconds")
            found[row["video_id"]] = seconds
        return found
    with open_content(path) as content:
        if isinstance(content, Annotations):
            return {key: entry["duration"] for key, entry in content.entries if "duration" in entry}
        if isinstance(content, Features):
            return {video_id: content.clock(video_id).duration for video_id in content.ids}
        return {video.video_id: video.duration for video in content.videos if video.duration is not None}


def read_classes(path: str) -> dict[str, int]:
    """The number of each class, from lines of names (the first is 0) or a ground truth with label and label_id."""
    if not peek(path).lstrip().startswith(b"{"):
        names = [line.strip() for line in read_text(path).split("\n")]
        named = [name for name in names if name]
        # As in THUMOS14's list, whose numbers are of UCF-101's classes.
        if len(named) > 1 and all(_NUMBERED.match(name) for name in named):
            raise DataError(f"{path}: numbers stand before the names ('{named[0]}'): leave the names alone, in order")
        return {name: number for number, name in enumerate(names) if name}
    with open_content(path) as content:
        entries = content.entries if isinstance(content, Annotations) else []
        annotations = (each for _, entry in entries for each in entry.get("annotations") or [])
        numbers = {each["label"]: int(each["label_id"]) for each in annotations if "label_id" in each}
    if not numbers:
        raise DataError(f"{path}: no annotation has a label_id; give the names, one per line, the first being number 0")
    return numbers


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
