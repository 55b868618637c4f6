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
    content = {"v_a": {"class": "Run", "score": 0.5}, "b": {"class": "Run", "score": 0.6}, "v_b": {"Jump": 0.9}}
    scores = read_class_scores(written(tmp_path, content))
    assert best(scores, "a") == ("Run", 0.5)
    assert best(scores, "b") == ("Run", 0.6)


def test_logits_need_softmax(tmp_path):
    path = written(tmp_path, {"results": {"a": [-1.0, 1.0]}, "class": ["Run", "Jump"]})
    with pytest.raises(DataError, match=r"video 'a'.*--softmax"):
        read_class_scores(path)
    assert best(read_class_scores(path, softmax=True), "a") == ("Jump", pytest.approx(1 / (1 + np.exp(-2))))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"results": {"a": [0.1]}, "class": ["Run", "Jump"]}, "1 scores a video for 2"),
        ({"results": {"a": [0.1, 0.2]}}, "without class names"),
        ({"results": {}, "class": ["Run"]}, "no videos"),
        ({"a": {"Run": "high"}}, "video 'a'"),
        ({"results": {"a": [0.1], "b": [0.1, 0.2]}, "class": ["Run"]}, "equally many"),
        (7, "found int"),
    ],
)
def test_broken_files_are_named(tmp_path, content, word):
    with pytest.raises(DataError, match=f"scores.json.*{word}"):
        read_class_scores(written(tmp_path, content))


def test_real_scores_of_tags(shared):
    scores = read_class_scores(str(shared / "data/peer_outputs/anet13_tags_video_class_scores.json"))
    assert len(scores.rows) == 4926
    assert best(scores, "wONwHYy59Tc") == ("Blow-drying hair", 0.8824086659332094)
