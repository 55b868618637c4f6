"""Every outcome by hand, AP_N by hand, equality with plain loops and with DETAD's own program on real detections."""

from pathlib import Path

import numpy as np
import pytest
from diagnosis_twin import plain_average_map_n, plain_outcomes
from evaluation_cases import drawn_case, flat
from evaluation_twin import Detections as PlainDetections
from evaluation_twin import Truth

from taltool.data.annotations import read_ground_truth
from taltool.data.arrays import flatten, scope
from taltool.data.proposals import ProposalReader
from taltool.ops.diagnosis import (
    OUTCOMES,
    RECALLS,
    FalsePositives,
    average_map_n,
    false_positives,
    mean_precision_curve,
    outcomes_of,
)
from taltool.ops.matching import Matches, match
from taltool.ops.metrics.map import mean_average_precision

TRUTH: Truth = {"a": [("run", 0, 10), ("jump", 20, 30)], "b": [("run", 0, 10)], "empty": []}


def outcome_names(truth: Truth, detections: PlainDetections, tiou: float = 0.5) -> list[str]:
    """Outcomes in the order of score."""
    within, found, _ = flat(truth, detections)
    matches = match(within.truth, found, [tiou])
    numbers = outcomes_of(matches, [tiou])[0]
    return [OUTCOMES[numbers[n]] for n in np.argsort(-matches.scores)]


def profile_of(truth: Truth, detections: PlainDetections, tious: list[float]) -> FalsePositives:
    within, found, _ = flat(truth, detections)
    matches = match(within.truth, found, tious)
    return false_positives(matches, tious)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (("run", 1, 10), "double detection"),
        (("jump", 0, 10), "wrong label"),
        (("run", 0, 4), "localization"),
        (("jump", 0, 4), "confusion"),
        (("run", 50, 60), "background"),
        (("run", 9.5, 19.5), "background"),  # tIoU 0.026
        (("run", 0, 1), "localization"),  # tIoU 0.1 exactly
        (("jump", 0, 5), "wrong label"),  # tIoU 0.5 exactly
        (("run", 3, 3), "background"),  # no length, no overlap
    ],
)
def test_each_kind_of_error_by_hand(second: tuple[str, float, float], expected: str) -> None:
    detections = {"a": [("run", 0, 10, 0.9), (*second, 0.8)]}
    assert outcome_names(TRUTH, detections) == ["true positive", expected]


def test_detections_in_videos_without_instances_are_background() -> None:
    assert outcome_names(TRUTH, {"empty": [("run", 0, 10, 0.9)], "stranger": [("run", 0, 10, 0.8)]}) == [
        "background",
        "background",
    ]


def test_an_error_is_judged_by_the_instance_that_it_overlaps_most() -> None:
    # 8-18 overlaps run by 2 of 18 (0.11) and jump, moved to 12-22, by 6 of 14 (0.43).
    truth: Truth = {"a": [("run", 0, 10), ("jump", 12, 22)]}
    assert outcome_names(truth, {"a": [("run", 8, 18, 0.9)]}) == ["confusion"]


@pytest.mark.parametrize("order", [("dive", "cliff dive"), ("cliff dive", "dive")])
def test_equal_overlaps_are_judged_by_the_own_class_whatever_the_order_of_the_file(order: tuple[str, str]) -> None:
    truth: Truth = {"a": [(order[0], 0, 10), (order[1], 0, 10)]}
    assert outcome_names(truth, {"a": [("cliff dive", 0, 4, 0.9)]}) == ["localization"]


def test_equal_overlaps_are_judged_by_the_first_in_the_file_where_ties_say_so() -> None:
    within, found, _ = flat({"a": [("dive", 0, 10), ("cliff dive", 0, 10)]}, {"a": [("cliff dive", 0, 4, 0.9)]})
    matches = match(within.truth, found, [0.5])
    numbers = outcomes_of(matches, [0.5], "file")
    assert OUTCOMES[numbers[0, 0]] == "confusion"


