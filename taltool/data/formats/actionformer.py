"""The layout that ActionFormer's evaluator reads: classes are numbers (`label_id`).

Ground truth is the ActivityNet layout with a `label_id` beside each label; predictions are {"database": {video:
[{segment, label_id, scores}]}}. The names of the numbers come from `--classes`.
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from taltool.data.annotations import demand_database
from taltool.data.files import open_input, open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.activitynet import read_annotations, write_annotations
from taltool.data.formats.class_numbers import Namer, class_namer
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.sniffing import beginning
from taltool.data.json_documents import JsonDocument, telling_key
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.video_json import VideoParser, keys_of_videos, to_objects
from taltool.errors import DataError

# Bytes of annotations that wait in memory.
_IN_MEMORY = 1 << 24


@FORMATS.register("actionformer")
class ActionFormer(Format):
    """Numbers in place of names."""

    summary = (
        "what ActionFormer's evaluator reads, predictions with a label_id in place of labels, ground truth with one "
        "beside each label; --classes gives the numbers"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"times"})

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
            raise DataError(
                f"{path}: the numbers of the classes are not known; give them to taltool convert with --classes FILE"
            )
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
    namer = class_namer(path, options)
    parser = VideoParser(LabelVocabulary(), options.score, options.drop_invalid)

    def batch(entries: dict[str, Any]) -> list[VideoProposals]:
        return [parser.video(_as_record(*entry, namer, options, path), path) for entry in entries.items()]

    def videos(document: JsonDocument, content: Proposals) -> Iterator[VideoProposals]:
        yield from chain.from_iterable(document.batches("database", batch, keys_of_videos))
        if parser.num_dropped:
            content.notes.append(f"{parser.num_dropped} segments that end before they start")

    with open_input(path) as stream, JsonDocument(stream, path) as document:
        demand_database(document)
        content = Proposals((), parser.names, document.count("database"), [], open_ended=True)
        content.videos = videos(document, content)
        yield content


def _as_record(video_id: str, predictions: Any, namer: Namer, options: FormatOptions, path: str) -> dict[str, Any]:
    """The predictions of a video as a record of taltool's stream, whose classes have names."""
    where = f"{path}: video '{video_id}'"
    if not isinstance(predictions, list):
        raise DataError(f"{where}: expected a list of predictions, found {predictions!r}")
    objects = [_as_object(each, namer, f"{where}: prediction {n}") for n, each in enumerate(predictions, start=1)]
    return {"video_id": video_id, "duration": options.durations.get(video_id), "proposals": objects}


def _as_object(prediction: Any, namer: Namer, where: str) -> dict[str, Any]:
    """The prediction as an object of ActivityNet, whose class has a name."""
    if not isinstance(prediction, dict) or not prediction.keys() >= {"segment", "label_id"}:
        raise DataError(f"{where}: expected segment, label_id and scores, found {prediction!r}")
    label = prediction["label_id"]
    if type(label) not in (int, float):
        raise DataError(f"{where}: label_id {label!r} is not the number of a class")
    scored = {"score": prediction["scores"]} if "scores" in prediction else {}
    return {"segment": prediction["segment"], "label": namer(label, f"{where}, label_id")} | scored
