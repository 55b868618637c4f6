"""Ground truth in the layouts in which data sets are published, each file here being a piece of the published one.

Where not said otherwise the numbers are those of the files themselves, and converted by hand."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import Run

from taltool.data.annotations import read_ground_truth
from taltool.data.convert import convert
from taltool.data.formats.contract import Annotations, FormatOptions, Proposals
from taltool.data.formats.sniffing import format_named, open_content, sniff
from taltool.errors import DataError, UsageError


@contextmanager
def opened(path: Path, **facts: Any) -> Iterator[Annotations]:
    with open_content(str(path), options=FormatOptions(**facts)) as content:
        assert isinstance(content, Annotations)
        yield content


def database(path: Path, **facts: Any) -> dict[str, dict[str, Any]]:
    with opened(path, **facts) as content:
        return dict(content.entries)


def notes(path: Path, **facts: Any) -> list[str]:
    with opened(path, **facts) as content:
        list(content.entries)
        return content.notes


def segments(entry: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(each["label"], *each["segment"]) for each in entry["annotations"]]


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# github.com/TencentYoutuResearch/ActionDetection-AFSD thumos_annotations/thumos_gt.json: numbers are texts, and there
# are no durations. So has HACS_segments_v1.1.json by its README: "duration": "92.166667".
AFSD = {
    "database": {
        "video_test_0000896": {"subset": "test", "annotations": [{"segment": ["18.6", "24.8"], "label": "HighJump"}]}
    }
}
HACS = {
    "database": {
        "--0edUL8zmA": {
            "annotations": [{"label": "Dodgeball", "segment": [5.4, 11.6]}],
            "subset": "training",
            "duration": "92.166667",
            "url": "https://www.youtube.com/watch?v=--0edUL8zmA",
        }
    }
}


def test_negatives_of_hacs_clips_are_no_instances(tmp_path: Path) -> None:
    path = tmp_path / "HACS_clips_v1.1.csv"
    rows = ["Archery,a,training,15.5,17.5,1", "Archery,b,training,77.5,79.5,-1"]
    path.write_text("\n".join(["classname,youtube_id,subset,start,end,label", *rows, ""]))
    made = convert(path, output=tmp_path / "o.csv", columns={"label": "classname"})
    assert (tmp_path / "o.csv").read_text().splitlines()[1:] == ["a,15.5,17.5,Archery,training"]
    assert "1 rows whose label is -1, which say what does not happen" in made.left_out


def test_numbers_that_are_texts_are_numbers(tmp_path: Path) -> None:
    afsd = database(write(tmp_path / "afsd.json", AFSD), durations={"video_test_0000896": 226.77})
    assert afsd["video_test_0000896"]["duration"] == 226.77
    assert segments(afsd["video_test_0000896"]) == [("HighJump", 18.6, 24.8)]
    hacs = database(write(tmp_path / "hacs.json", HACS))["--0edUL8zmA"]
    assert (hacs["duration"], hacs["url"][:5]) == (92.166667, "https")


def test_a_ground_truth_without_durations_goes_where_none_are_needed(tmp_path: Path) -> None:
    convert(write(tmp_path / "afsd.json", AFSD), output=tmp_path / "x.csv")
    assert (
        tmp_path / "x.csv"
    ).read_text() == "video_id,start,end,label,subset\nvideo_test_0000896,18.6,24.8,HighJump,test\n"
    with pytest.raises(DataError, match="1 of 1 videos have no duration"):
        convert(tmp_path / "afsd.json", output=tmp_path / "x.json")


@pytest.mark.parametrize("start", ["18.6 s", "", "nan", "inf"])
def test_a_text_that_is_no_number_is_no_time(start: str, tmp_path: Path) -> None:
    AFSD_BROKEN = json.loads(json.dumps(AFSD).replace("18.6", start))
    with pytest.raises(DataError, match=r"afsd\.json: video 'video_test_0000896': annotation 1: segment"):
        database(write(tmp_path / "afsd.json", AFSD_BROKEN))


def test_segments_that_end_before_they_start_are_left_out_of_json_too(tmp_path: Path) -> None:
    # The segment is of Charades: seven of its 66,500 are like that.
    annotations = [{"segment": [38.0, 13.0], "label": "a"}, {"segment": [1, 2], "label": "a"}]
    path = write(tmp_path / "gt.json", {"database": {"AKKWU": {"duration": 40, "annotations": annotations}}})
    with pytest.raises(
        DataError, match=r"'AKKWU': segment \[38.0, 13.0\] ends before it starts \(taltool convert --drop-invalid"
    ):
        database(path)
    assert segments(database(path, drop_invalid=True)["AKKWU"]) == [("a", 1, 2)]
    assert notes(path, drop_invalid=True) == ["1 segments that end before they start"]


# github.com/MCG-NJU/RTD-Action datasets/thumos14_anno_action.json
RTD = {
    "video_test_0000004": {
        "annotations": [
            {"class": "CricketBowling", "label": 23, "segment": [0.2, 1.1], "segment_frame": [6, 33]},
            {"class": "CricketShot", "label": 24, "segment": [1.0, 1.5], "segment_frame": [30, 45]},
        ],
        "duration_frame": 1012.0,
        "duration_second": 33.73,
        "feature_dim": 202,
        "fps": 30,
        "subset": "test",
    }
}
# github.com/JJBOY/BMN-Boundary-Matching-Network data/activitynet_annotations/anet_anno_action.json
BMN = {
    "v_QOlSCBRmfWY": {
        "duration_second": 82.73,
        "duration_frame": 2067,
        "annotations": [{"segment": [6.195294851794072, 77.73085420904837], "label": "Ballet"}],
        "feature_frame": 2064,
    }
}


def test_json_of_videos_without_a_database_around(tmp_path: Path) -> None:
    rtd = database(write(tmp_path / "rtd.json", RTD))["video_test_0000004"]
    assert segments(rtd) == [("CricketBowling", 0.2, 1.1), ("CricketShot", 1.0, 1.5)]
    assert (rtd["duration"], rtd["subset"], rtd["annotations"][0]["label_id"]) == (33.73, "test", 23)
    bmn = database(write(tmp_path / "bmn.json", BMN), subset="training")["v_QOlSCBRmfWY"]
    assert segments(bmn) == [("Ballet", 6.195294851794072, 77.73085420904837)]
    assert (bmn["duration"], bmn["subset"]) == (82.73, "training")


# github.com/piergiaj/super-events-cvpr18 data/multithumos.json: classes count from 1, those of charades.json from 0.
MULTITHUMOS = {
    "video_test_0000896": {"subset": "testing", "duration": 226.77, "actions": [[12, 18.6, 24.8], [24, 42.0, 46.0]]}
}


def test_actions_of_numbered_classes_need_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "multithumos.json", MULTITHUMOS)
    with pytest.raises(DataError, match="classes are numbers here; name them with --classes"):
        database(path)
    names = {"HighJump": 12, "Run": 24}
    entry = database(path, classes=names)["video_test_0000896"]
    assert (entry["subset"], entry["duration"]) == ("testing", 226.77)
    assert segments(entry) == [("HighJump", 18.6, 24.8), ("Run", 42.0, 46.0)]
    with pytest.raises(
        DataError, match=r"MultiTHUMOS counts from 1, and --classes from 0; give the list as lines of NUMBER"
    ):
        database(path, classes={f"name {number}": number for number in range(24)})


# The fields by github.com/google-deepmind/perception_test README.md ("Action segments": timestamps in microseconds,
# "Video metadata"), which github.com/sming256/OpenTAD reads as well.
PERCEPTION = {
    "video_8241": {
        "metadata": {"split": "valid", "video_id": "video_8241", "frame_rate": 30.0, "num_frames": 450},
        "action_localisation": [
            {"id": 0, "label": "Putting something into something", "label_id": 4, "timestamps": [1500000, 4250000]}
        ],
        "sound_localisation": [{"id": 0, "label": "Human-Other", "timestamps": [0, 500000]}],
        "object_tracking": [{"id": 0, "label": "cup", "timestamps": [0]}],
    }
}


def test_perception_test_is_a_ground_truth_in_microseconds(tmp_path: Path) -> None:
    path = write(tmp_path / "perception.json", PERCEPTION)
    assert sniff(str(path)) == "bare-json"
    entry = database(path, labels="action")["video_8241"]
    assert segments(entry) == [("Putting something into something", 1.5, 4.25)]
    assert (entry["duration"], entry["subset"], entry["annotations"][0]["label_id"]) == (15.0, "valid", 4)
    assert segments(database(path, labels="sound")["video_8241"]) == [("Human-Other", 0.0, 0.5)]
    assert notes(path, labels="action") == ["the keys sound_localisation, object_tracking of the videos"]
    with pytest.raises(UsageError, match="--labels action, or --labels sound"):
        database(path)
    with pytest.raises(UsageError, match="--labels verb: these videos have action, sound"):
        database(path, labels="verb")
    del PERCEPTION["video_8241"]["sound_localisation"]  # As in the files of the challenge.
    assert segments(database(write(tmp_path / "challenge.json", PERCEPTION))["video_8241"])[0][1:] == (1.5, 4.25)


@pytest.mark.parametrize(
    ("video", "complaint"),
    [
        ({"annotations": [{"segment": [1, 2]}]}, "annotation 1 has no label"),
        ({"annotations": {}}, "'w': expected a list of annotations, found dict"),
        ({"actions": [[1, 2]]}, r"annotation 1: expected \[class, start, end\], found \[1, 2\]"),
        ({"action_localisation": [{"label": "a", "timestamps": [1, None]}]}, "timestamps .* in microseconds"),
        (7, "'w': expected an object, found int"),
        ({"duration": -1, "annotations": []}, "'w': duration -1 is not a positive number"),
        ({"annotations": [{"segment": [2, 1], "label": "a"}]}, r"'w': segment \[2, 1\] ends before it starts"),
    ],
)
def test_what_is_broken_in_json_of_videos_is_named(video: Any, complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", {"v": {"duration": 3, "annotations": []}, "w": video})
    with (
        pytest.raises(DataError, match=complaint),
        open_content(str(path), "bare-json", FormatOptions(classes={"a": 1})) as content,
    ):
        list(content.entries)  # type: ignore[union-attr]


# Charades_v1_train.csv: header of github.com/gsig/charades-algorithms' reader (id, actions, length by name).
CHARADES = """id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length
46GP8,HR43,Kitchen,6,7,Yes,"A person cooks, then looks.",food;window,"A person.",c092 11.90 21.20;c147 0.00 12.60,24.83
N11GT,0KZ7,Stairs,6,7,Yes,A person.,,A person.,,18.33
"""


def test_charades_has_its_actions_in_one_column(tmp_path: Path) -> None:
    path = write(tmp_path / "Charades_v1_train.csv", CHARADES)
    found = database(path, subset="training")
    assert segments(found["46GP8"]) == [("c092", 11.9, 21.2), ("c147", 0.0, 12.6)]
    assert found["N11GT"] == {"subset": "training", "duration": 18.33, "annotations": []}
    # Charades_v1_classes.txt has the code before the name.
    named = database(path, classes={"c092 Closing a window": 92, "Someone is cooking something": 147})
    assert [label for label, *_ in segments(named["46GP8"])] == ["Closing a window", "Someone is cooking something"]
    assert notes(path)[0].startswith("the columns subject, scene, quality")
    with pytest.raises(DataError, match=r"train\.csv:2: class 'c147' has no name in --classes"):
        database(path, classes={"Closing a window": 92})


# github.com/epic-kitchens/epic-kitchens-100-annotations EPIC_100_validation.csv
EPIC = """narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,\
stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
P03_02_0,P03,P03_02,00:00:04.310,00:00:03.29,00:00:04.26,197,255,put lunch box,put,1,box:lunch,23,['box:lunch'],[23]
P03_02_15,P03,P03_02,00:00:24.900,00:10:23.79,01:00:24.60,1427,1476,put rubbish in the bin,put-in,5,rubbish,54,\
"['rubbish', 'bin']","[54, 36]"
"""


def test_epic_kitchens_asks_whether_verbs_or_nouns_are_the_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "EPIC_100_validation.csv", EPIC)
    with pytest.raises(UsageError, match="give --labels verb, --labels noun or --labels action"):
        database(path)
    times = [(3.29, 4.26), (623.79, 3624.6)]
    for kind, labels in (("verb", ["1", "5"]), ("noun", ["23", "54"]), ("action", ["1,23", "5,54"])):
        found = segments(database(path, labels=kind)["P03_02"])
        assert found == [(label, *pair) for label, pair in zip(labels, times, strict=True)]
    named = segments(database(path, labels="verb", classes={"put": 1, "insert": 5})["P03_02"])
    assert [label for label, *_ in named] == ["put", "insert"]
    with pytest.raises(DataError, match=r"validation\.csv:3: '5' is not the number of a class with a name"):
        database(path, labels="verb", classes={"put": 1})
    broken = write(tmp_path / "broken.csv", EPIC.replace("00:00:03.29", "3.29"))
    with pytest.raises(DataError, match=r"broken\.csv:2: '3\.29' is not a time like"):
        database(broken, labels="verb")


# github.com/yjxiong/action-detection data/activitynet1.2_tag_val_normalized_proposal_list.txt, and the same block in
# frames as its gen_proposal_list.py writes them.
SSN = "# 1\nnEOpfvJ7g_g\n1\n1\n1\n58 0.0000 0.9728\n2\n58 0.9684 0.9996 0.0000 0.9414\n0 0.0000 0.0000 0.9876 1.0000\n"
SSN_FRAMES = "# 1\n/frames/nEOpfvJ7g_g\n500\n1\n1\n58 0 400\n1\n58 0.9684 0.9996 25 450\n# 2\n/frames/b\n100\n1\n0\n0\n"


def test_ssn_lists_are_ground_truth_or_proposals(tmp_path: Path) -> None:
    path, facts = write(tmp_path / "list.txt", SSN), {"durations": {"nEOpfvJ7g_g": 100.0}, "classes": {"Ballet": 58}}
    (video,) = database(path, **facts).values()
    assert segments(video) == [("Ballet", 0.0, pytest.approx(97.28))]
    assert video["duration"] == 100
    assert notes(path, **facts) == ["2 proposals (read them with --score 1.0)"]
    with open_content(str(path), options=FormatOptions(score=1.0, **facts)) as content:
        assert isinstance(content, Proposals)
        (found,) = content.videos
    assert found.segments.tolist() == [[0.0, pytest.approx(94.14)], [pytest.approx(98.76), 100.0]]
    assert found.labels is None
    with pytest.raises(DataError, match=r"its duration is not known: give --durations FILE$"):
        database(path, classes=facts["classes"])


def test_ssn_lists_in_frames_need_a_rate_or_durations(tmp_path: Path) -> None:
    path = write(tmp_path / "frames.txt", SSN_FRAMES)
    by_rate = database(path, classes={"Ballet": 58}, clock={"fps": 25.0})
    assert segments(by_rate["nEOpfvJ7g_g"]) == [("Ballet", 0.0, 16.0)]
    assert (by_rate["nEOpfvJ7g_g"]["duration"], by_rate["b"]) == (20.0, {"duration": 4.0, "annotations": []})
    by_duration = database(path, classes={"Ballet": 58}, durations={"nEOpfvJ7g_g": 10.0, "b": 1.0})
    assert segments(by_duration["nEOpfvJ7g_g"]) == [("Ballet", 0.0, 8.0)]
    with pytest.raises(DataError, match="give --durations FILE, or --fps"):
        database(path, classes={"Ballet": 58})


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("# 1\n", "# x\n", r"list\.txt:1: expected the number of a video"),
        ("58 0.0000 0.9728\n", "58 0.0000\n", r"list\.txt:6: expected 3 numbers, found '58 0.0000'"),
        ("2\n58", "3\n58", r"list\.txt:1: the file ends within this block; expected a segment"),
        ("1\n1\n1\n", "0\n1\n1\n", r"list\.txt:3: '0' is not a positive number"),
        ("58 0.0000 0.9728", "x 0.0000 0.9728", r"list\.txt:6: 'x' is not a whole number"),
    ],
)
def test_a_broken_ssn_list_is_named_with_its_line(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "list.txt", SSN.replace(old, new, 1))
    facts = FormatOptions(durations={"nEOpfvJ7g_g": 100.0}, classes={"Ballet": 58})
    with pytest.raises(DataError, match=complaint), open_content(str(path), "ssn", facts) as content:
        list(content.entries)  # type: ignore[union-attr]


def kit(folder: Path) -> Path:
    """The two archives of the challenge, unpacked, as github.com/yjxiong/action-detection has them in data/thumos_14
    with lists beside, and the class list of the evaluation kit."""
    write(folder / "test" / "annotations" / "annotation" / "Diving_test.txt", "video_test_0000004  1.0 2.5\n")
    write(folder / "test" / "annotations" / "annotation" / "Ambiguous_test.txt", "video_test_0000004  0.0 1.4\n")
    write(folder / "validation" / "annotation" / "Diving_val.txt", "video_validation_0000051  67.5 75.9\n")
    write(folder / "detclasslist.txt", "7 BaseballPitch\n26 Diving\n")
    write(folder / "test_durations.txt", "video_test_0000764.mp4\n51.328000\n")
    write(folder / "README.txt", "The annotations of the challenge\n")
    return folder


def test_the_folders_of_the_challenge_are_read_with_what_lies_beside(tmp_path: Path) -> None:
    found = database(kit(tmp_path))
    assert segments(found["video_test_0000004"]) == [("Ambiguous", 0.0, 1.4), ("Diving", 1.0, 2.5)]
    assert {key: entry["subset"] for key, entry in found.items()} == {
        "video_test_0000004": "testing",
        "video_validation_0000051": "validation",
    }
    assert notes(tmp_path) == ["3 text files that are no class: README.txt, detclasslist.txt, test_durations.txt"]


def test_a_class_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write(kit(tmp_path) / "groundtruth" / "Diving_test.txt", "video_test_0000004  1.0 2.5\n")
    with pytest.raises(DataError, match=r"Diving_test\.txt: .*Diving_test\.txt is a file of the same class and subset"):
        database(tmp_path)


def test_a_broken_line_of_a_class_is_no_reason_to_leave_it_out(tmp_path: Path) -> None:
    write(kit(tmp_path) / "validation" / "annotation" / "Diving_val.txt", "video_validation_0000051\n")
    with pytest.raises(DataError, match=r"Diving_val\.txt:1: expected 'video start end'"):
        database(tmp_path)


def test_multithumos_has_the_subset_in_the_names_of_its_videos(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "Stand.txt", "video_validation_0000051 1 2\nvideo_test_0000004 3 4\nmine 5 6\n")
    write(tmp_path / "class_list.txt", "1 BaseballPitch\n21 Stand\n")
    subsets = {key: entry.get("subset") for key, entry in database(tmp_path).items()}
    assert subsets == {"video_validation_0000051": "validation", "video_test_0000004": "testing", "mine": None}


def labels_of_frames(folder: Path) -> Path:
    """Two videos of GTEA in the layout of github.com/yabufarha/ms-tcn's data: groundTruth, mapping.txt, splits."""
    write(folder / "groundTruth" / "S1_Cheese_C1.txt", "background\n" * 3 + "take\n" * 15 + "open\n" * 30)
    write(folder / "groundTruth" / "S2_Tea_C1.txt", "take\nbackground\n")
    write(folder / "mapping.txt", "0 take\n1 open\n2 background\n")
    write(folder / "splits" / "train.split1.bundle", "S1_Cheese_C1.txt\n")
    write(folder / "splits" / "test.split1.bundle", "S2_Tea_C1.txt\n")
    return folder


