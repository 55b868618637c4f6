"""Recall by the ratio rule, at fixed k, and R@kx: plain loops, and the traps that the kit's rule holds."""

import evaluation_twin as twin
import numpy as np
import pytest
from evaluation_cases import drawn_case, flat

from taltool.ops.matching import first_hits
from taltool.ops.metrics.ar import _steps_to_reach, area_under_curve, average_recall, fixed_recall
from taltool.ops.metrics.kx import multiple_recall

TIOUS = [0.3, 0.5, 0.75, 0.95]


def curve(truth: twin.Truth, detections: twin.Detections, maximum: int = 100, tious: list[float] = TIOUS) -> np.ndarray:
    within, found, _ = flat(truth, detections)
    hits = first_hits(within.truth, found, tious)
    return average_recall(hits, np.ones((1, len(hits.proposals))), maximum)[0]


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_all_recalls_equal_plain_loops_on_random_cases(block: int) -> None:
    for seed in range(50 * block, 50 * (block + 1)):
        truth, detections = drawn_case(seed)
        maximum = (5, 100)[seed % 2]
        message = f"seed {seed}"
        expected = twin.average_recall(truth, detections, TIOUS, maximum)
        np.testing.assert_allclose(curve(truth, detections, maximum), expected, rtol=0, atol=1e-12, err_msg=message)
        within, found, _ = flat(truth, detections)
        ones = np.ones((1, len(within.video_ids) + 1))
        hits = first_hits(within.truth, found, TIOUS)
        by_class = first_hits(within.truth, found, [0.5], by_class=True)
        for k in (1, 3, 1000):
            fixed = twin.fixed_recall(truth, detections, TIOUS, k)
            assert fixed_recall(hits, ones[:, : len(hits.proposals)], k) == pytest.approx([fixed], abs=1e-12), message
            multiple = twin.multiple_recall(truth, detections, 0.5, k)
            assert multiple_recall(by_class, ones, k)[0] == pytest.approx([multiple], abs=1e-12), message


def test_perfect_proposals_have_an_auc_of_99() -> None:
    # A hundred proposals in each video, the first one right.
    truth = {f"v{n}": [("x", 0, 10)] for n in range(3)}
    rows = [("x", 0, 10, 1.0)] + [("x", 50, 60, 0.5 - n / 1000) for n in range(99)]
    recalls = curve(truth, dict.fromkeys(truth, rows))
    assert recalls.tolist() == [1.0] * 100
    assert area_under_curve(recalls[None]) == pytest.approx([99.0])


def test_ratio_rule_takes_more_from_the_video_that_has_more() -> None:
    # Hits at rank 1 everywhere, but half of the videos give 20 and half 180 proposals: at an average of one,
    # int(20 / 100) is none and int(180 / 100) one.
    truth = {f"v{n}": [("x", 0, 10)] for n in range(4)}
    detections = {
        v: [("x", 0, 10, 1.0)] + [("x", 50, 60, 0.5 - n / 1000) for n in range((20, 180)[i % 2] - 1)]
        for i, v in enumerate(truth)
    }
    assert curve(truth, detections)[0] == 0.5
    within, found, _ = flat(truth, detections)
    hits = first_hits(within.truth, found, TIOUS)
    assert fixed_recall(hits, np.ones((1, 4)), 1).tolist() == [1.0]


def test_proposals_of_videos_without_instances_lower_what_the_others_may_give() -> None:
    truth = {"v": [("x", 0, 10)], "empty": []}
    rows = [("x", 50, 60, 0.9), ("x", 0, 10, 0.8)]
    assert curve(truth, {"v": rows}, 2).tolist() == [0.0, 1.0]
    # A ratio of 2 * 1 / 4 leaves v only the first of its two.
    assert curve(truth, {"v": rows, "empty": rows}, 2).tolist() == [0.0, 0.0]


def test_video_floored_to_no_proposals_gives_zero_and_not_nan() -> None:
    truth = {"v": [("x", 0, 10)]}
    assert curve(truth, {"v": [("x", 0, 10, 1.0)], "stranger": [("x", 0, 10, 1.0)] * 500}).tolist() == [0.0] * 100


def test_no_proposals_give_zero() -> None:
    assert curve({"v": [("x", 0, 10)]}, {}).tolist() == [0.0] * 100


def test_instances_of_two_classes_with_one_segment_count_twice() -> None:
    truth = {"v": [("Diving", 0, 10), ("CliffDiving", 0, 10), ("Diving", 50, 60)]}
    within, found, _ = flat(truth, {"v": [("Diving", 0, 10, 0.9)]})
    hits = first_hits(within.truth, found, [0.5])
    assert fixed_recall(hits, np.ones((1, 1)), 1) == pytest.approx([2 / 3])


def test_multiple_recall_lets_one_detection_serve_two_instances() -> None:
    truth = {"v": [("x", 0, 10), ("x", 0, 11)]}
    within, found, _ = flat(truth, {"v": [("x", 0, 10, 0.9)]})
    hits = first_hits(within.truth, found, [0.5], by_class=True)
    assert multiple_recall(hits, np.ones((1, 1)), 1).tolist() == [[1.0]]


def test_weights_equal_videos_given_twice() -> None:
    truth, detections = drawn_case(11)
    within, found, _ = flat(truth, detections)
    hits = first_hits(within.truth, found, TIOUS)
    weights = np.ones((1, len(hits.proposals)))
    weights[0, 0] = 3
    first = within.video_ids[0]
    copies = [f"{first} {n}" for n in range(2)]
    expected = curve(
        truth | dict.fromkeys(copies, truth[first]), detections | dict.fromkeys(copies, detections.get(first, []))
    )
    np.testing.assert_allclose(average_recall(hits, weights)[0], expected, rtol=0, atol=1e-12)


def test_steps_are_counted_as_floors_of_products_have_them() -> None:
    # The kit's floors decide on products such as 30 * 0.1, which is 3.0000000000000004 or 3 as the factors stand.
    rng = np.random.default_rng(0)
    for maximum, share in ((10, 1.0), (100, 0.7), (100, 1 / 3), (100, 4.0), (1000, 1.1)):
        fractions = np.arange(1, maximum + 1) / maximum * share
        taken = rng.integers(1, 2000, 500)
        wanted = rng.integers(1, taken + 1)
        expected = ((taken[:, None] * fractions).astype(np.int64) < wanted[:, None]).sum(axis=1)
        np.testing.assert_array_equal(_steps_to_reach(wanted, taken, fractions), expected)