def test_a_class_fills_the_kth_g_with_its_own_number_of_instances() -> None:
    # run has two instances, jump one: the first G are two runs and one jump.
    detections = {
        "a": [("run", 0, 10, 0.9), ("run", 50, 60, 0.8), ("run", 60, 70, 0.7), ("jump", 40, 50, 0.6)],
    }
    found = profile_of(TRUTH, detections, [0.5])
    np.testing.assert_array_equal(found.detections[:3], [3, 1, 0])
    np.testing.assert_allclose(found.profile[0], [1 / 3, 0, 0, 0, 0, 2 / 3])
    np.testing.assert_allclose(found.cumulative[-1], [1 / 4, 0, 0, 0, 0, 3 / 4])


def test_detections_after_ten_g_do_not_enter_the_profile() -> None:
    rows = [("jump", 50.0 + n, 60.0 + n, 0.9 - n / 100) for n in range(12)]
    assert profile_of(TRUTH, {"a": rows}, [0.5]).detections.sum() == 10


def test_shares_are_means_over_thresholds() -> None:
    # tIoU 0.6: true positive at 0.5, localization at 0.7.
    found = profile_of(TRUTH, {"a": [("jump", 20, 26, 0.9)]}, [0.5, 0.7])
    np.testing.assert_allclose(found.profile[0], [0.5, 0, 0, 0.5, 0, 0])


def test_map_n_by_hand() -> None:
    # Two classes, three instances: N = 1.5. run: hit, miss, hit of 2: precision_N 1 at recall 0.5, then
    # 1 * 1.5 / (1 * 1.5 + 1) = 0.6 at recall 1. jump: nothing.
    detections = {"a": [("run", 0, 10, 0.9), ("run", 50, 60, 0.8)], "b": [("run", 0, 10, 0.7)]}
    found = profile_of(TRUTH, detections, [0.5])
    assert found.average_map_n == pytest.approx((0.5 * 1 + 0.5 * 0.6 + 0) / 2)


def test_the_gain_of_an_error_is_what_its_removal_brings() -> None:
    detections = {"a": [("run", 0, 10, 0.9), ("run", 50, 60, 0.8)], "b": [("run", 0, 10, 0.7)]}
    gains = dict(zip(OUTCOMES, profile_of(TRUTH, detections, [0.5]).gains, strict=True))
    assert gains["background"] == pytest.approx(0.5 * 0.4 / 2)
    assert gains["localization"] == 0
    assert np.isnan(gains["true positive"])


def test_outcomes_and_map_n_equal_plain_loops_on_random_cases() -> None:
    tious = [0.3, 0.5, 0.75]
    for seed in range(60):
        truth, detections = drawn_case(seed)
        within, found, _ = flat(truth, detections)
        matches = match(within.truth, found, tious)
        segments = found.segments[matches.order]
        labels = found.labels[matches.order]
        expected = plain_outcomes(within.truth, matches.videos, labels, segments, matches.hits, tious)
        np.testing.assert_array_equal(outcomes_of(matches, tious), expected, err_msg=f"seed {seed}")
        everything = np.ones_like(matches.hits)
        assert average_map_n(matches, matches.hits, everything) == pytest.approx(
            plain_average_map_n(within.truth, labels, matches.hits), abs=1e-12
        ), seed


def test_no_detections_and_no_instances_of_a_class_are_no_trouble() -> None:
    found = profile_of(TRUTH, {}, [0.5])
    assert found.average_map_n == 0
    assert found.counts.sum() == 0
    assert (found.profile == 0).all()


# From DETAD's own program (commit 24f7d95, its THUMOS14 file of characteristics, equal scores parted in our order,
# which its unstable sort needs): counts of true positive, double detection, wrong label, localization, confusion,
# background among the k-th G of TURN at tIoU 0.5, k = 1 to 10.
DETAD_TURN = [
    [1207, 22, 147, 1062, 313, 607],
    [384, 22, 209, 982, 855, 906],
    [121, 12, 181, 734, 763, 866],
    [66, 5, 106, 442, 798, 742],
    [31, 1, 77, 166, 621, 631],
    [25, 1, 39, 166, 423, 533],
    [14, 4, 29, 177, 396, 397],
    [7, 2, 22, 97, 314, 341],
    [3, 0, 8, 23, 257, 261],
    [1, 0, 11, 19, 171, 132],
]


