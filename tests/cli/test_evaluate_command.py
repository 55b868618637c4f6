"""`taltool evaluate` as its users run it: faces, exit statuses, pipes, and what it says aloud."""

import csv
import io
import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from taltool.cli.main import main

TRUTH = {
    "a": ("validation", [("run", 0, 10), ("jump", 20, 30)]),
    "b": ("validation", [("run", 5, 6)]),
    "t": ("training", [("run", 0, 1)]),
}
GOOD = {"a": [("run", 0, 10, 0.9), ("jump", 20, 30, 0.8)], "b": [("run", 50, 60, 0.7)]}
STRAY = {"t": [("run", 0, 1, 0.5)], "z": [("run", 0, 1, 0.95)], "b": [("fly", 1, 2, 0.4), ("run", 3, 3, 0.3)]}


def document(detections: dict) -> bytes:
    """Detections in the ActivityNet layout; a label of None is left away."""
    results = {
        video: [
            {"segment": [start, end], "score": score} | ({"label": label} if label else {})
            for label, start, end, score in rows
        ]
        for video, rows in detections.items()
    }
    return json.dumps({"version": "1.3", "results": results, "external_data": {}}).encode()


def stream(detections: dict) -> bytes:
    """The same as a stream of lines."""
    lines = [{"taltool": {"kind": "proposals", "version": 1, "classes": None}}]
    for video, rows in json.loads(document(detections))["results"].items():
        lines.append({"video_id": video, "proposals": rows})
    return b"".join(json.dumps(line).encode() + b"\n" for line in [*lines, {"end": {"videos": len(detections)}}])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """gt.json and good.json."""
    database = {
        key: {
            "subset": subset,
            "duration": 100,
            "annotations": [{"label": label, "segment": [start, end]} for label, start, end in rows],
        }
        for key, (subset, rows) in TRUTH.items()
    }
    (tmp_path / "gt.json").write_text(json.dumps({"version": "1", "taxonomy": [], "database": database}))
    (tmp_path / "good.json").write_bytes(document(GOOD))
    return tmp_path


def parsed(done: CompletedProcess[bytes]) -> dict:
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_json_has_the_documented_face(taltool, folder: Path) -> None:
    done = parsed(taltool("evaluate", "gt.json", "good.json", "--format", "json", cwd=folder))
    assert done["protocol"] == "activitynet"
    assert done["subset"] == "validation"
    truth = done["ground_truth"]
    assert (truth["file"], truth["videos"], truth["instances"], truth["classes"]) == ("gt.json", 2, 3, 2)
    assert len(truth["sha256"]) == len(done["predictions"]["sha256"]) == 64
    assert done["predictions"]["file"] == "good.json"
    assert (done["predictions"]["videos"], done["predictions"]["detections"]) == (2, 3)
    assert done["predictions"]["left_out"] == {}
    assert done["thresholds"] == {"mAP": [0.3, 0.4, 0.5, 0.6, 0.7]}
    names = ["mAP@0.30", "mAP@0.40", "mAP@0.50", "mAP@0.60", "mAP@0.70", "average_mAP"]
    # run finds one of two, jump its only one.
    assert done["metrics"] == pytest.approx(dict.fromkeys(names, 0.75))


def test_everything_that_is_odd_is_counted_and_said_aloud(taltool, folder: Path) -> None:
    detections = GOOD | STRAY | {"b": GOOD["b"] + STRAY["b"]}
    (folder / "odd.json").write_bytes(document(detections))
    process = taltool("evaluate", "gt.json", "odd.json", "--format", "json", cwd=folder)
    found = parsed(process)["predictions"]
    assert found["left_out"] == {"other_subsets": {"videos": 1, "detections": 1}}
    assert found["unknown_videos"] == {"videos": 1, "detections": 1}
    assert found["unknown_labels"] == {"fly": 1}
    assert found["zero_length"] == 1
    for remark in (
        "odd.json: left out: 1 detections of other subsets (1 videos)",
        "counted as false positives: 1 detections in 1 videos",
        "1 detections of 1 labels that no instance has ('fly')",
        "never matched: 1 detections of zero length",
    ):
        assert remark in process.stderr.decode()
    table = taltool("evaluate", "gt.json", "odd.json", cwd=folder).stdout.decode()
    assert "left out: 1 detections of other subsets" in table


