"""The proposals of one video as JSON, to a record and back: a list of objects (version 1), or columns (version 2)."""

from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from taltool.data.records import Floats, Integers, LabelVocabulary, VideoProposals, broken
from taltool.errors import DataError

# Segments (N, 2), scores (N,), label numbers (N,) or None where nothing has a label.
_Columns = tuple[Floats, Floats, Integers | None]
_NUMBERS = {int, float}
# By what else programs call a label, whatever the case.
# Submissions to EPIC-KITCHENS have all three.
LABEL_KINDS = ("verb", "noun", "action")
_LABEL_KEYS = {"label", "labels", "class", "category", "activity", "action", "verb", "noun"}
_LABEL_KEYS |= {f"{name}_{what}" for name in _LABEL_KEYS for what in ("id", "name")}


def keys_of_objects(proposals: Any) -> int:
    """How many keys a list of proposals has together; 0 for something else."""
    try:
        return sum(map(len, proposals))
    except TypeError:
        return 0


def keys_of_videos(videos: dict[str, Any]) -> int:
    """How many keys {video id: list of proposals} has together with the proposals."""
    return len(videos) + sum(map(keys_of_objects, videos.values()))


class VideoParser:
    """Makes the proposals of videos of parsed JSON; labels are entered into `names`.

    default_score stands in for missing scores; without it they are an error. Segments that end before they start are
    an error, or with drop_invalid left out and counted in num_dropped. label_key: what the label of an object is
    called. numbered: labels may be numbers too, and are their texts then; else they must be names. classes: what number
    in `names` has each class of which the labels in columns are numbers; None where no header lists them.
    """

    def __init__(
        self,
        names: LabelVocabulary,
        default_score: float | None = None,
        drop_invalid: bool = False,
        *,
        label_key: str = "label",
        numbered: bool = False,
    ) -> None:
        self.names, self.default_score, self.drop_invalid = names, default_score, drop_invalid
        self.label_key, self.numbered = label_key, numbered
        self.classes: Integers | None = None
        self.num_dropped = 0

    def video(self, record: Mapping[str, Any], where: str, line: bytes | None = None) -> VideoProposals:
        """The video of a record: its video_id and perhaps duration, "proposals" (version 1) or columns (version 2).

        line: what the record was parsed from, which makes the checks quicker. Raises DataError, which begins with
        `where`, for the first proposal that is none.
        """
        video_id, duration = record["video_id"], record.get("duration")
        try:
            if duration is not None and type(duration) not in _NUMBERS:
                raise DataError(f"duration {duration!r} is not a positive number of seconds")
            if "segments" not in record:
                segments, scores, labels = self._from_objects(record.get("proposals"))
            elif "proposals" in record:
                raise DataError("both proposals (version 1) and segments (version 2); leave one of them out")
            else:
                # The letters u and f of true and false stand elsewhere only in the names of keys and of the video:
                # counting them is quicker than asking each number for its type.
                names = "".join((video_id, *record))
                counts = None if line is None else (line.count(b"u"), line.count(b"f"))
                without_words = counts == (names.count("u"), names.count("f"))
                segments, scores = self._times_and_scores(record, without_words)
                labels = self._labels(record.get("labels"), without_words)
        except DataError as error:
            raise DataError(f"{where}: video '{video_id}': {error}") from None
        if self.drop_invalid:
            kept = ~broken(segments, scores)
            self.num_dropped += int(np.count_nonzero(~kept))
            segments, scores, labels = segments[kept], scores[kept], None if labels is None else labels[kept]
        try:
            return VideoProposals(video_id, segments, scores, labels, self.names, duration)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None

    def videos(self, lists: dict[str, Any], durations: Mapping[str, Any], where: str) -> list[VideoProposals]:
        """The videos of {video id: list of objects}, checked all together, which is faster than one by one."""
        if not self.drop_invalid and set(map(type, lists.values())) == {list}:
            # Where something is wrong, or only some videos have labels, each is looked at for itself below.
            with suppress(DataError):
                columns = self._from_objects(list(chain.from_iterable(lists.values())))
                counts = {video_id: len(proposals) for video_id, proposals in lists.items()}
                return VideoProposals("", *columns, self.names).split(counts, durations)
        return [
            self.video({"video_id": video_id, "duration": durations.get(video_id), "proposals": proposals}, where)
            for video_id, proposals in lists.items()
        ]

    def _from_objects(self, proposals: Any) -> _Columns:
        """The columns of [{"segment", "score", "label"}, ...]."""
        if not isinstance(proposals, list):
            raise DataError(f"expected a list of proposals, found {type(proposals).__name__}")
        try:
            pairs = list(map(itemgetter("segment"), proposals))
            if self.default_score is None:
                scores = list(map(itemgetter("score"), proposals))
            else:
                scores = [self.default_score if each.get("score") is None else each["score"] for each in proposals]
            try:
                labels = list(map(itemgetter(self.label_key), proposals))
            except KeyError:
                labels = [each.get(self.label_key) for each in proposals]
            columns = _as_arrays(pairs, scores)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise DataError(_complaint(proposals)) from None
        kinds = set(map(type, labels))
        if kinds and self.label_key != "label" and type(None) in kinds:
            raise DataError(f"proposal {labels.index(None) + 1} has no '{self.label_key}', which is to be its label")
        if kinds <= {type(None)}:
            _refuse_other_labels(proposals)
            return *columns, None
        if self.numbered and kinds <= {int, str}:
            return *columns, self.names.numbered(list(map(str, labels)))
        if kinds != {str}:
            raise DataError(_complaint(proposals))
        return *columns, self.names.numbered(labels)

    def _times_and_scores(self, record: Mapping[str, Any], without_words: bool) -> tuple[Floats, Floats]:
        """The columns of {"segments", "scores"}; all that the record lists must be of one length."""
        segments, scores, labels = record["segments"], record.get("scores"), record.get("labels")
        if scores is None and self.default_score is not None and isinstance(segments, list):
            scores = [self.default_score] * len(segments)
        if scores is None:
            raise DataError("there are no scores; give all proposals one with taltool convert --score 1.0")
        for name, column in (("segments", segments), ("scores", scores), ("labels", [] if labels is None else labels)):
            if not isinstance(column, list):
                raise DataError(f"expected a list of {name}, found {type(column).__name__}")
        if len(scores) != len(segments) or (labels is not None and len(labels) != len(segments)):
            listed = "" if labels is None else f" and {len(labels)} labels"
            raise DataError(f"{len(segments)} segments, but {len(scores)} scores{listed}")
        try:
            return _as_arrays(segments, scores, without_words)
        except (TypeError, ValueError, OverflowError):
            for number, (segment, score) in enumerate(zip(segments, scores, strict=True), start=1):
                if not _is_pair(segment):
                    fault = f"segment {segment} of proposal {number} is not [start, end] in seconds"
                    raise DataError(fault) from None
                if type(score) not in _NUMBERS:
                    raise DataError(f"score {score!r} of proposal {number} is not a finite number") from None
            raise DataError("segments and scores must be numbers of 64 bits") from None

    def _labels(self, labels: list[Any] | None, without_words: bool) -> Integers | None:
        """The numbers in `names` of labels that are names, or numbers of the classes in a header."""
        if labels is None:
            return None
        if labels and isinstance(labels[0], str) and set(map(type, labels)) == {str}:
            return self.names.numbered(labels)
        try:
            numbers = np.frombuffer(array("q", labels), np.int64)
        except (TypeError, OverflowError):
            numbers = np.empty(0, np.int64)
        if len(numbers) < len(labels) or not (without_words or set(map(type, labels)) <= {int}):
            number = next((n for n, label in enumerate(labels) if type(label) is not int), 0)
            raise DataError(f"label {labels[number]!r} of proposal {number + 1} is not the number of a class")
        if self.classes is None and labels:
            raise DataError("labels are numbers of the classes in a header, and there is no header before this line")
        if self.classes is None or not labels:
            return np.empty(0, np.int64)
        if numbers.min() < 0 or numbers.max() >= len(self.classes):
            number = int(np.argmax((numbers < 0) | (numbers >= len(self.classes))))
            listed = f"(the header lists {len(self.classes)})"
            raise DataError(f"label {labels[number]} of proposal {number + 1} is the number of no class {listed}")
        return self.classes[numbers]


