"""Sidecar files: durations of videos, and numbers of classes."""

import math

from taltool.data.files import peek, read_text
from taltool.data.formats.contract import Annotations, Features
from taltool.data.formats.sniffing import open_content
from taltool.data.formats.tables import read_table
from taltool.errors import DataError


def read_durations(path: str) -> dict[str, float]:
    """Seconds by video id, from a ground truth, a feature file, proposals, or a CSV of video_id,duration."""
    if b"duration" in peek(path).partition(b"\n")[0] and not peek(path).lstrip().startswith(b"{"):
        return {
            row["video_id"]: _seconds(row["duration"], where)
            for where, row in read_table(path, ("video_id", "duration"))[1]
        }
    with open_content(path) as content:
        if isinstance(content, Annotations):
            return {key: entry["duration"] for key, entry in content.entries if "duration" in entry}
        if isinstance(content, Features):
            return {video_id: content.clock(video_id).duration for video_id in content.ids}
        return {video.video_id: video.duration for video in content.videos if video.duration is not None}


def _seconds(text: str, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise DataError(f"{where}: duration '{text}' is not a positive, finite number of seconds")
    return seconds


def read_classes(path: str) -> dict[str, int]:
    """The number of each class, from lines of names (the first is 0) or a ground truth with label and label_id."""
    if not peek(path).lstrip().startswith(b"{"):
        names = read_text(path).split("\n")
        return {name.strip(): number for number, name in enumerate(names) if name.strip()}
    with open_content(path) as content:
        entries = content.entries if isinstance(content, Annotations) else []
        annotations = (each for _, entry in entries for each in entry.get("annotations") or [])
        numbers = {each["label"]: int(each["label_id"]) for each in annotations if "label_id" in each}
    if not numbers:
        raise DataError(f"{path}: no annotation has a label_id; give the names, one per line, the first being number 0")
    return numbers
