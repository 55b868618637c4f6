"""A metric of one's own is one file: every output of `taltool evaluate` knows its numbers."""

import csv
import io
import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from project import Run

F1 = '''"""F1 at each threshold, over all classes and of each."""

import numpy as np

from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric


@METRICS.register("f1")
class F1(Metric):
    """The harmonic mean of precision and recall."""

    name = "F1"

    def values(self, data, weights):
        counted = weights[:, data.matches.videos]
        instances = weights[:, data.truth.videos].sum(axis=1)
        f1 = 2 * (counted @ data.matches.hits.T) / np.maximum(counted.sum(axis=1) + instances, 1)[:, None]
        return {f"F1@{tiou}": f1[:, level] for level, tiou in enumerate(data.tious.names)}

    def class_values(self, data):
        edges, instances = data.matches.edges, np.bincount(data.truth.labels, minlength=data.truth.num_classes)
        found = np.diff(np.pad(np.cumsum(data.matches.hits, axis=1), ((0, 0), (1, 0)))[:, edges], axis=1)
        f1 = 2 * found / np.maximum(np.diff(edges) + instances, 1)
        return {f"F1@{tiou}": f1[level] for level, tiou in enumerate(data.tious.names)}
'''
MISSED = '''"""Instances that nothing finds, a video: the fewer the better."""

from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric


@METRICS.register("missed")
class Missed(Metric):
    name = "instances missed a video"
    better = "lower"
    unit = "number"
    digits = 3

    def values(self, data, weights):
        lost = data.matches.partners == len(data.matches.order)
        shares = weights[:, data.truth.videos] @ lost.T / weights[:, : data.truth.num_videos].sum(axis=1)[:, None]
        return {f"missed@{tiou}": shares[:, level] for level, tiou in enumerate(data.tious.names)}
'''
# Of run one of two instances is found by one of two detections, of jump the only one by the only one.
TRUTH = {"a": [("run", 0, 10), ("jump", 20, 30)], "b": [("run", 5, 6)]}
FOUND = {"a": [("run", 0, 10, 0.9), ("jump", 20, 30, 0.8)], "b": [("run", 50, 60, 0.7)]}


def document(detections: dict[str, list[tuple[str, float, float, float]]]) -> bytes:
    results = {
        video: [{"label": label, "segment": [start, end], "score": score} for label, start, end, score in rows]
        for video, rows in detections.items()
    }
    return json.dumps({"results": results}).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    database = {
        video: {
            "subset": "validation",
            "duration": 100,
            "annotations": [{"label": label, "segment": [start, end]} for label, start, end in rows],
        }
        for video, rows in TRUTH.items()
    }
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    (tmp_path / "found.json").write_bytes(document(FOUND))
    (tmp_path / "worse.json").write_bytes(document({"a": FOUND["a"][1:]}))
    (tmp_path / "f1.py").write_text(F1)
    (tmp_path / "missed.py").write_text(MISSED)
    return tmp_path


def words(done: CompletedProcess[bytes]) -> list[list[str]]:
    assert done.returncode == 0, done.stderr.decode()
    return [line.split() for line in done.stdout.decode().splitlines()]


def test_the_table_shows_a_metric_that_it_has_never_heard_of(taltool: Run, folder: Path) -> None:
    done = taltool("evaluate", "gt.json", "found.json", "--metric", "map,./f1.py", "--tiou", "0.5,0.75", cwd=folder)
    lines = words(done)
    assert lines[-3:] == [
        ["F1", "in", "percent", "at", "tIoU"],
        ["file", "0.50", "0.75"],
        ["found.json", "66.67", "66.67"],
    ]
    assert ["found.json", "75.00", "75.00", "75.00"] in lines  # that of mAP


def test_numbers_that_are_no_fractions_are_printed_as_they_are(taltool: Run, folder: Path) -> None:
    done = taltool("evaluate", "gt.json", "found.json", "--metric", "./missed.py", "--tiou", "0.5", cwd=folder)
    assert words(done)[-3:] == [
        ["instances", "missed", "a", "video", "at", "tIoU"],
        ["file", "0.50"],
        ["found.json", "0.500"],
    ]


