"""VGG Image Annotator 3: which attribute is the label, and what VIA finds in a project of ours."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from taltool.data.convert import convert
from taltool.data.formats.contract import Annotations, FormatOptions
from taltool.data.formats.sniffing import format_named, open_content, sniff
from taltool.errors import DataError

# Made by hand as VIA 3 saves its projects, after those in
# vital-ultrasound/ai-echocardiography-for-low-resource-countries
# (datasets/labelling-annotation/json_files): an option that was typed into the timeline (Drum), one that was defined
# (2), a region of a frame, a value of a whole file.
PROJECT: dict[str, Any] = {
    "project": {
        "pid": "__VIA_PROJECT_ID__",
        "rev": "__VIA_PROJECT_REV_ID__",
        "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
        "pname": "results",
        "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        "created": 1634093189898,
        "vid_list": ["1", "2"],
    },
    "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
    "attribute": {
        "1": {"aname": "Action", "anchor_id": "FILE1_Z2_XY0", "type": 4, "desc": "", "options": {"2": "Pant, hoot"}},
        "2": {"aname": "Comment", "anchor_id": "FILE1_Z2_XY0", "type": 1, "desc": "", "options": {}},
        "3": {"aname": "Who", "anchor_id": "FILE1_Z2_XY0", "type": 2, "options": {"0": "Ann", "1": "Bob"}},
    },
    "file": {
        "1": {"fid": "1", "fname": "my clip 1.mp4", "type": 4, "loc": 1, "src": ""},
        "2": {"fid": 2, "fname": "b.webm", "type": 4, "loc": 2, "src": "http://host/b.webm"},
        "3": {"fid": "3", "fname": "b2.webm", "type": 4, "loc": 1, "src": ""},
    },
    "metadata": {
        "1_1nEVY4Ys": {"vid": "1", "flg": 0, "z": [291.20307, 293.57807], "xy": [], "av": {"1": "Drum"}},
        "1_wXdxEXhE": {"vid": "1", "flg": 0, "z": [0, 1], "xy": [], "av": {"1": "2"}},
        "1_region00": {"vid": "1", "flg": 0, "z": [2.5], "xy": [2, 1, 1, 5, 5], "av": {"1": "2"}},
        "2_wholefil": {"vid": "2", "flg": 0, "z": [], "xy": [], "av": {"2": "dark"}},
    },
    "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": [2, "3"]}},
}


def read(project: dict[str, Any], folder: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """(start, end, label) of each video, and what was left out."""
    path = folder / "via.json"
    path.write_text(json.dumps(project))
    assert sniff(str(path)) == "via"
    with open_content(str(path), options=FormatOptions(**options)) as content:
        assert isinstance(content, Annotations)
        every = dict(content.entries)
        found = {v: [(*each["segment"], each["label"]) for each in e["annotations"]] for v, e in every.items()}
        return found, content.notes


def with_values(**values: dict[str, str]) -> dict[str, Any]:
    """The project, some of its metadata with other values."""
    project = copy.deepcopy(PROJECT)
    for key, value in values.items():
        project["metadata"][f"1_{key}"]["av"] = value
    return project


def test_temporal_segments_are_read_by_what_their_options_say(tmp_path: Path) -> None:
    found, notes = read(PROJECT, tmp_path)
    assert found == {"my clip 1": [(291.20307, 293.57807, "Drum"), (0.0, 1.0, "Pant, hoot")], "b": []}
    assert notes == ["1 views' further files", "2 regions, frames and values of whole files"]


def test_of_several_attributes_the_user_says_which_is_the_label(tmp_path: Path) -> None:
    project = with_values(wXdxEXhE={"1": "2", "2": "loud", "3": "0,1"})
    complaint = r"3 attributes have segments: 'Action' \(2\), 'Comment' \(1\), 'Who' \(1\); say which with --tier"
    with pytest.raises(DataError, match=complaint):
        read(project, tmp_path)
    found, notes = read(project, tmp_path, tiers=("Action",))
    assert [label for *_, label in found["my clip 1"]] == ["Drum", "Pant, hoot"]
    assert "2 attributes (Comment, Who)" in notes
    # Several boxes of a checkbox are several labels.
    project = with_values(wXdxEXhE={"3": "0,1"}, **{"1nEVY4Ys": {"3": "1"}})
    assert [label for *_, label in read(project, tmp_path)[0]["my clip 1"]] == ["Bob", "Ann", "Bob"]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("metadata", "1_wXdxEXhE", "z"), [2, 1], r"metadata '1_wXdxEXhE': segment \[2.0, 1.0\] ends before it starts"),
        (("metadata", "1_wXdxEXhE", "z"), ["a", 1], "metadata '1_wXdxEXhE': 'a', 1 are not start and end"),
        (("metadata", "1_wXdxEXhE", "z"), None, "metadata '1_wXdxEXhE': 'z' is missing or no list"),
        (("metadata", "1_wXdxEXhE", "vid"), "7", "of view '7', which the project does not have"),
        (("metadata", "1_wXdxEXhE", "av"), {}, "metadata '1_wXdxEXhE': no label"),
        (("metadata", "1_wXdxEXhE", "av"), {"9": "x"}, "'9' is missing or no object"),
        (("view", "1"), {"fid_list": []}, "view '1': shows no file"),
        (("file", "1"), None, "view '1': file 1: '1' is missing"),
        (("view", "2"), {"fid_list": ["1"]}, "video 'my clip 1' is there twice"),
        (("attribute",), [], "'attribute' is missing or no object"),
    ],
)
def test_a_project_that_is_broken_is_refused_with_the_place(
    path: tuple[str, ...], value: Any, complaint: str, tmp_path: Path
) -> None:
    project = copy.deepcopy(PROJECT)
    inside: Any = project
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    with pytest.raises(DataError, match=f"via.json: .*{complaint}"):
        read(project, tmp_path)


def test_a_project_of_ours_has_what_via_looks_up(tmp_path: Path) -> None:
    rows = [{"segment": [0.1, 1 / 3], "label": "Drum, loud"}, {"segment": [2.0, 2.0], "label": "Hoot"}]
    content = Annotations([("a", {"annotations": rows}), ("b", {"annotations": []})])
    format_named("via").write(content, str(tmp_path / "p.json"), FormatOptions())
    project = json.loads((tmp_path / "p.json").read_text())
    assert project["project"]["vid_list"] == list(project["view"]) == ["1", "2"]
    for view, each in project["view"].items():
        assert [project["file"][fid]["fid"] for fid in each["fid_list"]] == each["fid_list"] == [view]
    assert [(each["fname"], each["type"], each["loc"]) for each in project["file"].values()] == [
        ("a.mp4", 4, 1),
        ("b.mp4", 4, 1),
    ]
    ((key, attribute),) = project["attribute"].items()
    assert attribute["anchor_id"] == "FILE1_Z2_XY0"
    for number, each in project["metadata"].items():
        # A row of the timeline is named by the value, the menu beside it by the option of that name.
        assert attribute["options"][each["av"][key]] == each["av"][key]
        assert number.startswith(f"{each['vid']}_")
        assert (len(each["z"]), each["xy"]) == (2, [])
    assert [each["z"] for each in project["metadata"].values()] == [[0.1, 1 / 3], [2.0, 2.0]]


@pytest.mark.parametrize(
    ("media", "place"),
    [(None, (1, "")), ("https://host/{}.mp4", (2, "https://host/a.mp4")), ("../v/{}.mp4", (3, "../v/a.mp4"))],
)
def test_via_is_told_where_the_video_is(media: str | None, place: tuple[int, str], tmp_path: Path) -> None:
    format_named("via").write(Annotations([("a", {})]), str(tmp_path / "p.json"), FormatOptions(media=media))
    (file,) = json.loads((tmp_path / "p.json").read_text())["file"].values()
    assert (file["fname"], file["loc"], file["src"]) == ("a.mp4", *place)


def test_scores_are_values_of_a_second_attribute(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("video_id,start,end,label,score\nv,1,2,Drum,0.25\n")
    convert(tmp_path / "p.csv", output=tmp_path / "p.json", target="via")
    project = json.loads((tmp_path / "p.json").read_text())
    assert project["attribute"]["2"]["aname"] == "score"
    assert [each["av"] for each in project["metadata"].values()] == [{"1": "Drum", "2": "0.25"}]
    project["metadata"]["1_00000001"]["av"]["2"] = "high"
    (tmp_path / "p.json").write_text(json.dumps(project))
    with pytest.raises(DataError, match="metadata '1_00000001': score 'high' is not a number"):
        convert(tmp_path / "p.json", output=tmp_path / "q.csv")


# The lines that VIA's own code makes of the project above (project_export_csv of 3.0.11, and of versions before, which
# tell attributes by name alone; export_to_temporal_segments_csv).
BEGIN = "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)\n"
WHOLE = "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata\n"
ROWS = """"1_1nEVY4Ys","[""my clip 1.mp4""]",0,"[291.20307,293.57807]","[]","{""1"":""Drum""}"
"1_wXdxEXhE","[""my clip 1.mp4""]",0,"[0,1]","[]","{""1"":""2""}"
"1_region00","[""my clip 1.mp4""]",0,"[2.5]","[2,1,1,5,5]","{""1"":""2""}"
"2_wholefil","[""http://host/b.webm"",""b2.webm""]",0,"[]","[]","{""2"":""dark""}"
"""
ALONE = """# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata
"1_1nEVY4Ys","[""my clip 1.mp4""]",291.20307,293.57807,"{""Action"":""Drum""}"
"1_wXdxEXhE","[""my clip 1.mp4""]",0,1,"{""Action"":""2""}"
"1_region00","[""my clip 1.mp4""]",2.5,undefined,"{""Action"":""2""}"
"""


@pytest.mark.parametrize(
    ("text", "second", "others"),
    [
        (f"# ATTRIBUTE = {json.dumps(PROJECT['attribute'])}\n{WHOLE}{ROWS}", "Pant, hoot", 2),
        (f'# ATTRIBUTES = {{"1":"Action","2":"Comment"}}\n{WHOLE}{ROWS}', "2", 2),
        (ALONE, "2", 1),
    ],
)
def test_tables_that_via_exports_are_read(text: str, second: str, others: int, tmp_path: Path) -> None:
    (tmp_path / "via.csv").write_text(BEGIN + text)
    assert sniff(str(tmp_path / "via.csv")) == "via"
    with open_content(str(tmp_path / "via.csv"), options=FormatOptions(tiers=("Action",))) as content:
        assert isinstance(content, Annotations)
        found = {v: [(*each["segment"], each["label"]) for each in e["annotations"]] for v, e in content.entries}
    assert found.pop("my clip 1") == [(291.20307, 293.57807, "Drum"), (0, 1, second)]
    assert found == ({"b": []} if "flags" in text else {})
    assert content.notes == [f"{others} regions, frames and values of whole files"]


@pytest.mark.parametrize(
    ("old", "new"), [("0,1,", "x,1,"), ('"[""my clip 1.mp4""]",0', '"[]",0'), ("{", "{{"), ("CSV_HEADER", "HEADER")]
)
def test_an_export_of_via_that_is_broken_is_refused_with_its_line(old: str, new: str, tmp_path: Path) -> None:
    (tmp_path / "via.csv").write_text(BEGIN + ALONE.replace(old, new))
    with (
        pytest.raises(DataError, match=r"via\.csv:[34]: no row of VIA's exports"),
        open_content(str(tmp_path / "via.csv"), "via") as content,
    ):
        assert isinstance(content, Annotations)
