"""Figures: formats, missing matplotlib, no LaTeX, no pyplot, and that what should be read can be read."""

import html
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from taltool.errors import UsageError
from taltool.ops.diagnosis import FalsePositives
from taltool.ops.diagnosis_instances import Group
from taltool.ops.plots import format_of, render, shortened
from taltool.ops.plots_curves import Line, class_figure, precision_figure, recall_figure, training_figure
from taltool.ops.plots_errors import diagnosis_figure, error_figure
from taltool.ops.timeline import Row, Timeline, timeline_figure

pytest.importorskip("matplotlib")

X = np.linspace(0, 1, 11)
LINES = [Line("first", X, 1 - X), Line("second", X, (1 - X) / 2)]


def words(draw: Callable[[], Any]) -> list[str]:
    """The texts of a figure, which stay text in SVG."""
    found = re.findall(r">([^<>]+)</t(?:ext|span)>", render(draw, "svg").decode())
    return [html.unescape(text) for text in found]


def errors() -> FalsePositives:
    counts = np.zeros((1, 10, 6), int)
    counts[0, :, 0] = range(10, 0, -1)
    counts[0, :, 3] = 10
    return FalsePositives(counts, 0.25, np.array([np.nan, 0.01, 0.02, 0.123, 0.04, -0.001]))


def groups(count: int) -> list[Group]:
    return [Group(f"g{n}", float(n), float(n + 1), 10 + n, n / 10, 0.5) for n in range(count)]


@pytest.mark.parametrize(("name", "expected"), [("a.png", "png"), ("b.SVG", "svg"), ("x.y.pdf", "pdf"), ("-", "png")])
def test_the_suffix_says_the_format(name: str, expected: str) -> None:
    assert format_of(name) == expected


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.html"])
def test_another_suffix_is_an_error_that_lists_the_formats(name: str) -> None:
    with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
        format_of(name)


