"""Sidecar files of a conversion: durations of videos, new names of labels."""

import math

import orjson

from taltool.data.columns import (
    DURATION_COLUMNS,
    SEGMENT_COLUMNS,
    header_columns,
    listed,
    meanings,
    mend_of,
    open_table,
    placed,
    seconds,
)
from taltool.data.files import peek, read_bytes
from taltool.data.formats.contract import Annotations, Features, Opening
from taltool.data.formats.sniffing import UnknownFormatError, open_content
from taltool.data.json_documents import parsed_document
from taltool.data.records import LARGEST
from taltool.errors import DataError

_NAMES = {
    "label": (*SEGMENT_COLUMNS["label"], "oldlabel", "old", "from"),
    "new_label": ("newlabel", "new", "newname", "to"),
}


def read_durations(path: str) -> dict[str, float]:
    """Seconds by video id, from a ground truth, a feature file, proposals, a table of video_id,duration, or JSON,
    {id: duration}.

    Raises DataError, with the line, for what is no duration, for a video that has two, and where there is none.
    """
    start = Opening(path, peek(path))
    columns = header_columns(start.first_line())
    if {"video", "duration"} <= meanings(columns, DURATION_COLUMNS).keys():
        found = _of_table(path)
    else:
        try:
            found = _of_content(path)
        except UnknownFormatError as error:
            if not start.head.lstrip().startswith(b"{"):
                raise DataError(
                    f"{path}: no durations: expected a table whose first line names the columns video_id and duration "
                    f"({listed(columns)}), a ground truth, a feature file or proposals"
                ) from error
            found = _of_json(path)
    if not found:
        raise DataError(f"{path}: no video has a duration in it; a table of them has the columns video_id and duration")
    return found


def _of_content(path: str) -> dict[str, float]:
    with open_content(path) as content:
        if isinstance(content, Annotations):
            return {key: entry["duration"] for key, entry in content.entries if "duration" in entry}
        if isinstance(content, Features):
            return {video_id: content.clock(video_id).duration for video_id in content.ids}
        return {video.video_id: video.duration for video in content.videos if video.duration is not None}


def _of_json(path: str) -> dict[str, float]:
    try:
        document = parsed_document(read_bytes(path)[0], path)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    found: dict[str, float] = {}
    for video_id, each in document.items():
        duration = each.get("duration") if isinstance(each, dict) else each
        if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 < duration < LARGEST:
            raise DataError(
                f"{path}: video '{video_id}': duration {duration!r} is not a positive number of seconds; expected "
                "{id: seconds}, or a ground truth"
            )
        found[video_id] = float(duration)
    return found


def _of_table(path: str) -> dict[str, float]:
    table = open_table(path)
    places = placed(table, DURATION_COLUMNS)
    found: dict[str, float] = {}
    for where, fields in table.rows:
        video_id, text = fields[places["video"]], fields[places["duration"]]
        try:
            duration = seconds(text)
        except ValueError:
            duration = math.nan
        if not 0 < duration < LARGEST:
            raise DataError(f"{where}: duration '{text}' is not a positive, finite number of seconds{mend_of(text)}")
        if found.setdefault(video_id, duration) != duration:
            raise DataError(f"{where}: video '{video_id}' lasts {duration:g} s here and {found[video_id]:g} s above")
    return found


def read_relabelling(path: str) -> dict[str, str]:
    """The new label of each label that stays, from a table of label,new_label.

    Raises DataError for a label with two different new ones, or for a file without rows.
    """
    table = open_table(path)
    places = placed(table, _NAMES)
    for column in _NAMES:
        if column not in places:
            raise DataError(f"{table.where}: no column '{column}' ({listed(table.columns)})")
    names: dict[str, str] = {}
    for where, fields in table.rows:
        label, new = fields[places["label"]], fields[places["new_label"]]
        if not label or not new:
            raise DataError(f"{where}: a label and its new name, one of which is empty here")
        if names.setdefault(label, new) != new:
            raise DataError(f"{where}: label '{label}' becomes '{new}' here and '{names[label]}' above")
    if not names:
        raise DataError(f"{path}: names no label; give a table of label,new_label")
    return names
