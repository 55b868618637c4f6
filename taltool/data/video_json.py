"""The proposals of one video as JSON, to arrays and back: a list of objects (version 1), or columns (version 2)."""

from array import array
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from taltool.data.records import Floats, Integers, LabelVocabulary, VideoProposals
from taltool.errors import DataError

# Segments (N, 2), scores (N,), label numbers (N,) or None where nothing has a label.
Columns = tuple[Floats, Floats, Integers | None]
_NUMBERS = {int, float}


def keys_of_objects(proposals: Any) -> int:
    """How many keys a list of proposals has together; 0 for something else."""
    try:
        return sum(map(len, proposals))
    except TypeError:
        return 0


def keys_of_videos(videos: dict[str, Any]) -> int:
    """How many keys {video id: list of proposals} has together with the proposals."""
    return len(videos) + sum(map(keys_of_objects, videos.values()))


def from_objects(proposals: Any, names: LabelVocabulary, default_score: float | None = None) -> Columns:
    """The columns of [{"segment", "score", "label"}, ...]; labels are entered into `names`.

    default_score stands in for missing scores. Raises DataError for the first object that is no proposal.
    """
    if not isinstance(proposals, list):
        raise DataError(f"expected a list of proposals, found {type(proposals).__name__}")
    try:
        pairs = list(map(itemgetter("segment"), proposals))
        if default_score is None:
            scores = list(map(itemgetter("score"), proposals))
        else:
            scores = [default_score if each.get("score") is None else each["score"] for each in proposals]
        labels = _labels(proposals)
        columns = _segments(pairs), _numbers(scores)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise DataError(_complaint(proposals)) from None
    kinds = set(map(type, labels))
    if kinds <= {type(None)}:
        return *columns, None
    if kinds != {str}:
        raise DataError(_complaint(proposals))
    return *columns, names.numbered(labels)


def _labels(proposals: list[dict[str, Any]]) -> list[Any]:
    """The label of each, None where there is none."""
    try:
        return list(map(itemgetter("label"), proposals))
    except KeyError:
        return [each.get("label") for each in proposals]


def _segments(pairs: Sequence[Any], without_words: bool = False) -> Floats:
    if set(map(len, pairs)) - {2}:
        raise ValueError
    return _numbers(list(chain.from_iterable(pairs)), without_words).reshape(len(pairs), 2)


def _numbers(values: Sequence[Any], without_words: bool = False) -> Floats:
    """The numbers (N,); to an array true and false are numbers too, unless it is known that there are none."""
    if not without_words and set(map(type, values)) - _NUMBERS:
        raise TypeError
    return np.frombuffer(array("d", values))


def _complaint(proposals: list[Any]) -> str:
    """Say what is wrong with the first broken one of `proposals`."""
    for number, proposal in enumerate(proposals, start=1):
        if not isinstance(proposal, dict) or "segment" not in proposal:
            return f"proposal {number} has no segment"
        segment, score, label = proposal["segment"], proposal.get("score"), proposal.get("label")
        if not _is_pair(segment):
            return f"segment {segment} of proposal {number} is not [start, end] in seconds"
        if score is None:
            return f"proposal {number} has no score; give all of them one with taltool convert --score 1.0"
        if type(score) not in _NUMBERS:
            return f"score {score!r} of proposal {number} is not a finite number"
        if label is not None and not isinstance(label, str):
            return f"label {label!r} of proposal {number} is not a name"
    return "some proposals have a label and some have none"


def _is_pair(segment: Any) -> bool:
    return isinstance(segment, list) and len(segment) == 2 and not set(map(type, segment)) - _NUMBERS


def is_without_words(line: bytes, record: dict[str, Any]) -> bool:
    """Whether the line that `record` was parsed from surely holds neither true nor false.

    Their letters u and f stand elsewhere only in the names of keys and of the video: counting them is quicker than
    asking each number for its type.
    """
    names = "".join((str(record.get("video_id")), *record))
    return line.count(b"u") == names.count("u") and line.count(b"f") == names.count("f")