def _refuse_other_labels(proposals: list[dict[str, Any]]) -> None:
    """Raise DataError where proposals have no label but something else that says what they are."""
    for number, proposal in enumerate(proposals, start=1):
        if named := [key for key in proposal if key.casefold() in _LABEL_KEYS and key != "label"]:
            raise DataError(
                f"proposal {number} has no label, but '{named[0]}': {str(proposal[named[0]])[:40]!r}; call it label, "
                "and give the name of the class"
                + (f", or read it: taltool convert --labels {named[0]}" if named[0] in LABEL_KINDS else "")
            )


def _as_arrays(pairs: Sequence[Any], scores: Sequence[Any], without_words: bool = False) -> tuple[Floats, Floats]:
    """Segments (N, 2) and scores (N,); raises TypeError, ValueError or OverflowError for what is no number.

    To an array true and false are numbers too, so types are asked unless it is known that there are none.
    """
    if set(map(len, pairs)) - {2}:
        raise ValueError
    times = list(chain.from_iterable(pairs))
    if not without_words and (set(map(type, times)) | set(map(type, scores))) - _NUMBERS:
        raise TypeError
    return np.frombuffer(array("d", times)).reshape(len(pairs), 2), np.frombuffer(array("d", scores))


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
            mend = "; name the numbers: taltool convert --classes FILE" if type(label) is int else ""
            return f"label {label!r} of proposal {number} is not a name{mend}"
    return "some proposals have a label and some have none"


def _is_pair(segment: Any) -> bool:
    return isinstance(segment, list) and len(segment) == 2 and not set(map(type, segment)) - _NUMBERS


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
