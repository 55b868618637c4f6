"""Class scores are known whatever file they are in: tables of text, arrays and JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

from taltool.errors import DataError
from taltool.inspection.check import check
from taltool.inspection.info import info

FILES = {
    "wide.csv": "video_id,run,hop\na,0.25,0.75\nb,0.5,0.5\n",
    "long.tsv": "video\tlabel\tscore\na\trun\t0.25\na\thop\t0.75\nb\trun\t0.5\nb\thop\t0.5\n",
    "wide.json": json.dumps({"results": {"a": [0.25, 0.75], "b": [0.5, 0.5]}, "classes": ["run", "hop"]}),
    "named.json": json.dumps({"a": {"run": 0.25, "hop": 0.75}, "b": {"run": 0.5, "hop": 0.5}}),
}


def truth(folder: Path, *video_ids: str) -> Path:
    entry = {"duration": 9, "subset": "testing", "annotations": [{"segment": [1, 2], "label": "run"}]}
    (folder / "gt.json").write_text(json.dumps({"database": dict.fromkeys(video_ids, entry)}))
    return folder / "gt.json"


@pytest.mark.parametrize("name", FILES)
def test_tables_and_json_of_class_scores_are_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(FILES[name])
    gt = truth(tmp_path, "a", "c")
    found = check(path, ground_truth=gt)
    assert (found.is_whole, found.summary) == (True, "class scores, 2 videos, 2 classes")
    assert f"1 videos that {gt} does not have (first: 'b')" in found.oddities
    assert f"1 videos of {gt} (testing) that are not here (first: 'c')" in found.oddities
    facts = info(path)
    assert facts.kind == "class scores"
    told = {key: facts.facts[key] for key in ("videos", "classes", "names", "numbers")}
    assert told == {"videos": 2, "classes": 2, "names": ["run", "hop"], "numbers": "probabilities"}
    assert facts.facts["score"]["median"] == 0.5
    assert set(facts.facts["sum_per_video"].values()) == {1.0}


def test_logits_are_told_from_probabilities(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("video_id,run,hop\na,3,-9\nb,0.5,0.5\n")
    found = check(path)
    assert found.is_whole
    assert found.oddities == (
        "scores below 0 or above 1 in 1 of 2 videos, so logits: taltool label wants --softmax for them",
    )
    assert info(path).facts["numbers"] == "logits"
    assert "sum_per_video" not in info(path).facts


def test_arrays_have_a_row_for_each_number_of_a_video(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.full((5, 101), 0.25, np.float32))
    gt = truth(tmp_path, "video_test_0000002", "video_test_0000009")
    found = check(tmp_path / "scores.npy", ground_truth=gt)
    assert found.summary == "class scores, 5 rows, row N being of the video whose name ends in N, 20 classes"
    assert found.oddities == (f"1 videos of {gt} without a row (first: 'video_test_0000009')",)
    assert info(tmp_path / "scores.npy").facts["classes"] == 20
    np.save(tmp_path / "features.npy", np.zeros((5, 2048)))
    with pytest.raises(
        DataError, match=r"a single array of NumPy; name the folder that it is in; features are read as"
    ):
        info(tmp_path / "features.npy")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("video_id,run,hop\n,0.5,0.5\n", ":2: no video id"),
        ("video_id,run,hop\na,0.5,nan\n", "score 'nan' is not a finite number"),
        ("video_id,run,hop\na,0.5,0.5\na,0.5,0.5\n", "video 'a' comes a second time"),
        # These are tables of something else.
        ("video_id,duration\na,5\n", "looks like no known format"),
        ("video_id,fold\na,1\n", "looks like no known format"),
        ("video_id,one,two\na,training,testing\n", "looks like no known format"),
        ("video_id,fps,frames\na,30,900\n", "looks like no known format"),
    ],
)
def test_what_is_no_class_scores_is_not_whole(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(text)
    found = check(tmp_path / "scores.csv")
    assert not found.is_whole
    assert told in found.summary
