"""Reading ground truth in the ActivityNet layout, subsets from a file of splits, and lists of video ids."""

from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import orjson

from taltool.data.files import read_bytes
from taltool.data.records import Floats, GroundTruth, LabelVocabulary, VideoAnnotations
from taltool.errors import DataError, UsageError

# Numbers that DETAD's ground truth carries for each instance.
ANNOTATOR_ATTRIBUTES = ("context-size", "context-distance", "agreement")


def read_ground_truth(path: str, split: str | None = None) -> GroundTruth:
    """Read annotations; with `split` ("FILE:NAME") the subsets come from there instead.

    Segments past the end of the video, of zero length, or given twice are kept as they are (real data sets have
    them); a segment that ends before it starts is an error. Raises DataError naming file, video and annotation.
    """
    truth = parse_ground_truth(*read_document(path))
    return truth.with_split(read_split(split, truth)) if split else truth


def read_document(path: str) -> tuple[Any, str, str]:
    """The JSON document at `path`, `path`, and the SHA-256 of its bytes; raises DataError for what is not JSON."""
    content, sha256 = read_bytes(path)
    try:
        return orjson.loads(content), path, sha256
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error}") from error


def parse_ground_truth(document: Any, path: str, sha256: str = "") -> GroundTruth:
    """The ground truth in a parsed document; `path` is its name in messages."""
    if not isinstance(document, dict) or not isinstance(document.get("database"), dict):
        hint = " (these are proposals)" if isinstance(document, dict) and "results" in document else ""
        raise DataError(f'{path}: expected a ground truth (a JSON object with "database"){hint}')
    names = LabelVocabulary()
    videos = {key: _video(path, key, entry, names) for key, entry in document["database"].items()}
    return GroundTruth(videos, names, path, sha256)


def _video(path: str, video_id: str, entry: Any, names: LabelVocabulary) -> VideoAnnotations:
    where = f"{path}: video '{video_id}'"
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected an object, found {type(entry).__name__}")
    duration = entry.get("duration")
    if not _is_time(duration) or not duration > 0:
        raise DataError(f"{where}: duration {duration!r} is not a positive number of seconds")
    annotations, subset = entry.get("annotations") or [], entry.get("subset")
    if not isinstance(annotations, list):
        raise DataError(f"{where}: expected a list of annotations, found {type(annotations).__name__}")
    if not isinstance(subset, str | None):
        raise DataError(f"{where}: subset {subset!r} is not a name")
    segments = np.empty((len(annotations), 2), np.float64)
    for number, annotation in enumerate(annotations):
        segments[number] = _segment(annotation, f"{where}: annotation {number + 1}")
    labels = names.numbered([annotation["label"] for annotation in annotations])
    annotator_attributes = {
        name: _annotator_attribute(annotations, name)
        for name in ANNOTATOR_ATTRIBUTES
        if any(name in each for each in annotations)
    }
    return VideoAnnotations(video_id, float(duration), subset, segments, labels, annotator_attributes)


def _annotator_attribute(annotations: list[dict[str, Any]], name: str) -> Floats:
    values = [annotation.get(name) for annotation in annotations]
    return np.array([value if isinstance(value, int | float) else np.nan for value in values], np.float64)


def _segment(annotation: Any, where: str) -> tuple[float, float]:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("label"), str):
        raise DataError(f"{where} has no label")
    segment = annotation.get("segment")
    if not isinstance(segment, list) or len(segment) != 2 or not all(map(_is_time, segment)):
        raise DataError(f"{where}: segment {segment!r} is not [start, end] in seconds")
    start, end = segment
    if not start <= end:
        raise DataError(f"{where}: segment {segment} ends before it starts")
    return start, end


def _is_time(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def read_split(split: str, truth: GroundTruth | None = None) -> dict[str, str]:
    """The subset of each video id, from `FILE:NAME`, FILE holding {NAME: {subset: [ids]}}.

    Raises UsageError for another form, DataError for an unknown NAME, an id in two subsets, or (with `truth`) an id
    that the ground truth does not have.
    """
    file, colon, name = split.rpartition(":")
    if not colon or not file or not name:
        raise UsageError(f"--split {split}: expected FILE:NAME")
    if not Path(file).exists():
        raise DataError(f"{file}: no such file (from --split {split})")
    try:
        splits = orjson.loads(read_bytes(file)[0])
        subsets = splits[name]
    except orjson.JSONDecodeError as error:
        raise DataError(f"{file}: not JSON: {error}") from error
    except (KeyError, TypeError):
        known = ", ".join(splits) if isinstance(splits, dict) else "none"
        raise DataError(f"{file}: no split '{name}' (there are: {known})") from None
    subset_of: dict[str, str] = {}
    for subset, video_ids in subsets.items():
        for video_id in video_ids:
            if video_id in subset_of:
                raise DataError(f"{file}: split '{name}': video '{video_id}' is listed twice")
            if truth is not None and video_id not in truth.videos:
                raise DataError(f"{file}: split '{name}': video '{video_id}' is not in {truth.file}")
            subset_of[video_id] = subset
    return subset_of


def read_id_list(path: str) -> tuple[list[str], str]:
    """The ids in a text file, in its order, and its SHA-256; empty lines and lines that begin with # are skipped.

    Raises DataError where the file is not UTF-8 text or lists nothing.
    """
    content, sha256 = read_bytes(path)
    try:
        lines = [line.strip() for line in content.decode().splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file with one video id per line: {error}") from error
    ids = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not ids:
        raise DataError(f"{path}: lists no video id (one per line)")
    return ids, sha256