def from_columns(
    record: dict[str, Any],
    names: LabelVocabulary,
    classes: Integers | None,
    default_score: float | None = None,
    *,
    without_words: bool = False,
) -> Columns:
    """The columns of {"segments", "scores", "labels"}.

    classes are the numbers in `names` of the classes that labels are numbers of; None where no header lists them, and
    labels must be names. default_score stands in where there are no scores at all. without_words says that the record
    holds neither true nor false. Raises DataError for anything else.
    """
    segments, labels = record["segments"], record.get("labels")
    scores = record.get("scores")
    if scores is None and default_score is not None and isinstance(segments, list):
        scores = [default_score] * len(segments)
    if scores is None:
        raise DataError("there are no scores; give all proposals one with taltool convert --score 1.0")
    for name, column in (("segments", segments), ("scores", scores), ("labels", [] if labels is None else labels)):
        if not isinstance(column, list):
            raise DataError(f"expected a list of {name}, found {type(column).__name__}")
    if len(scores) != len(segments) or (labels is not None and len(labels) != len(segments)):
        listed = "" if labels is None else f" and {len(labels)} labels"
        raise DataError(f"{len(segments)} segments, but {len(scores)} scores{listed}")
    try:
        columns = _segments(segments, without_words), _numbers(scores, without_words)
    except (TypeError, ValueError, OverflowError):
        raise DataError(_column_complaint(segments, scores)) from None
    return *columns, None if labels is None else _label_numbers(labels, names, classes, without_words)


def _column_complaint(segments: list[Any], scores: list[Any]) -> str:
    """Say which segment or score is not made of numbers."""
    for number, (segment, score) in enumerate(zip(segments, scores, strict=True), start=1):
        if not _is_pair(segment):
            return f"segment {segment} of proposal {number} is not [start, end] in seconds"
        if type(score) not in _NUMBERS:
            return f"score {score!r} of proposal {number} is not a finite number"
    return "segments and scores must be numbers of 64 bits"


def _label_numbers(
    labels: list[Any], names: LabelVocabulary, classes: Integers | None, without_words: bool
) -> Integers:
    if labels and isinstance(labels[0], str) and set(map(type, labels)) == {str}:
        return names.numbered(labels)
    try:
        numbers = np.frombuffer(array("q", labels), np.int64)
    except (TypeError, OverflowError):
        numbers = np.empty(0, np.int64)
    if len(numbers) < len(labels) or not (without_words or set(map(type, labels)) <= {int}):
        number = next((n for n, label in enumerate(labels) if type(label) is not int), 0)
        raise DataError(f"label {labels[number]!r} of proposal {number + 1} is not the number of a class")
    if classes is None and labels:
        raise DataError("labels are numbers of the classes in a header, and there is no header before this line")
    if classes is None or not labels:
        return np.empty(0, np.int64)
    if numbers.min() < 0 or numbers.max() >= len(classes):
        number = int(np.argmax((numbers < 0) | (numbers >= len(classes))))
        listed = f"(the header lists {len(classes)})"
        raise DataError(f"label {labels[number]} of proposal {number + 1} is the number of no class {listed}")
    return classes[numbers]


def to_objects(video: VideoProposals) -> list[dict[str, Any]]:
    """The proposals of a video in the total order, as objects ready for JSON."""
    video = video.ranked()
    pairs, scores = video.segments.tolist(), video.scores.tolist()
    if video.labels is None:
        return [{"segment": pair, "score": score} for pair, score in zip(pairs, scores, strict=True)]
    names = video.names.names
    labels = [names[number] for number in video.labels.tolist()]
    return [
        {"segment": pair, "score": score, "label": label}
        for pair, score, label in zip(pairs, scores, labels, strict=True)
    ]
