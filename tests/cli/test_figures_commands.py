"""`taltool diagnose` and `taltool plot` as their users run them."""

import json
from pathlib import Path

import pytest
from project import Run

pytest.importorskip("matplotlib")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two actions of one class, found once, found again, badly placed, and found in the void; one found under a wrong
    name."""
    truth = {
        "database": {
            "v": {
                "duration": 100,
                "subset": "validation",
                "annotations": [{"segment": [10, 20], "label": "run"}, {"segment": [50, 60], "label": "run"}],
            },
            "w": {
                "duration": 50,
                "subset": "validation",
                "annotations": [{"segment": [10, 20], "label": "jump"}],
            },
        }
    }
    found = {
        "results": {
            "v": [
                {"segment": [10, 20], "score": 0.9, "label": "run"},
                {"segment": [10.5, 20], "score": 0.8, "label": "run"},
                {"segment": [57, 67], "score": 0.7, "label": "run"},
                {"segment": [80, 90], "score": 0.6, "label": "run"},
            ],
            "w": [{"segment": [10, 20], "score": 0.5, "label": "run"}],
        }
    }
    paths = tmp_path / "gt.json", tmp_path / "found.json"
    paths[0].write_text(json.dumps(truth))
    paths[1].write_text(json.dumps(found))
    return paths


def test_each_kind_of_error_is_counted(taltool: Run, files: tuple[Path, Path]) -> None:
    done = taltool("diagnose", *files, "--tiou", "0.5", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    profile = found["false_positives"]["profile"]
    once = ("true_positive", "double_detection", "wrong_label", "localization", "background")
    counted = {name: sum(row["detections"] * row[name] for row in profile) for name in (*once, "confusion")}
    assert counted == dict.fromkeys(once, 1) | {"confusion": 0}
    assert found["missed"] == pytest.approx(2 / 3)


def test_diagnosis_draws_its_figure(taltool: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    figure = tmp_path / "errors.png"
    done = taltool("diagnose", *files, "--tiou", "0.5", "-o", figure)
    assert done.returncode == 0, done.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert b"protocol" in done.stdout


@pytest.mark.parametrize("kind", ["timeline", "pr", "ar-an", "per-class", "errors"])
def test_every_kind_of_figure_is_drawn(taltool: Run, files: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    figure = tmp_path / f"{kind}.svg"
    done = taltool("plot", *files, "--kind", kind, "-o", figure)
    assert done.returncode == 0, done.stderr
    assert figure.read_bytes().startswith(b"<?xml")


def test_a_ground_truth_and_predictions_make_a_timeline(taltool: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    figure = tmp_path / "x.svg"
    assert taltool("plot", *files, "-o", figure).returncode == 0
    assert "ground truth" in figure.read_text()


def test_a_journal_of_training_makes_a_curve(taltool: Run, tmp_path: Path) -> None:
    journal = tmp_path / "m.metrics.jsonl"
    lines = [{"epoch": n, "iteration": 10 * n, "losses": {"class": 1 / n}, "learning_rate": 0.1} for n in (1, 2, 3)]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = taltool("plot", journal, "-o", tmp_path / "loss.svg")
    assert done.returncode == 0, done.stderr
    assert "class" in (tmp_path / "loss.svg").read_text()


def test_the_page_is_one_file_that_needs_no_network(taltool: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    done = taltool("plot", *files, "--html", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert '"run"' in text


def test_an_unknown_video_is_named(taltool: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    done = taltool("plot", *files, "--video", "zebra", "-o", tmp_path / "x.png")
    assert done.returncode == 3
    assert f"error: {files[0]}: no video 'zebra'" in done.stderr.decode()
    assert not (tmp_path / "x.png").exists()