def test_runs_of_frame_labels_are_segments(tmp_path: Path) -> None:
    folder = labels_of_frames(tmp_path)
    found = database(folder, clock={"fps": 15.0})
    assert segments(found["S1_Cheese_C1"]) == [("take", 0.2, 1.2), ("open", 1.2, 3.2)]
    assert found["S1_Cheese_C1"]["duration"] == 3.2
    assert found["S2_Tea_C1"]["annotations"] == [{"segment": [0.0, 1 / 15], "label": "take"}]
    assert notes(folder, clock={"fps": 15.0})[1] == "as background 4 frames of 'background'"
    with pytest.raises(UsageError, match="give --fps"):
        database(folder)
    everything = database(folder, clock={"fps": 15.0}, background=("take",))
    assert [label for label, *_ in segments(everything["S1_Cheese_C1"])] == ["background", "open"]


def test_lists_of_splits_give_the_subsets(tmp_path: Path) -> None:
    folder = labels_of_frames(tmp_path / "gtea")
    lists = [folder / "splits" / f"{name}.split1.bundle" for name in ("train", "test")]
    convert(*lists, output=tmp_path / "gt.json", source="frame-labels", fps=15)
    subsets = {key: entry["subset"] for key, entry in database(tmp_path / "gt.json").items()}
    assert subsets == {"S1_Cheese_C1": "training", "S2_Tea_C1": "testing"}
    # As Breakfast has it.
    (folder / "mapping.txt").rename(folder / "splits" / "mapping_bf.txt")
    lists[0].write_text("#bundle\n./data/groundTruth/S1_Cheese_C1.txt\n")
    convert(lists[0], output=tmp_path / "one.json", source="frame-labels", fps=15)
    assert list(database(tmp_path / "one.json")) == ["S1_Cheese_C1"]
    assert sniff(str(folder)) == "frame-labels"
    lists[0].write_text("S1_Cheese_C1.txt\nS9.txt\n")
    with pytest.raises(DataError, match=r"1 of its 2 files are not there, .*S9\.txt the first"):
        convert(*lists, output=tmp_path / "gt.json", source="frame-labels", fps=15)


