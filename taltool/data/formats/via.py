"""Projects of the VGG Image Annotator, version 3 (.json): temporal segments of videos, each with values of attributes.
The tables that it exports (.csv), of everything or of temporal segments alone, are read too.

VIA draws a row of its timeline for each value of an attribute, and names it by the value; so an option of ours is
called what it says. Of the files of others the attribute that segments have is the label, or the one that `--tier`
names, and one called `score` is the score of proposals. What VIA 2 saves has regions of images, and no segments.
"""

import contextlib
import csv
import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import orjson

from taltool.data.files import open_output, peek, read_lines, shown
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
from taltool.data.formats.tables import Row, score
from taltool.errors import DataError

_EXPORTED = b"# Exported using VGG Image Annotator"
_PROJECT = re.compile(rb'\s*\{\s*"project"\s*:\s*\{\s*"pid"\s*:')
# VIA's own numbers: kinds of attributes, of files, and of where files are.
_TEXT, _CHECKBOX, _SELECT = 1, 2, 4
_VIDEO = 4
_LOCAL, _ADDRESS, _PATH = 1, 2, 3
_OF_SEGMENTS = "FILE1_Z2_XY0"
_SCORE = "score"


@FORMATS.register("via")
class Via(Format):
    """A view of each video, metadata of each segment."""

    summary = (
        "VGG Image Annotator 3 projects, a temporal segment for each segment, its attribute the label; its exports as "
        "CSV are read"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"tier"})
    heeds_written = frozenset({"media"})
    tried_with = "published projects"
    suffixes = (".json",)

    def recognises(self, opening: Opening) -> bool:
        """The first member of a project, or the first line of an export, as VIA writes it."""
        return _PROJECT.match(opening.head) is not None or opening.head.startswith(_EXPORTED)

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read the temporal segments of every view; other metadata is left out."""
        project = _exported(path) if peek(path).startswith(_EXPORTED) else json_document(path)
        reading = _Reading(project, path)
        videos, scored = reading.videos(options)
        with content_of(videos, options, reading.notes, path, scored=scored) as content:
            yield content

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: durations, subsets, provenance."""
        videos = ProjectVideos(content, path)
        files: dict[str, Any] = {}
        metadata: dict[str, Any] = {}
        labels: dict[str, None] = {}
        numbers = count(1)
        for view, video in enumerate(videos, start=1):
            media = media_name(video.video_id, options, path)
            files[str(view)] = _file(str(view), media, options)
            for row in video.rows:
                label = str(row.label)
                labels[label] = None
                values = {"1": label} | ({} if row.score is None else {"2": repr(row.score)})
                times = [row.start, row.end]
                metadata[f"{view}_{next(numbers):08}"] = {
                    "vid": str(view),
                    "flg": 0,
                    "z": times,
                    "xy": [],
                    "av": values,
                }
        attributes = {"1": _attribute("label", _SELECT, {label: label for label in labels})}
        if isinstance(content, Proposals):
            attributes["2"] = _attribute(_SCORE, _TEXT, {})
        project = {
            "project": {
                "pid": "__VIA_PROJECT_ID__",
                "rev": "__VIA_PROJECT_REV_ID__",
                "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
                "pname": "",
                "creator": "taltool",
                "created": 0,
                "vid_list": list(files),
            },
            "config": {
                "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
                "ui": {
                    "file_content_align": "center",
                    "file_metadata_editor_visible": True,
                    "spatial_metadata_editor_visible": True,
                    "spatial_region_label_attribute_id": "",
                },
            },
            "attribute": attributes,
            "file": files,
            "metadata": metadata,
            "view": {view: {"fid_list": [view]} for view in files},
        }
        with open_output(path) as stream:
            stream.write(orjson.dumps(project) + b"\n")
        return videos.lost()


def _file(number: str, media: str, options: FormatOptions) -> dict[str, Any]:
    """A file of a project: VIA asks for one that is local, and opens itself what it is told the place of."""
    place = _LOCAL if options.media is None else _ADDRESS if "://" in media else _PATH
    name = re.split(r"[/\\]", media)[-1]
    return {"fid": number, "fname": name, "type": _VIDEO, "loc": place, "src": "" if place == _LOCAL else media}


def _attribute(name: str, kind: int, choices: dict[str, str]) -> dict[str, Any]:
    return {
        "aname": name,
        "anchor_id": _OF_SEGMENTS,
        "type": kind,
        "desc": "",
        "options": choices,
        "default_option_id": "",
    }


