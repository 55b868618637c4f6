"""Overlap of segments: hand-worked values, and laws that hold for any segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.ops.segments import centres, clipped, coverage, lengths, overlaps, tiou

numbers = st.floats(-1e6, 1e6, allow_nan=False, width=32)
segments = st.lists(st.tuples(numbers, numbers).map(sorted), min_size=1, max_size=8).map(
    lambda pairs: np.array(pairs, np.float64)
)


def one_tiou(first: tuple[float, float], second: tuple[float, float]) -> float:
    return float(tiou(np.array([first], float), np.array([second], float))[0, 0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 10), (1, 11), 9 / 11),
        ((0, 10), (8, 18), 2 / 18),
        ((0, 10), (0, 10), 1),
        ((0, 10), (2, 4), 0.2),
        ((0, 1), (1, 2), 0),
        ((0, 1), (5, 6), 0),
        ((3, 3), (3, 3), 0),
        ((0, 10), (5, 5), 0),
    ],
)
def test_tiou_of_hand_worked_pairs(first, second, expected):
    assert one_tiou(first, second) == pytest.approx(expected, abs=1e-15)


@given(segments, segments)
def test_tiou_is_symmetric_and_between_zero_and_one(a, b):
    found = tiou(a, b)
    assert found.shape == (len(a), len(b))
    assert np.array_equal(found, tiou(b, a).T)
    assert ((found >= 0) & (found <= 1)).all()


@given(segments)
def test_a_segment_overlaps_itself_by_its_length(a):
    assert np.array_equal(np.diag(overlaps(a, a)), lengths(a))
    assert np.array_equal(np.diag(tiou(a, a)), (lengths(a) > 0).astype(float))


@given(segments, segments)
def test_overlap_is_never_longer_than_either_segment(a, b):
    found = overlaps(a, b)
    assert (found <= lengths(a)[:, None]).all()
    assert (found <= lengths(b)[None]).all()


def test_coverage_is_the_part_of_the_first_segment():
    cells = np.array([[t / 10, (t + 1) / 10] for t in range(10)])
    found = coverage(cells, np.array([[0.23, 0.56]]))[:, 0]
    assert found == pytest.approx([0, 0, 0.7, 1, 1, 0.6, 0, 0, 0, 0], abs=1e-12)


def test_an_empty_segment_is_covered_by_nothing():
    assert coverage(np.array([[1.0, 1.0]]), np.array([[0.0, 2.0]])) == 0


def test_centres_and_clipping():
    pair = np.array([[1.0, 4.0], [7.0, 9.0]])
    assert centres(pair).tolist() == [2.5, 8.0]
    assert clipped(pair, 2.0, 5.0).tolist() == [[2.0, 4.0], [5.0, 5.0]]
