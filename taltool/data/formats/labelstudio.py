"""Label Studio's tasks (JSON): regions of a video or its sound, with labels.

Two kinds of regions are segments. `Labels` on an audio that plays beside the video has seconds; `TimelineLabels` on the
video itself has frames, counted from 1, the last one included. Seconds are written, or with `--fps` frames. A project
that takes them has, named as here,

    <View>
      <Labels name="label" toName="audio"><Label value="Diving"/>...</Labels>
      <Video name="video" value="$video" sync="audio"/>
      <Audio name="audio" value="$video" sync="video"/>
    </View>

or for frames `<TimelineLabels name="label" toName="video">` and `<Video name="video" value="$video"/>`. Annotations
are ground truth, predictions proposals; of tasks with both the annotations are read.
"""

import contextlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import orjson

from taltool.data.files import open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.annotation_tools import (
    ProjectVideos,
    Video,
    chosen,
    content_of,
    counted,
    json_document,
    media_id,
    media_name,
    member,
    times,
)
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row
from taltool.data.records import LARGEST
from taltool.errors import DataError

_SECONDS, _FRAMES = "labels", "timelinelabels"
_TO = {_SECONDS: "audio", _FRAMES: "video"}
_MEDIA_KEYS = ("video", "video_url", "audio", "audio_url", "url")


@FORMATS.register("labelstudio")
class LabelStudio(Format):
    """A task for each video, a region for each segment."""

    summary = (
        "Label Studio tasks, a region for each segment, annotations for ground truth and predictions for proposals; in "
        "seconds, with --fps in frames"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"fps", "tier"})
    heeds_written = frozenset({"fps", "media"})
    tried_with = "label-studio-sdk 2.1.2"
    suffixes = (".json",)
    # Of frames, at 30 a second; seconds are exact.
    resolution = 1 / 30

    def recognises(self, opening: Opening) -> bool:
        """A list of tasks with annotations or predictions, which have results, or the same as JSON-MIN."""
        head = opening.head
        if not head.lstrip().startswith(b"["):
            return False
        of_tasks = b'"annotations"' in head or b'"predictions"' in head
        is_short = b'"annotation_id"' in head and b'"annotator"' in head
        return (of_tasks and b'"result"' in head and b'"data"' in head) or (is_short and b'"start"' in head)

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read the annotations of all tasks, or where there are none their predictions."""
        tasks = json_document(path)
        if not isinstance(tasks, list):
            raise DataError(f"{path}: expected a list of tasks, found {type(tasks).__name__}")
        reading = _Reading(path, options)
        videos = reading.videos([_in_full(task) for task in tasks])
        with content_of(videos, options, reading.notes, path, scored=reading.of_predictions) as content:
            yield content

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: subsets, provenance."""
        videos = ProjectVideos(content, path, labels_optional=True)
        numbers = count(1)
        with open_output(path) as stream:
            before = b"["
            for video in videos:
                data: dict[str, Any] = {"video": media_name(video.video_id, options, path)}
                if video.duration is not None:
                    data["duration"] = video.duration
                result = [_region(row, next(numbers), video.duration, options.clock.get("fps")) for row in video.rows]
                task: dict[str, Any] = {"data": data}
                if isinstance(content, Proposals):
                    best = max((row.score for row in video.rows if row.score is not None), default=0.0)
                    task["predictions"] = [{"model_version": "taltool", "score": best, "result": result}]
                else:
                    task["annotations"] = [{"result": result}]
                stream.write(before + b"\n" + orjson.dumps(task))
                before = b","
            if before == b"[":
                raise DataError(f"{path}: no videos, and no tasks are neither ground truth nor proposals")
            stream.write(b"\n]\n")
        return videos.lost(keeps_durations=True)