def test_json_has_its_numbers_its_classes_and_its_intervals(taltool: Run, folder: Path) -> None:
    asked = ("--metric", "./f1.py,map", "--per-class", "--tiou", "0.5", "--bootstrap", "20", "--format", "json")
    done = taltool("evaluate", "gt.json", "found.json", *asked, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert list(found["metrics"]) == ["F1@0.50", "mAP@0.50", "average_mAP"]
    assert found["metrics"]["F1@0.50"] == pytest.approx(2 / 3)
    assert found["per_class"]["run"] == {"instances": 2, "F1@0.50": 0.5, "AP@0.50": 0.5, "average_AP": 0.5}
    low, high = found["intervals"]["F1@0.50"]
    # Without a nothing is found, without b everything.
    assert (low, high) == (0, 1)


def test_rows_of_classes_stand_under_the_names_of_their_numbers(taltool: Run, folder: Path) -> None:
    asked = ("--metric", "./missed.py,map,./f1.py,ar", "--per-class", "--tiou", "0.5", "--format", "csv")
    done = taltool("evaluate", "gt.json", "found.json", *asked, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    total, jump, run = csv.DictReader(io.StringIO(done.stdout.decode()))
    assert float(total["F1@0.50"]) == pytest.approx(2 / 3)
    names = ("class", "instances", "missed@0.50", "mAP@0.50", "average_mAP", "F1@0.50", "AR@1")
    assert [jump[name] for name in names] == ["jump", "1", "", "1.0", "1.0", "1.0", ""]
    assert [run[name] for name in names] == ["run", "2", "", "0.5", "0.5", "0.5", ""]


def test_each_metric_has_a_table_of_classes(taltool: Run, folder: Path) -> None:
    asked = ("--metric", "map,./f1.py", "--per-class", "--tiou", "0.5")
    lines = words(taltool("evaluate", "gt.json", "found.json", *asked, cwd=folder))
    assert lines[-9:] == [
        ["AP", "in", "percent", "at", "tIoU,", "found.json"],
        ["class", "instances", "0.50", "average"],
        ["jump", "1", "100.00", "100.00"],
        ["run", "2", "50.00", "50.00"],
        [],
        ["F1", "of", "each", "class", "in", "percent", "at", "tIoU,", "found.json"],
        ["class", "instances", "0.50"],
        ["jump", "1", "100.00"],
        ["run", "2", "50.00"],
    ]


@pytest.mark.parametrize(
    ("demand", "status", "said"),
    [
        ("F1@0.50=0.6", 0, ""),
        ("F1@0.50=0.7", 1, "F1@0.50 is 0.66667, below 0.7"),
        ("missed@0.50=0.5", 0, ""),
        ("missed@0.50=0.4", 1, "missed@0.50 is 0.50000, above 0.4"),
    ],
)
def test_fail_under_knows_which_values_are_worse(
    taltool: Run, folder: Path, demand: str, status: int, said: str
) -> None:
    asked = ("--metric", "./f1.py,./missed.py", "--tiou", "0.5", "--fail-under", demand)
    done = taltool("evaluate", "gt.json", "found.json", *asked, cwd=folder)
    assert done.returncode == status, done.stderr.decode()
    assert said in done.stderr.decode()


def test_the_file_that_misses_fewer_is_ahead(taltool: Run, folder: Path) -> None:
    asked = ("--metric", "./missed.py", "--tiou", "0.5", "--bootstrap", "20")
    done = taltool("evaluate", "gt.json", "worse.json", "found.json", *asked, "--format", "json", cwd=folder)
    compared = json.loads(done.stdout)["comparisons"][0]["metrics"]["missed@0.50"]
    assert compared["difference"] == -0.5
    assert compared["share_ahead"] > 0.5
    title, *_, row = words(taltool("evaluate", "gt.json", "worse.json", "found.json", *asked, cwd=folder))[-3:]
    # These are no percentages.
    assert " ".join(title) == "found.json minus worse.json, on the same resamples"
    assert row[:2] == ["missed@0.50", "-0.500"]


def test_a_metric_without_headlines_is_compared_by_its_first_number(taltool: Run, folder: Path) -> None:
    asked = ("--metric", "map,./missed.py", "--tiou", "0.5", "--bootstrap", "20")
    rows = words(taltool("evaluate", "gt.json", "worse.json", "found.json", *asked, cwd=folder))
    assert [row[0] for row in rows[-2:]] == ["average_mAP", "missed@0.50"]


def test_names_and_paths_may_be_mixed_and_come_once(taltool: Run, folder: Path) -> None:
    asked = ("--metric", "./f1.py, map,f1,map", "--tiou", "0.5", "--format", "json")
    done = taltool("evaluate", "gt.json", "found.json", *asked, cwd=folder)
    assert list(json.loads(done.stdout)["metrics"]) == ["F1@0.50", "mAP@0.50", "average_mAP"]


def test_two_metrics_with_one_name_for_a_number_are_refused(taltool: Run, folder: Path) -> None:
    (folder / "twin.py").write_text(F1.replace('"f1"', '"twin"').replace('name = "F1"', 'name = "twin of F1"'))
    done = taltool("evaluate", "gt.json", "found.json", "--metric", "./f1.py,./twin.py", cwd=folder)
    assert done.returncode == 2
    assert "both F1 and twin of F1 give a number 'F1@0.30'" in done.stderr.decode()


def test_an_unknown_metric_is_answered_with_those_there_are(taltool: Run, folder: Path) -> None:
    done = taltool("evaluate", "gt.json", "found.json", "--metric", "mapp", cwd=folder)
    assert done.returncode == 2
    assert "no metric is named 'mapp'; did you mean 'map'? (there are: ar, kx, map)" in done.stderr.decode()


def test_multiples_have_their_usual_k_where_none_is_given(taltool: Run, folder: Path) -> None:
    asked = ("--metric", "kx", "--tiou", "0.5", "--format", "json")
    done = taltool("evaluate", "gt.json", "found.json", *asked, cwd=folder)
    assert list(json.loads(done.stdout)["metrics"]) == ["R@1x@0.50", "average_R@1x", "R@5x@0.50", "average_R@5x"]