def _exported(path: str) -> dict[str, Any]:
    """The project that an export is of, as far as it says; raises DataError, naming the line, where it is broken."""
    project: dict[str, Any] = {"attribute": {}, "metadata": {}, "file": {}, "view": {}}
    columns: list[str] = []
    for number, line in read_lines(path):
        where = f"{shown(path)}:{number}"
        name, _, value = line.removeprefix("#").strip(", \t").partition(" = ")
        try:
            if line.startswith("#"):
                if name in ("ATTRIBUTE", "ATTRIBUTES"):
                    every = json.loads(value)
                    project["attribute"] = {k: {"aname": v} if isinstance(v, str) else v for k, v in every.items()}
                columns = value.split(",") if name == "CSV_HEADER" else columns
            elif line.strip():
                row = dict(zip(columns, next(csv.reader([line], strict=True)), strict=False))
                ends = [row[f"temporal_segment_{end}"] for end in ("start", "end") if f"temporal_segment_{end}" in row]
                view = row["file_list"]
                project["file"][view] = {"fname": "", "src": json.loads(view)[0]}
                project["view"][view] = {"fid_list": [view]}
                # Of what has no end, a frame, it is undefined.
                z = [json.loads(end) for end in ends if end != "undefined"] or json.loads(row["temporal_coordinates"])
                xy, av = json.loads(row.get("spatial_coordinates", "[]")), json.loads(row["metadata"])
                project["metadata"][row["metadata_id"]] = {"vid": view, "z": z, "xy": xy, "av": av}
                # Of segments alone attributes are told by their names.
                project["attribute"] = {each: {"aname": each} for each in av} | project["attribute"]
        except (ValueError, KeyError, IndexError, csv.Error, AttributeError, TypeError) as error:
            raise DataError(f"{where}: no row of VIA's exports ({error!r}): '{line[:80]}'") from error
    return project


class _Reading:
    """A parsed project: its attributes, and the segments of its views."""

    def __init__(self, project: Any, path: str) -> None:
        self._project, self._path = project, path
        self._attributes = member(project, "attribute", dict, path)
        self._segments: dict[str, tuple[str, dict[str, Any]]] = {}
        self.notes: list[str] = []
        others = 0
        for key, each in member(project, "metadata", dict, path).items():
            where = f"{path}: metadata '{key}'"
            times = member(each, "z", list, where)
            if len(times) == 2 and not each.get("xy"):
                self._segments[where] = str(each.get("vid")), each
            else:
                others += 1
        self._others = others

    def videos(self, options: FormatOptions) -> tuple[list[Video], bool]:
        """The videos of all views, and whether their segments have scores."""
        counts: dict[str, int] = {}
        for where, (_, each) in self._segments.items():
            for key, value in member(each, "av", dict, where).items():
                if value not in (None, ""):
                    counts[key] = counts.get(key, 0) + 1
        names = {key: str(member(self._attributes, key, dict, self._path).get("aname", key)) for key in counts}
        scores = [key for key, name in names.items() if name.lower() == _SCORE and name not in options.tiers]
        there = {name: counts[key] for key, name in names.items() if key not in scores}
        labels = chosen(there, options, self._path, "attribute")
        wanted = [key for key, name in names.items() if key not in scores and name in labels]
        left_out = [name for name in there if name not in labels]
        videos = self._views()
        for where, (view, each) in self._segments.items():
            if view not in videos:
                raise DataError(f"{where}: of view '{view}', which the project does not have")
            videos[view].rows += self._rows(videos[view].video_id, each, wanted, scores, where)
        self.notes += counted(
            [
                (self._others, "regions, frames and values of whole files"),
                (len(left_out), f"attributes ({', '.join(left_out)})"),
            ]
        )
        # Where nothing was found, the attribute says that it was to be proposals.
        declared = [each.get("aname") for each in self._attributes.values() if isinstance(each, dict)]
        return list(videos.values()), bool(scores) or (not self._segments and _SCORE in declared)

    def _views(self) -> dict[str, Video]:
        """The videos by the number of their view, which may show several files at once: the first counts."""
        files, videos, further = member(self._project, "file", dict, self._path), {}, 0
        for view, each in member(self._project, "view", dict, self._path).items():
            where = f"{self._path}: view '{view}'"
            shown = member(each, "fid_list", list, where)
            if not shown:
                raise DataError(f"{where}: shows no file")
            file = member(files, str(shown[0]), dict, f"{where}: file {shown[0]}")
            further += len(shown) > 1
            videos[view] = Video(media_id(member(file, "fname", str, where) or member(file, "src", str, where), where))
        self.notes += counted([(further, "views' further files")])
        return videos

    def _rows(self, video_id: str, each: dict[str, Any], wanted: list[str], scores: list[str], where: str) -> list[Row]:
        start, end = times(each["z"][0], each["z"][1], where)
        rated = [str(each["av"][key]) for key in scores if key in each["av"]]
        labels: list[str | None] = [
            label for key in wanted if key in each["av"] for label in self._labels(key, each["av"][key])
        ]
        return [
            Row(video_id, start, end, label, score(rated[0], where) if rated else None, where=where)
            for label in labels or [None]
        ]

    def _labels(self, key: str, value: Any) -> list[str]:
        """The labels that a value of an attribute says: of a checkbox, several."""
        attribute = self._attributes[key]
        choices = attribute.get("options")
        values = str(value).split(",") if attribute.get("type") == _CHECKBOX else [str(value)]
        return [str(choices.get(each, each)) if isinstance(choices, dict) else each for each in values if each]