def test_detections_in_unknown_videos_lower_the_number(taltool, folder: Path) -> None:
    (folder / "stray.json").write_bytes(document(GOOD | {"z": [("run", 0, 1, 0.95)]}))
    done = parsed(taltool("evaluate", "gt.json", "stray.json", "--format", "json", cwd=folder))
    assert done["metrics"]["mAP@0.50"] == pytest.approx((0.25 + 1) / 2)


def test_pipe_file_and_either_layout_print_the_same(taltool, folder: Path) -> None:
    (folder / "good.jsonl").write_bytes(stream(GOOD))
    from_file = taltool("evaluate", "gt.json", "good.jsonl", "--format", "json", cwd=folder)
    from_pipe = taltool("evaluate", "gt.json", stdin=stream(GOOD), cwd=folder)
    from_redirection = taltool("evaluate", "gt.json", "-", stdin=(folder / "good.jsonl").read_bytes(), cwd=folder)
    assert from_pipe.returncode == 0
    assert from_pipe.stdout == from_redirection.stdout
    table = taltool("evaluate", "gt.json", "good.jsonl", cwd=folder).stdout
    assert table == from_pipe.stdout.replace(b"predictions   - ", b"predictions   good.jsonl ").replace(
        b"file  ", b"file        "
    ).replace(b"\n-     ", b"\ngood.jsonl  ")
    other = parsed(taltool("evaluate", "gt.json", "good.json", "--format", "json", cwd=folder))
    assert parsed(from_file)["metrics"] == other["metrics"]


def test_truncated_stream_is_refused(taltool, folder: Path) -> None:
    whole = stream(GOOD).splitlines(keepends=True)
    process = taltool("evaluate", "gt.json", stdin=b"".join(whole[:-1]), cwd=folder)
    assert process.returncode == 3
    assert process.stdout == b""
    assert b"no end line" in process.stderr


def test_table_names_protocol_subset_hash_counts_and_thresholds(taltool, folder: Path) -> None:
    import hashlib

    text = taltool("evaluate", "gt.json", "good.json", "--protocol", "thumos14", cwd=folder).stdout.decode()
    digest = hashlib.sha256((folder / "gt.json").read_bytes()).hexdigest()
    for fact in (
        "protocol      thumos14 (TH14evalkit, TH14evalDet_Updated.m)",
        "subset        validation",
        f"ground truth  gt.json sha256 {digest}",
        "2 videos, 3 instances, 2 classes",
        "tIoU of mAP   0.3 0.4 0.5 0.6 0.7",
        "3 detections in 2 videos",
    ):
        assert fact in text
    assert text.splitlines()[-1].split() == ["good.json", *["75.00"] * 6]
    assert "\x1b" not in text


def test_no_colour_on_a_terminal_when_asked_so(folder: Path) -> None:
    import os
    import pty
    import subprocess
    import sys

    def on_terminal(**extra: str) -> bytes:
        parent, child = pty.openpty()
        command = [sys.executable, "-m", "taltool", "evaluate", "gt.json", "good.json"]
        root = str(Path(__file__).resolve().parents[2])
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"PYTHONPATH": root, "TERM": "xterm"}
        with subprocess.Popen(command, stdout=child, cwd=folder, env=environment | extra) as process:
            os.close(child)
            text = b""
            try:
                while part := os.read(parent, 4096):
                    text += part
            except OSError:  # the terminal closes with the last process that holds it
                pass
        os.close(parent)
        assert process.returncode == 0
        return text

    assert b"\x1b[1mmAP in percent" in on_terminal()
    assert b"\x1b" not in on_terminal(NO_COLOR="1")


def test_several_files_share_one_table(taltool, folder: Path) -> None:
    (folder / "worse.json").write_bytes(document({"a": GOOD["a"][:1]}))
    text = taltool("evaluate", "gt.json", "good.json", "worse.json", cwd=folder).stdout.decode()
    last_two = [line.split() for line in text.splitlines()[-2:]]
    assert last_two == [["good.json", *["75.00"] * 6], ["worse.json", *["25.00"] * 6]]
    done = parsed(taltool("evaluate", "gt.json", "good.json", "worse.json", "--format", "json", cwd=folder))
    assert [each["predictions"]["file"] for each in done["results"]] == ["good.json", "worse.json"]
    assert done["results"][1]["metrics"]["average_mAP"] == pytest.approx(0.25)


