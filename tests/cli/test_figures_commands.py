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


@pytest.mark.slow
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


@pytest.mark.slow
def test_predictions_alone_make_a_timeline_from_a_file_or_a_pipe(
    taltool: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    figure = tmp_path / "x.svg"
    assert taltool("plot", files[1], "-o", figure).returncode == 0
    assert "run 0.90" in figure.read_text()
    assert "ground truth" not in figure.read_text()
    piped = taltool("plot", "-o", tmp_path / "y.svg", stdin=files[1].read_bytes())
    assert piped.returncode == 0, piped.stderr
    assert "stdin" in (tmp_path / "y.svg").read_text()
    assert taltool("plot", "--html", tmp_path / "x.html", stdin=files[1].read_bytes()).returncode == 0
    assert '"id":"w"' in (tmp_path / "x.html").read_text()


@pytest.mark.slow
def test_a_figure_says_how_many_videos_it_leaves_out(taltool: Run, tmp_path: Path) -> None:
    lines = [{"video_id": f"v{n}", "proposals": [{"segment": [0, 1], "score": 0.5}]} for n in range(6)]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    done = taltool("plot", "-o", tmp_path / "x.svg", stdin=text)
    assert b"4 of 6 videos drawn; --video ID chooses, --html has all" in done.stderr
    assert [n for n in range(6) if f">v{n}<" in (tmp_path / "x.svg").read_text()] == [0, 1, 2, 3]
    words = [word for n in (5, 4, 3, 2, 1) for word in ("--video", f"v{n}")]
    asked = taltool("plot", "-o", tmp_path / "x.svg", *words, stdin=text)
    assert (asked.returncode, asked.stderr) == (0, b"")
    assert [n for n in range(6) if f">v{n}<" in (tmp_path / "x.svg").read_text()] == [1, 2, 3, 4, 5]
    taltool("plot", "--html", tmp_path / "x.html", stdin=text)
    assert all(f'"id":"v{n}"' in (tmp_path / "x.html").read_text() for n in range(6))


def test_the_page_keeps_all_videos_and_plays_those_of_a_folder(
    taltool: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "w.mp4").write_bytes(b"")
    page = tmp_path / "x.html"
    for operand in (tmp_path / "films", tmp_path / "films" / "w.mp4"):
        done = taltool("plot", *files, "--html", page, "--video-file", operand)
        assert (done.returncode, done.stderr) == (0, b"")
        assert '"id":"v"' in page.read_text()
        assert '"source":"films/w.mp4"' in page.read_text()


@pytest.mark.slow
def test_the_loss_is_the_sum_of_its_terms(taltool: Run, tmp_path: Path) -> None:
    journal = tmp_path / "m.metrics.jsonl"
    lines = [{"epoch": n, "losses": {"class": 40.0 * n, "location": 400.0 * n}, "learning_rate": 0.1} for n in (1, 2)]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert taltool("plot", journal, "-o", tmp_path / "loss.svg").returncode == 0
    text = (tmp_path / "loss.svg").read_text()
    assert ">loss<" in text
    assert ">900<" in text  # From 440 to 880: a tick that the panels of the terms have no use for.


def test_subsets_want_a_ground_truth(taltool: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    done = taltool("plot", files[1], "--subset", "validation", "-o", tmp_path / "x.png")
    assert done.returncode == 2
    assert b"--subset chooses from a ground truth; none was named" in done.stderr


def test_two_rows_have_two_names(taltool: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    done = taltool("plot", files[1], files[1], "-o", tmp_path / "x.png")
    assert done.returncode == 2
    assert b"two files are called 'found'; --name tells them apart" in done.stderr


def test_an_unknown_video_is_named(taltool: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    done = taltool("plot", *files, "--video", "zebra", "-o", tmp_path / "x.png")
    assert done.returncode == 3
    assert f"error: {files[0]}, {files[1]}: no video 'zebra'" in done.stderr.decode()
    assert not (tmp_path / "x.png").exists()