@pytest.mark.slow
@pytest.mark.parametrize(("file_format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_each_format_is_written_and_the_same_twice(file_format: str, start: bytes) -> None:
    def draw() -> Any:
        return precision_figure(LINES, "0.5")

    content = render(draw, file_format)
    assert content.startswith(start)
    assert render(draw, file_format) == content


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'taltool\[plot\]'"):
        render(lambda: precision_figure(LINES, "0.5"), "png")


def test_drawing_touches_neither_pyplot_nor_latex_nor_the_users_settings() -> None:
    program = """
import sys, matplotlib
matplotlib.rcParams["text.usetex"] = True  # as a user's matplotlibrc may say
import numpy as np
from taltool.ops.plots import render
from taltool.ops.plots_curves import Line, precision_figure
x = np.linspace(0, 1, 3)
render(lambda: precision_figure([Line("a_b", x, x)], "0.5"), "png")
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams["text.usetex"])
"""
    assert printed(program) == "False True\n"


def test_importing_the_plots_does_not_import_matplotlib() -> None:
    program = "import sys, taltool.ops.plots_errors, taltool.ops.timeline, taltool.ops.plots_curves\n"
    assert printed(program + "print('matplotlib' in sys.modules)") == "False\n"


def printed(program: str) -> str:
    """What a program in a process of its own prints."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curves_name_their_files_and_thresholds() -> None:
    assert {"first", "second", "recall"} <= set(words(lambda: precision_figure(LINES, "0.5")))
    assert "average recall, tIoU 0.5:0.95:0.05" in words(
        lambda: recall_figure([Line("first", 1 + 99 * X, X)], "0.5:0.95:0.05")
    )


@pytest.mark.slow
def test_every_one_of_200_classes_is_named_best_first() -> None:
    names = [f"class {n}" for n in range(200)]
    found = words(lambda: class_figure(names, {"a": np.arange(200) / 200}, "AP"))
    assert [word for word in found if word.startswith("class")] == names[::-1]


def test_a_class_without_instances_is_drawn_last_and_without_trouble() -> None:
    found = words(lambda: class_figure(["none", "some"], {"a": np.array([np.nan, 0.5])}, "AP"))
    assert [word for word in found if word in ("none", "some")] == ["some", "none"]


def test_the_error_chart_names_each_outcome_and_gain() -> None:
    found = words(lambda: error_figure({"S-CNN": errors()}, "0.5"))
    assert {"true positive", "double detection", "wrong label", "localization", "confusion", "background"} <= set(found)
    assert {"S-CNN", "1G", "10G", "+12.3", "-0.1"} <= set(found)


def test_the_diagnosis_shows_groups_with_ranges_and_counts() -> None:
    found = words(lambda: diagnosis_figure({"a": (errors(), {"length": groups(3)}, 0.5)}, "0.5"))
    assert {"length", "<= 1", "1-2", "> 2", "(12)"} <= set(found)


def test_a_timeline_names_video_rows_labels_and_scores() -> None:
    truth = Row("ground truth", np.array([[0.0, 40]]), ["run"])
    found = Row("a.json", np.array([[0.0, 30]]), ["jump"], np.array([0.875]), np.array([0.0]))
    texts = words(lambda: timeline_figure([Timeline("v_1", 50.0, [truth, found])]))
    assert {"v_1", "ground truth", "a.json", "run", "jump 0.88"} <= set(texts)


@pytest.mark.parametrize(("length", "text"), [(40.0, "jump 0.88"), (2.5, "jump"), (0.5, None)])
def test_a_prediction_bears_its_label_and_its_score_where_both_fit(length: float, text: str | None) -> None:
    found = Row("a.json", np.array([[5.0, 5 + length]]), ["jump"], np.array([0.875]))
    texts = words(lambda: timeline_figure([Timeline("v_1", 50.0, [found])]))
    assert {word for word in texts if word.startswith("jump") and word != "jump"} == {text} - {"jump", None}
    assert texts.count("jump") == 1 + (text == "jump")  # one is the legend's


def test_a_proposal_without_a_label_bears_its_score() -> None:
    found = Row("a.json", np.array([[5.0, 45.0]]), [""], np.array([0.875]))
    assert "0.88" in words(lambda: timeline_figure([Timeline("v_1", None, [found])]))


def test_in_a_crowd_only_the_segment_above_is_written_on() -> None:
    found = Row("a.json", np.tile([0.0, 30], (12, 1)), [f"r{n:02}" for n in range(12)], np.linspace(1, 0.9, 12))
    texts = words(lambda: timeline_figure([Timeline("v_1", 50.0, [found])]))
    # Eight lanes: the eighth holds r07 above four others.
    assert [word[:3] for word in texts if re.match(r"r\d\d \d", word)] == [f"r{n:02}" for n in range(8)]


def test_a_timeline_of_no_prediction_is_drawn() -> None:
    truth = Row("ground truth", np.array([[0.0, 40]]), ["run"])
    empty = Row("a.json", np.empty((0, 2)), [], np.empty(0), np.empty(0))
    assert "a.json" in words(lambda: timeline_figure([Timeline("v_1", 50.0, [truth, empty])]))


def test_training_curves_have_a_panel_for_each_quantity_and_tell_what_is_not_finite() -> None:
    x = np.arange(1.0, 4)
    run = {"losses.total": Line("epoch", x, np.array([3, np.nan, 1])), "learning_rate": Line("epoch", x, x / 1e4)}
    found = words(lambda: training_figure({"a": run, "b": run}))
    assert {"losses.total", "learning_rate", "epoch", "1 not finite", "a", "b"} <= set(found)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["png", "svg"])
@pytest.mark.parametrize(("name", "span"), [("lr", 1.0), ("lr", 201.0), ("learning_rate", 1e9), ("loss", 1e9)])
def test_training_curves_are_drawn_whatever_their_values_span(file_format: str, name: str, span: float) -> None:
    rising = Line("epoch", X, np.geomspace(1e-3 / span, 1e-3, len(X)))
    for others in ({}, {"b": {name: Line("epoch", X, np.zeros(len(X)))}}, {"b": {name: Line("epoch", X, X * np.nan)}}):
        assert render(lambda others=others: training_figure({"a": {name: rising}, **others}), file_format)


def scale_of(*runs: list[float]) -> str:
    lines = {str(n): {"lr": Line("epoch", np.arange(len(y)), np.array(y))} for n, y in enumerate(runs)}
    (axes,) = training_figure(lines).axes
    return axes.get_yscale()


def test_a_panel_is_logarithmic_where_its_runs_together_span_much() -> None:
    assert scale_of([1.0, 100.0]) == "linear"
    assert scale_of([1.0, 300.0]) == "log"
    assert scale_of([1.0, 100.0], [300.0]) == "log"


def test_no_run_vanishes_from_a_panel_because_another_spans_much() -> None:
    assert scale_of([1.0, 300.0], [0.0, 1.0]) == "linear"


def test_long_names_keep_their_ends() -> None:
    assert shortened("abcdefghij", 7) == "abc…hij"
    assert shortened("short", 7) == "short"
