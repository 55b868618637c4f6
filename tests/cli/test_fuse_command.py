"""`taltool fuse` as its user runs it."""

import json
import math

import pytest
from proposal_streams import rows, stream

A = stream(("v", [[0, 10, 0.6, "Run"], [50, 60, 0.8, "Run"]], 90.0), ("w", [[0, 4, 0.5, "Jump"]], 9.0))
B = stream(("w", [[0, 4, 0.3, "Jump"]], 9.0), ("v", [[2, 12, 0.3, "Run"]], 90.0))


@pytest.fixture
def files(tmp_path):
    paths = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for path, content in zip(paths, (A, B), strict=True):
        path.write_bytes(content)
    return paths


def test_union_weighs_and_suppresses_whatever_the_order_of_the_videos(taltool, files):
    found = rows(taltool("fuse", *files, "--weights", "1,0.5"))
    overlap = 8 / 12
    lowered = 0.15 * math.exp(-(overlap**2) / 0.5)
    third = (2, 12, pytest.approx(lowered, abs=1e-12), "Run")
    assert found["v"] == [(50, 60, 0.8, "Run"), (0, 10, 0.6, "Run"), third]


def test_wbf_merges_across_files(taltool, files):
    found = rows(taltool("fuse", *files, "--method", "wbf"))
    merged = (pytest.approx(0.6 / 0.9), pytest.approx(9.6 / 0.9), pytest.approx(0.45), "Run")
    assert found["v"] == [merged, (50, 60, 0.4, "Run")]
    assert found["w"] == [(0, 4, 0.4, "Jump")]


def test_a_video_that_a_file_lacks_is_fused_from_the_others_and_counted(taltool, files, tmp_path):
    (tmp_path / "b.jsonl").write_bytes(stream(("v", [[2, 12, 0.3, "Run"]], 90.0)))
    result = taltool("fuse", *files, "--no-suppress", "--top-k", "1")
    assert rows(result) == {"v": [(50, 60, 0.8, "Run")], "w": [(0, 4, 0.5, "Jump")]}
    assert "b.jsonl lacks 1 of the videos" in result.stderr.decode()


def test_one_of_the_files_may_come_from_a_pipe(taltool, files):
    through = taltool("fuse", "-", files[1], "--no-provenance", stdin=A)
    assert through.returncode == 0, through.stderr
    assert rows(through).keys() == {"v", "w"}
    assert through.stdout == taltool("fuse", *files, "--no-provenance").stdout


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--weights", "1"), 2, "1 weights for 2 files"),
        (("--weights", "1,-1"), 2, "positive"),
        (("--weights", "nowhere.json"), 3, "nowhere.json"),
        (("--save-fit", "f.json"), 2, "--save-fit needs --fit"),
    ],
)
def test_errors_say_what_is_wrong(taltool, files, words, status, said):
    result = taltool("fuse", *files, *words)
    assert result.returncode == status
    assert said in result.stderr.decode()


def test_one_file_is_not_enough_and_two_pipes_are_too_many(taltool, files):
    assert b"at least two" in taltool("fuse", files[0]).stderr
    assert b"only one of the files" in taltool("fuse", "-", "-").stderr


def test_files_with_and_without_labels_do_not_mix(taltool, files, tmp_path):
    (tmp_path / "b.jsonl").write_bytes(stream(("v", [[2, 12, 0.3]], 90.0)))
    result = taltool("fuse", *files)
    assert (result.returncode, b"taltool label" in result.stderr) == (3, True)


def average_map(taltool, ground_truth, split, *words, stdin=b""):
    options = ("--split", split, "--subset", "held", "--format", "json")
    report = taltool("evaluate", ground_truth, *words, *options, stdin=stdin)
    assert report.returncode == 0, report.stderr
    return json.loads(report.stdout)["metrics"]["average_mAP"]


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_scnn_and_turn_fitted_on_half_the_videos_beat_the_better_one_on_the_other_half(taltool, shared, tmp_path, half):
    truth = shared / "data/thumos14_gt.json"
    database = json.loads(truth.read_text())["database"]
    videos = sorted(key for key, video in database.items() if video["subset"] == "testing")
    split = tmp_path / "halves.json"
    split.write_text(json.dumps({"half": {"fit": videos[half::2], "held": videos[1 - half :: 2]}}))
    peers = [
        shared / "data/peer_outputs" / name for name in ("thumos14_scnn_nms0.4.json", "thumos14_turn_c3d_scnn.json")
    ]
    options = ("--fit", truth, "--split", f"{split}:half", "--subset", "fit", "--save-fit", tmp_path / "fit.json")
    fused = taltool("fuse", *peers, *options, "--no-provenance")
    assert b"fitted on" in fused.stderr
    alone = [average_map(taltool, truth, f"{split}:half", peer) for peer in peers]
    assert average_map(taltool, truth, f"{split}:half", stdin=fused.stdout) > max(alone) + 0.01
    saved = taltool("fuse", *peers, "--weights", tmp_path / "fit.json", "--no-provenance")
    assert saved.stdout == fused.stdout


def test_proposals_without_labels_and_videos_without_proposals_are_fused(taltool, tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_bytes(stream(("e", [], 9.0), ("v", [[0, 10, 0.6]], None), ("n", [[0, 1, 0.5, "Run"]], 4.0)))
    second.write_bytes(stream(("e", [], None), ("v", [[20, 30, 0.7]], 90.0), ("n", [], 4.0)))
    assert rows(taltool("fuse", first, second)) == {
        "e": [],
        "v": [(20, 30, 0.7, None), (0, 10, 0.6, None)],
        "n": [(0, 1, 0.5, "Run")],
    }
