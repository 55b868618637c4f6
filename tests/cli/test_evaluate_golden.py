"""Real detections of THUMOS14 and ActivityNet: the numbers that the official kits print for them."""

import json
from pathlib import Path

import pytest
from numpy._core._multiarray_umath import __cpu_features__

TURN, SCNN = "thumos14_turn_c3d_scnn.json", "thumos14_scnn_nms0.4.json"


@pytest.fixture
def evaluated(taltool, shared: Path):  # type: ignore[no-untyped-def]
    """Evaluate a file of peer outputs on THUMOS14's testing subset; return the metrics."""

    def evaluate(file: str, *words: str, truth: str = "thumos14_gt.json") -> dict[str, float]:
        data = shared / "data"
        words = ("evaluate", data / truth, data / "peer_outputs" / file, *words, "--format", "json")  # type: ignore[assignment]
        done = taltool(*words, *(() if "--preset" in words else ("--subset", "testing")))
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)["metrics"]

    return evaluate


def precisions(metrics: dict[str, float]) -> list[float]:
    return [value for name, value in metrics.items() if "mAP" in name]


# What `argsort()` does with ties depends on the instructions that numpy finds; these numbers come from AVX-512.
with_ties_as_then = pytest.mark.skipif(
    not __cpu_features__.get("AVX512_SKX"), reason="numpy orders ties otherwise on this processor (no AVX-512)"
)


# Both files hold thousands of equal scores, so these numbers need the kit's own order of ties.
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (TURN, [0.40865, 0.33213, 0.23773, 0.13120, 0.05749, 0.23344]),
        (SCNN, [0.36203, 0.30258, 0.21608, 0.11944, 0.03958, 0.20794]),
    ],
)
@with_ties_as_then
def test_map_equals_the_official_kit_with_its_order_of_ties(evaluated, file: str, expected: list[float]) -> None:
    assert precisions(evaluated(file, "--protocol", "activitynet-kit")) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (TURN, [0.40865, 0.33213, 0.23773, 0.13120, 0.05749, 0.23344]),
        (SCNN, [0.36203, 0.30258, 0.21608, 0.11944, 0.03958, 0.20794]),
    ],
)
def test_map_with_the_total_order_is_within_what_ties_can_do(evaluated, file: str, expected: list[float]) -> None:
    # Six random orders of TURN's ties spread over 0.006.
    assert precisions(evaluated(file)) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (TURN, {"AR@1": 0.00762, "AR@5": 0.05, "AR@10": 0.10188, "AR@50": 0.25697, "AR@100": 0.29494, "AUC": 22.78728}),
        (SCNN, {"AR@1": 0.00411, "AR@5": 0.04327, "AR@10": 0.09041, "AR@50": 0.27412, "AUC": 24.12387}),
    ],
)
@with_ties_as_then
def test_recall_equals_the_official_proposal_kit(evaluated, file: str, expected: dict[str, float]) -> None:
    metrics = evaluated(file, "--metric", "ar", "--protocol", "activitynet-kit")
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-4)


def test_thumos_protocol_gives_what_its_authors_published(evaluated) -> None:
    metrics = evaluated(SCNN, "--protocol", "thumos14", "--tiou", "0.5", truth="thumos14_gt_ambiguous.json")
    assert metrics["mAP@0.50"] == pytest.approx(0.1900, abs=0.001)


def test_preset_picks_the_subset(evaluated) -> None:
    assert evaluated(TURN, "--preset", "thumos14") == evaluated(TURN, "--tiou", "0.3:0.7:0.1")


def test_recall_of_all_tag_proposals(taltool, shared: Path, tmp_path: Path) -> None:
    # They have neither label nor score; the authors' list recalls 0.743 at tIoU 0.5.
    document = json.loads((shared / "data/peer_outputs/thumos14_tag_proposals_ctap.json").read_bytes())
    for proposals in document["results"].values():
        proposals[:] = [p | {"score": 1.0} for p in proposals if p["segment"][0] <= p["segment"][1]]
    file = tmp_path / "tag.json"
    file.write_text(json.dumps(document))
    truth = shared / "data/thumos14_gt.json"
    words = ("evaluate", truth, file, "--subset", "testing", "--tiou", "0.5", "--metric", "ar", "--an", "2000")
    metrics = json.loads(taltool(*words, "--format", "json").stdout)["metrics"]
    assert metrics["recall@top2000"] == pytest.approx(0.743, abs=5e-4)


def test_ground_truth_as_prediction_misses_only_its_zero_length_instances(taltool, shared: Path) -> None:
    data = shared / "data"
    words = ("--preset", "activitynet13", "--format", "json", "--per-class")
    file = data / "peer_outputs/anet13_sample_detection_prediction.json"
    done = json.loads(taltool("evaluate", data / "activitynet13_gt.json", file, *words).stdout)
    imperfect = {name: row for name, row in done["per_class"].items() if row["average_AP"] < 1}
    truth = json.loads((data / "activitynet13_gt.json").read_bytes())["database"]
    empty = {
        annotation["label"]
        for video in truth.values()
        if video["subset"] == "validation"
        for annotation in video["annotations"]
        if annotation["segment"][0] == annotation["segment"][1]
    }
    assert set(imperfect) == empty
    assert done["predictions"]["zero_length"] == 3
