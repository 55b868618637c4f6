"""Lists of classes in every published shape give the same numbers; what can be meant otherwise is refused."""

from pathlib import Path

import pytest
from project import Run

from taltool.data.class_lists import read_classes
from taltool.errors import DataError

# Two classes of THUMOS14's list, which keeps the numbers of UCF-101.
NUMBERED = {"BaseballPitch": 7, "Long jump": 51}
SHAPES = {
    "number and name": "7 BaseballPitch\n51 Long jump\n",
    "commas, CR": "7,BaseballPitch\r51,Long jump\r",
    "colons": "7: BaseballPitch\n51: Long jump\n\n",
    "quotes": '7,"BaseballPitch"\n51,"Long jump"\n',
    "tabs": "7\tBaseballPitch\n51\tLong jump",
    "name first": "BaseballPitch 7\nLong jump 51\n",
    "table": "label_id,label\n7,BaseballPitch\n51,Long jump\n",
    "table in another order": "name;note;id\nLong jump;x;51\nBaseballPitch;y;7\n",
    "EPIC's table": "id,key,instances,category\n7,BaseballPitch,['x'],a\n51,Long jump,['y'],a\n",
    "names by number": '{"7": "BaseballPitch", "51": "Long jump"}',
    "numbers by name": '{"Long jump": 51, "BaseballPitch": 7}',
    "inside": '{"classes": {"7": "BaseballPitch", "51": "Long jump"}, "version": 2}',
    "objects": '[{"id": 7, "name": "BaseballPitch"}, {"id": 51, "name": "Long jump"}]',
    "categories": '{"categories": [{"id": 51, "name": "Long jump"}, {"id": 7, "name": "BaseballPitch"}]}',
    "ground truth": '{"database": {"v": {"annotations": [{"segment": [0, 1], "label": "Long jump", "label_id": 51},'
    '{"segment": [0, 1], "label": "BaseballPitch", "label_id": 7},'
    '{"segment": [1, 2], "label": "Long jump", "label_id": 51}]}}}',
}
IN_ORDER = {
    "names": "BaseballPitch\nLong jump\n",
    "a byte order mark": "\ufeffBaseballPitch\r\nLong jump\r\n\r\n",
    "a header": "label\nBaseballPitch\nLong jump\n",
    "a list": '["BaseballPitch", "Long jump"]',
    "names inside": '{"classes": ["BaseballPitch", "Long jump"]}',
}


def written(folder: Path, text: str) -> str:
    (folder / "c.txt").write_bytes(text.encode())
    return str(folder / "c.txt")


@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_are_kept(shape: str, tmp_path: Path) -> None:
    assert list(read_classes(written(tmp_path, SHAPES[shape])).items()) == list(NUMBERED.items())


@pytest.mark.parametrize(
    "text",
    [
        "# the classes\nrun\nwalk\n",
        "names:\n  - run\n  - walk\n",
        "- run\n- walk\n",
        'item {\n  name: "run"\n  id: 1\n}\n',
        "run = 0\nwalk = 1\n",
    ],
)
def test_the_syntax_of_other_files_is_no_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"c.txt:1: .* looks like a comment, or YAML or the like"):
        read_classes(written(tmp_path, text))


@pytest.mark.parametrize("name", ["C#: a song", "2-3", "-run", "run (a = b)", "Make: cake", "clean_/_repair"])
def test_names_may_have_signs(name: str, tmp_path: Path) -> None:
    assert read_classes(written(tmp_path, f"run\n{name}\n")) == {"run": 0, name: 1}


@pytest.mark.parametrize("shape", IN_ORDER)
def test_names_without_numbers_count_from_0(shape: str, tmp_path: Path) -> None:
    assert read_classes(written(tmp_path, IN_ORDER[shape])) == {"BaseballPitch": 0, "Long jump": 1}