def _region(row: Row, number: int, duration: float | None, fps: float | None) -> dict[str, Any]:
    """The region of a segment; a frame at least where it has frames."""
    labels = [] if row.label is None else [row.label]
    value: dict[str, Any]
    if fps is None:
        kind, value = _SECONDS, {"start": row.start, "end": row.end, "channel": 0, _SECONDS: labels}
    else:
        first = round(row.start * fps) + 1
        span = {"start": first, "end": max(first, round(row.end * fps))}
        kind, value = _FRAMES, {"ranges": [span], _FRAMES: labels}
    region: dict[str, Any] = {
        "id": f"s{number}",
        "from_name": "label",
        "to_name": _TO[kind],
        "type": kind,
        "value": value,
    }
    if duration is not None and fps is None:
        region["original_length"] = duration
    return region if row.score is None else region | {"score": row.score}


class _Reading:
    """Makes videos of tasks; notes says what is left out, of_predictions whether predictions were read."""

    def __init__(self, path: str, options: FormatOptions) -> None:
        self._path, self._options = path, options
        self.notes: list[str] = []
        self.of_predictions = False

    def videos(self, tasks: list[Any]) -> list[Video]:
        """The videos of those tasks that somebody, or else that something has annotated."""
        found = [(f"{self._path}: task {number}", task) for number, task in enumerate(tasks, start=1)]
        cancelled = sum(
            len(_of(task, "annotations", where)) - len(self._by_people(task, where)) for where, task in found
        )
        self.of_predictions = not any(self._by_people(task, where) for where, task in found)
        bare, drafted, ignored = 0, 0, 0
        results: list[tuple[str, Any, list[Any]]] = []
        for where, task in found:
            sources = _of(task, "predictions", where) if self.of_predictions else self._by_people(task, where)
            ignored += bool(_of(task, "predictions", where)) and not self.of_predictions
            if not sources:
                has_draft = bool(_of(task, "drafts", where))
                bare, drafted = bare + (not has_draft), drafted + has_draft
                continue
            if len(sources) > 1:
                raise self._several(sources, where)
            results.append((where, task, member(sources[0], "result", list, where)))
        if found and not results:
            drafts = f"; {drafted} have drafts: submit them in Label Studio" if drafted else ""
            raise DataError(f"{self._path}: no task with annotations or predictions{drafts}")
        controls, others = self._controls(results)
        videos = [self._video(where, task, result, controls) for where, task, result in results]
        self.notes += counted(
            [
                (bare, "tasks that nobody has annotated"),
                (drafted, "tasks with drafts alone, which nobody has submitted"),
                (cancelled, "annotations that were skipped"),
                (ignored, "tasks' predictions, beside annotations"),
                (others, "regions and values that are no segments"),
            ]
        )
        return videos

    def _several(self, sources: list[Any], where: str) -> DataError:
        """What to raise where a task has several annotations or predictions, with the command that leaves one."""
        key, by = ("predictions", "model_version") if self.of_predictions else ("annotations", "completed_by")
        found = dict.fromkeys(orjson.dumps(each.get(by)).decode() for each in sources if isinstance(each, dict))
        first = next(iter(found), "null")
        chosen = f"map(select(.{by} == {first}))" if len(found) == len(sources) else ".[:1]"
        return DataError(
            f"{where}: {len(sources)} {key} of one video, by {', '.join(found) or 'null'}; leave one of each task: "
            f"jq 'map(.{key} |= {chosen})'"
        )

    def _by_people(self, task: Any, where: str) -> list[Any]:
        """The annotations of a task that were not skipped."""
        every = _of(task, "annotations", where)
        return [each for each in every if not (isinstance(each, dict) and each.get("was_cancelled"))]

    def _controls(self, results: list[tuple[str, Any, list[Any]]]) -> tuple[list[str], int]:
        """The controls by which the segments that are read were made, and how many other regions there are."""
        there: dict[str, int] = {}
        every = 0
        for where, _, result in results:
            every += len(result)
            for region in result:
                if _is_segment(region, where):
                    name = str(region.get("from_name", "?"))
                    there[name] = there.get(name, 0) + 1
        controls = chosen(there, self._options, self._path, "control")
        return controls, every - sum(there[name] for name in controls)

    def _video(self, where: str, task: Any, result: list[Any], controls: list[str]) -> Video:
        data = member(task, "data", dict, where)
        video = Video(media_id(_media(data, where), where))
        lengths = [data.get("duration"), *(each.get("original_length") for each in result if isinstance(each, dict))]
        video.duration = next(
            (float(each) for each in lengths if isinstance(each, int | float) and 0 < each < LARGEST), None
        )
        for number, region in enumerate(result, start=1):
            if _is_segment(region, where) and str(region.get("from_name", "?")) in controls:
                video.rows += self._rows(video.video_id, region, f"{where}: region {number}")
        return video

    def _rows(self, video_id: str, region: dict[str, Any], where: str) -> Iterator[Row]:
        kind, value = region["type"], region["value"]
        labels = member(value, kind, list, where) if kind in value else []
        if not all(isinstance(label, str) for label in labels):
            raise DataError(f"{where}: its labels are no texts: {str(labels)[:60]}")
        rating = region.get("score") if self.of_predictions else None
        if rating is not None and (isinstance(rating, bool) or not isinstance(rating, int | float)):
            raise DataError(f"{where}: score {rating!r} is not a number")
        spans = [(value.get("start"), value.get("end"))]
        if kind == _FRAMES:
            fps = self._options.clock.get("fps")
            if fps is None:
                raise DataError(f"{where}: its times are frames; say how many are in a second: --fps 25")
            ranges = member(value, "ranges", list, where)
            frames = [(member(each, "start", int, where), member(each, "end", int, where)) for each in ranges]
            if any(first < 1 for first, _ in frames):
                raise DataError(
                    f"{where}: begins at frame {min(frames)[0]}, but Label Studio counts them from 1; add 1 to all"
                )
            spans = [((first - 1) / fps, last / fps) for first, last in frames]
        for start, end in spans:
            for label in dict.fromkeys(labels) or [None]:
                yield Row(video_id, *times(start, end, where), label, rating, where=where)


