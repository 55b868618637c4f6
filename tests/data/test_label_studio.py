"""Label Studio: regions in seconds and in frames, annotations and predictions, exports in full and as JSON-MIN."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from taltool.data.convert import convert
from taltool.data.formats.contract import Annotations, Content, FormatOptions, Proposals
from taltool.data.formats.sniffing import format_named, open_content, sniff
from taltool.data.video_json import to_objects
from taltool.errors import DataError

SOUND = {
    "original_length": 12.5,
    "value": {"start": 1.25, "end": 2.5, "channel": 0, "labels": ["Dive", "Wet"]},
    "id": "abc",
    "from_name": "tricks",
    "to_name": "audio",
    "type": "labels",
    "origin": "manual",
}
FRAMES = {
    "value": {"ranges": [{"start": 1, "end": 25}], "timelinelabels": ["Dive"]},
    "from_name": "timeline",
    "to_name": "video",
    "type": "timelinelabels",
}
QUALITY = {"value": {"choices": ["good"]}, "from_name": "quality", "to_name": "video", "type": "choices"}


def task(*regions: Any, of: str = "annotations", media: str = "/data/upload/3/0a1b2c3d-v_1.mp4", **more: Any) -> Any:
    """A task as Label Studio exports it."""
    source = {"id": 7, "completed_by": 1, "was_cancelled": False, "result": list(regions)} | more
    return {"id": 3, of: [source], "data": {"video": media}, "meta": {}, "project": 1}


def essence(content: Content) -> dict[str, Any]:
    """The segments of each video."""
    if isinstance(content, Proposals):
        return {video.video_id: to_objects(video) for video in content.videos}
    assert isinstance(content, Annotations)
    return {v: [(*each["segment"], each["label"]) for each in e["annotations"]] for v, e in content.entries}


def read(tasks: Any, folder: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    path = folder / "tasks.json"
    path.write_text(json.dumps(tasks))
    assert sniff(str(path)) == "labelstudio"
    with open_content(str(path), options=FormatOptions(**options)) as content:
        return essence(content), content.notes


def test_regions_of_a_sound_have_seconds_and_a_segment_for_each_label(tmp_path: Path) -> None:
    found, notes = read([task(SOUND, QUALITY)], tmp_path)
    assert found == {"v_1": [(1.25, 2.5, "Dive"), (1.25, 2.5, "Wet")]}
    assert notes == ["1 regions and values that are no segments"]
    convert(tmp_path / "tasks.json", output=tmp_path / "gt.json")
    assert json.loads((tmp_path / "gt.json").read_text())["database"]["v_1"]["duration"] == 12.5


def test_frames_of_a_timeline_count_from_one_and_the_last_is_part_of_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="task 1: region 1: its times are frames; say how many are in a second: --fps"):
        read([task(FRAMES)], tmp_path)
    assert read([task(FRAMES)], tmp_path, clock={"fps": 25.0})[0] == {"v_1": [(0.0, 1.0, "Dive")]}


def test_frames_that_are_written_are_those_that_a_segment_covers(tmp_path: Path) -> None:
    (tmp_path / "gt.csv").write_text("video_id,start,end,label\nv,1,2,a\nv,0.5,0.5,b\n")
    convert(tmp_path / "gt.csv", output=tmp_path / "t.json", target="labelstudio", fps=10)
    (written,) = json.loads((tmp_path / "t.json").read_text())
    regions = written["annotations"][0]["result"]
    assert [region["value"]["ranges"] for region in regions] == [[{"start": 11, "end": 20}], [{"start": 6, "end": 6}]]
    assert {(region["type"], region["to_name"]) for region in regions} == {("timelinelabels", "video")}


def test_two_controls_are_chosen_from(tmp_path: Path) -> None:
    both = [task(SOUND, FRAMES)]
    with pytest.raises(DataError, match=r"2 controls have segments: 'tricks' \(1\), 'timeline' \(1\)"):
        read(both, tmp_path)
    found, notes = read(both, tmp_path, clock={"fps": 25.0}, tiers=("timeline",))
    assert (found, notes) == ({"v_1": [(0.0, 1.0, "Dive")]}, ["1 regions and values that are no segments"])


def test_predictions_are_proposals_where_nobody_annotated(tmp_path: Path) -> None:
    rated = SOUND | {"score": 0.75, "value": {"start": 1, "end": 2.5}}
    found, _ = read([task(rated, of="predictions", model_version="m", score=0.1)], tmp_path)
    assert found == {"v_1": [{"segment": [1.0, 2.5], "score": 0.75}]}
    with pytest.raises(DataError, match=r"task 1: region 1: no score; .* --score"):
        read([task(SOUND, of="predictions")], tmp_path)
    both = task(SOUND) | {"predictions": task(rated, of="predictions")["predictions"]}
    bare = task(of="predictions", media="/data/upload/3/0a1b2c3d-v_2.mp4")
    skipped = task(media="v_3.mp4", was_cancelled=True)
    found, notes = read([both, bare, skipped], tmp_path)
    assert found == {"v_1": [(1.25, 2.5, "Dive"), (1.25, 2.5, "Wet")]}
    assert notes == [
        "2 tasks that nobody has annotated",
        "1 annotations that were skipped",
        "2 tasks' predictions, beside annotations",
    ]


def test_proposals_are_predictions_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("video_id,start,end,score\nv,1,2,0.25\nv,3,4,0.75\n")
    convert(tmp_path / "p.csv", output=tmp_path / "t.json", target="labelstudio")
    (written,) = json.loads((tmp_path / "t.json").read_text())
    (prediction,) = written["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("taltool", 0.75)
    first = prediction["result"][0]
    assert first["value"] == {"start": 3.0, "end": 4.0, "channel": 0, "labels": []}
    assert (first["score"], first["from_name"], first["to_name"], first["type"]) == (0.75, "label", "audio", "labels")
    assert len({region["id"] for region in prediction["result"]}) == 2


def test_no_tasks_at_all_are_not_written(tmp_path: Path) -> None:
    for content in (Annotations([]), Proposals([])):
        with pytest.raises(DataError, match=r"t\.json: no videos"):
            format_named("labelstudio").write(content, str(tmp_path / "t.json"), FormatOptions())
    assert list(tmp_path.iterdir()) == []


# What the converter of label-studio-sdk 2.1.2 made of a task of ours as JSON_MIN.
JSON_MIN = [
    {
        "video": "v_1.mp4",
        "duration": 9.5,
        "id": 1,
        "label": [{"start": 0.1, "end": 0.333, "channel": 0, "labels": ["Dive"]}],
        "annotator": "a@b",
        "annotation_id": 5,
        "created_at": None,
        "updated_at": None,
        "lead_time": None,
    }
]


def test_an_export_as_json_min_is_read(tmp_path: Path) -> None:
    assert read(JSON_MIN, tmp_path) == ({"v_1": [(0.1, 0.333, "Dive")]}, [])


def test_a_draft_that_nobody_submitted_is_no_annotation(tmp_path: Path) -> None:
    draft = task(SOUND, of="drafts", media="v_2.mp4") | {"annotations": []}
    assert read([task(SOUND), draft], tmp_path)[1] == ["1 tasks with drafts alone, which nobody has submitted"]
    with pytest.raises(DataError, match=r"tasks.json: no task with annotations or predictions; 1 have drafts: submit"):
        read([draft], tmp_path)


def test_frame_0_is_refused_where_frames_count_from_one(tmp_path: Path) -> None:
    early = copy.deepcopy(FRAMES)
    early["value"]["ranges"][0]["start"] = 0
    with pytest.raises(DataError, match="task 1: region 1: begins at frame 0, but Label Studio counts them from 1"):
        read([task(early)], tmp_path, clock={"fps": 25.0})


TEXT = {"value": {"start": 3, "end": 9, "text": "jumped", "labels": ["Dive"]}, "from_name": "label", "type": "labels"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda t: t["annotations"].append(t["annotations"][0]),
            r"task 1: 2 annotations of one video, by 1; .* jq 'map\(.annotations \|= .\[:1\]\)'",
        ),
        (
            lambda t: t["annotations"].append(t["annotations"][0] | {"completed_by": 2}),
            r"task 1: 2 annotations of one video, by 1, 2; .* map\(select\(.completed_by == 1\)\)\)'",
        ),
        (lambda t: t["annotations"][0].update(result=[TEXT]), "task 1: its regions are of text"),
        (lambda t: t["annotations"][0].update(result={}), "task 1: 'result' is missing or no list"),
        (
            lambda t: t["annotations"][0]["result"][0]["value"].update(end="x"),
            "region 1: 1.25, 'x' are not start and end",
        ),
        (
            lambda t: t["annotations"][0]["result"][0]["value"].update(end=1),
            "region 1: segment .* ends before it starts",
        ),
        (lambda t: t["annotations"][0]["result"][0]["value"].update(labels=[3]), "region 1: its labels are no texts"),
        (lambda t: t["annotations"][0]["result"][0]["value"].update(labels=[]), "region 1: no label"),
        (lambda t: t.update(data={"a": "x.mp4", "b": "y"}), "do not say which is the video: a, b"),
        (lambda t: t.update(data={}), "do not say which is the video: no texts"),
        (lambda t: t.update(annotations=3), "'annotations' is missing or no list: 3"),
    ],
)
def test_a_task_that_is_broken_is_refused_by_its_number(change: Any, complaint: str, tmp_path: Path) -> None:
    broken = copy.deepcopy(task(SOUND))
    change(broken)
    (tmp_path / "t.json").write_text(json.dumps([broken]))
    with (
        pytest.raises(DataError, match=rf"t\.json: task 1.*{complaint}" if "task 1" not in complaint else complaint),
        open_content(str(tmp_path / "t.json"), "labelstudio") as content,
    ):
        essence(content)
