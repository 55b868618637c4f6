"""Labels that are numbers get the names of --classes, whatever the format; and nothing is named by a guess."""

import json
from pathlib import Path
from typing import Any

import pytest

from taltool.data.convert import convert
from taltool.errors import DataError, TaltoolError, UsageError

CLASSES = {"run": 0, "hop": 1, "sit": 3}
HEADER = "video,start,end,label"


def labels(folder: Path, text: str | dict[str, Any], **options: Any) -> list[str]:
    """The labels that come of a file, in its order."""
    (folder / "in").write_text(text if isinstance(text, str) else json.dumps(text))
    convert(folder / "in", output=folder / "out.csv", **options)
    header, *rows = (line.split(",", 5) for line in (folder / "out.csv").read_text().splitlines())
    return [row[header.index("label")] for row in rows]


def found(*given: Any, key: str = "label") -> list[dict[str, Any]]:
    return [{"segment": [n, n + 1], "score": 1 - n / 10, key: label} for n, label in enumerate(given)]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\nv,0,1,3\nv,1,2,1\n",
        f"{HEADER},score\nv,0,1,3.0,0.9\nv,1,2,1.0,0.8\n",
        f"{HEADER}\nv,0,1,sit\nv,1,2,1\n",
        {"results": {"v": found(3, 1)}},
        {"results": {"v": found("3", "1")}},
        {"v": found(3, "1")},
        {"database": {"v": {"annotations": found(3, 1)}}},
        {"database": {"v": {"annotations": found("3", "hop")}}},
        '{"video_id": "v", "proposals": ' + json.dumps(found(3, 1)) + "}\n",
    ],
)
def test_numbers_get_the_names_of_the_classes(text: str | dict[str, Any], tmp_path: Path) -> None:
    assert labels(tmp_path, text, classes=CLASSES) == ["sit", "hop"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HEADER}\nv,0,1,3\nv,0,1,walk\n", r"some labels are numbers \('3'\), and 'walk' is no class of --classes"),
        ({"results": {"v": found(2)}}, r"in: video 'v': label 2 has no name in --classes \(there are 3, from 0 to 3\)"),
        ({"results": {"v": found(-1)}}, "label -1 has no name in --classes"),
        ({"results": {"v": found(True)}}, "label True of proposal 1 is not a name"),
        ({"results": {"v": found(1.5)}}, r"label 1.5 of proposal 1 is not a name"),
    ],
)
def test_a_number_that_no_class_has_is_refused(text: str | dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        labels(tmp_path, text, classes=CLASSES)


def test_without_classes_numbers_are_no_names_in_json_and_stay_in_tables(tmp_path: Path) -> None:
    for document in ({"results": {"v": found(3)}}, {"database": {"v": {"annotations": found(3)}}}):
        with pytest.raises(DataError, match=r"label 3 .*is not a name; name the numbers: taltool convert --classes"):
            labels(tmp_path, document)
    assert labels(tmp_path, f"{HEADER}\nv,0,1,3\n") == ["3"]
    # Names that only look like numbers are names where the classes say so.
    assert labels(tmp_path, f"{HEADER}\nv,0,1,3\n", classes={"3": 0, "4": 3}) == ["3"]


def test_codes_of_charades_are_named_by_their_list_and_not_by_its_lines(tmp_path: Path) -> None:
    table = "id,actions,length\nv,c092 1 2;c001 3 4,30\n"
    (tmp_path / "some.txt").write_text("c001 Closing a door\nc092 Sitting\n")
    assert labels(tmp_path, table, classes=tmp_path / "some.txt") == ["Sitting", "Closing a door"]
    assert labels(tmp_path, table, classes={f"class {number}": number for number in range(100)}) == [
        "class 92",
        "class 1",
    ]
    with pytest.raises(DataError, match="class 'c092' has no name"):
        labels(tmp_path, table, classes={"Holding": 0, "Closing": 1})
    with pytest.raises(DataError, match="'c001' is 'Closing' and 'Opening'"):
        labels(tmp_path, table, classes={"c001 Closing": 0, "c001 Opening": 1})


def test_numbers_of_multithumos_count_from_1(tmp_path: Path) -> None:
    of_thumos = {"video_validation_1": {"subset": "training", "duration": 50, "actions": [[1, 2.0, 3.0]]}}
    with pytest.raises(DataError, match=r"MultiTHUMOS counts from 1, and --classes from 0; give .* nl -w1"):
        labels(tmp_path, of_thumos, classes=CLASSES)
    assert labels(tmp_path, of_thumos, classes={"run": 1, "hop": 2}) == ["run"]
    # Charades has the same layout, and counts from 0.
    assert labels(tmp_path, {"46GP8": of_thumos["video_validation_1"]}, classes=CLASSES) == ["hop"]


def test_submissions_to_epic_kitchens_have_three_labels(tmp_path: Path) -> None:
    proposal = {"segment": [1, 2], "score": 0.5, "verb": 0, "noun": 1, "action": "0,1"}
    submission = {"version": "0.2", "challenge": "action_detection", "results": {"P01_11": [proposal]}}
    assert labels(tmp_path, submission, labels="verb") == ["0"]
    assert labels(tmp_path, submission, labels="noun", classes=CLASSES) == ["hop"]
    assert labels(tmp_path, submission, labels="action") == ['"0']  # in quotes, for it has a comma
    wrong: list[tuple[dict[str, Any], type[TaltoolError], str]] = [
        ({}, DataError, "proposal 1 has no label, but 'verb': '0'; .* taltool convert --labels verb"),
        ({"labels": "sound"}, UsageError, "proposals may have verb, noun, action"),
        ({"labels": "action", "classes": CLASSES}, UsageError, "the label of an action is both numbers"),
    ]
    for options, error, told in wrong:
        with pytest.raises(error, match=told):
            labels(tmp_path, submission, **options)
    submission["results"]["P01_11"].append({"segment": [1, 2], "score": 0.5, "noun": 1})
    with pytest.raises(DataError, match="proposal 2 has no 'verb', which is to be its label"):
        labels(tmp_path, submission, labels="verb")
