"""Reading ground truth in the ActivityNet layout, subsets from a file of splits, and lists of video ids."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Any, TypeGuard, TypeVar

import numpy as np
import orjson

from taltool.data.columns import (
    SEGMENT_COLUMNS,
    header_columns,
    listed,
    meanings,
    open_table,
    placed,
    plain_number,
    spelled,
)
from taltool.data.files import STANDARD, decode_text, open_input, peek, read_bytes, refuse_live_input
from taltool.data.json_documents import JsonDocument, parsed_document, telling_key
from taltool.data.records import LARGEST, Floats, GroundTruth, LabelVocabulary, VideoAnnotations
from taltool.errors import DataError, UsageError

Made = TypeVar("Made")
# What stands above a column of video ids, and is none.
_ID_HEADERS = ("videoid", "videoids", "video", "videos", "videoname", "youtubeid", "filename")
# Numbers that DETAD's ground truth carries for each instance.
ANNOTATOR_ATTRIBUTES = ("context-size", "context-distance", "agreement")


def read_ground_truth(path: str, split: str | None = None) -> GroundTruth:
    """Read annotations; with `split` ("FILE:NAME") the subsets come from there instead.

    Segments past the end of the video, of zero length, or given twice are kept as they are (real data sets have
    them); a segment that ends before it starts is an error. Durations may be missing. Raises DataError naming file,
    video and annotation.
    """
    names, videos = LabelVocabulary(), {}
    if Path(path).is_file():
        head = peek(path)
        is_stream = telling_key(head)[0] in ("taltool", "video_id")
        if is_stream or head.startswith(b"\x89HDF"):
            found = "a stream of proposals" if is_stream else "an HDF5 file"
            raise DataError(f"{path}: expected a ground truth, found {found}; are two files exchanged?")
    with open_input(path) as reader, JsonDocument(reader, path) as document:
        for batch in annotation_batches(document, partial(checked_videos, names=names, path=path)):
            videos.update(batch)
        truth = GroundTruth(videos, names, path, reader.hexdigest())
    return truth.with_split(read_split(split, truth), split) if split else truth


def demand_database(document: JsonDocument) -> None:
    """Raise DataError unless the document is a ground truth."""
    if not document.is_object("database"):
        hint = " (these are proposals)" if "results" in document else "; of other layouts taltool convert makes one"
        raise DataError(f'{document.path}: expected a ground truth (a JSON object with "database"){hint}')


def annotation_batches(document: JsonDocument, make: Callable[[dict[str, Any]], Made]) -> Iterator[Made]:
    """What `make` makes of some entries of a ground truth at a time; raises DataError for another document."""

    def keys_in(entries: dict[str, Any]) -> int:
        try:
            annotations = chain.from_iterable(entry.get("annotations") or () for entry in entries.values())
            return len(entries) + sum(map(len, entries.values())) + sum(map(len, annotations))
        except (AttributeError, TypeError):
            return 0

    demand_database(document)
    return document.batches("database", make, keys_in)


def checked_videos(entries: dict[str, Any], names: LabelVocabulary, path: str) -> dict[str, VideoAnnotations]:
    """The annotated videos in a part of a database; labels are entered into `names`.

    What data sets call otherwise is spelled as usual in `entries`: numbers that are texts (HACS, AFSD's THUMOS14),
    `duration_second` (BMN and those after it) and `split`. Raises DataError, naming `path`, video and annotation, for
    what is broken.
    """
    for entry in entries.values():
        spell_as_usual(entry)
    try:
        try:
            return _videos(entries, names)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
            for entry in entries.values():
                read_texts(entry)
            return _videos(entries, names)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        for video_id, entry in entries.items():
            _refuse_broken(entry, f"{path}: video '{video_id}'")
        raise


def spell_as_usual(entry: Any) -> None:
    """Put the usual keys in the place of those that some data sets have for duration and subset."""
    if not isinstance(entry, dict):
        return
    if "subset" not in entry and isinstance(entry.get("split"), str):
        entry["subset"] = entry.pop("split")
    if entry.get("duration") is None and "duration_second" in entry:
        entry["duration"] = entry.pop("duration_second")


def read_texts(entry: Any) -> None:
    """Put the numbers in the place of the texts of a duration and of times."""
    if not isinstance(entry, dict):
        return
    if isinstance(entry.get("duration"), str):
        entry["duration"] = _number(entry["duration"])
    annotations = entry.get("annotations")
    for each in annotations if isinstance(annotations, list) else ():
        if isinstance(each, dict) and isinstance(each.get("segment"), list):
            each["segment"] = [_number(time) if isinstance(time, str) else time for time in each["segment"]]


def _number(text: str) -> float | str:
    """The finite number that a text is; the text itself where it is none, which the checks refuse then."""
    try:
        number = plain_number(text)
    except ValueError:
        return text
    return number if abs(number) < LARGEST else text


def _videos(database: dict[str, Any], names: LabelVocabulary) -> dict[str, VideoAnnotations]:
    """The videos, checked all together, which is much faster than one by one; some error if anything is wrong."""
    entries = list(database.values())
    lists = [entry.get("annotations") or [] for entry in entries]
    if not all(lists) and any(_other_list(entry) for entry in entries):
        raise ValueError
    subsets = [entry.get("subset") for entry in entries]
    durations = [entry.get("duration") for entry in entries]
    everything = list(chain.from_iterable(lists))
    words = [annotation["label"] for annotation in everything]
    pairs = [annotation["segment"] for annotation in everything]
    _demand_types(lists + pairs, list)
    _demand_types(subsets, str, NoneType)
    _demand_types(words, str)
    if set(map(len, pairs)) - {2}:
        raise ValueError
    segments = _times(list(chain.from_iterable(pairs))).reshape(-1, 2)
    known_durations = _times([each for each in durations if each is not None])
    if not (known_durations > 0).all() or not (segments[:, 0] <= segments[:, 1]).all():
        raise ValueError
    labels = names.numbered(words)
    occurring: set[str] = set().union(*everything)
    known = [name for name in ANNOTATOR_ATTRIBUTES if name in occurring]
    videos, end = {}, 0
    for video_id, duration, subset, annotations in zip(database, durations, subsets, lists, strict=True):
        own = slice(end, end := end + len(annotations))
        attributes = {}
        for name in known:
            if any(name in each for each in annotations):
                said = [each.get(name) for each in annotations]
                numbers = [value if isinstance(value, int | float) else np.nan for value in said]
                attributes[name] = np.array(numbers, np.float64)
        length = None if duration is None else float(duration)
        videos[video_id] = VideoAnnotations(video_id, length, subset, segments[own], labels[own], attributes)
    return videos


def _other_list(entry: dict[str, Any]) -> str | None:
    """The key of a list that looks like annotations where an entry has none under their own name."""
    if "annotations" in entry:
        return None
    for key, value in entry.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and "segment" in value[0]:
            return key
        if key == "segments" and value:
            return key
    return None


def _demand_types(values: list[Any], *types: type) -> None:
    if not set(map(type, values)) <= set(types):
        raise TypeError


def _times(values: list[Any]) -> Floats:
    """Finite numbers (N,); bool is a number to Python and numpy, but no time."""
    _demand_types(values, int, float)
    times = np.array(values, np.float64)
    if not (np.abs(times) < LARGEST).all():
        raise ValueError
    return times


def _refuse_broken(entry: Any, where: str) -> None:
    """Raise DataError, saying what is wrong, if anything is wrong with a video's entry."""
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected an object, found {type(entry).__name__}")
    duration = entry.get("duration")
    if duration is not None and (not _is_time(duration) or not duration > 0):
        raise DataError(f"{where}: duration {duration!r} is not a positive number of seconds")
    annotations, subset = entry.get("annotations") or [], entry.get("subset")
    if (other := _other_list(entry)) is not None:
        raise DataError(f"{where}: no annotations, but a list '{other}' with segments; call it annotations")
    if not isinstance(annotations, list):
        raise DataError(f"{where}: expected a list of annotations, found {type(annotations).__name__}")
    if not isinstance(subset, str | None):
        raise DataError(f"{where}: subset {subset!r} is not a name")
    for number, annotation in enumerate(annotations, start=1):
        label = annotation.get("label") if isinstance(annotation, dict) else None
        if isinstance(label, int):
            mend = "name the numbers: taltool convert --classes FILE"
            raise DataError(f"{where}: annotation {number}: label {label} is not a name; {mend}")
        if not isinstance(label, str):
            raise DataError(f"{where}: annotation {number} has no label")
        segment = annotation.get("segment")
        if not isinstance(segment, list) or len(segment) != 2 or not all(map(_is_time, segment)):
            raise DataError(f"{where}: annotation {number}: segment {segment!r} is not [start, end] in seconds")
        if not segment[0] <= segment[1]:
            raise DataError(
                f"{where}: annotation {number}: segment {segment} ends before it starts "
                "(taltool convert --drop-invalid leaves such out)"
            )


def _is_time(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(abs(value) < LARGEST)


def read_split(split: str, truth: GroundTruth | None = None, content: bytes | None = None) -> dict[str, str]:
    """The subset of each video id, from `FILE:NAME`: FILE holds {NAME: {subset: [ids]}}, or it is a table with a column
    of video ids and a column NAME of subsets. content: what is in FILE, where it was read already.

    Raises UsageError for another form, DataError for an unknown NAME, an id in two subsets, or (with `truth`) an id
    that the ground truth does not have.
    """
    file, colon, name = split.rpartition(":")
    if not colon or not file or not name:
        raise UsageError(f"--split {split}: expected FILE:NAME")
    refuse_live_input(file)
    if file != STANDARD and not Path(file).exists():
        raise DataError(f"{file}: no such file (from --split {split})")
    content = read_bytes(file)[0] if content is None else content
    is_json = content.lstrip().startswith((b"{", b"["))
    pairs = _split_of_json(file, name, content) if is_json else _split_of_table(file, name, content)
    subset_of: dict[str, str] = {}
    for video_id, subset in pairs:
        if video_id in subset_of:
            raise DataError(f"{file}: split '{name}': video '{video_id}' is listed twice")
        if truth is not None and video_id not in truth.videos:
            raise DataError(f"{file}: split '{name}': video '{video_id}' is not in {truth.file}")
        subset_of[video_id] = subset
    return subset_of


def _split_of_json(file: str, name: str, content: bytes) -> Iterator[tuple[str, str]]:
    try:
        splits = parsed_document(content, file)
        subsets = splits[name]
    except orjson.JSONDecodeError as error:
        raise DataError(f"{file}: not JSON: {error}") from error
    except (KeyError, TypeError):
        known = ", ".join(splits) if isinstance(splits, dict) else "none"
        raise DataError(f"{file}: no split '{name}' (there are: {known})") from None
    lists = subsets.values() if isinstance(subsets, dict) else [None]
    if not all(isinstance(each, list) and all(isinstance(key, str) for key in each) for each in lists):
        raise DataError(f"{file}: split '{name}': expected {{subset: [video ids]}}")
    yield from ((video_id, subset) for subset, video_ids in subsets.items() for video_id in video_ids)


def _split_of_table(file: str, name: str, content: bytes) -> Iterator[tuple[str, str]]:
    table = open_table(file, lines=iter(enumerate(decode_text(content, file).split("\n"), start=1)))
    places = placed(table, {"video": SEGMENT_COLUMNS["video"]})
    if "video" not in places:
        raise DataError(f"{table.where}: no column of the video ids ({listed(table.columns)})")
    if name not in table.columns:
        raise DataError(f"{table.where}: no split '{name}' ({listed(table.columns)})")
    for _, fields in table.rows:
        if subset := fields[table.columns.index(name)]:  # Nothing there: in no subset.
            yield fields[places["video"]], subset


def read_id_list(path: str) -> tuple[list[str], str]:
    """The video ids in a file, in its order, and its SHA-256: one a line, or a JSON list, or a table's column of them.

    Of lines, the empty ones and those that begin with # are skipped, and a first one that only says `video_id`, or the
    like. Raises DataError where the file is not UTF-8 text or lists nothing.
    """
    content, sha256 = read_bytes(path)
    ids = list(dict.fromkeys(_listed_ids(content, path)))
    if not ids:
        raise DataError(f"{path}: lists no video id (one per line)")
    return ids, sha256


def _listed_ids(content: bytes, path: str) -> Iterator[str]:
    if content.lstrip().startswith((b"[", b"{")):
        try:
            ids = parsed_document(content, path)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}: not JSON: {error}; expected video ids, one a line or as a list") from error
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise DataError(f"{path}: expected a JSON list of video ids, or one a line")
        yield from ids
        return
    lines = list(enumerate(decode_text(content, path).split("\n"), start=1))
    columns = header_columns(next((line for _, line in lines if line.strip()), ""))
    if len(columns) > 1 and meanings(columns, {"video": SEGMENT_COLUMNS["video"]}):
        table = open_table(path, lines=iter(lines))
        place = placed(table, {"video": SEGMENT_COLUMNS["video"]})["video"]
        yield from (fields[place] for _, fields in table.rows)
        return
    is_header = len(columns) == 1 and spelled(columns[0]) in _ID_HEADERS
    for line in [line.strip() for _, line in lines if line.strip()][is_header:]:
        if not line.startswith("#"):
            yield line