def test_csv_has_a_row_per_file_and_per_class(taltool, folder: Path) -> None:
    process = taltool("evaluate", "gt.json", "good.json", "--format", "csv", "--per-class", "--tiou", ".5", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(process.stdout.decode())))
    assert [(row["class"], row["instances"], float(row["mAP@0.50"])) for row in rows] == [
        ("", "3", pytest.approx(0.75)),
        ("jump", "1", 1.0),
        ("run", "2", 0.5),
    ]
    assert {row["protocol"] for row in rows} == {"activitynet"}


def test_per_class_precision_in_json_and_table(taltool, folder: Path) -> None:
    words = ("evaluate", "gt.json", "good.json", "--per-class", "--tiou", "0.5,0.75")
    done = parsed(taltool(*words, "--format", "json", cwd=folder))
    assert done["per_class"]["run"] == {"instances": 2, "AP@0.50": 0.5, "AP@0.75": 0.5, "average_AP": 0.5}
    lines = taltool(*words, cwd=folder).stdout.decode().splitlines()
    assert lines[-1].split() == ["run", "2", "50.00", "50.00", "50.00"]


def test_proposals_without_labels_are_answered_with_recall(taltool, folder: Path) -> None:
    bare = {video: [(None, *row[1:]) for row in rows] for video, rows in GOOD.items()}
    words = ("evaluate", "gt.json", "-", "--format", "json")
    done = parsed(taltool(*words, stdin=document(bare), cwd=folder))
    assert set(done["metrics"]) >= {"AR@1", "AR@100", "AUC", "recall@top1", "recall@top100"}
    assert "average_mAP" not in done["metrics"]
    assert done["metrics"]["AR@100"] == pytest.approx(2 / 3)
    # The best of each video: one of three instances.
    assert done["metrics"]["recall@top1"] == pytest.approx(1 / 3)
    refused = taltool(*words, "--metric", "map", stdin=document(bare), cwd=folder)
    assert refused.returncode == 2
    assert b"no labels" in refused.stderr
    agnostic = parsed(taltool(*words, "--agnostic", stdin=document(bare), cwd=folder))
    assert agnostic["metrics"]["mAP@0.50"] == pytest.approx(2 / 3)


def test_metric_both_and_multiples_answer_everything(taltool, folder: Path) -> None:
    words = ("--metric", "both", "--an", "10", "--kx", "1,5", "--tiou", "0.5", "--format", "json")
    metrics = parsed(taltool("evaluate", "gt.json", "good.json", *words, cwd=folder))["metrics"]
    recall = ["AR@1", "AR@5", "AR@10", "AUC", "recall@top1", "recall@top5", "recall@top10"]
    multiples = ["R@1x@0.50", "average_R@1x", "R@5x@0.50", "average_R@5x"]
    assert list(metrics) == ["mAP@0.50", "average_mAP", *multiples, *recall]


def test_recall_is_told_at_the_numbers_of_the_papers_up_to_the_largest(taltool, folder: Path) -> None:
    words = ("--metric", "ar", "--an", "1000", "--format", "json")
    metrics = parsed(taltool("evaluate", "gt.json", "good.json", *words, cwd=folder))["metrics"]
    numbers = [name.removeprefix("AR@") for name in metrics if name.startswith("AR@")]
    assert numbers == ["1", "5", "10", "50", "100", "200", "500", "1000"]


def test_excluded_videos_are_named_by_file_and_hash(taltool, folder: Path) -> None:
    (folder / "blocked.txt").write_text("b\nnowhere\n")
    process = taltool(
        "evaluate", "gt.json", "good.json", "--exclude", "blocked.txt", "--format", "json", "--tiou", "0.5", cwd=folder
    )
    done = parsed(process)
    assert done["excluded"]["file"] == "blocked.txt"
    assert len(done["excluded"]["sha256"]) == 64
    assert (done["excluded"]["videos"], done["excluded"]["listed"]) == (1, 2)
    assert done["predictions"]["left_out"] == {"excluded_videos": {"videos": 1, "detections": 1}}
    assert done["metrics"]["mAP@0.50"] == 1.0
    assert b"1 of 2 listed videos are not among those evaluated" in process.stderr


