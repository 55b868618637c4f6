"""BORIS: how it pairs events, what its exports say, and what it reads of ours."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from taltool.data.convert import convert
from taltool.data.formats.contract import Annotations, FormatOptions
from taltool.data.formats.sniffing import format_named, open_content, sniff
from taltool.errors import DataError

Segments = list[tuple[float, float, str]]

EVENTS: list[Any] = [
    [1.0, "", "run", "", "", 25],
    [2.0, "cat", "run", "", "", 50],
    [2.5, "", "blink", "", "twice", 62],
    [3.0, "", "run", "", "", 75],
    [3.0, "", "run", "", "", 75],
    [4.0, "cat", "run", "", "", 100],
    [4.5, "", "run", "fast", "", "NA"],
    [5.0, "", "run", "", "", 125],
    [6.0, "", "run", "fast", "", "NA"],
]
# Each state begins and stops for one subject and modifier: worked by hand from the rule.
PAIRED = [(1.0, 3.0, "run"), (2.0, 4.0, "run"), (2.5, 2.5, "blink"), (3.0, 5.0, "run"), (4.5, 6.0, "run")]
PROJECT: dict[str, Any] = {
    "time_format": "hh:mm:ss",
    "project_format_version": "7.0",
    "subjects_conf": {"0": {"key": "", "name": "cat", "description": ""}},
    "behaviors_conf": {
        "0": {"type": "State event with coding map", "key": "r", "code": "run", "category": ""},
        "1": {"type": "Point event", "key": "b", "code": "blink", "category": ""},
    },
    "observations": {
        "first try": {
            "file": {"1": ["C:\\videos\\v_1.mp4"], "2": ["/other/angle.mp4"], "3": []},
            "type": "MEDIA",
            "date": "2026-11-30T10:00:00",
            "description": "",
            "time offset": 0.0,
            "events": EVENTS,
            "observation time interval": [0, 0],
            "independent_variables": {},
            "media_info": {"length": {"C:\\videos\\v_1.mp4": 12.5}, "fps": {"C:\\videos\\v_1.mp4": 25.0}},
        }
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    """The project, its observation changed."""
    project = copy.deepcopy(PROJECT)
    project["observations"]["first try"] |= changes
    return project


def read(project: dict[str, Any], folder: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """The entries of a project by video id, and what was left out."""
    path = folder / "p.boris"
    path.write_text(json.dumps(project))
    with open_content(str(path), options=FormatOptions(**options)) as content:
        assert isinstance(content, Annotations)
        return dict(content.entries), content.notes


def rows(entry: dict[str, Any]) -> Segments:
    return sorted((*each["segment"], each["label"]) for each in entry["annotations"])


def test_a_decimal_comma_of_an_export_is_told(tmp_path: Path) -> None:
    names = "Observation id;Media file name;Behavior;Behavior type;Time"
    (tmp_path / "events.csv").write_text(f"{names}\no;v.mp4;run;START;1,5\no;v.mp4;run;STOP;2,5\n")
    with pytest.raises(DataError, match=r"'1,5' is not a time in seconds, .*; write a point for the comma"):
        convert(tmp_path / "events.csv", output=tmp_path / "x.csv")


def test_states_are_paired_by_subject_behaviour_and_modifier(tmp_path: Path) -> None:
    entries, notes = read(PROJECT, tmp_path)
    assert list(entries) == ["v_1"]
    assert rows(entries["v_1"]) == PAIRED
    assert entries["v_1"]["duration"] == 12.5
    assert notes == ["1 observations' further media files", "1 subjects (cat)", "1 modifiers", "1 comments"]


def test_events_need_not_stand_in_order_of_time_and_an_offset_is_undone(tmp_path: Path) -> None:
    events = [[time + 100, *rest] for time, *rest in reversed(EVENTS)]
    entries, _ = read(changed(events=events, **{"time offset": 100}), tmp_path)
    assert rows(entries["v_1"]) == PAIRED


def test_a_state_without_end_is_refused_and_left_out_by_option(tmp_path: Path) -> None:
    open_state = changed(events=[*EVENTS, [9.0, "", "run", "", "", "NA"]])
    with pytest.raises(
        DataError, match=r"'first try': event 10 in order of time .* never stops; fix it .* --drop-invalid"
    ):
        read(open_state, tmp_path)
    entries, notes = read(open_state, tmp_path, drop_invalid=True)
    assert rows(entries["v_1"]) == PAIRED
    assert "1 states that start and never stop" in notes


def test_two_observations_of_one_video_are_chosen_from(tmp_path: Path) -> None:
    project = changed()
    project["observations"]["second try"] = copy.deepcopy(PROJECT["observations"]["first try"]) | {
        "events": EVENTS[:1] * 2
    }
    with pytest.raises(
        DataError, match=r"the observations 'first try' and 'second try' are of one video, 'v_1'; .*--tier"
    ):
        read(project, tmp_path)
    entries, _ = read(project, tmp_path, tiers=("second try",))
    assert rows(entries["v_1"]) == [(1.0, 1.0, "run")]


def test_a_live_observation_is_named_by_itself(tmp_path: Path) -> None:
    entries, _ = read(changed(type="LIVE", file={}), tmp_path)
    assert list(entries) == ["first try"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"type": "IMAGES"}, "numbers of images, not seconds"),
        ({"type": None}, "'type' is missing or no text"),
        ({"file": {"1": ["a.mp4", "b.mp4"]}}, "plays 2 media files one after the other"),
        ({"file": {"1": [3]}}, "'file' is not the lists"),
        ({"events": {}}, "'events' is missing or no list"),
        ({"events": [[1.0, "", "run"]]}, "event 1 is not .time, subject, behaviour"),
        ({"events": [["1", "", "run", "", ""]]}, "event 1: '1' is no time in seconds"),
        ({"events": [[1.0, "", "jump", "", ""]]}, "no such behaviour in the ethogram"),
        ({"time offset": "x"}, "'time offset' is missing or no number"),
    ],
)
def test_an_observation_that_is_broken_is_refused_by_name(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=f"observation 'first try': .*{complaint}"):
        read(changed(**changes), tmp_path)


def test_segments_of_a_label_that_overlap_are_of_different_subjects(tmp_path: Path) -> None:
    found = [(1.0, 4.0, "a"), (2.0, 3.0, "a"), (2.5, 2.75, "a"), (3.0, 3.5, "a"), (4.0, 5.0, "a"), (2.0, 3.0, "b")]
    segments = [{"segment": [start, end], "label": label} for start, end, label in found]
    path = tmp_path / "p.boris"
    content = Annotations([("v", {"duration": 9.0, "annotations": segments})])
    format_named("boris").write(content, str(path), FormatOptions(clock={"fps": 25.0}))
    project = json.loads(path.read_text())
    events = project["observations"]["v"]["events"]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    # What BORIS 8.27.4 sees: `events_start_stop` calls every second event of a subject and behaviour a STOP.
    begun: dict[tuple[str, str], float] = {}
    paired = []
    for time, subject, code, *_ in events:
        if (subject, code) in begun:
            paired.append((begun.pop((subject, code)), time, code))
        else:
            begun[subject, code] = time
    assert not begun
    assert sorted(paired) == sorted(found)
    assert [each["name"] for each in project["subjects_conf"].values()] == ["overlap 2", "overlap 3"]
    # Its exports raise KeyError or a format error for a media file without a length or a rate.
    information = project["observations"]["v"]["media_info"]
    assert (information["length"], information["fps"]) == ({"v.mp4": 9.0}, {"v.mp4": 25.0})
    with open_content(str(path)) as read_again:
        assert isinstance(read_again, Annotations)
        assert rows(dict(read_again.entries)["v"]) == sorted(found)
        assert read_again.notes == []


@pytest.mark.parametrize("label", ["a|b", " a", "a\n"])
def test_a_label_that_is_no_name_of_a_behaviour_is_refused(label: str, tmp_path: Path) -> None:
    content = Annotations([("v", {"annotations": [{"segment": [1.0, 2.0], "label": label}]})])
    with pytest.raises(DataError, match="is no name of a behaviour in BORIS"):
        format_named("boris").write(content, str(tmp_path / "p.boris"), FormatOptions())
    assert list(tmp_path.iterdir()) == []


# What BORIS 8.27.4 exported of a project of ours, some columns left empty, and a subject and a point set by hand.
TABULAR = """\
Observation id\tObservation date\tDescription\tObservation duration\tObservation type\tSource\tTime offset (s)\t\
Media duration (s)\tFPS\tSubject\tBehavior\tBehavioral category\tModifier #1\tBehavior type\tTime\tMedia file name\t\
Image index\tImage file path\tComment
o 1\t1970-01-01 00:00:00\t\t6.900\tMedia file(s)\tplayer #1:/home/me/v_1.mkv|player #2:/x/y.mkv\t0.5\t9.500|8.000\t\
0.000\t\tDive\t\tNone\tSTART\t1.500\t/home/me/v_1.mkv\tNA\tNA\t
o 1\t1970-01-01 00:00:00\t\t6.900\tMedia file(s)\tplayer #1:/home/me/v_1.mkv|player #2:/x/y.mkv\t0.5\t9.500|8.000\t\
0.000\tcat\tDive\t\t\tPOINT\t2.000\t/home/me/v_1.mkv\tNA\tNA\tlook, here
o 1\t1970-01-01 00:00:00\t\t6.900\tMedia file(s)\tplayer #1:/home/me/v_1.mkv|player #2:/x/y.mkv\t0.5\t9.500|8.000\t\
0.000\t\tDive\t\tNone\tSTOP\t4.000\t/home/me/v_1.mkv\tNA\tNA\t
"""
AGGREGATED = """\
Observation id,Observation date,Description,Observation type,Source,Time offset (s),Coding duration,Media duration (s),\
FPS (frame/s),Subject,Observation duration by subject by observation,Behavior,Behavioral category,Behavior type,\
Start (s),Stop (s),Duration (s),Media file name,Image index start,Image index stop,Image file path start,\
Image file path stop,Comment start,Comment stop
v_1,1970-01-01 00:00:00,,Media file,player #1:/home/me/v_1.mkv,0.0,6.900,9.500,0.000,No focal subject,5.233,\
"High jump, & <b>",Not defined,STATE,2.000,5.500,3.500,/home/me/v_1.mkv,NA,NA,,,,
v_1,1970-01-01 00:00:00,,Media file,player #1:/home/me/v_1.mkv,0.0,6.900,9.500,0.000,No focal subject,5.233,\
Dive,Not defined,POINT,7.000,7.000,NA,/home/me/v_1.mkv,NA,NA,,,,
"""


def test_the_tabular_export_is_read_as_segments(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_text(TABULAR.replace("\n", "\r\n"))
    assert sniff(str(path)) == "boris-events"
    done = convert(path, output=tmp_path / "gt.json")
    entry = json.loads((tmp_path / "gt.json").read_text())["database"]["v_1"]
    assert (entry["duration"], rows(entry)) == (9.5, [(1.0, 3.5, "Dive"), (1.5, 1.5, "Dive")])
    assert done.left_out == ("1 subjects (cat)", "1 comments")


def test_the_aggregated_export_is_read_as_segments(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(AGGREGATED)
    convert(path, output=tmp_path / "gt.json")
    entry = json.loads((tmp_path / "gt.json").read_text())["database"]["v_1"]
    assert rows(entry) == [(2.0, 5.5, "High jump, & <b>"), (7.0, 7.0, "Dive")]


# After tests/files/test_export_events_tabular.tsv of olivierfriard/BORIS, of version 7: lines above the table.
OLD = """\
Observation id\tobservation #1\t\t\t\t\t\t\t
\t\t\t\t\t\t\t\t
Media file(s)\t\t\t\t\t\t\t\t
Player #1\ta/v_1.mp4\t\t\t\t\t\t\t
Time offset (s)\t0.5\t\t\t\t\t\t\t
independent variables\t\t\t\t\t\t\t\t
variable\tvalue\t\t\t\t\t\t\t
Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus
3.300\ta/v_1.mp4\t359.960\t25.0\tsubject1\ts\t\t\tSTART
3.500\ta/v_1.mp4\t359.960\t25.0\tsubject2\tt\t\t\tPOINT
7.750\ta/v_1.mp4\t359.960\t25.0\tsubject1\ts\t\t\tSTOP
"""


@pytest.mark.parametrize("change", [lambda text: text, lambda text: text.replace("\t", ",")])
def test_the_tabular_export_of_version_7_is_read(change: Any, tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text(change(OLD))
    assert sniff(str(tmp_path / "e.tsv")) == "boris-events"
    convert(tmp_path / "e.tsv", output=tmp_path / "gt.json")
    ((video_id, entry),) = json.loads((tmp_path / "gt.json").read_text())["database"].items()
    assert (video_id, entry["duration"], rows(entry)) == ("v_1", 359.96, [(2.8, 7.25, "s"), (3.0, 3.0, "t")])


def test_a_table_of_version_7_without_the_lines_above_is_read(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text(OLD[OLD.index("Time\t") :])
    convert(tmp_path / "e.tsv", output=tmp_path / "gt.json")
    entry = json.loads((tmp_path / "gt.json").read_text())["database"]["v_1"]
    assert rows(entry) == [(3.3, 7.75, "s"), (3.5, 3.5, "t")]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("a/v_1.mp4\t359.960\t25.0\tsubject2", "b.mp4\t9\t25\t", ":10: observation .* is of 'v_1' and of 'b'"),
        ("\tStatus", "\tState", ":8: no column 'Behavior type'"),
        ("Time\tMedia", "When\tMedia", ": no columns of BORIS's exports"),
    ],
)
def test_a_table_of_version_7_that_is_broken_is_refused(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text(OLD.replace(old, new))
    with pytest.raises(DataError, match=rf"e\.tsv{complaint}"):
        convert(tmp_path / "e.tsv", output=tmp_path / "o.csv", source="boris-events")


def test_times_of_an_export_may_be_hours_minutes_and_seconds(tmp_path: Path) -> None:
    text = TABULAR.replace("\t1.500\t", "\t00:00:01.500\t").replace("\t4.000\t", "\t01:01:04.250\t")
    (tmp_path / "e.tsv").write_text(text)
    convert(tmp_path / "e.tsv", output=tmp_path / "gt.json")
    entry = json.loads((tmp_path / "gt.json").read_text())["database"]["v_1"]
    assert rows(entry) == [(1.0, 3663.75, "Dive"), (1.5, 1.5, "Dive")]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("\tSTOP\t", "\tSTART\t", ":4: 'START' of 'Dive' does not follow on what is above it"),
        ("\tSTART\t", "\tSTOP\t", ":2: 'STOP' of 'Dive' does not follow"),
        ("\tSTOP\t", "\tPOINT\t", ":2: starts and never stops; mend it in BORIS, or leave it out: --drop-invalid"),
        ("\t1.500\t", "\tsoon\t", ":2: 'soon' is not a time in seconds"),
        ("\t1.500\t", "\tnan\t", ":4: segment .* is not finite"),
        ("\tlook, here", "", ":3: 18 fields, expected 19"),
        ("/home/me/v_1.mkv|", "/home/me/v_1.mkv;b.mkv|", ":2: media files play one after the other"),
        ("\tTime\t", "\tWhen\t", ":1: no column 'Start .s.' of BORIS's exports"),
        ("look, here", 'say "', ":3: .*"),
    ],
)
def test_an_export_that_is_broken_is_refused_with_its_line(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text(TABULAR.replace(old, new))
    if old == "look, here":  # A quote within a field is one; it does not run on.
        assert convert(tmp_path / "e.tsv", output=tmp_path / "o.csv").kind == "annotations"
        return
    with pytest.raises(DataError, match=rf"e\.tsv{complaint}"):
        convert(tmp_path / "e.tsv", output=tmp_path / "o.csv", source="boris-events")


def test_two_observations_of_one_video_are_refused_in_an_export(tmp_path: Path) -> None:
    lines = AGGREGATED.splitlines()
    (tmp_path / "e.csv").write_text("\n".join([*lines[:2], lines[2].replace("v_1,", "other,", 1)]))
    with pytest.raises(DataError, match=r"e\.csv:3: the observations 'v_1' and 'other' are of one video, 'v_1'"):
        convert(tmp_path / "e.csv", output=tmp_path / "o.json")
