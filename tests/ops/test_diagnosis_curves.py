"""The precision-recall curve: by hand, and its area against AP."""

import numpy as np
import pytest
from evaluation_cases import drawn_case, flat

from taltool.ops.diagnosis_curves import RECALLS, mean_precision_curve
from taltool.ops.metrics import match, mean_average_precision


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