def test_subset_split_and_classes_choose_what_counts(taltool, folder: Path) -> None:
    words = ("evaluate", "gt.json", "good.json", "--format", "json")
    (folder / "splits.json").write_text(json.dumps({"one": {"validation": ["b"], "training": ["a"]}}))
    split = parsed(taltool(*words, "--split", "splits.json:one", cwd=folder))
    assert (split["ground_truth"]["instances"], split["metrics"]["average_mAP"]) == (1, 0.0)
    both = parsed(taltool(*words, "--subset", "validation,training", cwd=folder))
    assert both["ground_truth"]["instances"] == 4
    jump = parsed(taltool(*words, "--classes", "jump", cwd=folder))
    assert jump["classes"] == ["jump"]
    assert jump["metrics"]["average_mAP"] == 1.0


def test_ground_truth_without_subsets_means_all_its_videos(taltool, folder: Path) -> None:
    whole = json.loads((folder / "gt.json").read_text())
    for video in whole["database"].values():
        del video["subset"]
    (folder / "bare.json").write_text(json.dumps(whole))
    done = parsed(taltool("evaluate", "bare.json", "good.json", "--format", "json", cwd=folder))
    assert done["subset"] is None
    assert done["ground_truth"]["videos"] == 3


def test_bootstrap_pairs_the_files_and_repeats_with_its_seed(taltool, folder: Path) -> None:
    (folder / "worse.json").write_bytes(document({"a": GOOD["a"][:1]}))
    words = ("evaluate", "gt.json", "worse.json", "good.json", "--bootstrap", "50", "--format", "json", "--seed", "3")
    done = parsed(taltool(*words, cwd=folder))
    assert done["bootstrap"] == {"resamples": 50, "level": 0.95, "unit": "video", "seed": 3}
    low, high = done["results"][1]["intervals"]["average_mAP"]
    assert 0 <= low <= 0.75 <= high <= 1
    comparison = done["comparisons"][0]
    assert (comparison["first"], comparison["second"]) == ("worse.json", "good.json")
    assert comparison["metrics"]["average_mAP"]["difference"] == pytest.approx(0.5)
    # Wherever a is drawn good.json is ahead, else both find nothing.
    assert comparison["metrics"]["average_mAP"]["interval"][0] >= 0
    assert done == parsed(taltool(*words, cwd=folder))


@pytest.mark.parametrize(("demand", "status"), [("average_mAP=0.7", 0), ("average_mAP=0.8", 1), ("mAP@0.50=0.76", 1)])
def test_fail_under_exits_1_after_the_report(taltool, folder: Path, demand: str, status: int) -> None:
    process = taltool("evaluate", "gt.json", "good.json", "--fail-under", demand, cwd=folder)
    assert process.returncode == status
    assert b"mAP in percent" in process.stdout
    assert (b"is 0.75000, below" in process.stderr) == bool(status)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--fail-under", "average_map=0.5"], 2, "did you mean 'average_mAP'?"),
        (["--fail-under", "0.5"], 2, "expected METRIC=VALUE"),
        (["--fail-under", "average_mAP=half"], 2, "expected METRIC=VALUE"),
        (["--tiou", "0.3:0.1:0.7"], 2, "did you mean 0.3:0.7:0.1?"),
        (["--kx", "a"], 2, "--kx a: expected positive whole numbers"),
        (["--protocol", "thumos15"], 2, "thumos15"),
        (["--preset", "thumos"], 2, "did you mean 'thumos14'?"),
        (["--subset", "testing"], 3, "no subset 'testing' (there are: validation, training)"),
        (["--classes", "jmp"], 3, "did you mean 'jump'?"),
        (["--exclude", "nowhere.txt"], 3, "nowhere.txt"),
    ],
)
def test_mistakes_are_named_with_their_mend(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["evaluate", "gt.json", "good.json", *words]) == status
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_standard_input_is_read_once(taltool, folder: Path) -> None:
    process = taltool("evaluate", "gt.json", "-", "-", stdin=document(GOOD), cwd=folder)
    assert process.returncode == 2
    assert b"only once" in process.stderr


def test_nothing_left_to_evaluate_is_said(taltool, folder: Path) -> None:
    process = taltool("evaluate", "gt.json", stdin=document({"t": STRAY["t"]}), cwd=folder)
    assert process.returncode == 0
    assert b"is this the right --subset?" in process.stderr


def test_evaluate_imports_nothing_heavy(folder: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys\n"
        "sys.argv = 'taltool evaluate gt.json good.json --metric both --bootstrap 5'.split()\n"
        "from taltool.cli.main import main\n"
        "assert main() == 0\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'h5py'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": root}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
