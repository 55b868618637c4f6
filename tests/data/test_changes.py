"""Ids, subsets and labels change because the user says so: what goes is counted, what cannot be meant is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import Run

from taltool.data.convert import convert
from taltool.data.formats.contract import Features
from taltool.data.formats.sniffing import open_content
from taltool.errors import DataError, UsageError
from taltool.reporting import Reporter


class Listener(Reporter):
    """Remembers its warnings."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def warn(self, message: str) -> None:
        self.heard.append(message)


def entry(subset: str | None, label: str = "run") -> dict[str, Any]:
    named = {} if subset is None else {"subset": subset}
    return {"duration": 90.0, **named, "annotations": [{"segment": [30.0, 60.0], "label": label}]}


DATABASE = {"v_a.mp4": entry("val"), "v_b.mp4": entry("train", "hop"), "c": entry(None)}


def changed(
    folder: Path, document: dict[str, Any], **options: Any
) -> tuple[dict[str, Any], tuple[str, ...], list[str]]:
    """The videos that come of the document, what was left out, and the warnings."""
    (folder / "in.json").write_text(json.dumps(document))
    listener = Listener()
    done = convert(folder / "in.json", output=folder / "out.json", provenance=False, reporter=listener, **options)
    found = json.loads((folder / "out.json").read_text())
    return found.get("database", found.get("results")), done.left_out, listener.heard


def test_ids_lose_and_get_what_the_user_says(tmp_path: Path) -> None:
    found, left_out, heard = changed(
        tmp_path, {"database": DATABASE}, strip_prefix="v_", strip_suffix=".mp4", add_prefix="x/"
    )
    assert found == {"x/a": DATABASE["v_a.mp4"], "x/b": DATABASE["v_b.mp4"], "x/c": DATABASE["c"]}
    assert left_out == ()
    assert heard == [
        "--strip-prefix v_: 1 of 3 ids have none and stay as they are, such as 'c'",
        "--strip-suffix .mp4: 1 of 3 ids have none and stay as they are, such as 'c'",
    ]


def test_ids_that_look_like_files_are_told_and_kept(tmp_path: Path) -> None:
    found, _, heard = changed(tmp_path, {"database": DATABASE})
    assert list(found) == list(DATABASE)
    (said,) = heard
    assert said.startswith("2 of 3 video ids end in .mp4, as files do;")
    assert said.endswith("--strip-suffix .mp4 takes it off")


@pytest.mark.parametrize("name", ["v.en.srt", "v.zh-Hans.srt"])
def test_the_language_of_subtitles_in_an_id_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("1\n00:00:01,000 --> 00:00:02,500\nrun\n")
    listener = Listener()
    convert(tmp_path / name, output=tmp_path / "o.csv", reporter=listener)
    (said,) = listener.heard
    assert said.endswith(f"--strip-suffix {name[1:-4]} takes it off")


def test_proposals_and_features_are_renamed_too(tmp_path: Path) -> None:
    proposal = {"segment": [30.0, 60.0], "score": 0.5, "label": "run"}
    found, _, _ = changed(tmp_path, {"results": {"v_a": [proposal], "v_b": []}}, strip_prefix="v_")
    assert found == {"a": [proposal], "b": []}
    (tmp_path / "npy").mkdir()
    for name in ("v_a", "v_b"):
        np.save(tmp_path / "npy" / f"{name}.npy", np.full((3, 2), ord(name[-1]), np.float32))
    facts = {"fps": 25.0, "stride": 8.0, "window": 16.0}
    convert(tmp_path / "npy", output=tmp_path / "f.h5", strip_prefix="v_", videos=["b"], **facts)
    with open_content(str(tmp_path / "f.h5")) as content:
        assert isinstance(content, Features)
        assert content.ids == ["b"]
        assert content.values("b").tolist() == np.full((3, 2), ord("b")).tolist()


def test_only_listed_videos_stay(tmp_path: Path) -> None:
    for text in (
        "# mine\nc\nnot there\n",
        '["c", "not there"]',
        "subset;Video\nx;c\ny;not there\n",
        "video_id\nc\nnot there\n",
    ):
        (tmp_path / "ids").write_text(text)
        found, left_out, heard = changed(tmp_path, {"database": DATABASE}, videos=tmp_path / "ids")
        assert (list(found), left_out) == (["c"], ("2 videos that --videos does not list",))
        assert heard[-2] == "--videos: 1 of 2 listed videos are not in the input, such as 'not there'"
    with pytest.raises(DataError, match="--videos: no video of the input is listed"):
        changed(tmp_path, {"database": DATABASE}, videos=["a"])


