"""Every layout of class scores gives the same classes; broken files are named."""

import io
import json

import numpy as np
import pytest

from taltool.data.class_scores import THUMOS14_COLUMNS, read_class_scores
from taltool.errors import DataError


def written(folder, content):
    path = folder / "scores.json"
    path.write_text(json.dumps(content))
    return str(path)


def best(scores, video_id):
    row = scores.find(video_id)
    return scores.names[int(row.argmax())], float(row.max())


@pytest.mark.parametrize(
    "content",
    [
        {"results": {"a": [0.1, 0.7], "b": [0.6, 0.2]}, "class": ["Run", "Jump"]},
        {"results": {"a": [[0.1, 0.7]], "b": [[0.6, 0.2]]}, "classes": ["Run", "Jump"]},
        {"a": {"class": "Jump", "score": 0.7}, "b": {"class": "Run", "score": 0.6}},
        {
            "results": {
                "a": [{"label": "Run", "score": 0.1}, {"label": "Jump", "score": 0.7}],
                "b": [{"label": "Run", "score": 0.6}],
            }
        },
        {"a": {"Run": 0.1, "Jump": 0.7}, "b": {"Run": 0.6}},
    ],
    ids=["cuhk", "tcanet", "best-class", "classification", "by-name"],
)
def test_layouts(tmp_path, content):
    scores = read_class_scores(written(tmp_path, content))
    assert best(scores, "a") == ("Jump", 0.7)
    assert best(scores, "b") == ("Run", 0.6)
    assert scores.find("c") is None


def table():
    """UntrimmedNet's table of three videos: the second one is Diving, class 26 counted from 1."""
    rows = np.full((3, 101), 0.001)
    rows[1, 25] = 0.9
    rows[1, 0] = 5.0  # a class of the 101 that is not detected
    return rows


@pytest.mark.parametrize("kind", ["npy", "json", "by id"])
def test_untrimmednet_columns(tmp_path, kind):
    if kind == "npy":
        buffer = io.BytesIO()
        np.save(buffer, table())
        path = tmp_path / "uNet_test.npy"
        path.write_bytes(buffer.getvalue())
    elif kind == "json":
        path = written(tmp_path, table().tolist())
    else:
        path = written(tmp_path, {f"video_test_000000{n + 1}": row for n, row in enumerate(table().tolist())})
    scores = read_class_scores(str(path))
    assert best(scores, "video_test_0000002") == ("Diving", 0.9)
    assert scores.find("video_test_0000004") is None
    assert scores.find("no number") is None
    assert scores.names == sorted(THUMOS14_COLUMNS.values())


def test_activitynets_prefix_is_put_on_or_taken_off_only_where_the_id_itself_is_missing(tmp_path):
    content = {"v_a": {"Run": 0.5}, "b": {"Run": 0.6}, "v_b": {"Jump": 0.9}}
    scores = read_class_scores(written(tmp_path, content))
    assert best(scores, "a") == ("Run", 0.5)
    assert best(scores, "b") == ("Run", 0.6)


def test_logits_need_softmax(tmp_path):
    path = written(tmp_path, {"results": {"a": [-1.0, 1.0]}, "class": ["Run", "Jump"]})
    with pytest.raises(DataError, match=r"video 'a'.*--softmax"):
        read_class_scores(path)
    assert best(read_class_scores(path, softmax=True), "a") == ("Jump", pytest.approx(1 / (1 + np.exp(-2))))


def test_percentages_are_no_logits(tmp_path):
    path = written(tmp_path, {"a": {"Run": 80.0, "Jump": 20.0}, "b": {"Run": 33.4, "Jump": 66.5}})
    with pytest.raises(DataError, match=r"add up to 100: divide percentages by 100$"):
        read_class_scores(path)


def test_the_softmax_of_a_video_is_over_the_classes_that_it_lists(tmp_path):
    content = {
        "a": [{"label": "Run", "score": 17.0}, {"label": "Jump", "score": 18.0}],
        "b": [{"label": "Dive", "score": 14.6}],
        "c": [],
    }
    scores = read_class_scores(written(tmp_path, content), softmax=True)
    # exp(17) / (exp(17) + exp(18)); what other videos list takes nothing away.
    jump = 1 / (1 + np.exp(-1))
    assert scores.names == ["Run", "Jump", "Dive"]
    assert scores.find("a").tolist() == pytest.approx([1 - jump, jump, 0])
    assert scores.find("b").tolist() == [0, 0, 1]
    assert scores.find("c").tolist() == [0, 0, 0]


