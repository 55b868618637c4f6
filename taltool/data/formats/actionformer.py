"""The layout that ActionFormer's evaluator reads: classes are numbers (`label_id`).

Ground truth is the ActivityNet layout with a `label_id` beside each label; predictions are {"database": {video:
[{segment, label_id, scores}]}}. The names of the numbers come from `--classes`.
"""

import contextlib
from typing import Any

from taltool.data.annotations import read_document
from taltool.data.formats import FORMATS
from taltool.data.formats.activitynet import complete, read_annotations, write_document
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.sniffing import beginning
from taltool.data.formats.tables import Row, segment, to_proposals, valid
from taltool.data.json_text import telling_key
from taltool.data.video_json import to_objects
from taltool.errors import DataError


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
            return contextlib.nullcontext(_read_predictions(path, options))
        return contextlib.nullcontext(read_annotations(path, options))

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: label names, durations and provenance of predictions; nothing of annotations."""
        if isinstance(content, Annotations):
            write_document(_numbered(complete(content, path), options).document, path)
            return []
        if options.classes is None:
            raise DataError(f"{path}: the numbers of the classes are not known; give them with --classes FILE")
        database, timed = {}, 0
        for video in content.videos:
            database[video.video_id] = [
                _prediction(each, options.classes, video.video_id) for each in to_objects(video)
            ]
            timed += video.duration is not None
        write_document({"version": "from taltool", "database": database}, path)
        lost = ["the names of the classes"] + ([f"{timed} durations"] if timed else [])
        return lost + (["the provenance"] if content.provenance else [])


def _prediction(proposal: dict[str, Any], classes: Any, video_id: str) -> dict[str, Any]:
    label = proposal.get("label")
    if label not in classes:
        found = "a proposal without label" if label is None else f"label '{label}', which is not in --classes"
        raise DataError(f"video '{video_id}': {found}; this format needs the number of every class")
    return {"segment": proposal["segment"], "label_id": classes[label], "scores": proposal["score"]}


def _numbered(content: Annotations, options: FormatOptions) -> Annotations:
    """Enter the label_id of every annotation: that of --classes, or else the one it has, or alphabetical ones."""
    every = [each for entry in content.database.values() for each in entry.get("annotations") or []]
    if options.classes is None and all("label_id" in each for each in every):
        return content
    classes = options.classes
    if classes is None:
        classes = {name: number for number, name in enumerate(sorted({each["label"] for each in every}))}
    for each in every:
        if each["label"] not in classes:
            raise DataError(f"label '{each['label']}' is not in --classes")
        each["label_id"] = classes[each["label"]]
    return content


def _read_predictions(path: str, options: FormatOptions) -> Proposals:
    document, _, _ = read_document(path)
    if options.classes is None:
        raise DataError(
            f"{path}: classes are numbers here; name them with --classes FILE (names by line, or a ground truth)"
        )
    names = {number: name for name, number in options.classes.items()}
    notes: list[str] = []
    rows = [
        _row(f"{path}: video '{video_id}': prediction {number}", video_id, each, names)
        for video_id, predictions in document["database"].items()
        for number, each in enumerate(predictions, start=1)
    ]
    videos, labels = to_proposals(valid(rows, options, notes), options, document["database"])
    return Proposals(videos, labels, len(videos), [], notes)


def _row(where: str, video_id: str, prediction: Any, names: dict[int, str]) -> Row:
    try:
        start, end = map(float, prediction["segment"])
        number, score = int(prediction["label_id"]), float(prediction["scores"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{where}: expected segment, label_id and scores, found {prediction!r}") from None
    if number not in names:
        raise DataError(f"{where}: label_id {number} has no name in --classes ({len(names)} classes)")
    return Row(video_id, *segment(start, end, where), names[number], score, None, where)