def thumos14(shared: Path, name: str, tious: list[float]) -> Matches:
    truth = read_ground_truth(str(shared / "data" / "thumos14_gt.json"))
    within = scope(truth, "testing")
    with ProposalReader(str(shared / "data" / "peer_outputs" / name)) as reader:
        found, _ = flatten(reader, within)
    return match(within.truth, found, tious)


def test_profile_and_gains_of_turn_equal_detads_own(shared: Path) -> None:
    matches = thumos14(shared, "thumos14_turn_c3d_scnn.json", [0.5])
    ours = false_positives(matches, [0.5], ties="file")
    np.testing.assert_array_equal(ours.counts[0], DETAD_TURN)
    assert ours.average_map_n == pytest.approx(0.2647987216780704, abs=1e-12)
    expected = [
        0.0008086482523239624,
        0.008386986102492,
        0.08714742532287512,
        0.017728800539338396,
        0.03438296327662976,
    ]
    np.testing.assert_allclose(ours.gains[1:], expected, rtol=0, atol=1e-12)


def test_gains_of_turn_over_several_thresholds_equal_detads_own(shared: Path) -> None:
    tious = [0.3, 0.5, 0.7]
    matches = thumos14(shared, "thumos14_turn_c3d_scnn.json", tious)
    ours = false_positives(matches, tious, ties="file")
    assert ours.average_map_n == pytest.approx(0.2591406285111022, abs=1e-12)
    # DETAD's program judges the second false positive of a video without instances by the video before it, which
    # takes one detection out of background here; hence the tolerance.
    expected = [0.007821766882428138, 0.012411482474949442, 0.06045954584281171, 0.01253968690219509, 0.033776372326228]
    np.testing.assert_allclose(ours.gains[1:], expected, rtol=0, atol=5e-5)
    np.testing.assert_array_equal(ours.counts[0, 0], [1666, 241, 270, 393, 181, 607])
    np.testing.assert_array_equal(ours.counts[2, 0], [503, 0, 43, 1784, 421, 607])


def test_ties_on_thumos14_move_only_localization_and_confusion(shared: Path) -> None:
    matches = thumos14(shared, "thumos14_turn_c3d_scnn.json", [0.5])
    ours = false_positives(matches, [0.5])
    moved = ours.counts[0].sum(axis=0) - np.sum(DETAD_TURN, axis=0)
    np.testing.assert_array_equal(moved, [0, 0, 0, 41, -41, 0])


def test_curve_of_one_class_by_hand() -> None:
    # Hit, miss, hit of 4: precision 1 up to recall 0.25, 2/3 up to 0.5, then nothing.
    truth = {"a": [("run", 0, 1), ("run", 2, 3), ("run", 4, 5), ("run", 6, 7)]}
    detections = {"a": [("run", 0, 1, 0.9), ("run", 50, 60, 0.8), ("run", 2, 3, 0.7)]}
    within, found, _ = flat(truth, detections)
    curve = mean_precision_curve(match(within.truth, found, [0.5]))
    assert curve[[0, 25, 26, 50, 51, 100]] == pytest.approx([1, 1, 2 / 3, 2 / 3, 0, 0])


def test_the_area_below_is_map() -> None:
    for seed in range(10):
        truth, detections = drawn_case(seed)
        within, found, _ = flat(truth, detections)
        result = mean_average_precision(within.truth, found, [0.3, 0.5])
        curve = mean_precision_curve(result.matches)
        # Read at 101 points, a curve that never rises is off by at most one step.
        assert abs(curve[1:].mean() - result.average) <= 0.01 * curve[0] + 1e-12


def test_curve_without_instances_is_zero() -> None:
    within, found, _ = flat({"a": []}, {"a": [("run", 0, 1, 0.9)]})
    np.testing.assert_array_equal(mean_precision_curve(match(within.truth, found, [0.5])), np.zeros(len(RECALLS)))