def test_of_a_class_that_is_listed_twice_the_best_score_counts(tmp_path):
    path = written(tmp_path, {"a": [{"label": "Run", "score": -3}, {"label": "Run", "score": -1}]})
    with pytest.raises(DataError, match=r"video 'a'.*--softmax"):
        read_class_scores(path)
    assert read_class_scores(path, softmax=True).find("a").tolist() == [1]


def test_a_video_without_classes_fits_every_layout(tmp_path):
    for nothing in ([], {}):
        scores = read_class_scores(written(tmp_path, {"a": nothing, "b": {"Run": 0.5}, "c": nothing}))
        assert scores.find("a").tolist() == scores.find("c").tolist() == [0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": {"Run": 0.5}, "b": {"Run": 0.5, "Jump": 17.3}}, "1 of 2 videos .* above 1, video 'b' 17.3; .*--softmax"),
        ([[17.3] * 20], "1 of 1 videos have class scores above 1, row 1 17.3; .*--softmax"),
    ],
)
def test_scores_above_1_are_no_probabilities(tmp_path, content, said):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=said):
        read_class_scores(path)
    assert read_class_scores(path, softmax=True).rows.max() <= 1
    rounded = written(tmp_path, {"a": {"Run": 1.0000002}, "b": {"Jump": 1}})
    assert best(read_class_scores(rounded), "a") == ("Run", 1.0000002)


CLASSES = {"Run": 0, "Jump": 133}


@pytest.mark.parametrize(
    "content",
    [
        {"results": {"a": [{"label": 133, "score": 0.7}], "b": [{"label": 0, "score": 0.6}]}},
        {"a": {"0": 0.1, "133": 0.7}, "b": {"0": 0.6}},
        {"a": {"class": 133, "score": 0.7}, "b": {"class": 0, "score": 0.6}},
    ],
)
def test_numbers_for_labels_need_a_list_of_the_classes(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=r"video 'a': label \d+ is a number, not the name of a class; .*--classes"):
        read_class_scores(path)
    scores = read_class_scores(path, classes=CLASSES)
    assert (best(scores, "a"), best(scores, "b")) == (("Jump", 0.7), ("Run", 0.6))
    with pytest.raises(DataError, match=r"label 133 has no name in --classes \(1 classes\)"):
        read_class_scores(path, classes={"Run": 0})


def test_numbers_and_names_do_not_mix(tmp_path):
    path = written(tmp_path, {"a": {"0": 0.1, "Jump": 0.7}})
    with pytest.raises(DataError, match="some labels are numbers, such as 0, and some are names"):
        read_class_scores(path, classes=CLASSES)


def test_rows_without_names_take_those_of_a_list(tmp_path):
    rows = {"a": [0.1, 0.7], "b": [0.6, 0.2]}
    scores = read_class_scores(written(tmp_path, rows), classes={"Jump": 1, "Run": 0})
    assert (best(scores, "a"), best(scores, "b")) == (("Jump", 0.7), ("Run", 0.6))
    for classes in ({"Jump": 1}, {"Jump": 2, "Run": 1}):
        with pytest.raises(DataError, match="it must name every column, the first being number 0"):
            read_class_scores(written(tmp_path, rows), classes=classes)
    with pytest.raises(DataError, match="names its classes itself"):
        read_class_scores(written(tmp_path, {"results": rows, "classes": ["Run", "Jump"]}), classes=CLASSES)


@pytest.mark.parametrize(
    "text",
    [
        "video_id,Run,Jump\na,0.1,0.7\nb,0.6,0.2\n",
        ",video,Run,Jump\n0,a,0.1,0.7\n1,b,0.6,0.2\n",
        "Jump;Run;Video-ID\r\n0.7;0.1;a\r\n0.2;0.6;b\r\n",
        "video_id\tlabel\tscore\nb\tRun\t0.6\na\tRun\t0.1\na\tJump\t0.7\n",
    ],
)
def test_tables_give_the_same_classes(tmp_path, text):
    (tmp_path / "scores.csv").write_bytes(text.encode())
    scores = read_class_scores(str(tmp_path / "scores.csv"))
    assert (best(scores, "a"), best(scores, "b")) == (("Jump", 0.7), ("Run", 0.6))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("video_id,Run\na,0.1\na,0.2\n", r"scores.csv:3: video 'a' comes a second time"),
        ("video_id,Run\na,\n", r"scores.csv:2: score '' is not a number"),
        ("Run,Jump\n0.1,0.2\n", r"neither JSON, nor .npy, nor a table with a column video_id"),
        ("video_id,0,1\na,0.5,0.5\n", r"video 'a': label 0 is a number"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, text, said):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_class_scores(str(tmp_path / "scores.csv"))