@pytest.mark.parametrize(
    ("text", "facts", "complaint"),
    [
        ("take\ndance\n", {}, r"x\.txt:2: label 'dance' is not in mapping\.txt, which lists 3"),
        ("take\n\nopen\n", {}, r"x\.txt:2: an empty line"),
        ("", {}, r"x\.txt: empty; expected a label for each frame"),
        ("take\n" * 30, {"durations": {"x": 20.0}}, r"30 frames at --fps 15 last 2\.00 s, --durations says 20"),
    ],
)
def test_broken_frame_labels_are_refused(text: str, facts: Any, complaint: str, tmp_path: Path) -> None:
    write(labels_of_frames(tmp_path) / "groundTruth" / "x.txt", text)
    with pytest.raises(DataError, match=complaint):
        database(tmp_path, clock={"fps": 15.0}, **facts)


some_segments = st.lists(
    st.tuples(st.floats(-1, 8), st.floats(0, 9), st.sampled_from("ab")).map(lambda s: (s[0], s[0] + s[1], s[2])),
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(some_segments, st.floats(0.5, 6), st.sampled_from([1.0, 7.5, 29.97]))
def test_each_frame_has_the_label_of_the_segment_over_its_middle(
    rows: list[tuple[float, float, str]], duration: float, fps: float
) -> None:
    annotations = [{"segment": [start, end], "label": label} for start, end, label in rows]
    entry = {"duration": duration, "annotations": annotations}
    with tempfile.TemporaryDirectory() as place:
        content = Annotations([("v", entry)])
        if not round(duration * fps):
            return
        format_named("frame-labels").write(content, f"{place}/a", FormatOptions(clock={"fps": fps}))
        lines = Path(f"{place}/a/groundTruth/v.txt").read_text().splitlines()
    assert len(lines) == round(duration * fps)
    for frame, line in enumerate(lines):
        middle = (frame + 0.5) / fps
        over = [row for row in sorted(rows) if row[0] <= middle < row[1]]
        near = any(abs(edge - middle) < 1e-9 for row in rows for edge in row[:2])
        assert near or line == (over[-1][2] if over else "background")


def test_frame_labels_have_one_line_a_frame(taltool: Run, tmp_path: Path) -> None:
    # At 10 frames a second, the middle of frame 4 is at 0.45 s: the first segment covers frames 4 to 9, the second 8
    # and 9, the third is between two middles, the fourth goes on past the end, the fifth touches the fourth.
    rows = [("a", 0.45, 1.0), ("b", 0.76, 0.98), ("c", 1.31, 1.34), ("a", 1.9, 9.0), ("a", 1.6, 1.9)]
    annotations = [{"segment": [start, end], "label": label} for label, start, end in rows]
    gt = write(tmp_path / "gt.json", {"database": {"v": {"duration": 2.04, "annotations": annotations}}})
    done = taltool("convert", gt, "--to", "frame-labels", "--fps", "10", "-o", tmp_path / "out")
    assert done.returncode == 0
    assert (
        b"does not hold 1 segments that end past their video; 1 segments of which others cover a part or all; 1 "
        b"segments shorter than a frame, or past the end; 1 borders between segments of one label" in done.stderr
    )
    lines = (tmp_path / "out" / "groundTruth" / "v.txt").read_text().split("\n")
    none = ["background"]
    assert lines == none * 4 + ["a"] * 4 + ["b"] * 2 + none * 6 + ["a"] * 4 + [""]
    assert (tmp_path / "out" / "mapping.txt").read_text() == "0 background\n1 a\n2 b\n3 c\n"
    back = taltool("convert", tmp_path / "out", "--fps", "10", "--to", "csv")
    assert back.stdout == b"video_id,start,end,label\nv,0.4,0.8,a\nv,0.8,1.0,b\nv,1.6,2.0,a\n"
    named = taltool("convert", gt, "--to", "frame-labels", "--fps", "10", "--background", "a", "-o", tmp_path / "no")
    assert named.returncode == 3
    assert b"label 'a' is that of the background; name another with --background" in named.stderr


# github.com/hangzhaomit/HACS-dataset README.md ("Annotation File Format"): the duration is a text.
HACS = {
    "--0edUL8zmA": {
        "annotations": [
            {"label": "Dodgeball", "segment": [5.40, 11.60]},
            {"label": "Dodgeball", "segment": ["12.60", "88.16"]},
        ],
        "subset": "training",
        "duration": "92.166667",
        "url": "https://www.youtube.com/watch?v=--0edUL8zmA",
    }
}


def test_numbers_that_are_texts_are_read_by_every_command(tmp_path: Path) -> None:
    truth = read_ground_truth(str(write(tmp_path / "hacs.json", {"database": HACS})))
    (video,) = truth.videos.values()
    assert (video.duration, video.subset) == (92.166667, "training")
    assert video.segments.tolist() == [[5.4, 11.6], [12.6, 88.16]]
    # BMN's spelling, in a database.
    other = {"v": {"duration_second": 9, "split": "val", "annotations": []}}
    (video,) = read_ground_truth(str(write(tmp_path / "o.json", {"database": other}))).videos.values()
    assert (video.duration, video.subset) == (9.0, "val")


@pytest.mark.parametrize("wrong", [{"duration": "long"}, {"annotations": [{"segment": ["1", "1_0"], "label": "a"}]}])
def test_texts_that_are_no_numbers_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"video 'v': .*('long' is not a positive|\['?1(\.0)?'?, '1_0'\] is not)"):
        read_ground_truth(str(write(tmp_path / "gt.json", {"database": {"v": {"duration": 9} | wrong}})))