@pytest.mark.parametrize(
    "names",
    [
        ["Level 1", "Jump 1"],
        ["class 0", "class 1"],
        ["50 m sprint", "Long jump"],
        ["putting on shoes, left", "run"],
        ["a: b", "c"],
    ],
)
def test_names_with_numbers_and_commas_in_them_stay_names(names: list[str], tmp_path: Path) -> None:
    assert read_classes(written(tmp_path, "\n".join(names))) == {names[0]: 0, names[1]: 1}


REFUSED = {
    "two names of a number": ("7 a\n7 b\n", "c.txt:2: number 7 is 'b' here and 'a' above"),
    "two numbers of a name": ("id,name\n1,a\n2,a\n", "c.txt:3: class 'a' has number 2 here and 1 above"),
    "a name twice": ("a\nb\na\n", "c.txt:3: class 'a' has number 2 here and 0 above"),
    "one without number": ("7 a\nb\n9 c\n", "c.txt:2: 'b' has no number, as most of the others have"),
    "an empty line": ("a\n\nb\n", "c.txt:2: an empty line amid the classes"),
    "a header or a class": ("action\nrun\njump\n", "c.txt:1: 'action' may be the header or the first class"),
    "no number": ("id,name\nx,a\n", "c.txt:2: 'x' is not the number of a class"),
    "a negative number": ('{"a": -1}', "'a': -1 is not the number of a class"),
    "a fraction": ('{"a": 1.5}', "'a': 1.5 is not the number of a class"),
    "no name": ('["a", null]', "entry 2: None is not the name of a class"),
    "a key twice": ('{"0": "a", "0": "b"}', "'0' is there twice"),
    "numbers of names twice": ('{"a": 1, "b": 1}', "'b': number 1 is 'b' here and 'a' above"),
    "nothing": ("\n\n", "names no class; expected one name a line"),
    "an empty object": ("{}", "names no class"),
    "no JSON": ('["a",', "not JSON"),
    "no label_id": (
        '{"database": {"v": {"annotations": [{"segment": [0, 1], "label": "a"}]}}}',
        "no annotation has a label_id",
    ),
    "two label_ids": (
        '{"database": {"v": {"annotations": [{"segment": [0, 1], "label": "a", "label_id": 0},'
        '{"segment": [0, 1], "label": "a", "label_id": 1}]}}}',
        "video 'v': class 'a' has number 1 here and 0 above",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_list_of_classes_is_refused(name: str, tmp_path: Path) -> None:
    text, said = REFUSED[name]
    with pytest.raises(DataError, match=said):
        read_classes(written(tmp_path, text))


def test_published_lists_name_the_numbers_of_predictions(shared: Path, taltool: Run, tmp_path: Path) -> None:
    (case,) = (shared / "cases").glob("07-*")
    words = ("convert", "predictions.json", "--to", "csv", "--classes")
    refused = taltool(*words, "with-header.csv", cwd=case)
    assert refused.returncode == 3
    assert b"with-header.csv:1: 'action' may be the header or the first class" in refused.stderr
    (tmp_path / "c.csv").write_text("label_id,label\n0,Applying sunscreen\n1,Archery\n")
    assert b"v,0.0,1.0,Archery,0.9\n" in taltool(*words, tmp_path / "c.csv", cwd=case).stdout
    (tmp_path / "p.json").write_text((case / "predictions.json").read_text().replace('"label_id":1', '"label_id":9'))
    named = taltool("convert", tmp_path / "p.json", "--to", "csv", "--classes", "detclasslist.txt", cwd=case)
    assert b"v,0.0,1.0,BasketballDunk,0.9\n" in named.stdout


@pytest.mark.parametrize("number", ["2147483648", "99999999999999999999"])
def test_a_number_that_no_table_of_classes_can_hold_is_refused(number: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"c\.txt:2: {number} is not the number of a class \('B'\), a whole number"):
        read_classes(written(tmp_path, f"2147483647 A\n{number} B\n"))
