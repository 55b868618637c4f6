"""The layout that ActionFormer's evaluator reads: classes are numbers (`label_id`).

Ground truth is the ActivityNet layout with a `label_id` beside each label; predictions are {"database": {video:
[{segment, label_id, scores}]}}. The names of the numbers come from `--classes`.
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from taltool.data.annotations import open_database
from taltool.data.files import open_input, open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.activitynet import read_annotations, write_annotations
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import JsonDocument
from taltool.data.json_text import telling_key
from taltool.data.records import LabelVocabulary, VideoProposals, broken
from taltool.data.video_json import from_objects, keys_of_videos, to_objects
from taltool.errors import DataError

# Bytes of annotations that wait in memory.
_IN_MEMORY = 1 << 24


@FORMATS.register("actionformer")
class ActionFormer(Format):
    """Numbers in place of names."""

    summary = "ActionFormer's JSON: ground truth with label_id, predictions with label_id and scores"
    kinds = ("proposals", "annotations")

    def recognises(self, opening: Opening) -> bool:
        """A database whose entries are lists; its ground truth is plain ActivityNet."""
        return telling_key(opening.head) == ("database", "[")

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals | Annotations]:
        """Read either kind, told by content."""
        if telling_key(beginning(path).head)[1] == "[":
            return _read_predictions(path, options)
        return read_annotations(path, options)

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: label names, durations and provenance of predictions; nothing of annotations."""
        if isinstance(content, Annotations):
            with _numbered(content, options) as numbered:
                write_annotations(numbered, path)
            return []
        if options.classes is None:
            raise DataError(f"{path}: the numbers of the classes are not known; give them with --classes FILE")
        timed, between = 0, b""
        with open_output(path) as stream:
            stream.write(b'{"version":"from taltool","database":{')
            for video in content.videos:
                predictions = [_prediction(each, options.classes, video.video_id) for each in to_objects(video)]
                stream.write(between + orjson.dumps(video.video_id) + b":" + orjson.dumps(predictions))
                timed, between = timed + (video.duration is not None), b","
            if not between:
                raise DataError(f"{path}: no videos; in this format that would be an empty ground truth")
            stream.write(b"}}\n")
        lost = ["the names of the classes"] + ([f"{timed} durations"] if timed else [])
        return lost + (["the provenance"] if content.provenance else [])


def _prediction(proposal: dict[str, Any], classes: Mapping[str, int], video_id: str) -> dict[str, Any]:
    label = proposal.get("label")
    if label is None or label not in classes:
        found = "a proposal without label" if label is None else f"label '{label}', which is not in --classes"
        raise DataError(f"video '{video_id}': {found}; this format needs the number of every class")
    return {"segment": proposal["segment"], "label_id": classes[label], "scores": proposal["score"]}


@contextlib.contextmanager
def _numbered(content: Annotations, options: FormatOptions) -> Iterator[Annotations]:
    """Annotations with the label_id of each: that of --classes, or else the one it has, or alphabetical ones.

    Without --classes all are seen before the first can be numbered; they wait in a temporary file.
    """
    if options.classes is not None:
        yield replace(content, entries=_entering(content.entries, options.classes))
        return
    labels: set[str] = set()
    complete = True
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as waiting:
        for entry in content.entries:
            annotations = entry[1].get("annotations") or []
            labels |= {each["label"] for each in annotations}
            complete &= all("label_id" in each for each in annotations)
            waiting.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        waiting.seek(0)
        entries: Iterable[tuple[str, dict[str, Any]]] = map(orjson.loads, waiting)
        if not complete:
            entries = _entering(entries, {name: number for number, name in enumerate(sorted(labels))})
        yield replace(content, entries=entries)


def _entering(
    entries: Iterable[tuple[str, dict[str, Any]]], classes: Mapping[str, int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for video_id, entry in entries:
        for each in entry.get("annotations") or []:
            if each["label"] not in classes:
                raise DataError(f"label '{each['label']}' is not in --classes")
            each["label_id"] = classes[each["label"]]
        yield video_id, entry


@contextlib.contextmanager
def _read_predictions(path: str, options: FormatOptions) -> Iterator[Proposals]:
    if options.classes is None:
        raise DataError(
            f"{path}: classes are numbers here; name them with --classes FILE (names by line, or a ground truth)"
        )
    reader = _PredictionReader(path, options)
    with open_input(path) as stream, open_database(stream, path) as document:
        content = Proposals((), reader.labels, document.count("database"), [], open_ended=True)
        content.videos = reader.videos(document, content)
        yield content


class _PredictionReader:
    """Makes proposals of predictions; labels are the names that occur."""

    def __init__(self, path: str, options: FormatOptions) -> None:
        self.path, self.options, self.labels = path, options, LabelVocabulary()
        self.names = {number: name for name, number in (options.classes or {}).items()}
        self.dropped = 0

    def videos(self, document: JsonDocument, content: Proposals) -> Iterator[VideoProposals]:
        """The videos of a document; what was dropped is noted at the end."""
        for batch in document.batches("database", self._batch, keys_of_videos):
            yield from batch
        if self.dropped:
            content.notes.append(f"{self.dropped} segments that end before they start")

    def _batch(self, entries: dict[str, Any]) -> list[VideoProposals]:
        return [self._video(*entry) for entry in entries.items()]

    def _video(self, video_id: str, predictions: Any) -> VideoProposals:
        if not isinstance(predictions, list):
            raise DataError(f"{self.path}: video '{video_id}': expected a list of predictions, found {predictions!r}")
        objects = [self._as_object(video_id, *numbered) for numbered in enumerate(predictions, start=1)]
        duration = self.options.durations.get(video_id)
        try:
            segments, scores, labels = from_objects(objects, self.labels, self.options.score)
        except DataError as error:
            raise DataError(f"{self.path}: video '{video_id}': {error}") from None
        if self.options.drop_invalid:
            kept = ~broken(segments, scores)
            self.dropped += int(np.count_nonzero(~kept))
            segments, scores, labels = segments[kept], scores[kept], None if labels is None else labels[kept]
        try:
            return VideoProposals(video_id, segments, scores, labels, self.labels, duration)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from None

    def _as_object(self, video_id: str, number: int, prediction: Any) -> dict[str, Any]:
        """The prediction as an object of ActivityNet, whose class has a name."""
        where = f"{self.path}: video '{video_id}': prediction {number}"
        if not isinstance(prediction, dict) or not prediction.keys() >= {"segment", "label_id"}:
            raise DataError(f"{where}: expected segment, label_id and scores, found {prediction!r}")
        label = prediction["label_id"]
        if type(label) not in (int, float) or label not in self.names:
            raise DataError(f"{where}: label_id {label!r} has no name in --classes ({len(self.names)} classes)")
        scored = {"score": prediction["scores"]} if "scores" in prediction else {}
        return {"segment": prediction["segment"], "label": self.names[label]} | scored
