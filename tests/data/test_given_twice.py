"""What a conversion is told twice is compared: durations, ids of two files, times with the length of their videos."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taltool.data.changes import Changes
from taltool.data.convert import convert
from taltool.data.near_ids import renaming
from taltool.data.records import Lateness
from taltool.data.sidecars import read_durations
from taltool.errors import DataError
from taltool.postprocessing.label import label
from taltool.reporting import Reporter

STREAM = (
    '{"taltool": {"kind": "proposals", "version": 2, "classes": null}}\n'
    '{"video_id": "v", "duration": 100, "segments": [[3, 6]], "scores": [0.5]}\n'
    '{"end": {"videos": 1}}\n'
)
DATABASE = {"database": {"v": {"duration": 100, "annotations": [{"segment": [3, 6], "label": "a"}]}}}
CHARADES = "id,actions,length\nv,c092 3 6,100\n"


class Listener(Reporter):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def warn(self, message: str) -> None:
        self.heard.append(message)


def converted(folder: Path, text: str, **options: Any) -> tuple[dict[str, Any], str]:
    """The document that comes of a text, and the warnings."""
    (folder / "in").write_text(text)
    listener = Listener()
    convert(folder / "in", output=folder / "out.json", reporter=listener, provenance=False, **options)
    return json.loads((folder / "out.json").read_text()), "\n".join(listener.heard)


def test_features_of_videos_without_a_duration_are_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "v_1.npy", np.ones((10, 2)))
    listener, clock = Listener(), {"fps": 1, "stride": 1, "window": 1}
    convert(tmp_path / "in", output=tmp_path / "o.h5", durations={"1": 10.0}, reporter=listener, **clock)
    (told,) = listener.heard
    assert "1 videos are not in --durations, 'v_1' the first" in told
    assert "--strip-prefix v_" in told


@pytest.mark.parametrize(
    "text", ['{"v": 100, "w": 2.5}', '{"v": {"duration": 100, "fps": 25}, "w": {"duration": 2.5}}']
)
def test_durations_may_be_a_member_of_json_each(text: str, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(text)
    assert read_durations(str(tmp_path / "d.json")) == {"v": 100.0, "w": 2.5}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("v,100\nw,2.5\n", r"names the columns video_id and duration \(there are: v, 100\)"),
        ("video_id,fps,frames\nv,25,100\n", r"and duration \(there are: video_id, fps, frames\)"),
        ('{"v": "long"}', "video 'v': duration 'long' is not a positive number of seconds"),
        ('{"v": 1e999}', "not JSON"),
        ("{}", "no video has a duration in it"),
    ],
)
def test_what_is_no_durations_is_told_what_they_look_like(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "d").write_text(text)
    with pytest.raises(DataError, match=told) as refusal:
        read_durations(str(tmp_path / "d"))
    assert "taltool convert" not in str(refusal.value)


@pytest.mark.parametrize("text", [STREAM, json.dumps(DATABASE), CHARADES])
def test_a_duration_that_the_file_and_the_user_give_is_one(text: str, tmp_path: Path) -> None:
    assert "last" not in converted(tmp_path, text, durations={"v": 104.0})[1]
    with pytest.raises(DataError, match=r"1 of 1 videos last .* \('v' lasts 100 s here and 3000 s there\)"):
        converted(tmp_path, text, durations={"v": 3000.0})
    # What was there before is untouched.
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out.json"]


def test_where_few_durations_differ_those_of_the_file_stay_aloud(tmp_path: Path) -> None:
    every = dict.fromkeys("abc", DATABASE["database"]["v"])
    found, heard = converted(tmp_path, json.dumps({"database": every}), durations={"a": 100, "b": 50, "c": 100, "d": 1})
    assert [entry["duration"] for entry in found["database"].values()] == [100, 100, 100]
    assert "1 of 3 videos last as --durations does not say ('b' lasts 100 s here and 50 s there)" in heard


def test_segments_past_the_durations_that_the_user_gives_are_told(tmp_path: Path) -> None:
    table = "video,start,end,label\nv,300,600,a\nv,800,900,b\n"
    assert (
        "2 of 2 instances end after their videos: are these frames?"
        in (converted(tmp_path, table, durations={"v": 40.0})[1])
    )
    assert converted(tmp_path, table, durations={"v": 40.0}, times="frames", fps=30)[1] == ""


@pytest.mark.parametrize("given", ["v_a.mp4", "v_a", "a.mp4", "a", "x/a"])
def test_durations_by_old_ids_or_new_ones(given: str, tmp_path: Path) -> None:
    table = "video,start,end,label\nv_a.mp4,1,2,run\n"
    how = {"strip_prefix": "v_", "strip_suffix": ".mp4", "add_prefix": "x/"}
    assert converted(tmp_path, table, durations={given: 50.0}, **how)[0]["database"]["x/a"]["duration"] == 50


def test_ids_that_were_never_stripped_are_others() -> None:
    known = Changes(strip_prefix="v_").durations({"v_v_a": 5.0, "v_a": 7.0})
    assert (known["v_v_a"], known["v_a"], known["a"]) == (5.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("strange", "known", "mend"),
    [
        ("v_abc", "abc", "--strip-prefix v_"),
        ("abc", "v_abc", "--add-prefix v_"),
        ("videos/abc.mkv", "abc", "--strip-prefix videos/ --strip-suffix .mkv"),
        ("abc ", "abc", "--strip-suffix ' '"),
        ("ABC", "abc", "write the ids alike in both files"),
        ("cafe\u0301", "caf\u00e9", "write the ids alike in both files"),
        ("abc", "abc.mp4", "write the ids alike in both files"),
    ],
)
def test_ids_that_differ_by_how_they_are_written_are_told(strange: str, known: str, mend: str, tmp_path: Path) -> None:
    assert renaming([strange], [known, "other"]) == (
        f"most have other names there ({strange!r} is {known!r}): "
        + (mend if mend.startswith("write") else f"taltool convert {mend}")
    )
    table = f"video,start,end,label,score\n'{strange}',1,2,run,0.5\n".replace("'", '"')
    if strange == strange.strip():
        heard = converted(tmp_path, table, durations={known: 50.0})[1]
        assert f"1 videos are not in --durations, '{strange}' the first; most have other names there" in heard
    else:
        assert converted(tmp_path, table, durations={known: 50.0})[1] == ""


def test_ids_that_are_others_are_not_said_to_be_near() -> None:
    assert renaming(["abd", "x.y"], ["abc", "x"]) == ""
    assert renaming([], ["abc"]) == ""
    # A suffix that no video has belongs to the id.
    assert renaming(["a", "B", "b.c", "d"], ["b", "e"]).startswith("1 of them have other names there ('B' is 'b')")


def test_shares_of_the_duration_are_told_and_become_seconds(tmp_path: Path) -> None:
    found = {"results": {"v": [{"segment": [n / 10, n / 5], "score": 0.5} for n in range(1, 4)]}}
    _, heard = converted(tmp_path, json.dumps(found), durations={"v": 50.0})
    assert "all 3 proposals end within the first second of videos of 50 s and more: are these shares" in heard
    found, heard = converted(tmp_path, json.dumps(found), durations={"v": 50.0}, times="shares")
    assert [each["segment"] for each in found["results"]["v"]] == [[5.0, 10.0], [10.0, 20.0], [0.3 * 50, 0.6 * 50]]
    assert heard == ""
    with pytest.raises(DataError, match="video 'v': its times are shares of its duration, which is not known"):
        converted(tmp_path, "video,start,end,label\nv,0.1,0.2,run\n", times="shares")


@pytest.mark.parametrize(("ends", "duration"), [((0.5, 0.9), 50.0), ((0.5, 0.9, 1.1), 50.0), ((0.5, 0.9, 1.0), 4.0)])
def test_few_segments_and_those_of_short_videos_may_lie_in_the_first_second(
    ends: tuple[float, ...], duration: float
) -> None:
    import numpy as np

    lateness = Lateness()
    lateness.add(np.array([[0.1, end] for end in ends]), duration)
    assert lateness.remark("detections") is None


def test_commands_that_miss_a_video_say_how_it_is_called_there(tmp_path: Path) -> None:
    def written(name: str, results: dict[str, Any], **more: Any) -> Path:
        (tmp_path / name).write_text(json.dumps({"results": results} | more))
        return tmp_path / name

    found = written("p.json", {"abc": [{"segment": [1, 2], "score": 0.5}]})
    named = "most have other names there ('abc' is 'x/abc'): taltool convert --add-prefix x/"
    scores = written("scores.json", {"x/abc": [0.5]}, classes=["run"])
    with pytest.raises(DataError, match=re.escape(named)):
        label(found, classifier=scores, output=tmp_path / "o.json")
    voters = written("voters.json", {"x/abc": [{"segment": [1, 2], "score": 0.5, "label": "run"}]})
    with pytest.raises(DataError, match=re.escape(named)):
        label(found, detections=voters, output=tmp_path / "o.json")
    with pytest.raises(DataError, match=r"no video of the input is listed; .* \('abc' is 'x/abc'\)"):
        convert(found, videos=["x/abc", "y"], output=tmp_path / "o.json")
