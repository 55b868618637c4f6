"""Files and options that say something else than they seem to are told, not read."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from taltool.data.annotations import read_ground_truth
from taltool.data.class_scores import read_class_scores
from taltool.data.convert import convert
from taltool.data.formats.sniffing import open_content, sniff
from taltool.errors import DataError, UsageError
from taltool.inspection.check import check
from taltool.inspection.info import info

TRUTH: dict[str, Any] = {"v": {"duration": 9, "annotations": [{"segment": [1, 2], "label": "run"}]}}


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("key", ["class", "Label", "label_id", "verb", "category_name"])
def test_a_label_under_another_name_is_not_lost(key: str, tmp_path: Path) -> None:
    path = written(tmp_path, "p.json", {"results": {"v": [{key: "run", "score": 0.5, "segment": [1, 2]}]}})
    with pytest.raises(DataError, match=f"video 'v': proposal 1 has no label, but '{key}'"):
        convert(path, output=tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    "entry",
    [
        {"annotation": [{"segment": [1, 2], "label": "run"}]},
        {"Annotations": [{"segment": [1, 2], "label": "run"}]},
        {"segments": [[1, 2]], "labels": ["run"]},
    ],
)
def test_annotations_under_another_name_are_not_none(entry: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path, "gt.json", {"database": {"v": {"duration": 9} | entry}})
    for read in (lambda: convert(path, output=tmp_path / "x.json"), lambda: read_ground_truth(str(path))):
        with pytest.raises(DataError, match=r"video 'v': no annotations, but a list '.*' with segments"):
            read()


def test_subsets_that_a_ground_truth_calls_splits_stay(tmp_path: Path) -> None:
    path = written(tmp_path, "gt.json", {"database": {"v": TRUTH["v"] | {"split": "val"}}})
    convert(path, output=tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().splitlines()[1] == "v,1.0,2.0,run,val"


def test_times_that_are_no_list_are_not_taken_for_an_inverted_segment(tmp_path: Path) -> None:
    entry = {"duration": 9, "annotations": [{"segment": {"start": 1, "end": 2}, "label": "run"}]}
    path = written(tmp_path, "gt.json", {"database": {"v": entry}})
    for drop in (False, True):
        with pytest.raises(DataError, match=r"annotation 1: segment .* is not \[start, end\] in seconds"):
            convert(path, output=tmp_path / "x.json", drop_invalid=drop)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"fps": 30}, "--fps: changes nothing of annotations from activitynet; of times in frames --times frames"),
        ({"stride": 8}, "--stride, --window, --offset: changes nothing"),
        ({"labels": "verb"}, "--labels: changes nothing"),
        ({"background": "SIL"}, "--background: changes nothing"),
        ({"tier": "a"}, "--tier: changes nothing"),
        ({"tier_labels": True}, "--tier-labels: changes nothing"),
        ({"media": "{}.mp4"}, "--media: changes nothing"),
        ({"dataset": "rgb"}, "--dataset, --channels-first, --crops: changes nothing"),
        ({"crops": "mean"}, "--dataset, --channels-first, --crops: changes nothing"),
        ({"show_scores": True}, "--show-scores: changes nothing"),
        ({"score": 1.0}, "--score: changes nothing"),
    ],
)
def test_an_option_that_changes_nothing_is_refused(options: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    path = written(tmp_path, "gt.json", {"database": TRUTH})
    with pytest.raises(UsageError, match=complaint):
        convert(path, output=tmp_path / "x.csv", **options)
    assert not (tmp_path / "x.csv").exists()


def test_an_option_that_the_output_goes_by_is_not_idle(tmp_path: Path) -> None:
    path = written(tmp_path, "gt.json", {"database": TRUTH})
    convert(path, output=tmp_path / "tasks.json", target="labelstudio", fps=10, media="x/{}.mp4")
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task["data"]["video"] == "x/v.mp4"
    assert task["annotations"][0]["result"][0]["value"]["ranges"] == [{"start": 11, "end": 20}]


def test_frames_of_formats_that_know_their_times_are_not_divided_twice(tmp_path: Path) -> None:
    path = written(tmp_path, "v.srt", "1\n00:00:01,000 --> 00:00:02,000\nrun\n")
    with pytest.raises(UsageError, match="--times frames: srt says itself what its times are"):
        convert(path, output=tmp_path / "x.csv", times="frames", fps=25)


def test_columns_that_are_called_frames_are_frames_when_they_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "video,start_frame,end_frame,label\nv,30,60,run\n")
    convert(path, output=tmp_path / "y.csv", fps=30, columns={"start": "start_frame", "end": "end_frame"})
    assert (tmp_path / "y.csv").read_text().splitlines()[1] == "v,1.0,2.0,run"
    with pytest.raises(DataError, match="are frames; give the frame rate with --fps"):
        convert(path, output=tmp_path / "y.csv", columns={"start": "start_frame", "end": "end_frame"})


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.csv", "video,start_frame,end_frame,label\nv,30,60,run\n", "give the frame rate with --fps"),
        ("x.csv", "classname,youtube_id,start,end,label\nrun,v,1,2,-1\n", "--columns label=classname"),
        (
            "x.json",
            {
                "v": {
                    "metadata": {"num_frames": 9, "frame_rate": 3},
                    "action_localisation": [],
                    "sound_localisation": [],
                }
            },
            "--labels action",
        ),
    ],
)
def test_options_that_only_convert_has_are_called_its_own(name: str, content: Any, told: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, content)
    whose = "options that taltool convert has"
    found = check(path)
    assert not found.is_whole
    assert told in found.summary
    assert whose in found.summary
    with pytest.raises(DataError, match=whose):
        info(path)
    with pytest.raises((DataError, UsageError)) as refusal:
        convert(path, output=tmp_path / "y.csv")
    assert whose not in str(refusal.value)


@pytest.mark.parametrize("names", ["Start (frame),End (frame)", "begin [frames],stop [frames]"])
def test_a_unit_in_a_name_makes_frames_of_times(names: str, tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", f"video,{names},label\nv,30,60,run\n")
    convert(path, output=tmp_path / "y.csv", fps=30)
    assert (tmp_path / "y.csv").read_text().splitlines()[1] == "v,1.0,2.0,run"
    said = dict(zip(("start", "end"), names.split(","), strict=True))
    with pytest.raises(DataError, match="are frames; give the frame rate with --fps"):
        convert(path, output=tmp_path / "y.csv", columns=said)


def test_a_frame_rate_beside_seconds_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "video,start,end,label\nv,30,60,run\n")
    left_out = convert(path, output=tmp_path / "y.csv", fps=30).left_out
    assert left_out == ("--fps, since 'start' and 'end' are seconds (if they are frames: --times frames)",)


@pytest.mark.parametrize("target", ["csv", "vtt", "elan", "boris", "labelstudio", "thumos14", "frame-labels"])
def test_members_of_annotations_that_a_format_does_not_hold_are_told(target: str, tmp_path: Path) -> None:
    annotation = {"segment": [1, 2], "label": "run", "label_id": 3, "segment(frames)": [25, 50]}
    entry = {"duration": 9, "fps": 25, "annotations": [annotation]}
    path = written(tmp_path, "gt.json", {"database": {"v": entry}})
    options: dict[str, Any] = {"fps": 25} if target == "frame-labels" else {}
    lost = convert(path, output=tmp_path / "out", target=target, **options).lost
    assert "the keys fps of the videos" in lost
    assert "the keys label_id, segment(frames) of the annotations" in lost


def test_a_column_has_one_meaning(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "clip,start,end,label\nv,30,60,run\n")
    with pytest.raises(UsageError, match="'clip' is given two meanings"):
        convert(path, output=tmp_path / "y.csv", columns={"video": "clip", "label": "clip"})


def test_blanks_before_quotes_are_blanks(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", 'video, start, end, label\nv, 1, 2, "run, fast"\n')
    convert(path, output=tmp_path / "y.csv")
    assert (tmp_path / "y.csv").read_text().splitlines()[1] == 'v,1.0,2.0,"run, fast"'


@pytest.mark.parametrize("name", ["x.csv", "x.json"])
def test_a_number_has_no_underscore(name: str, tmp_path: Path) -> None:
    texts = {
        "x.csv": "video,start,end,label,score\nv,1,2,run,1_0\n",
        "x.json": {"database": {"v": {"duration": 9, "annotations": [{"segment": ["1", "1_0"], "label": "a"}]}}},
    }
    with pytest.raises(DataError, match="1_0"):
        convert(written(tmp_path, name, texts[name]), output=tmp_path / "y.json")


@pytest.mark.parametrize("options", [{"keep_label": ["hop"]}, {"relabel": {"hop": "jump"}}])
def test_nothing_is_no_result(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the labels to keep \('hop'\) is in the input"):
        convert(written(tmp_path, "gt.json", {"database": TRUTH}), output=tmp_path / "y.json", **options)
    detections = {"results": {"v": [{"segment": [1, 2], "label": "run", "score": 0.5}]}}
    with pytest.raises(DataError, match=r"none of the labels to keep \('hop'\) is in the input"):
        convert(written(tmp_path, "p.json", detections), output=tmp_path / "y.json", **options)


def test_a_background_that_is_never_there_is_a_slip(tmp_path: Path) -> None:
    written(tmp_path / "groundTruth", "v.txt", "background\nrun\nrun\n")
    written(tmp_path, "mapping.txt", "0 background\n1 run\n")
    with pytest.raises(DataError, match="--background bg: no frame is labelled so"):
        convert(tmp_path, output=tmp_path / "x.csv", fps=1, background="bg")
    convert(tmp_path, output=tmp_path / "x.csv", fps=1, background="background")
    assert (tmp_path / "x.csv").read_text().splitlines()[1:] == ["v,1.0,3.0,run"]


def test_shares_are_no_frames(tmp_path: Path) -> None:
    written(tmp_path / "bmn", "v.csv", "xmin,xmax,score\n0.1,0.6,0.5\n")
    with pytest.raises(DataError, match="no time is above 1: these are shares of the video, not frames; leave --fps"):
        convert(tmp_path / "bmn", output=tmp_path / "x.jsonl", fps=30, durations={"v": 10.0})
    convert(tmp_path / "bmn", output=tmp_path / "x.csv", durations={"v": 10.0})
    assert (tmp_path / "x.csv").read_text().splitlines()[1] == "v,1.0,6.0,0.5"


def test_lists_beside_classes_are_no_classes(tmp_path: Path) -> None:
    written(tmp_path / "th", "run_val.txt", "video_validation_0000001 1 2\n")
    written(tmp_path / "th", "video_info.txt", "video_validation_0000001 169.79 5093\n")
    with open_content(str(tmp_path / "th")) as content:
        entries = dict(content.entries)  # type: ignore[union-attr]
        assert content.notes == ["1 text files that are no class: video_info.txt"]  # type: ignore[union-attr]
    assert [each["label"] for each in entries["video_validation_0000001"]["annotations"]] == ["run"]


def test_texts_of_videos_with_numbered_classes_are_no_class_files(tmp_path: Path) -> None:
    written(tmp_path / "texts", "v1.txt", "0.5 1.5 3\n")
    with pytest.raises(DataError, match=r"looks like no known format: a folder of 1 \.txt"):
        sniff(str(tmp_path / "texts"))


def test_rows_without_ids_are_of_videos_called_alike(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.full((12, 20), 0.05))
    scores = read_class_scores(str(tmp_path / "c.npy"))
    assert scores.find("video_test_0000003") is not None
    assert scores.find("v_abc12") is None
    with pytest.raises(DataError, match="'other_3' does not begin with 'video_test_'"):
        scores.find("other_3")


@pytest.mark.parametrize("column", ["duration", "Unnamed: 0", "num_frames", "fps"])
def test_facts_beside_class_scores_are_no_classes(column: str, tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv", f"video_id,{column},run,jump\nv,0.9,0.3,0.4\n")
    with pytest.raises(DataError, match=rf"c\.csv:1: column '{column}' is no class"):
        read_class_scores(str(path))


def test_crops_of_one_snippet_are_crops(tmp_path: Path) -> None:
    (tmp_path / "npy").mkdir()
    for name, shape in {"a": (10, 1, 4), "b": (1, 10, 4), "c": (10, 3, 4)}.items():
        np.save(tmp_path / "npy" / f"{name}.npy", np.ones(shape, np.float32))
    convert(tmp_path / "npy", output=tmp_path / "f.h5", crops="mean", fps=1, stride=1, window=1)
    with h5py.File(tmp_path / "f.h5") as file:
        assert {name: file[name].shape for name in file} == {"a": (1, 4), "b": (1, 4), "c": (3, 4)}


def test_a_stream_is_not_joined_with_itself(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["v/rgb"] = np.ones((3, 2), np.float32)
    with pytest.raises(UsageError, match="--dataset rgb,rgb: a stream is named twice"):
        convert(tmp_path / "two.h5", output=tmp_path / "f.h5", dataset="rgb,rgb", fps=1, stride=1, window=1)


def test_links_that_lead_nowhere_or_back_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "nowhere.h5", "w") as file:
        file["v"] = h5py.SoftLink("/gone")
    with h5py.File(tmp_path / "back.h5", "w") as file:
        file["a/b/v"] = np.ones((3, 2), np.float32)
        file["a/b/up"] = file["a"]
    for name, complaint in {"nowhere": "its link 'v' leads to nothing", "back": "its link 'a/b/up' leads back"}.items():
        with pytest.raises(DataError, match=complaint):
            convert(tmp_path / f"{name}.h5", output=tmp_path / "f.h5", fps=1, stride=1, window=1)


def test_an_archive_whose_packing_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "npz").mkdir()
    path = tmp_path / "npz" / "v.npz"
    np.savez_compressed(path, feats=np.arange(4000, dtype=np.float32).reshape(100, 40))
    with zipfile.ZipFile(path) as archive:
        (entry,) = archive.infolist()
    content = bytearray(path.read_bytes())
    begin = entry.header_offset + 60
    content[begin : begin + 40] = b"\xff" * 40
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"v\.npz: its array 'feats' cannot be read"):
        convert(tmp_path / "npz", output=tmp_path / "f.h5", fps=1, stride=1, window=1)