def _in_full(task: Any) -> Any:
    """A task of an export as JSON-MIN, whose members are its data and the values of controls, as any other task."""
    if not isinstance(task, dict) or "annotation_id" not in task or "annotations" in task:
        return task
    result = [
        {"type": kind, "from_name": name, "value": value}
        for name, values in task.items()
        if isinstance(values, list)
        for value in values
        for kind in _TO
        if isinstance(value, dict) and kind in value
    ]
    return {"data": task, "annotations": [{"result": result}]}


def _of(task: Any, key: str, where: str) -> list[Any]:
    """The annotations or predictions of a task; none where it says nothing of them."""
    if not isinstance(task, dict):
        raise DataError(f"{where}: expected an object, found {type(task).__name__}")
    return [] if task.get(key) is None else list(member(task, key, list, where))


def _is_segment(region: Any, where: str) -> bool:
    """Whether a region is a stretch of time; raises DataError where it is one of text, whose places count letters."""
    if not isinstance(region, dict) or region.get("type") not in list(_TO):
        return False
    value = member(region, "value", dict, where)
    if "text" in value and region["type"] == _SECONDS:
        raise DataError(f"{where}: its regions are of text, not of a video or a sound")
    return True


def _media(data: dict[str, Any], where: str) -> str:
    """What the data of a task say that its media file is called: the usual key, or the only one with a text."""
    texts = [key for key, value in data.items() if isinstance(value, str)]
    keys = [key for key in _MEDIA_KEYS if key in texts] or texts
    if not keys or (len(keys) > 1 and keys[0] not in _MEDIA_KEYS):
        raise DataError(
            f"{where}: its data do not say which is the video: {', '.join(texts) or 'no texts'}; call it video"
        )
    return str(data[keys[0]])