def test_subsets_get_other_names_and_some_stay(tmp_path: Path) -> None:
    found, left_out, _ = changed(
        tmp_path, {"database": DATABASE}, rename_subset={"val": "validation"}, keep_subset=["validation"]
    )
    assert found == {"v_a.mp4": DATABASE["v_a.mp4"] | {"subset": "validation"}}
    assert left_out == ("2 videos of other subsets",)


def test_only_one_label_stays(tmp_path: Path) -> None:
    found, left_out, _ = changed(tmp_path, {"database": DATABASE}, keep_label=["hop"])
    assert found == {"v_b.mp4": DATABASE["v_b.mp4"]}
    assert left_out == ("2 annotations of other labels, and 2 videos that had no others",)


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"strip_prefix": "v_", "videos": ["x"], "keep_subset": ["val"]}, DataError, "no video of the input is listed"),
    ({"strip_prefix": "c"}, DataError, "video 'c': nothing is left of its id"),
    ({"rename_subset": {"test": "x"}}, DataError, r"--rename-subset: no subset 'test' \(there are: val, train\)"),
    ({"keep_subset": ["test"]}, DataError, r"--keep-subset: no subset 'test' \(there are: val, train\)"),
    ({"times": "minutes"}, UsageError, "--times minutes: expected seconds, frames or shares"),
    ({"relabel": {"run": "a"}, "keep_label": ["run"]}, UsageError, "give one of both"),
    ({"header": False, "source": "activitynet"}, UsageError, "they are of tables, and not of --from activitynet"),
]


@pytest.mark.parametrize(("options", "error", "said"), REFUSED)
def test_what_cannot_be_meant_is_refused(
    options: dict[str, Any], error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        changed(tmp_path, {"database": DATABASE}, **options)
    assert not (tmp_path / "out.json").exists()


def test_two_videos_never_become_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="videos 'v_a' and 'a' would both be called 'a'; strip less"):
        changed(tmp_path, {"database": {"v_a": entry("val"), "a": entry("val")}}, strip_prefix="v_")
    assert not (tmp_path / "out.json").exists()


def test_proposals_have_no_subsets_and_features_no_times(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keep-subset: proposals have no subsets"):
        changed(tmp_path, {"results": {"v": []}}, keep_subset=["val"])
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "v.npy", np.zeros((3, 2), np.float32))
    with pytest.raises(UsageError, match="--times frames: features have no segments"):
        convert(tmp_path / "npy", output=tmp_path / "f.h5", fps=25, stride=8, window=16, times="frames")


INVERTED = {"segment": [38.0, 13.0], "label": "run"}


@pytest.mark.parametrize("kind", ["database", "results", "csv", "actionformer"])
def test_segments_that_end_before_they_start_are_left_out_of_every_kind(kind: str, tmp_path: Path) -> None:
    texts = {
        "database": json.dumps({"database": {"v": {"duration": 40, "annotations": [INVERTED]}}}),
        "results": json.dumps({"results": {"v": [INVERTED | {"score": 0.5}]}}),
        "csv": "video_id,start,end,label\nv,38,13,run\n",
        "actionformer": json.dumps({"database": {"v": [{"segment": [38, 13], "label_id": 0, "scores": 0.5}]}}),
    }
    (tmp_path / "in").write_text(texts[kind])
    options = {"output": tmp_path / "out.csv", "target": "csv", "classes": {"run": 0}}
    with pytest.raises(DataError, match="ends before it starts"):
        convert(tmp_path / "in", **options)
    assert not (tmp_path / "out.csv").exists()
    done = convert(tmp_path / "in", drop_invalid=True, **options)
    assert done.left_out == ("1 segments that end before they start",)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1


@pytest.mark.slow
def test_the_command_line_says_the_same(taltool: Run, shared: Path, tmp_path: Path) -> None:
    (case,) = (shared / "cases").glob("11-*")
    done = taltool("convert", "gt.json", "--drop-invalid", "-o", tmp_path / "o.json", cwd=case)
    assert (done.returncode, done.stderr) == (
        0,
        b"taltool convert: warning: gt.json: left out 1 segments that end before they start\n",
    )
    (tmp_path / "x.tsv").write_text("v_a|1|2".replace("|", "\t") + "\n" + "v_b\t3\t4\n")
    words = ["--no-header", "--columns", "video=1,start=2,end=3", "--score", "1", "--to", "csv", "--strip-prefix", "v_"]
    done = taltool("convert", tmp_path / "x.tsv", *words, "--times", "frames", "--fps", "2")
    assert done.stdout == b"video_id,start,end,score\na,0.5,1.0,1.0\nb,1.5,2.0,1.0\n"
    for wrong in ("--rename-subset=val", "--columns=video"):
        refused = taltool("convert", tmp_path / "o.json", wrong)
        assert refused.returncode == 2
        assert b"expected" in refused.stderr
