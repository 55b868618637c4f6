"""CVAT for video: stretches of tracks and tags."""

from pathlib import Path
from typing import Any

import pytest

from taltool.data.formats.contract import Annotations, FormatOptions
from taltool.data.formats.sniffing import open_content, sniff
from taltool.errors import DataError

META = "<task><id>7</id><name>t</name><size>60</size><mode>interpolation</mode></task><source>clip.one.mp4</source>"
TRACKS = """
<track id="0" label="run" source="manual">
  <box frame="10" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2">
  <attribute name="a">b</attribute></box>
  <box frame="11" keyframe="0" outside="0"/><box frame="12" keyframe="0" outside="0"/><box frame="13" outside="1"/>
  <box frame="50" keyframe="1" outside="0"/><box frame="51" keyframe="0" outside="0"/>
</track>
<track id="1" label="hide"><polygon frame="0" outside="1" points="1,1"/></track>
"""
OTHERS = "1 attributes (a), of which --tier makes one the labels"


def read(body: str, folder: Path, meta: str = META, fps: float | None = 10.0, **options: Any) -> tuple[Any, list[str]]:
    path = folder / "annotations.xml"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n<meta>{meta}</meta>{body}'
    path.write_text(f"{text}</annotations>\n")
    assert sniff(str(path)) == "cvat"
    clock = {} if fps is None else {"fps": fps}
    with open_content(str(path), options=FormatOptions(clock=clock, **options)) as content:
        assert isinstance(content, Annotations)
        every = content.entries
        return {v: [(*a["segment"], a["label"]) for a in entry["annotations"]] for v, entry in every}, content.notes


def test_a_track_is_a_segment_for_each_time_it_is_there(tmp_path: Path) -> None:
    # Frames 10 to 12, and 50 and 51, of ten a second.
    assert read(TRACKS, tmp_path) == ({"clip.one": [(1.0, 1.3, "run"), (5.0, 5.2, "run")]}, [OTHERS])
    with pytest.raises(DataError, match="its times are frames; say how many are in a second: --fps 25"):
        read(TRACKS, tmp_path, fps=None)


def test_a_frame_stands_for_those_up_to_the_next_that_was_annotated(tmp_path: Path) -> None:
    meta = META.replace("</size>", "</size><frame_filter>step=5</frame_filter>")
    body = '<track id="0" label="run"><box frame="10" outside="0"/><box frame="15" outside="0"/></track>'
    assert read(body, tmp_path, meta)[0] == {"clip.one": [(1.0, 2.0, "run")]}
    tags = "".join(f'<image id="{number}"><tag label="run"/></image>' for number in (0, 5, 20))
    assert read(tags, tmp_path, meta)[0] == {"clip.one": [(0.0, 1.0, "run"), (2.0, 2.5, "run")]}


def test_tags_of_frames_that_follow_each_other_are_one_segment(tmp_path: Path) -> None:
    tagged = [(0, "run"), (1, "run"), (2, "run"), (2, "wave"), (7, "run")]
    body = "".join(f'<image id="{n}" name="frame_{n:06}"><tag label="{label}"/></image>' for n, label in tagged)
    body += '<image id="9" name="frame_000009"><box label="run" xtl="1"/></image>'
    found, notes = read(body, tmp_path)
    assert found == {"clip.one": [(0.0, 0.3, "run"), (0.2, 0.3, "wave"), (0.7, 0.8, "run")]}
    assert notes == ["1 shapes of single images"]


def test_tasks_of_a_project_are_videos_of_their_own(tmp_path: Path) -> None:
    tasks = "".join(f"<task><id>{n}</id><name>t{n}</name><source>dir/v_{n}.avi</source></task>" for n in (1, 2))
    body = '<track id="0" label="run" task_id="2"><box frame="0" outside="0"/></track>'
    assert read(body, tmp_path, f"<project><tasks>{tasks}</tasks></project>")[0] == {
        "v_1": [],
        "v_2": [(0.0, 0.1, "run")],
    }


def test_the_values_of_an_attribute_are_labels_where_the_user_says_so(tmp_path: Path) -> None:
    values = [(0, "walk", 0), (5, "run", 0), (7, "run", 0), (9, "walk", 0), (12, "walk", 1)]
    shapes = "".join(
        f'<box frame="{frame}" outside="{outside}"><attribute name="action">{value}</attribute></box>'
        for frame, value, outside in values
    )
    body = (
        f'<track id="0" label="person">{shapes}</track><track id="1" label="car"><box frame="3" outside="0"/></track>'
    )
    body += (
        '<tag label="scene" frame="20"><attribute name="action">walk</attribute><attribute name="b">c</attribute></tag>'
    )
    found, notes = read(body, tmp_path, tiers=("action",))
    assert found == {"clip.one": [(0.0, 0.5, "walk"), (0.5, 0.9, "run"), (0.9, 1.2, "walk"), (2.0, 2.1, "walk")]}
    assert notes == [
        "1 attributes (b), of which --tier makes one the labels",
        "1 shapes and tags without attribute 'action'",
    ]
    with pytest.raises(DataError, match=r"no attribute 'x' with segments; there are: 'action' \(6\), 'b' \(1\)"):
        read(body, tmp_path, tiers=("x",))


IMAGES = "<task><id>7</id><name>t</name><size>60</size><mode>annotation</mode></task>"


def test_folders_of_images_are_videos_of_their_own(tmp_path: Path) -> None:
    names = ["set/v_1/img_001.jpg", "set/v_1/img_002.jpg", "set/v_1/img_003.jpg", "set/v.2/a.jpg", "set/v.2/b.jpg"]
    body = "".join(f'<image id="{n}" name="{name}"><tag label="run"/></image>' for n, name in enumerate(names))
    body = body.replace('001.jpg"><tag label="run"/>', '001.jpg">')
    assert read(body, tmp_path, IMAGES)[0] == {"v_1": [(0.1, 0.3, "run")], "v.2": [(0.0, 0.2, "run")]}
    # Those in no folder are of the task.
    assert read(body.replace("set/v_1/", "").replace("set/v.2/", ""), tmp_path, IMAGES)[0] == {"t": [(0.1, 0.5, "run")]}
    with pytest.raises(DataError, match=r"image 'set/v_1/img_020.jpg': its number does not follow on the image before"):
        read(body.replace("img_002", "img_020"), tmp_path, IMAGES)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('label="run"', "", "track 0: no label"),
        ('frame="11"', 'frame="x"', "track 0: frame 'x' is not the number of a frame"),
        ('<track id="1"', '<track task_id="9" id="1"', "something of task 9"),
        ("</track>\n<track", "<track", r"annotations.xml:\d+: not XML"),
    ],
)
def test_what_is_broken_is_refused_with_its_place(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        read(TRACKS.replace(old, new), tmp_path)


@pytest.mark.parametrize("meta", ["<task><id>7</id></task>", "<dumped>2026</dumped>"])
def test_a_file_that_names_no_video_is_refused(meta: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"names neither its <source> nor itself|no <task> in its <meta>"):
        read(TRACKS, tmp_path, meta)
