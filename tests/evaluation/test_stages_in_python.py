"""Evaluation, diagnosis and figures by one call from Python: values in, a result that is read at a glance out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taltool.errors import DataError, UsageError
from taltool.evaluation.diagnose import diagnose
from taltool.evaluation.evaluate import evaluate
from taltool.evaluation.plot import plot
from taltool.reporting import Reporter

TRUTH = {"a": [("run", 0, 10), ("jump", 20, 30)], "b": [("run", 5, 6)]}
GOOD = {"a": [("run", 0, 10, 0.9), ("jump", 20, 30, 0.8)], "b": [("run", 50, 60, 0.7)]}
Write = Callable[[str, dict[str, list[tuple[str, float, float, float]]]], str]


class Listener(Reporter):
    """Remembers the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def truth(tmp_path: Path) -> str:
    database = {
        video: {
            "subset": "validation",
            "duration": 100,
            "annotations": [{"label": label, "segment": [start, end]} for label, start, end in rows],
        }
        for video, rows in TRUTH.items()
    }
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    return str(tmp_path / "gt.json")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, detections: dict[str, list[tuple[str, float, float, float]]]) -> str:
        results = {
            video: [{"label": label, "segment": [start, end], "score": score} for label, start, end, score in rows]
            for video, rows in detections.items()
        }
        (tmp_path / name).write_text(json.dumps({"results": results}))
        return str(tmp_path / name)

    return written


def test_the_numbers_of_one_file_are_at_hand(truth: str, write: Write) -> None:
    found = evaluate(truth, write("good.json", GOOD), tiou=0.5)
    assert found.metrics == {"mAP@0.50": 0.75, "average_mAP": 0.75}
    assert repr(found) == "Evaluation(average_mAP=0.7500 at tIoU 0.5, activitynet, validation: 2 videos, 3 instances)"


def test_several_files_have_a_line_and_a_result_each(truth: str, write: Write) -> None:
    good, worse = write("good.json", GOOD), write("worse.json", {"a": GOOD["a"][:1]})
    found = evaluate(truth, good, worse, tiou=[0.5, 0.75], bootstrap=10)
    assert [each.metrics["average_mAP"] for each in found.results] == [0.75, 0.25]
    assert repr(found).splitlines() == [
        "Evaluation(activitynet, validation: 2 videos, 3 instances",
        f"  {good}: average_mAP=0.7500 at tIoU 0.5,0.75",
        f"  {worse}: average_mAP=0.2500 at tIoU 0.5,0.75)",
    ]
    assert found.comparisons[0].metrics["average_mAP"].difference == -0.5
    with pytest.raises(UsageError, match=r"2 files were evaluated; results\[n\]"):
        found.metrics  # noqa: B018 (it raises)


def test_lists_stand_for_the_words_of_a_command_line(truth: str, write: Write) -> None:
    good = write("good.json", GOOD)
    values = evaluate(truth, good, metric=["map", "ar"], tiou=[0.3, 0.5], ar_tiou=(0.5,), kx=[1, 5], classes=["run"])
    words = evaluate(truth, good, metric="both", tiou="0.3,0.5", ar_tiou="0.5", kx="1,5", classes="run")
    assert values.metrics == words.metrics
    assert repr(values) == repr(words)


def test_what_each_class_has_is_kept_where_asked_for(truth: str, write: Write) -> None:
    good = write("good.json", GOOD)
    (result,) = evaluate(truth, good, tiou=0.5, per_class=True).results
    assert result.class_values["mAP@0.50"].tolist() == [0.5, 1.0]
    assert evaluate(truth, good).results[0].class_values == {}


def test_paths_may_be_paths(truth: str, write: Write) -> None:
    good = Path(write("good.json", GOOD))
    assert evaluate(Path(truth), good).results[0].file == str(good)  # type: ignore[arg-type]


def test_warnings_go_to_who_listens(truth: str, write: Write) -> None:
    listener = Listener()
    strange = write("strange.json", GOOD | {"z": [("run", 0, 1, 0.5)]})
    evaluate(truth, strange, reporter=listener)
    assert [line.partition(": ")[2] for line in listener.warnings] == [
        "counted as false positives: 1 detections in 1 videos that the ground truth does not have "
        "(--only-annotated leaves them out)"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "thumos15"}, r"no protocol is named 'thumos15'; did you mean 'thumos14'\?"),
        ({"preset": "thumos"}, "no data set is named 'thumos'"),
        ({"tiou": [0.5, 1.5]}, "a tIoU lies above 0 and at most at 1, not at 1.5"),
        ({"tiou": [0.5, 0.5]}, "given twice"),
        ({"kx": [0]}, "expected positive whole numbers"),
        ({"metric": "recall"}, "no metric is named 'recall'"),
    ],
)
def test_what_cannot_be_done_as_asked_is_said(truth: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(truth, "never-read.json", **options)  # type: ignore[arg-type]


def test_a_diagnosis_says_what_is_wrong_with_each_file(truth: str, write: Write) -> None:
    good = write("good.json", GOOD)
    found = diagnose(truth, good, groups={"length": [5]})
    assert found.files[0].missed == pytest.approx(1 / 3)
    assert [group.instances for group in found.files[0].groups["length"]] == [1, 2]
    assert repr(found).splitlines()[0] == "Diagnosis(tIoU 0.5, validation: 2 videos, 3 instances"
    assert "average_mAP=0.7500" in repr(found)
    assert "missed=0.3333" in repr(found)
    with pytest.raises(UsageError, match=r"--groups lenght: no such characteristic; did you mean 'length'\?"):
        diagnose(truth, good, groups={"lenght": [5]})


def test_a_plot_says_what_it_drew(truth: str, write: Write, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    good, figure = write("good.json", GOOD), str(tmp_path / "x.svg")
    drawn = plot(truth, good, kind="pr", output=figure)
    assert (drawn.kind, drawn.names, drawn.output, drawn.html) == ("pr", ("good",), figure, None)
    assert Path(figure).read_bytes().startswith(b"<?xml")


def test_a_page_and_a_figure_come_from_one_reading(truth: str, write: Write, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure, page = str(tmp_path / "x.svg"), str(tmp_path / "x.html")
    drawn = plot(truth, write("good.json", GOOD), output=figure, html=page)
    assert (drawn.kind, drawn.output, drawn.html) == ("timeline", figure, page)
    assert '"run"' in Path(page).read_text()
    assert "ground truth" in Path(figure).read_text()


def test_a_page_alone_writes_no_figure(
    truth: str, write: Write, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    drawn = plot(truth, write("good.json", GOOD), html=str(tmp_path / "x.html"))
    assert drawn.output is None
    assert capfdbinary.readouterr().out == b""


def test_an_unknown_kind_of_figure_is_answered_with_those_there_are(truth: str) -> None:
    with pytest.raises(UsageError, match="nothing is drawn as 'bars'"):
        plot(truth, kind="bars")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no video 'zebra'"):
        plot(truth, video=["zebra"], html="-")