@pytest.mark.parametrize("table", [np.array([["0.5"] * 20]), np.full((1, 20), True), np.full((1, 20), 1j)])
def test_an_array_of_something_else_than_numbers_is_refused(tmp_path, table):
    np.save(tmp_path / "scores.npy", table)
    with pytest.raises(DataError, match="expected a table of numbers, found"):
        read_class_scores(str(tmp_path / "scores.npy"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("softmax", [False, True])
def test_an_array_that_is_not_finite_is_refused(tmp_path, value, softmax):
    table = np.full((3, 20), 0.5)
    table[1, 4] = value
    np.save(tmp_path / "scores.npy", table)
    with pytest.raises(DataError, match=r"row 2: class scores must be finite numbers"):
        read_class_scores(str(tmp_path / "scores.npy"), softmax)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"results": {"a": [0.1]}, "class": ["Run", "Jump"]}, "1 scores a video for 2"),
        ({"results": {"a": [0.1, 0.2]}}, "without class names"),
        ({"results": {}, "class": ["Run"]}, "no videos"),
        ({"a": {"Run": "high"}}, "video 'a'"),
        ({"results": {"a": [0.1], "b": [0.1, 0.2]}, "class": ["Run"]}, "video 'b' has 2 scores, those"),
        ({"results": {"a": [0.1, 0.2]}, "class": [0, 1]}, "class 0 is not a name"),
        ({"results": {"a": [0.1, 0.2]}, "class": ["Run", None]}, "class None is not a name"),
        ({"results": {"a": [0.1, 0.2]}, "class": ["Run", "Run"]}, "class 'Run' is named twice"),
        ({"results": {"a": ["0.1", 0.2]}, "class": ["Run", "Jump"]}, "video 'a': expected a list of numbers"),
        ({"results": {"a": [0.1, 0.2], "b": [0.1, None]}, "class": ["Run", "Jump"]}, "video 'b': expected a list of"),
        ([[0.5] * 20, [0.5] * 19 + [True]], "row 2: expected a list of numbers"),
        ({"a": [{"label": 133, "score": 0.5}]}, "video 'a': label 133 is a number, not the name of a class"),
        ({"a": [{"label": "Run", "score": 1}, {"label": None, "score": 0.5}]}, "video 'a': label None is not"),
        ({"a": {"class": 7, "score": 0.5}}, "video 'a': label 7 is a number, not the name of a class"),
        ({"a": {"class": None, "score": 0.5}}, "video 'a': label None is not the name of a class"),
        ({"a": [{"label": "Run", "score": "nan"}]}, "video 'a': score 'nan' of 'Run' is not a number"),
        ({"a": {"Run": None}}, "video 'a': score None of 'Run' is not a number"),
        ({"a": {"Run": True}}, "video 'a': score True of 'Run' is not a number"),
        ({"a": [{"label": "Run"}]}, "video 'a': not class scores: expected a list of"),
        ({"a": [{"label": "Run", "score": 1}, 0.5]}, "video 'a': not class scores: expected a list of"),
        ({"a": 0.5}, "video 'a': not class scores: 0.5"),
        ({"a": {"Run": 0.5}, "b": [{"label": "Run", "score": 1}]}, "video 'b' has a list of .* a file has one layout"),
        ({"a": {"class": "Run", "score": 0.5}, "b": {"Run": 0.5}}, "video 'b' has {name: s, ...}, those before it"),
        ({"a": [0.5] * 20, "b": {"Run": 0.5}}, "video 'b' has {name: s, ...}, those before it a list of numbers"),
        (7, "not class scores: neither JSON, nor .npy, nor a table"),
    ],
)
def test_broken_files_are_named(tmp_path, content, word):
    with pytest.raises(DataError, match=f"scores.json.*{word}"):
        read_class_scores(written(tmp_path, content))


def test_real_scores_of_tags(shared):
    scores = read_class_scores(str(shared / "data/peer_outputs/anet13_tags_video_class_scores.json"))
    assert len(scores.rows) == 4926
    assert best(scores, "wONwHYy59Tc") == ("Blow-drying hair", 0.8824086659332094)
