"""CVAT's annotations of videos (XML 1.1): tracks of boxes and other shapes, or tags of frames; read alone.

A segment is a stretch of frames in which a track is not outside of the picture, or which have the same tag. Frames are
counted from 0; how many are in a second the file does not say (`--fps`). A stretch ends with its last frame; the first
frame outside ends it too. Where only every n-th frame was annotated, each stands for n.
"""

import contextlib
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from taltool.data.files import read_text
from taltool.data.formats import FORMATS
from taltool.data.formats.annotation_tools import Video, content_of, counted, media_id
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row
from taltool.errors import DataError

_OURS = re.compile(rb"<annotations>\s*<version>1\.\d</version>")
_STEP = re.compile(r"step\s*=\s*(\d+)")


@FORMATS.register("cvat")
class Cvat(Format):
    """A segment for each stretch of a track or tag."""

    summary = (
        "CVAT annotations 1.1 of videos or images, a segment for each stretch of frames in which a track is there, or "
        "which have one tag; needs --fps"
    )
    kinds = ("annotations",)
    heeds = frozenset({"fps"})
    is_written = False
    suffixes = (".xml",)

    def recognises(self, opening: Opening) -> bool:
        """The root element and its version."""
        return _OURS.search(opening.head[:4096]) is not None

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read all tracks and tags."""
        try:
            root = ElementTree.fromstring(read_text(path))
        except ElementTree.ParseError as error:
            raise DataError(f"{path}:{error.position[0]}: not XML ({error.msg}); was it cut short?") from error
        fps = options.clock.get("fps")
        if fps is None:
            raise DataError(f"{path}: its times are frames; say how many are in a second: --fps 25")
        tasks = _tasks(root, path)
        for track in root.iter("track"):
            task = _owner(tasks, track.get("task_id"), path)
            task.add_track(track)
        for image in root.iter("image"):
            task = _owner(tasks, image.get("task_id"), path)
            for tag in image.iter("tag"):
                task.add_tag(tag, _frame(image, "id", f"{path}: image '{image.get('name')}'"))
        for tag in root.findall("tag"):
            _owner(tasks, tag.get("task_id"), path).add_tag(tag, _frame(tag, "frame", f"{path}: tag"))
        shapes = sum(len([each for each in image if each.tag != "tag"]) for image in root.iter("image"))
        notes = counted([(shapes, "shapes of single images")])
        with content_of([task.video(fps) for task in tasks.values()], options, notes, path, scored=False) as content:
            yield content


class _Task:
    """One video: what is annotated of it, and which of its frames are (every `step`-th)."""

    def __init__(self, element: ElementTree.Element, source: str | None, path: str) -> None:
        source = element.findtext("source") or source or element.findtext("name") or ""
        if not source.strip():
            raise DataError(f"{path}: a task that names neither its <source> nor itself; no id for its video")
        self.video_id, self._path = media_id(source.strip(), path), path
        step = _STEP.search(element.findtext("frame_filter") or "")
        self._step = int(step[1]) if step else 1
        self._stretches: list[tuple[int, int, str, str]] = []
        self._tags: dict[str, set[int]] = {}

    def add_track(self, track: ElementTree.Element) -> None:
        """Enter the stretches in which a track is not outside."""
        where = f"{self._path}: track {track.get('id')}"
        label = track.get("label")
        if not label:
            raise DataError(f"{where}: no label")
        shapes = sorted((_frame(shape, "frame", where), shape.get("outside") == "1") for shape in track)
        first = None
        for frame, is_outside in shapes:
            if first is None and not is_outside:
                first = frame
            elif first is not None and is_outside:
                self._stretches.append((first, frame, label, where))
                first = None
        if first is not None:
            self._stretches.append((first, shapes[-1][0] + self._step, label, where))

    def add_tag(self, tag: ElementTree.Element, frame: int) -> None:
        """Enter a frame that has a tag."""
        label = tag.get("label")
        if not label:
            raise DataError(f"{self._path}: a tag of frame {frame} without a label")
        self._tags.setdefault(label, set()).add(frame)

    def video(self, fps: float) -> Video:
        """The video with all stretches, tags that follow each other made one."""
        for label, frames in self._tags.items():
            ordered = sorted(frames)
            first = ordered[0]
            for frame, following in zip(ordered, [*ordered[1:], None], strict=True):
                if following is None or following > frame + self._step:
                    self._stretches.append((first, frame + self._step, label, f"{self._path}: tag '{label}'"))
                    first = following if following is not None else first
        rows = [
            Row(self.video_id, start / fps, end / fps, label, where=where)
            for start, end, label, where in sorted(self._stretches)
        ]
        return Video(self.video_id, None, rows)


def _tasks(root: ElementTree.Element, path: str) -> dict[str, _Task]:
    """The tasks of a file by their ids: one, or those of a project."""
    elements = [*root.findall("meta/task"), *root.findall("meta/project/tasks/task"), *root.findall("meta/job")]
    if not elements:
        raise DataError(f"{path}: no <task> in its <meta>, which names the video")
    # A file of one task names the video behind the task.
    source = root.findtext("meta/source")
    return {element.findtext("id") or "": _Task(element, source, path) for element in elements}


def _owner(tasks: dict[str, _Task], task_id: str | None, path: str) -> _Task:
    if task_id is None and len(tasks) == 1:
        return next(iter(tasks.values()))
    if task_id not in tasks:
        raise DataError(f"{path}: something of task {task_id}, which its <meta> does not name")
    return tasks[task_id]


def _frame(element: ElementTree.Element, name: str, where: str) -> int:
    text = element.get(name, "")
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        raise DataError(f"{where}: {name} {text!r} is not the number of a frame")
    return int(text)
