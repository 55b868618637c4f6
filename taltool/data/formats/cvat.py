"""CVAT's annotations of videos (XML 1.1): tracks of boxes and other shapes, or tags of frames; read alone.

A segment is a stretch of frames in which a track is not outside of the picture, or which have the same tag. Frames are
counted from 0; how many are in a second the file does not say (`--fps`). A stretch ends with its last frame; the first
frame outside ends it too. Where only every n-th frame was annotated, each stands for n.

With `--tier` the values of an attribute are the labels, and where the value of a track changes a new segment begins. Of
a task of images, not of a video, each folder of them is a video.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from xml.etree import ElementTree

from taltool.data.files import read_text
from taltool.data.formats import FORMATS
from taltool.data.formats.annotation_tools import Video, chosen, content_of, counted, media_id
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row
from taltool.errors import DataError

_OURS = re.compile(rb"<annotations>\s*<version>1\.\d</version>")
_NUMBER = re.compile(r"\d+$", re.ASCII)
_STEP = re.compile(r"step\s*=\s*(\d+)")


@FORMATS.register("cvat")
class Cvat(Format):
    """A segment for each stretch of a track or tag."""

    summary = (
        "CVAT annotations 1.1 of videos or images, a segment for each stretch of frames in which a track is there, or "
        "which have one tag; needs --fps"
    )
    kinds = ("annotations",)
    heeds = frozenset({"fps", "tier"})
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
        found = Counter(str(each.get("name")) for each in root.iter("attribute") if each.get("name"))
        if len(options.tiers) > 1:
            raise DataError(f"{path}: labels are the values of one attribute; give --tier once")
        attribute = chosen(found, options, path, "attribute")[0] if options.tiers else None
        tasks = _tasks(root, path)
        for track in root.iter("track"):
            _owner(tasks, track.get("task_id"), path).add_track(track, attribute)
        folders: dict[str, _Folder] = {}
        for image in root.iter("image"):
            where = f"{path}: image '{image.get('name')}'"
            task, frame = _owner(tasks, image.get("task_id"), path), _frame(image, "id", where)
            name = PurePosixPath(image.get("name", "").replace("\\", "/"))
            if task.is_of_images and name.parent.name:
                folder = folders.setdefault(f"{image.get('task_id')}/{name.parent}", _Folder(name, frame, path))
                task, frame = folder.task, folder.place(name, frame, where)
            for tag in image.iter("tag"):
                task.add_tag(tag, frame, attribute)
        for tag in root.findall("tag"):
            task = _owner(tasks, tag.get("task_id"), path)
            task.add_tag(tag, _frame(tag, "frame", f"{path}: tag"), attribute)
        every = [task for task in tasks.values() if not (folders and task.is_of_images and task.is_empty)]
        every += [folder.task for folder in folders.values()]
        others = [name for name in found if name != attribute]
        shapes = sum(len([each for each in image if each.tag != "tag"]) for image in root.iter("image"))
        notes = counted(
            [
                (shapes, "shapes of single images"),
                (len(others), f"attributes ({', '.join(others)}), of which --tier makes one the labels"),
                (sum(task.unlabelled for task in every), f"shapes and tags without attribute '{attribute}'"),
            ]
        )
        with content_of([task.video(fps) for task in every], options, notes, path, scored=False) as content:
            yield content


class _Task:
    """One video: what is annotated of it, and which of its frames are (every `step`-th).

    is_of_images: nothing names the file of a video; unlabelled: how much has no attribute that makes the label.
    """

    def __init__(self, video_id: str, path: str, frame_filter: str = "", *, is_of_images: bool = False) -> None:
        self.video_id, self._path = video_id, path
        self.is_of_images, self.unlabelled = is_of_images, 0
        step = _STEP.search(frame_filter)
        self._step = int(step[1]) if step else 1
        self._stretches: list[tuple[int, int, str, str]] = []
        self._tags: dict[str, set[int]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is annotated of it."""
        return not self._stretches and not self._tags

    def add_track(self, track: ElementTree.Element, attribute: str | None) -> None:
        """Enter the stretches in which a track is not outside, and has one label."""
        where = f"{self._path}: track {track.get('id')}"
        shapes = sorted((_frame(shape, "frame", where), number) for number, shape in enumerate(track))
        first, label = 0, None
        for frame, number in shapes:
            shape = track[number]
            now = None if shape.get("outside") == "1" else self._label(shape, track, attribute, where)
            if now != label:
                if label is not None:
                    self._stretches.append((first, frame, label, where))
                first, label = frame, now
        if label is not None:
            self._stretches.append((first, shapes[-1][0] + self._step, label, where))

    def add_tag(self, tag: ElementTree.Element, frame: int, attribute: str | None) -> None:
        """Enter a frame that has a tag."""
        label = self._label(tag, tag, attribute, f"{self._path}: tag of frame {frame}")
        if label is not None:
            self._tags.setdefault(label, set()).add(frame)

    def _label(
        self, shape: ElementTree.Element, labelled: ElementTree.Element, attribute: str | None, where: str
    ) -> str | None:
        """The label, or the value of the attribute, which may be none."""
        if attribute is not None:
            value = next((each.text for each in shape.iter("attribute") if each.get("name") == attribute), None)
            self.unlabelled += not value
            return value or None
        label = labelled.get("label")
        if not label:
            raise DataError(f"{where}: no label")
        return label

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


class _Folder:
    """A folder of images, one a frame: the video that it is, and its first image."""

    def __init__(self, name: PurePosixPath, frame: int, path: str) -> None:
        self.task = _Task(name.parent.name, path)
        self._first = frame, _numbered(name, frame)

    def place(self, name: PurePosixPath, frame: int, where: str) -> int:
        """The number of an image's frame, from 0; raises DataError where one before it may be missing."""
        first, number = self._first
        if _numbered(name, frame) - number != frame - first:
            raise DataError(
                f"{where}: its number does not follow on the image before it; when it is shown is not known"
            )
        return frame - first


def _numbered(name: PurePosixPath, frame: int) -> int:
    """The number at the end of an image's name, or else its place in the task."""
    number = _NUMBER.search(name.stem)
    return int(number[0]) if number else frame


def _tasks(root: ElementTree.Element, path: str) -> dict[str, _Task]:
    """The tasks of a file by their ids: one, or those of a project."""
    elements = [*root.findall("meta/task"), *root.findall("meta/project/tasks/task"), *root.findall("meta/job")]
    if not elements:
        raise DataError(f"{path}: no <task> in its <meta>, which names the video")

    def told(element: ElementTree.Element, name: str) -> str:
        return (element.findtext(name) or "").strip()

    tasks = {}
    for element in elements:
        # A file of one task names the video behind the task.
        source = told(element, "source") or told(root, "meta/source")
        if not (source or told(element, "name")):
            raise DataError(f"{path}: a task that names neither its <source> nor itself; no id for its video")
        video_id = media_id(source or told(element, "name"), path)
        tasks[told(element, "id")] = _Task(video_id, path, told(element, "frame_filter"), is_of_images=not source)
    return tasks


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
