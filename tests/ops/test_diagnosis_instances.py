"""Groups, missed instances and sensitivity: by hand, and equal to DETAD's own program on real detections."""

from pathlib import Path

import numpy as np
import pytest
from evaluation_cases import flat
from evaluation_twin import Detections as PlainDetections
from evaluation_twin import Truth
from hypothesis import given
from hypothesis import strategies as st

from taltool.data.annotations import read_ground_truth
from taltool.data.arrays import flatten, scope
from taltool.data.proposals import ProposalReader
from taltool.evaluation.diagnose import instance_values
from taltool.ops.diagnosis_instances import (
    bins_at,
    characteristics,
    fit_bins,
    group_analysis,
    missed_instances,
    overall_map_n,
    range_in_words,
)
from taltool.ops.matching import Matches, match
from taltool.ops.protocols import dataset_spec


def matches_of(truth: Truth, detections: PlainDetections, tious: list[float]) -> Matches:
    within, found, _ = flat(truth, detections)
    return match(within.truth, found, tious)


def test_characteristics_by_hand() -> None:
    found = characteristics(np.array([[0.0, 5], [10, 20], [1, 1]]), np.array([0, 0, 1]), np.array([50.0, 10]))
    np.testing.assert_allclose(found["length"], [5, 10, 0])
    np.testing.assert_allclose(found["coverage"], [0.1, 0.2, 0])
    np.testing.assert_allclose(found["num-instances"], [2, 2, 1])


def test_a_value_on_a_border_belongs_below_it() -> None:
    bins = bins_at((3, 6))
    np.testing.assert_array_equal(bins.numbers(np.array([0, 3, 3.1, 6, 1e9, np.nan])), [0, 0, 1, 1, 2, -1])
    assert bins.names == ("S", "M", "L")


def test_many_groups_are_numbered() -> None:
    assert bins_at((1, 2, 3, 4, 5)).names == ("1", "2", "3", "4", "5", "6")


def test_fitted_groups_of_distinct_values_are_fifths() -> None:
    bins = fit_bins(np.arange(1.0, 11))
    np.testing.assert_array_equal(np.bincount(bins.numbers(np.arange(1.0, 11))), [2, 2, 2, 2, 2])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_fitted_groups_part_all_values_and_none_is_empty(values: list[int]) -> None:
    found = fit_bins(np.array(values, float))
    counts = np.bincount(found.numbers(np.array(values, float)), minlength=len(found.names))
    assert counts.sum() == len(values)
    assert (counts > 0).all()


def test_one_value_makes_one_group() -> None:
    assert fit_bins(np.full(9, 7.0)).names == ("M",)


@pytest.mark.parametrize(("false", "missed"), [(18, False), (19, True), (25, True)])
def test_an_instance_found_after_precision_fell_to_a_twentieth_is_missed(false: int, missed: bool) -> None:
    # One class, one instance: N = 1, so precision_N at the hit is 1 / (1 + false); 0.05 at 19.
    rows = [("run", 50.0, 60, 0.9 - n / 100) for n in range(false)]
    matches = matches_of({"a": [("run", 0, 10)]}, {"a": [*rows, ("run", 0, 10, 0.1)]}, [0.5])
    assert missed_instances(matches).tolist() == [[missed]]


def test_detections_of_other_groups_count_neither_way() -> None:
    # The long instance is found second, after the short one; on the long ones alone it is found first.
    truth: Truth = {"a": [("run", 0, 2), ("run", 10, 40)]}
    matches = matches_of(truth, {"a": [("run", 0, 2, 0.9), ("run", 10, 40, 0.8), ("run", 60, 70, 0.7)]}, [0.5])
    short, long = group_analysis(matches, np.array([2.0, 30]), bins_at((10,)))
    assert (short.instances, short.missed, short.average_map_n) == (1, 0, pytest.approx(1))
    assert (long.instances, long.missed, long.average_map_n) == (1, 0, pytest.approx(1))


def test_false_positives_count_in_every_group() -> None:
    # One class with two instances: N = 2. On one of them alone: recall 1 after one false positive, 2 / (2 + 1).
    truth: Truth = {"a": [("run", 0, 2), ("run", 10, 40)]}
    matches = matches_of(truth, {"a": [("run", 60, 70, 0.9), ("run", 0, 2, 0.8)]}, [0.5])
    short, long = group_analysis(matches, np.array([2.0, 30]), bins_at((10,)))
    assert short.average_map_n == pytest.approx(2 / 3)
    assert (long.average_map_n, long.missed) == (0, 1)


def test_an_empty_group_has_no_number() -> None:
    matches = matches_of({"a": [("run", 0, 2)]}, {"a": [("run", 0, 2, 0.9)]}, [0.5])
    _, large = group_analysis(matches, np.array([2.0]), bins_at((10,)))
    assert large.instances == 0
    assert np.isnan(large.missed)
    assert np.isnan(large.average_map_n)


def test_ranges_in_words() -> None:
    matches = matches_of({"a": [("run", 0, 2)]}, {}, [0.5])
    groups = group_analysis(matches, np.array([2.0]), bins_at((3, 6)))
    assert [range_in_words(groups, n) for n in range(3)] == ["<= 3", "3-6", "> 6"]


# From DETAD's own program on TURN at tIoU 0.5 (see test_diagnosis.py): share of the instances, missed, average-mAP_N.
# Coverage is left to the two widest groups' neighbours: DETAD's durations move one instance over the border at 0.02.
DETAD_TURN = {
    "coverage": {
        "M": (0.049434187016081, 0.5783132530120482, 0.27834165676076555),
        "L": (0.01816557474687314, 0.4754098360655737, 0.2940522863942074),
        "XL": (0.026801667659321026, 0.7666666666666667, 0.099455123201047),
    },
    "length": {
        "XS": (0.48421679571173315, 0.486469864698647, 0.17978310390593144),
        "S": (0.2534246575342466, 0.38307873090481787, 0.2701974628894238),
        "M": (0.21739130434782608, 0.3863013698630137, 0.25153889328622026),
        "L": (0.033948779035139966, 0.5526315789473685, 0.18501230475722316),
        "XL": (0.011018463371054199, 0.8918918918918919, 0.03526421584311177),
    },
    "num-instances": {
        "XS": (0.004466944609886838, 0.4666666666666666, 0.37475078358558744),
        "S": (0.6560452650387135, 0.4775306400363141, 0.25810309528279685),
        "M": (0.21649791542584873, 0.34112792297111416, 0.2818955013783201),
        "L": (0.12298987492555093, 0.4552058111380145, 0.22175752581489389),
    },
}


def test_groups_of_turn_equal_detads_own(shared: Path) -> None:
    truth = read_ground_truth(str(shared / "data" / "thumos14_gt.json"))
    within = scope(truth, "testing")
    with ProposalReader(str(shared / "data" / "peer_outputs" / "thumos14_turn_c3d_scnn.json")) as reader:
        found, _ = flatten(reader, within)
    matches = match(within.truth, found, [0.5])
    assert overall_map_n(matches) == pytest.approx(0.26560959061579925, abs=1e-12)
    values, cuts = instance_values(truth, within), dataset_spec("thumos14").groups
    for name, expected in DETAD_TURN.items():
        groups = {g.name: g for g in group_analysis(matches, values[name], bins_at(cuts[name]))}
        for group, numbers in expected.items():
            ours = (groups[group].instances / len(within.truth), groups[group].missed, groups[group].average_map_n)
            np.testing.assert_allclose(ours, numbers, rtol=0, atol=1e-12, err_msg=f"{name} {group}")
