"""Pairs and one-to-one matching, against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.ops import matching
from taltool.ops.matching import Pairs, overlapping_pairs, serial_match
from taltool.ops.segments import tiou


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.sort(rng.integers(0, 12, (count, 2)).astype(float), axis=1), rng.integers(0, 4, count)


@pytest.mark.parametrize("at_once", [1, 7, 1_000_000])
def test_pairs_are_those_of_one_group_that_overlap_enough(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(matching, "_PAIRS_AT_ONCE", at_once)
    (segments, groups), (others, other_groups) = drawn(0, 40), drawn(1, 30)
    pairs = overlapping_pairs(segments, groups, others, other_groups, 0.4)
    overlap = np.where(groups[:, None] == other_groups, tiou(segments, others), 0)
    found = np.zeros_like(overlap)
    found[pairs.first, pairs.second] = pairs.tious
    np.testing.assert_array_equal(found, np.where(overlap >= 0.4, overlap, 0))
    assert len(pairs.first) == np.count_nonzero(overlap >= 0.4)


def test_no_pairs_where_one_side_is_empty() -> None:
    none, nowhere = np.empty((0, 2)), np.empty(0, np.int64)
    segments, groups = drawn(0, 5)
    assert len(overlapping_pairs(none, nowhere, segments, groups, 0.1).first) == 0
    assert len(overlapping_pairs(segments, groups, none, nowhere, 0.1).first) == 0


@given(
    st.lists(st.lists(st.integers(0, 10), min_size=6, max_size=6), min_size=1, max_size=8),
    st.booleans(),
)
def test_choosers_come_in_order_and_take_the_best_that_is_free(tenths: list[list[int]], strict: bool) -> None:
    overlap = np.array(tenths) / 10
    first, second = np.nonzero(overlap)
    thresholds = [0.1, 0.5, 1.0]
    takers = serial_match(Pairs(first, second, overlap[first, second]), *overlap.shape, thresholds, strict)
    for row, threshold in zip(takers, thresholds, strict=True):
        free, expected = set(range(6)), np.full(6, len(overlap))
        for chooser, wishes in enumerate(overlap):
            wanted = [n for n in free if wishes[n] > threshold or (wishes[n] == threshold and not strict)]
            if wanted:
                choice = max(wanted, key=lambda n: (wishes[n], -n))
                free.remove(choice)
                expected[choice] = chooser
        np.testing.assert_array_equal(row, expected)
