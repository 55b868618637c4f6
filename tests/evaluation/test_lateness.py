"""Times that are no seconds are seen in time: most segments end after their videos. And durations may be missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from project import Run

from taltool.data.annotations import read_ground_truth, read_id_list, read_split
from taltool.errors import DataError
from taltool.evaluation.diagnose import diagnose
from taltool.evaluation.evaluate import evaluate

FRAMES = "are these frames? taltool convert --times frames --fps N makes seconds of them"


def written(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def truth(**durations: float | None) -> dict[str, Any]:
    annotations = [{"segment": [1.0, 9.0], "label": "run"}]
    known = {key: {} if value is None else {"duration": value} for key, value in durations.items()}
    return {"database": {key: known[key] | {"annotations": annotations} for key in durations}}


def detections(*ends: float, **more: list[float]) -> dict[str, Any]:
    every = {"v": list(ends)} | more
    objects = {
        key: [{"segment": [0.5, end], "score": 0.5 + end / 1e4, "label": "run"} for end in some]
        for key, some in every.items()
    }
    return {"results": objects}


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((270.0, 300.0, 9.0), "2 of 3 detections end after their videos"),
        ((270.0, 9.0), ""),  # half of them is not most of them
        ((10.4, 11.4), ""),  # within a second and 5 %
        ((11.6,), "1 of 1 detections end after their videos"),
    ],
)
def test_most_detections_behind_the_end_are_frames(
    ends: tuple[float, ...], told: str, taltool: Run, tmp_path: Path
) -> None:
    gt = written(tmp_path / "gt.json", truth(v=10.0))
    found = taltool("evaluate", gt, written(tmp_path / "p.json", detections(*ends)))
    assert found.returncode == 0
    assert (f"{told}: {FRAMES}" if told else "") in found.stderr.decode()
    assert bool(told) == ("frames" in found.stderr.decode())


def test_videos_without_a_duration_and_unknown_ones_do_not_count(taltool: Run, tmp_path: Path) -> None:
    gt = written(tmp_path / "gt.json", truth(v=10.0, w=None))
    found = taltool("evaluate", gt, written(tmp_path / "p.json", detections(9.0, w=[500.0, 600.0], x=[700.0])))
    assert b"frames" not in found.stderr


def test_a_ground_truth_and_proposals_with_durations_of_their_own(taltool: Run, tmp_path: Path) -> None:
    gt = written(tmp_path / "gt.json", truth(v=3.0, w=3.0))
    found = taltool("evaluate", gt, written(tmp_path / "p.json", detections(2.0)))
    assert f"gt.json: 2 of 2 instances end after their videos: {FRAMES}" in found.stderr.decode()
    line = '{"video_id": "v", "duration": 9, "segments": [[1, 90], [2, 99]], "scores": [0.5, 0.4]}\n'
    found = taltool("nms", written(tmp_path / "p.jsonl", line), "-o", tmp_path / "n.jsonl")
    assert f"p.jsonl: 2 of 2 proposals end after their videos: {FRAMES}" in found.stderr.decode()


def test_case_of_seconds_times_30(taltool: Run, shared: Path) -> None:
    (case,) = (shared / "cases").glob("13-*")
    found = taltool("evaluate", "gt.json", "frames.json", "--tiou", "0.5", cwd=case)
    assert b"frames.json: 3 of 3 detections end after their videos" in found.stderr
    mended = taltool("convert", "frames.json", "--times", "frames", "--fps", "30", "-q", cwd=case)
    again = taltool("evaluate", "gt.json", "-", "--tiou", "0.5", "--format", "json", cwd=case, stdin=mended.stdout)
    assert b"frames" not in again.stderr
    assert json.loads(again.stdout)["metrics"]["mAP@0.50"] > 0.5


def test_mean_ap_and_recall_need_no_durations(tmp_path: Path) -> None:
    found = written(tmp_path / "p.json", detections(9.0, 4.0))
    numbers = [
        evaluate(written(tmp_path / f"{n}.json", truth(v=duration)), found, metric="both").metrics
        for n, duration in enumerate((10.0, None))
    ]
    assert numbers[0] == numbers[1]
    assert numbers[0]["average_mAP"] > 0
    null = written(tmp_path / "null.json", {"database": {"v": {"duration": None, "annotations": []}}})
    assert read_ground_truth(str(null)).durations == {}
    with pytest.raises(DataError, match=r"1 of 1 videos have no duration, 'v' the first, .* --durations FILE"):
        diagnose(tmp_path / "1.json", found)


@pytest.mark.parametrize(
    ("known", "unknown", "option"),
    [
        ("v_a", "a", "--add-prefix v_"),
        ("a", "v_a", "--strip-prefix v_"),
        ("a", "a.mp4", "--strip-suffix .mp4"),
        ("a", "b", ""),
    ],
)
def test_ids_that_differ_by_a_usual_ending_are_told(
    known: str, unknown: str, option: str, taltool: Run, tmp_path: Path
) -> None:
    gt = written(tmp_path / "gt.json", truth(**{known: 10.0}))
    found = taltool(
        "evaluate", gt, written(tmp_path / "p.json", {"results": {unknown: detections(9.0)["results"]["v"]}})
    )
    said = found.stderr.decode()
    assert "1 detections in 1 videos that the ground truth does not have" in said
    assert (f"most have other names there ({unknown!r} is {known!r}): taltool convert {option}" in said) == bool(option)
    assert ("taltool convert" in said) == bool(option)


def test_subsets_may_stand_in_a_table(tmp_path: Path) -> None:
    table = written(tmp_path / "s.csv", "youtube_id;fold1;fold2\na;training;validation\nb;validation;\n")
    assert read_split(f"{table}:fold1") == {"a": "training", "b": "validation"}
    assert read_split(f"{table}:fold2") == {"a": "validation"}
    with pytest.raises(DataError, match=r"s.csv:1: no split 'fold3' \(there are: youtube_id, fold1, fold2\)"):
        read_split(f"{table}:fold3")
    wrong = written(tmp_path / "s.json", {"a": ["x"], "b": {"training": "x"}})
    for name in ("a", "b"):
        with pytest.raises(DataError, match=f"split '{name}': expected {{subset: \\[video ids\\]}}"):
            read_split(f"{wrong}:{name}")


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "[", "[]", "video_id\n", "#\n"])
def test_what_lists_no_ids_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="video id"):
        read_id_list(str(written(tmp_path / "ids", text)))
